package lightning

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/chainrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/lightningnetwork/lnd/lnrpc/walletrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"

	"github.com/millrace/millrace/channels"
)

// How a lost connection is noticed and made again. lnd closes connections that ping more often than every 5 seconds, or without
// a call under way.
const (
	pingAfter     = 20 * time.Second // without a sign of life
	pingTimeout   = 10 * time.Second
	dialTimeout   = 5 * time.Second
	firstDelay    = 200 * time.Millisecond // before connecting again
	longestDelay  = 5 * time.Second
	delayGrowth   = 1.6
	messageAtMost = 200 << 20 // bytes of an answer; what lnd itself allows: lists of transactions hold them whole
)

// Client asks one lnd. All its methods may be called from any goroutine.
type Client struct {
	cfg  Config
	conn *grpc.ClientConn

	lightning lnrpc.LightningClient
	router    routerrpc.RouterClient
	invoices  invoicesrpc.InvoicesClient
	wallet    walletrpc.WalletKitClient
	chain     chainrpc.ChainKitClient

	known   atomic.Bool // the node at the other end of the connection is the right one; false again after a loss
	blocks  blocks
	funding sync.Mutex // held by Fund: what one takes changes what the next may take
}

// New is a client of an lnd that need not be there yet: calls fail with channels.ErrDown until it is.
func New(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg.withDefaults()}
	conn, err := grpc.NewClient(cfg.Address,
		grpc.WithTransportCredentials(certificate(cfg.Certificate)),
		grpc.WithPerRPCCredentials(macaroon(cfg.Macaroon)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			MinConnectTimeout: dialTimeout,
			Backoff:           backoff.Config{BaseDelay: firstDelay, Multiplier: delayGrowth, Jitter: 0.2, MaxDelay: longestDelay},
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageAtMost)),
	)
	if err != nil {
		return nil, fmt.Errorf("lnd: %w", err)
	}
	c.conn = conn
	c.lightning, c.router = lnrpc.NewLightningClient(conn), routerrpc.NewRouterClient(conn)
	c.invoices, c.wallet = invoicesrpc.NewInvoicesClient(conn), walletrpc.NewWalletKitClient(conn)
	c.chain = chainrpc.NewChainKitClient(conn)
	return c, nil
}

// Close ends all calls and streams. Payments under way go on at the node.
func (c *Client) Close() error { return c.conn.Close() }

// ask makes one call, of the right node, within the time for a call.
func ask[Question, Answer any](ctx context.Context, c *Client, doing string,
	call func(context.Context, *Question, ...grpc.CallOption) (*Answer, error), q *Question) (*Answer, error) {
	if err := c.recognize(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return askAny(ctx, c, doing, call, q)
}

// askAny is ask, whichever node it is.
func askAny[Question, Answer any](ctx context.Context, c *Client, doing string,
	call func(context.Context, *Question, ...grpc.CallOption) (*Answer, error), q *Question) (*Answer, error) {
	limited, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	a, err := call(limited, q)
	if err != nil {
		return nil, c.failed(ctx, doing, err)
	}
	return a, nil
}

// recognize makes sure that the node is the one of the configuration, once after each connection that was lost. A wrong one is
// channels.ErrNode even when it is of another network: ErrNetwork would say that what was asked can never be done.
func (c *Client) recognize(ctx context.Context) error {
	if c.known.Load() {
		return nil
	}
	i, err := c.Info(ctx)
	if err != nil {
		return err
	}
	if i.Network != c.cfg.Network {
		return fmt.Errorf("lnd: its network is %s instead of %s: %w", i.Network, c.cfg.Network, channels.ErrNode)
	}
	if c.cfg.Node != "" && i.Key != c.cfg.Node {
		return fmt.Errorf("lnd: it is %s instead of %s: %w", i.Key, c.cfg.Node, channels.ErrNode)
	}
	c.known.Store(true)
	return nil
}
