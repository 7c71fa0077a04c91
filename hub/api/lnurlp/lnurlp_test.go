package lnurlp_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/hub/api/lnurlp"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/records"
	"github.com/valyala/fasthttp"
)

const alice = ledger.FirstAccount

// node knows one secret for all its invoices: "pr-<amount>" in text.
type node struct {
	mu      sync.Mutex
	settled bool
	desc    []byte
	paid    []channels.Order
	err     error
}

var (
	secret = channels.Hash{1, 2, 3}
	hash   = channels.Hash(sha256.Sum256(secret[:]))
)

func (n *node) decode(text string) (channels.Invoice, error) {
	if !strings.HasPrefix(text, "pr-") {
		return channels.Invoice{}, channels.ErrInvoice
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return channels.Invoice{Text: text, Hash: hash, Amount: 5000, DescHash: n.desc, Expires: time.Now().Add(time.Hour)}, nil
}

func (n *node) Invoice(_ context.Context, _ ledger.AccountNo, in channels.NewInvoice) (channels.Item, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.desc = in.DescHash
	return channels.Item{Hash: hash, Invoice: "pr-5000", Amount: in.Amount}, n.err
}

func (n *node) Incoming(_ context.Context, h channels.Hash) (channels.Item, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := channels.Item{Hash: h, Preimage: secret, Invoice: "pr-5000", State: channels.Open}
	if n.settled {
		i.State = channels.Settled
	}
	return i, n.err
}

func (n *node) Pay(_ context.Context, _ ledger.AccountNo, o channels.Order) (channels.Item, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.paid = append(n.paid, o)
	return channels.Item{State: channels.Settled}, n.err
}

// serve starts a handler on a port of its own.
func serve(t *testing.T) (*node, *lnurl.Links, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + ln.Addr().String()
	r, err := records.Open(records.Options{Dir: "records", FS: vfs.NewMem(), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	n, names := &node{}, lnurl.NewNames(r, nil)
	if err := names.Claim(alice, "alice"); err != nil {
		t.Fatal(err)
	}
	desk, err := lnurl.NewDesk(lnurl.DeskConfig{Base: base, Host: ln.Addr().String(), Names: names, Records: r, Invoices: n})
	if err != nil {
		t.Fatal(err)
	}
	links, err := lnurl.NewLinks(lnurl.LinksConfig{
		Base: base, Records: r, Payer: n, Decode: n.decode, Fee: func(ledger.Msat) ledger.Msat { return 7 },
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &fasthttp.Server{ReadBufferSize: 8 << 10, Handler: lnurlp.New(lnurlp.Config{Desk: desk, Links: links}).Handle}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := errors.Join(s.Shutdown(), <-ended, r.Close()); err != nil {
			t.Error(err)
		}
	})
	return n, links, base
}

func get(t *testing.T, where string) (map[string]any, *http.Response) {
	t.Helper()
	resp, err := http.Get(where)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	var said map[string]any
	if err := errors.Join(err, json.Unmarshal(body, &said)); err != nil {
		t.Fatalf("%s: %s: %v", where, body, err)
	}
	return said, resp
}

// TestPay: the package's own client pays to it, from the address to the proof.
func TestPay(t *testing.T) {
	n, _, base := serve(t)
	c, err := lnurl.NewClient(lnurl.ClientConfig{Parser: lnurl.Parser{Development: true}, Decode: n.decode})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	target, err := c.Parse("alice+tip@" + strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.Resolve(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Invoice(t.Context(), o, 5000, "so & so")
	if err != nil {
		t.Fatal(err)
	}
	if settled, _, err := c.Settled(t.Context(), b); settled || err != nil {
		t.Errorf("%v, %v", settled, err)
	}
	n.mu.Lock()
	n.settled = true
	n.mu.Unlock()
	if settled, p, err := c.Settled(t.Context(), b); !settled || p != secret || err != nil {
		t.Errorf("%v, %v, %v", settled, p, err)
	}
}

// TestWire: what is said is what the documents say, to the field.
func TestWire(t *testing.T) {
	n, links, base := serve(t)
	said, resp := get(t, base+"/.well-known/lnurlp/alice")
	if len(said) != 6 || said["tag"] != "payRequest" || said["minSendable"] != 1000.0 || said["commentAllowed"] != 255.0 ||
		resp.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		t.Errorf("%v %v", said, resp.Header)
	}
	said, _ = get(t, said["callback"].(string)+"?amount=5000")
	if len(said) != 3 || said["pr"] != "pr-5000" || len(said["routes"].([]any)) != 0 {
		t.Errorf("%v", said)
	}
	said, _ = get(t, said["verify"].(string))
	if preimage, there := said["preimage"]; len(said) != 4 || said["status"] != "OK" || said["settled"] != false || preimage != nil || !there || said["pr"] != "pr-5000" {
		t.Errorf("%v", said)
	}
	k, err := links.New(alice, 1000, 9000, "a voucher", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	said, _ = get(t, base+"/lnurl/withdraw/"+k.ID)
	if len(said) != 6 || said["tag"] != "withdrawRequest" || said["defaultDescription"] != "a voucher" || said["minWithdrawable"] != 1000.0 || said["maxWithdrawable"] != 9000.0 {
		t.Errorf("%v", said)
	}
	callback := said["callback"].(string) + "?" + url.Values{"k1": {said["k1"].(string)}, "pr": {"PR-5000"}}.Encode()
	for range 2 {
		if said, _ = get(t, callback); len(said) != 1 || said["status"] != "OK" {
			t.Errorf("%v", said)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.paid) != 1 || n.paid[0].Invoice != "pr-5000" || n.paid[0].FeeLimit != 7 || n.paid[0].Memo != "a voucher" {
		t.Errorf("%+v", n.paid)
	}
}

// TestErrors are answers, and tell strangers nothing of the hub.
func TestErrors(t *testing.T) {
	n, links, base := serve(t)
	k, err := links.New(alice, 1000, 9000, "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/.well-known/lnurlp/bob":                                           lnurl.ErrNoName.Error(),
		"/.well-known/lnurlp/":                                              lnurl.ErrNoName.Error(),
		"/lnurl/pay/alice":                                                  "nothing here",
		"/lnurl/pay/alice/callback":                                         "parameters",
		"/lnurl/pay/alice/callback?amount=-1":                               "parameters",
		"/lnurl/pay/alice/callback?amount=5":                                "amount",
		"/lnurl/pay/alice/callback?amount=5000&comment=%ff":                 "comment",
		"/lnurl/pay/alice/callback?amount=1&x=" + strings.Repeat("x", 5000): "parameters",
		"/lnurl/verify/00":                                                  "no such invoice",
		"/lnurl/withdraw/00":                                                "no such link",
		"/lnurl/withdraw/" + k.ID + "/callback":                             "not an invoice",
		"/lnurl/withdraw/" + k.ID + "/callback?pr=pr-5000&k1=x":             "k1",
		"/lnurl/other":                                                      "nothing here",
	} {
		said, resp := get(t, base+path)
		if reason, _ := said["reason"].(string); resp.StatusCode != 200 || said["status"] != "ERROR" || !strings.Contains(reason, want) || len(said) != 2 {
			t.Errorf("%.60s: %d %v", path, resp.StatusCode, said)
		}
	}
	n.err = errors.New("dial tcp 10.0.0.7:10009: connection refused")
	if said, _ := get(t, base+"/lnurl/pay/alice/callback?amount=5000"); !strings.Contains(said["reason"].(string), "try again later") {
		t.Errorf("%v", said)
	}
	for method, want := range map[string]int{http.MethodPost: 405, http.MethodOptions: 204} {
		req, err := http.NewRequest(method, base+"/.well-known/lnurlp/alice", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d", method, resp.StatusCode)
		}
	}
}

func TestHandles(t *testing.T) {
	for path, want := range map[string]bool{"/.well-known/lnurlp/alice": true, "/lnurl/verify/x": true, "/.well-known/other": false, "/lnurlx": false, "/v1/hub": false} {
		if lnurlp.Handles(path) != want {
			t.Errorf("%s", path)
		}
	}
}
