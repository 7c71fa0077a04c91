package chain

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/channels"
)

// Config says where btcd is, and what to do when it has no opinion on fees.
type Config struct {
	Network  Network
	Address  string        // host:port of its RPC
	User     string        // of its RPC: rpclimituser will do
	Password string        // never logged
	Cert     []byte        // its rpc.cert, in PEM; nil: one that the machine trusts
	Timeout  time.Duration // of one call, within the deadline of its context; zero: 10 s

	Fallback FeeRate // while it has seen too few blocks to tell; zero: 10 sat per vbyte
	Floor    FeeRate // the least that FeeRate answers; zero, or less than RelayRate: RelayRate
	Ceiling  FeeRate // the most that FeeRate answers; zero: 500 sat per vbyte
}

// FeeRate is that of channels.
type FeeRate = channels.FeeRate

const (
	defaultTimeout          = 10 * time.Second
	defaultFallback FeeRate = 10_000
	defaultCeiling  FeeRate = 500_000

	// maxConnections is far below the ten that btcd allows unless told otherwise (rpcmaxclients); lnd needs some of them.
	maxConnections = 4
	// maxAnswer is more than the largest answer, in bytes: a block of 4 MB in hex.
	maxAnswer = 16 << 20
)

// Client asks a btcd. Each call is a request of its own over TLS, so there is no connection to lose: btcd closes it behind every answer
// and a btcd that is back is found by the next call. A btcd that does not answer, or answers nonsense, is channels.ErrDown.
//
// It may be used by many goroutines; more than maxConnections calls at once wait for each other.
type Client struct {
	cfg  Config
	http *http.Client
	ids  atomic.Uint64
}

// New makes a client. It connects to nothing yet: see Check.
func New(cfg Config) (*Client, error) {
	if cfg.Network.params == nil {
		return nil, errors.New("the client of btcd: which network is not said")
	}
	if _, _, err := net.SplitHostPort(cfg.Address); err != nil {
		return nil, fmt.Errorf("the client of btcd: its address: %w", err)
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.Cert != nil {
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(cfg.Cert) {
			return nil, errors.New("the client of btcd: its certificate is none in PEM")
		}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Fallback <= 0 {
		cfg.Fallback = defaultFallback
	}
	if cfg.Ceiling <= 0 {
		cfg.Ceiling = defaultCeiling
	}
	cfg.Floor = max(cfg.Floor, RelayRate)
	if cfg.Ceiling < cfg.Floor {
		return nil, fmt.Errorf("the client of btcd: the highest fee rate, %d, is below the lowest, %d", cfg.Ceiling, cfg.Floor)
	}
	dialer := &net.Dialer{Timeout: cfg.Timeout, KeepAlive: 15 * time.Second}
	return &Client{cfg: cfg, http: &http.Client{Transport: &http.Transport{
		DialContext:         dialer.DialContext,
		TLSClientConfig:     secure,
		TLSHandshakeTimeout: cfg.Timeout,
		MaxConnsPerHost:     maxConnections,
		IdleConnTimeout:     time.Minute,
	}}}, nil
}

// Close lets go of connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Check says whether btcd is there, on the right network, and has an index of transactions.
func (c *Client) Check(ctx context.Context) error {
	first, err := c.BlockHash(ctx, 0)
	if err != nil {
		return fmt.Errorf("asking btcd for its first block: %w", err)
	}
	if first != c.cfg.Network.Genesis() {
		return fmt.Errorf("btcd at %s is not on %s: %w", c.cfg.Address, c.cfg.Network, channels.ErrNetwork)
	}
	if _, err := c.Place(ctx, channels.Hash{}); !errors.Is(err, channels.ErrNoTransaction) {
		return fmt.Errorf("asking btcd for a transaction that there cannot be: %w", err)
	}
	return nil
}

// rpcError is what btcd answers to a call that it refuses.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return fmt.Sprintf("btcd: %s (%d)", e.Message, e.Code) }

// The codes of btcd that mean something here (btcjson).
const (
	codeNoInfo     = -5 // no such transaction, or block: ErrRPCNoTxInfo
	codeOutOfRange = -1 // no block of that height: ErrRPCOutOfRange
	codeInChain    = -27
	codeRejected   = -26
	codeVerify     = -25
	codeDecode     = -22
)

// call asks one thing. The error is an *rpcError, channels.ErrDown, or that of the context.
func (c *Client) call(ctx context.Context, answer any, method string, params ...any) error {
	within, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	err := c.post(within, answer, method, params)
	var refused *rpcError
	if err == nil || errors.As(err, &refused) {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("asking btcd, %s: %w", method, ctx.Err())
	}
	return fmt.Errorf("asking btcd, %s: %v: %w", method, err, channels.ErrDown)
}

func (c *Client) post(ctx context.Context, answer any, method string, params []any) error {
	if params == nil {
		params = []any{}
	}
	id := c.ids.Add(1)
	body, err := json.Marshal(struct {
		Version string `json:"jsonrpc"`
		ID      uint64 `json:"id"`
		Method  string `json:"method"`
		Params  []any  `json:"params"`
	}{"1.0", id, method, params})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+c.cfg.Address+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.SetBasicAuth(c.cfg.User, c.cfg.Password)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden {
		return errors.New("it refuses our name and password")
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return err
	}
	var got struct {
		ID     uint64          `json:"id"`
		Result json.RawMessage `json:"result"`
		Error  *rpcError       `json:"error"`
	}
	if len(text) > maxAnswer {
		return fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return fmt.Errorf("status %d and no answer to read: %w", res.StatusCode, err)
	}
	if got.Error != nil {
		return got.Error
	}
	if got.ID != id || got.Result == nil {
		return errors.New("an answer to something else")
	}
	return json.Unmarshal(got.Result, answer)
}

// parseID reads the text of a transaction's or block's id, whose bytes are in reverse order.
func parseID(text string) (h channels.Hash, err error) {
	if err := h.UnmarshalText([]byte(text)); err != nil {
		return h, fmt.Errorf("btcd answered the id %.80q: %w", text, err)
	}
	for i, j := 0, len(h)-1; i < j; i, j = i+1, j-1 {
		h[i], h[j] = h[j], h[i]
	}
	return h, nil
}
