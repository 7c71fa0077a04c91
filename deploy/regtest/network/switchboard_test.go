package network_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/millrace/millrace/deploy/regtest/network"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// calls notes what a switchboard tells, and loses calls.
type calls struct {
	mu   sync.Mutex
	seen []string
	lose string // a method and moment
}

func (c *calls) at(_ context.Context, method string, m network.Moment) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := method + " " + string(m)
	c.seen = append(c.seen, call)
	if call == c.lose {
		return errors.New("as the test wants it")
	}
	return nil
}

// take is what was told since the last time.
func (c *calls) take(lose string) (seen []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen, c.seen, c.lose = c.seen, nil, lose
	return seen
}

// TestRegtestSwitchboard: calls of lnd go through one by one, are known by their moments, and can be lost at each.
func TestRegtestSwitchboard(t *testing.T) {
	n, ctx := shared.Get(t), within(t)
	var c calls
	s, err := n.Hub.Switchboard(c.at)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	conn, as := connect(t, ctx, s.Address(), n.Hub)
	client := lnrpc.NewLightningClient(conn)
	if info, err := client.GetInfo(as, &lnrpc.GetInfoRequest{}); err != nil || info.IdentityPubkey != n.Hub.Key() {
		t.Fatal(info, err)
	}
	if got := c.take(""); !slices.Equal(got, []string{"GetInfo asked", "GetInfo sent", "GetInfo answered"}) {
		t.Errorf("%q", got)
	}
	for _, moment := range []string{"asked", "answered"} {
		c.take("AddInvoice " + moment)
		before := invoices(t, ctx, n)
		if _, err := client.AddInvoice(as, &lnrpc.Invoice{Value: 5}); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", moment, err)
		}
		if added := invoices(t, ctx, n) - before; (added == 1) != (moment == "answered") {
			t.Errorf("%s, and there are %d more", moment, added)
		}
	}

	// An answer that is an error has its end in it, and a stream goes on over its first message.
	c.take("")
	if _, err := client.LookupInvoice(as, &lnrpc.PaymentHash{RHash: make([]byte, 32)}); status.Code(err) != codes.NotFound {
		t.Error(err)
	}
	if got := c.take(""); !slices.Contains(got, "LookupInvoice answered") {
		t.Errorf("%q", got)
	}
	invoice, err := n.Publisher.Invoice(ctx, 3000, "")
	if err != nil {
		t.Fatal(err)
	}
	pay := func() (*lnrpc.Payment, error) {
		stream, err := routerrpc.NewRouterClient(conn).SendPaymentV2(as, &routerrpc.SendPaymentRequest{PaymentRequest: invoice, TimeoutSeconds: 60})
		if err != nil {
			return nil, err
		}
		for {
			p, err := stream.Recv()
			if err != nil || p.Status == lnrpc.Payment_SUCCEEDED {
				return p, err
			}
		}
	}
	if p, err := pay(); err != nil || p.ValueMsat != 3000 {
		t.Error(p, err)
	}
	if got := c.take("TrackPaymentV2 asked"); len(got) < 4 || got[1] != "SendPaymentV2 sent" || got[3] != "SendPaymentV2 answered" {
		t.Errorf("%q", got)
	}

	b, err := n.Chain.Switchboard(c.at)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c.take("getblockcount asked")
	if code, text := post(t, n, b.Address(), `{"jsonrpc":"1.0","id":1,"method":"getbestblockhash","params":[]}`); code != 200 || !bytes.Contains(text, []byte(`"result":"`)) {
		t.Errorf("%d %s", code, text)
	}
	if code, text := post(t, n, b.Address(), `{"jsonrpc":"1.0","id":1,"method":"getblockcount","params":[]}`); code != 502 {
		t.Errorf("%d %s", code, text)
	}
	if got := c.take(""); !slices.Equal(got, []string{"getbestblockhash asked", "getbestblockhash sent", "getbestblockhash answered", "getblockcount asked"}) {
		t.Errorf("%q", got)
	}
}

func invoices(t *testing.T, ctx context.Context, n *network.Network) int {
	t.Helper()
	list, err := n.Hub.RPC().ListInvoices(ctx, &lnrpc.ListInvoiceRequest{NumMaxInvoices: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Invoices)
}

// post asks btcd.
func post(t *testing.T, n *network.Network, address, body string) (int, []byte) {
	t.Helper()
	pem, err := os.ReadFile(n.Chain.CertFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+address, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(n.Chain.User(), n.Chain.Password())
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, text
}
