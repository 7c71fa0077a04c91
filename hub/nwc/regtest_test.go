package nwc

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lightning"
	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/deploy/regtest/network"
	"github.com/millrace/millrace/deploy/regtest/networktest"
	"github.com/millrace/millrace/hub/api/lndhub"
	"github.com/millrace/millrace/hub/api/lnurlp"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
	"github.com/millrace/millrace/ledger/store/records"
	"github.com/valyala/fasthttp"
)

// book is a real ledger in memory, that applies each op in a block of its own.
type book struct {
	mu      sync.Mutex
	state   *ledger.State
	archive ledgertest.Archive
	blocks  uint64
}

func newBook() *book {
	b := &book{state: ledger.New(ledger.DefaultParams(), ledger.Seed{1, 2}), archive: ledgertest.NewArchive()}
	b.state.Attach(b.archive)
	return b
}

func (b *book) Submit(op ledger.Op) (ledger.Applied, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := max(uint64(time.Now().UnixMilli()), b.state.Now())
	if a := b.state.Check(&op, nil, now); a.Result() != ledger.Undecided {
		return a, nil
	}
	var builder ledger.Builder
	builder.Add(&op, nil)
	b.blocks++
	block := builder.Seal(ledger.Header{Time: now, Proposer: 1, Number: b.blocks, Parent: b.state.Index(), Head: b.state.Head()})
	out, err := b.state.Apply(b.state.Index()+1, block, nil)
	if err != nil {
		return ledger.Applied{}, err
	}
	b.archive.Follow(b.state.Last())
	return out[0], nil
}

func (b *book) Account(no ledger.AccountNo) (ledger.Account, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state.Account(no)
}

func (b *book) AccountLines(ledger.AccountNo, ledger.Range, func(*ledger.Line) bool) error {
	return errors.New("nothing here is a day old")
}

func (b *book) NewID() ledger.OpID {
	var random [10]byte
	rand.Read(random[:])
	return ledger.NewOpID(uint64(time.Now().UnixMilli()), random)
}

// hub is all that wallets see of a hub, over real nodes.
type hub struct {
	t      *testing.T
	net    *network.Network
	book   *book
	rails  *channels.Rails
	names  *lnurl.Names
	links  *lnurl.Links
	client *lnurl.Client
	rig    *rig // its service
	base   string
	opened ledger.AccountNo // the newest account
}

func newHub(t *testing.T, n *network.Network) *hub {
	t.Helper()
	h := &hub{t: t, net: n, book: newBook()}
	node, err := lightning.New(lightning.Config{
		Address: n.Hub.Address(), Certificate: n.Hub.CertFile(), Macaroon: n.Hub.MacaroonFile(), Network: "simnet", Node: n.Hub.Key(),
	})
	if err != nil {
		t.Fatal(err)
	}
	db, err := records.Open(records.Options{Dir: "records", FS: vfs.NewMem(), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.base = "http://" + ln.Addr().String()
	relay := newTestRelay(t)
	h.rig = &rig{t: t, relays: []*testRelay{relay}, clock: &clock{at: time.Now()}}
	var desk *lnurl.Desk
	h.rails, err = channels.New(channels.Config{
		Records: db, Ledger: h.book, Payer: node, Receiver: node, Node: n.Hub.Key(), Secret: [32]byte{1},
		Moved: func(no ledger.AccountNo, i channels.Item) {
			desk.Paid(i.Hash)
			h.rig.Moved(no, i)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	teller := h.rails.Teller()
	fee := func(amount ledger.Msat) ledger.Msat { return amount/100 + 1000 }
	h.names = lnurl.NewNames(db, nil)
	desk, err = lnurl.NewDesk(lnurl.DeskConfig{Base: h.base, Host: ln.Addr().String(), Names: h.names, Records: db, Invoices: teller})
	h.links, _ = lnurl.NewLinks(lnurl.LinksConfig{Base: h.base, Records: db, Payer: teller, Decode: teller.Decode, Fee: fee})
	h.client, _ = lnurl.NewClient(lnurl.ClientConfig{Parser: lnurl.Parser{Development: true}, Decode: teller.Decode})
	phones, errPhones := lndhub.New(lndhub.Config{
		Records: db, Wallet: teller, History: teller, Decode: teller.Decode, Fee: fee, Prefix: "/lndhub",
		Info: func(context.Context) (lndhub.Info, error) { return lndhub.Info{Key: n.Hub.Key()}, nil },
		Open: func(string) (ledger.AccountNo, error) {
			a, err := h.book.Submit(ledger.Op{Kind: ledger.OpOpenAccount, ID: h.book.NewID()})
			h.opened = ledger.AccountNo(a.Object())
			return h.opened, err
		},
	})
	service, errService := New(Config{
		Records: db, Secret: [32]byte{2}, Wallet: teller, History: teller, Decode: teller.Decode, Fee: fee, Development: true, Relays: []string{relay.url()},
		Info: func(context.Context) (Info, error) { return Info{Key: n.Hub.Key()}, nil },
	})
	if err := errors.Join(err, errPhones, errService); err != nil {
		t.Fatal(err)
	}
	h.rig.Service = service
	pages := lnurlp.New(lnurlp.Config{Desk: desk, Links: h.links})
	named, err := lnurl.NewDesk(lnurl.DeskConfig{Base: "https://hub.example", Host: "hub.example", Names: h.names, Records: db, Invoices: teller, Node: n.Hub.Key()})
	if err != nil {
		t.Fatal(err)
	}
	public := lnurlp.New(lnurlp.Config{Desk: named, Links: h.links})
	s := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		if path := string(ctx.Path()); phones.Handles(path) {
			phones.Handle(ctx)
		} else if rest, ok := strings.CutPrefix(path, "/hub.example"); ok && lnurlp.Handles(rest) {
			ctx.URI().SetPath(rest)
			public.Handle(ctx)
		} else if ok {
			ctx.SetStatusCode(fasthttp.StatusNotFound)
		} else if lnurlp.Handles(path) {
			pages.Handle(ctx)
		}
	}}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	if err := h.rails.Start(); err != nil {
		t.Fatal(err)
	}
	service.Start()
	t.Cleanup(func() {
		phones.Close()
		service.Close()
		h.client.Close()
		http.DefaultClient.CloseIdleConnections()
		errServe := errors.Join(s.Shutdown(), <-ended)
		h.rails.Close()
		if err := errors.Join(errServe, node.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// call is a request of a phone's wallet, or of one that has scanned an LNURL.
func (h *hub) call(method, where, token string, body, into any) {
	h.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		h.t.Fatal(err)
	}
	req, err := http.NewRequest(method, where, bytes.NewReader(text))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, json.Unmarshal(got, into)); err != nil {
		h.t.Fatalf("%s: %s: %v", where, got, err)
	}
}

// phone is an account with a wallet on a phone.
type phone struct {
	h     *hub
	token string
	no    ledger.AccountNo
}

func (h *hub) phone() *phone {
	h.t.Helper()
	var made struct{ Login, Password string }
	h.call("POST", h.base+"/lndhub/create", "", paramsOf("partnerid", "bluewallet"), &made)
	var tokens struct {
		Access string `json:"access_token"`
	}
	h.call("POST", h.base+"/lndhub/auth", "", paramsOf("login", made.Login, "password", made.Password), &tokens)
	return &phone{h, tokens.Access, h.opened}
}

func (p *phone) call(method, path string, body, into any) {
	p.h.t.Helper()
	p.h.call(method, p.h.base+"/lndhub"+path, p.token, body, into)
}

// has waits until the phone shows so many satoshis.
func (p *phone) has(sat int64) {
	p.h.t.Helper()
	var got struct {
		BTC struct{ AvailableBalance int64 }
	}
	for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if p.call("GET", "/balance", nil, &got); got.BTC.AvailableBalance == sat {
			return
		}
		if time.Now().After(until) {
			p.h.t.Fatalf("%d sat: want %d", got.BTC.AvailableBalance, sat)
		}
	}
}

func (p *phone) invoice(sat int) string {
	p.h.t.Helper()
	var bill struct {
		PayReq string `json:"pay_req"`
	}
	if p.call("POST", "/addinvoice", paramsOf("amt", fmt.Sprint(sat), "memo", "a dance"), &bill); bill.PayReq == "" {
		p.h.t.Fatal("no invoice")
	}
	return bill.PayReq
}

// TestRegtestWallets: what wallets that exist do, over real nodes: LndHub, a lightning address, LNURL-withdraw and NWC on one account, and
// the books afterwards.
func TestRegtestWallets(t *testing.T) {
	n := networktest.Start(t)
	h := newHub(t, n)
	ctx := t.Context()
	bill := func(node *network.Lightning, sat int64) string {
		t.Helper()
		text, err := node.Invoice(ctx, sat*1000, "a song")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	p := h.phone()
	if _, err := n.Payer.Pay(ctx, p.invoice(50_000), 0); err != nil {
		t.Fatal(err)
	}
	p.has(50_000)

	// A lightning address.
	if err := h.names.Claim(p.no, "alice"); err != nil {
		t.Fatal(err)
	}
	target, err := h.client.Parse("alice@" + strings.TrimPrefix(h.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	offer, err := h.client.Resolve(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	asked, err := h.client.Invoice(ctx, offer, 10_000_000, "for the song")
	if err != nil {
		t.Fatal(err)
	}
	sent, err := n.Payer.Pay(ctx, asked.Invoice.Text, 0)
	if err != nil {
		t.Fatal(err)
	}
	p.has(60_000)
	if settled, preimage, err := h.client.Settled(ctx, asked); !settled || preimage.String() != sent.Preimage || err != nil {
		t.Errorf("%v, %v, %v", settled, preimage, err)
	}

	t.Run("lightning-tools", func(t *testing.T) { h.payFromNode(t, p) })

	// The phone pays, and pays again because it has heard nothing.
	song := bill(n.Publisher, 1000)
	var paid, again map[string]any
	p.call("POST", "/payinvoice", paramsOf("invoice", song, "amount", 0), &paid)
	p.call("POST", "/payinvoice", paramsOf("invoice", song, "amount", 0), &again)
	if paid["error"] != nil || fmt.Sprint(paid) != fmt.Sprint(again) {
		t.Errorf("%v, %v", paid, again)
	}
	p.has(59_000)
	var failed map[string]any
	p.call("POST", "/payinvoice", paramsOf("invoice", bill(n.Publisher, 60_000)), &failed)
	if failed["code"] != 2.0 {
		t.Errorf("%v", failed)
	}

	// An application, with a budget.
	a, c := h.rig.connect(p.no, Wanted{Budget: 5_000_000, Period: Daily, Notify: true})
	time.Sleep(time.Until(h.rig.began.Add(time.Second))) // what is asked within the first second could be meant for another process
	h.rig.clock.pass(time.Since(h.rig.clock.now()))      // applications have the machine's time
	var done payResult
	e := a.ask("pay_invoice", paramsOf("invoice", bill(n.Publisher, 2000)))
	for range 3 {
		h.rig.relays[0].put(e)
	}
	if s := a.answer(e); s.Error != nil {
		t.Errorf("%+v", s.Error)
	}
	if f := a.call("pay_keysend", paramsOf("amount", 500_000, "pubkey", n.Publisher.Key(), "tlv_records", []any{paramsOf("type", 696969, "value", "6869")}), &done); f != nil {
		t.Errorf("%+v", f)
	}
	if f := a.call("pay_invoice", paramsOf("invoice", bill(n.Publisher, 3000)), &done); f == nil || f.Code != QuotaExceeded {
		t.Errorf("%+v", f)
	}
	p.has(56_500)
	h.rig.spent(p.no, 2_500_000, 0)
	if got := h.rig.Connections(p.no)[0]; got.ID != c.ID {
		t.Errorf("%+v", got)
	}
	h.rig.eventually("it was told of both", func() bool { return len(h.rig.relays[0].kept(kindNotify)) == 2 })

	// Another account of the hub is paid inside.
	q := h.phone()
	if f := a.call("pay_invoice", paramsOf("invoice", q.invoice(1500)), &done); f != nil || done.Fees != 0 {
		t.Errorf("%+v, %+v", done, f)
	}
	q.has(1500)
	p.has(55_000)

	// A voucher.
	k, err := h.links.New(p.no, 1000, 4_000_000, "for the taxi", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	where, err := lnurl.Decode(h.links.LNURL(k.ID))
	if err != nil {
		t.Fatal(err)
	}
	var voucher lnurl.WithdrawRequest
	h.call("GET", where, "", nil, &voucher)
	callback := voucher.Callback + "?" + url.Values{"k1": {voucher.K1}, "pr": {bill(n.Publisher, 4000)}}.Encode()
	for range 2 {
		var said lnurl.Status
		if h.call("GET", callback, "", nil, &said); said != lnurl.OK() {
			t.Errorf("%+v", said)
		}
	}
	p.has(51_000)

	// The lists, and the books.
	var txs, bills []map[string]any
	p.call("GET", "/gettxs?limit=10&offset=0", nil, &txs)
	p.call("GET", "/getuserinvoices?limit=20", nil, &bills)
	txs = slices.DeleteFunc(txs, func(x map[string]any) bool { return x["value"] == 700.0 })
	bills = slices.DeleteFunc(bills, func(x map[string]any) bool { return x["amt"] == 700.0 })
	if len(txs) != 5 || len(bills) != 2 || bills[1]["description"] != "for the song" || bills[0]["ispaid"] != true || bills[1]["amt"] != 10_000.0 {
		t.Errorf("%v\n%v", txs, bills)
	}
	outside, _ := h.book.Account(ledger.Lightning)
	if outside.Available != -(60_000-7_500)*1000 {
		t.Errorf("%d msat came in, less what went out", -outside.Available)
	}
}

// payFromNode has a lightning address paid by a package of others, which looks for itself whether it was. What it pays goes back.
func (h *hub) payFromNode(t *testing.T, p *phone) {
	node := newPeer(t, "address.mjs", paramsOf("address", "alice@hub.example", "host", "hub.example", "base", h.base+"/hub.example", "satoshis", 700, "comment", "ü & ö"))
	var asked struct {
		Invoice, About, Keysend string
		Amount, Comment         int64
	}
	if err := json.Unmarshal(node.hear().Result, &asked); err != nil || asked.Amount != 700 || asked.About != "alice@hub.example" || asked.Comment != 255 {
		t.Fatalf("%+v, %v", asked, err)
	}
	settled := func() (got struct {
		Paid     bool
		Preimage string
	}) {
		t.Helper()
		node.put("paid?")
		if err := json.Unmarshal(node.hear().Result, &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := settled(); got.Paid || got.Preimage != "" {
		t.Errorf("%+v", got)
	}
	sent, err := h.net.Payer.Pay(t.Context(), asked.Invoice, 0)
	if err != nil {
		t.Fatal(err)
	}
	p.has(60_700)
	if got := settled(); !got.Paid || got.Preimage != sent.Preimage {
		t.Errorf("%+v", got)
	}
	if asked.Keysend != h.net.Hub.Key()+" 696969="+p.no.String() {
		t.Errorf("a keysend goes to %s", asked.Keysend)
	}
	back, err := h.net.Payer.Invoice(t.Context(), 700_000, "")
	if err != nil {
		t.Fatal(err)
	}
	var paid map[string]any
	if p.call("POST", "/payinvoice", paramsOf("invoice", back), &paid); paid["error"] != nil {
		t.Errorf("%v", paid)
	}
	p.has(60_000)
}
