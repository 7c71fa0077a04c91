package lndhub_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/hub/api/lndhub"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/records"
	"github.com/valyala/fasthttp"
)

// wallet is a wallet that does what tests tell it to.
type wallet struct {
	mu      sync.Mutex
	balance ledger.Msat
	orders  map[string]*channels.Item
	made    []channels.Order
	items   []channels.Item // newest last
	answer  func(channels.Order) (channels.Item, error)
	changed chan struct{}
	waiting int // calls of Pay that wait
	noChain bool
}

func (w *wallet) Balance(ledger.AccountNo) (ledger.Msat, error) { return w.balance, nil }

func (w *wallet) Address(context.Context, ledger.AccountNo) (string, error) {
	if w.noChain {
		return "", errors.New("no wallet")
	}
	return "bcrt1qaddress", nil
}

func (w *wallet) Invoice(_ context.Context, _ ledger.AccountNo, n channels.NewInvoice) (channels.Item, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Unix(1_800_000_000, 0)
	i := channels.Item{
		Rail: channels.Lightning, Incoming: true, State: channels.Open, Hash: channels.Hash{9, byte(len(w.items))}, Invoice: fmt.Sprintf("lntest%d", n.Amount),
		Amount: n.Amount, Memo: n.Memo, DescHash: n.DescHash, Made: now, Expires: now.Add(n.Expiry),
	}
	w.items = append(w.items, i)
	return i, nil
}

func (w *wallet) Pay(ctx context.Context, account ledger.AccountNo, o channels.Order) (channels.Item, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := account.String() + o.Key
	if w.orders[key] == nil {
		i := channels.Item{State: channels.Settled}
		if w.answer != nil {
			var err error
			if i, err = w.answer(o); err != nil {
				return channels.Item{}, err
			}
		}
		invoice, _ := decode(o.Invoice)
		i.Key, i.Hash, i.Invoice, i.Rail, i.Amount, i.Made = o.Key, invoice.Hash, o.Invoice, channels.Lightning, max(o.Amount, invoice.Amount), time.Unix(1_800_000_000, 0)
		w.made = append(w.made, o)
		w.orders[key] = &i
	}
	w.waiting++
	defer func() { w.waiting-- }()
	for w.orders[key].State == channels.Open {
		changed := w.changed
		w.mu.Unlock()
		select {
		case <-changed:
			w.mu.Lock()
		case <-ctx.Done():
			w.mu.Lock()
			return *w.orders[key], nil
		}
	}
	return *w.orders[key], nil
}

func (w *wallet) finish(state channels.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, i := range w.orders {
		if i.State == channels.Open {
			i.State = state
		}
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *wallet) set(answer func(channels.Order) (channels.Item, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = answer
}

func (w *wallet) payments() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.made)
}

func (w *wallet) waits() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting
}

func (w *wallet) Outgoing(account ledger.AccountNo, hash channels.Hash) (channels.Item, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := len(w.made) - 1; n >= 0; n-- {
		if i := w.orders[account.String()+w.made[n].Key]; i != nil && i.Hash == hash {
			return *i, nil
		}
	}
	return channels.Item{}, channels.ErrNoItem
}

func (w *wallet) Item(_ context.Context, account ledger.AccountNo, hash channels.Hash) (channels.Item, error) {
	w.mu.Lock()
	for _, i := range w.items {
		if i.Hash == hash {
			w.mu.Unlock()
			return i, nil
		}
	}
	w.mu.Unlock()
	return w.Outgoing(account, hash)
}

func (w *wallet) Items(_ ledger.AccountNo, f channels.Filter, each func(channels.Item) bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := len(w.items) - 1; n >= 0; n-- {
		i := w.items[n]
		if (i.State == channels.Settled || f.Unsettled) && (f.Incoming == nil || *f.Incoming == i.Incoming) && !each(i) {
			break
		}
	}
	return nil
}

// decode reads the invoices of tests: lntest, and an amount.
func decode(text string) (channels.Invoice, error) {
	var amount uint64
	if strings.HasPrefix(text, "lnother") {
		return channels.Invoice{}, channels.ErrNetwork
	}
	if n, _ := fmt.Sscanf(text, "lntest%d", &amount); n != 1 {
		return channels.Invoice{}, channels.ErrInvoice
	}
	at := time.Unix(1_800_000_000, 0)
	return channels.Invoice{
		Text: text, Hash: channels.Hash{byte(amount), byte(amount >> 8), 1}, Payee: "02ab", Amount: ledger.Msat(amount), Description: "a song", Made: at,
		Expires: at.Add(time.Hour), FinalDelta: 40,
	}, nil
}

// rig is a handler on a port of its own.
type rig struct {
	*lndhub.Handler
	t      *testing.T
	cfg    lndhub.Config
	wallet *wallet
	base   string
	mu     sync.Mutex
	now    time.Time
	opened ledger.AccountNo
}

func newRig(t *testing.T) *rig {
	t.Helper()
	db, err := records.Open(records.Options{Dir: "records", FS: vfs.NewMem(), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, now: time.Unix(1_800_000_000, 0), opened: ledger.FirstAccount}
	r.wallet = &wallet{balance: 123_456_789, orders: make(map[string]*channels.Item), changed: make(chan struct{})}
	r.cfg = lndhub.Config{
		Records: db, Wallet: r.wallet, History: r.wallet, Decode: decode, Prefix: "/lndhub", Clock: r.clock,
		Fee: func(amount ledger.Msat) ledger.Msat { return amount / 100 },
		Info: func(context.Context) (lndhub.Info, error) {
			return lndhub.Info{Key: "02ab", Alias: "hub", Network: "simnet", Height: 7, Synced: true}, nil
		},
		Open: func(partner string) (ledger.AccountNo, error) {
			if partner != "bluewallet" {
				return 0, lndhub.ErrPartner
			}
			r.opened++
			return r.opened - 1, nil
		},
	}
	r.restart()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.base = "http://" + ln.Addr().String() + "/lndhub"
	s := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		h := r.current()
		if !h.Handles(string(ctx.Path())) {
			ctx.SetStatusCode(404)
			return
		}
		h.Handle(ctx)
	}}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	t.Cleanup(func() {
		r.current().Close()
		http.DefaultClient.CloseIdleConnections()
		if err := errors.Join(s.Shutdown(), <-ended, db.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) restart() {
	h, err := lndhub.New(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Handler = h
}

func (r *rig) current() *lndhub.Handler {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Handler
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// call sends a request as both wallets do, with the header that has no meaning in a request.
func (r *rig) call(method, path, token string, body, into any) {
	r.t.Helper()
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			r.t.Fatal(err)
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, r.base+path, text)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Access-Control-Allow-Origin", "*")
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		r.t.Errorf("%s %s: %d %s %v", method, path, resp.StatusCode, got, err)
	}
	if err := json.Unmarshal(got, into); err != nil {
		r.t.Errorf("%s %s: %s: %v", method, path, got, err)
	}
}

type object map[string]any

// account opens an account, and logs in.
func (r *rig) account() (token string) {
	r.t.Helper()
	var made struct{ Login, Password string }
	r.call("POST", "/create", "", object{"partnerid": "bluewallet", "accounttype": "common"}, &made)
	return r.login(made.Login, made.Password)
}

func (r *rig) login(login, password string) string {
	r.t.Helper()
	var got struct {
		Access string `json:"access_token"`
	}
	r.call("POST", "/auth?type=auth", "", object{"login": login, "password": password}, &got)
	return got.Access
}

// fails checks that an answer is an error of a code.
func (r *rig) fails(what string, got object, code int) {
	r.t.Helper()
	if text, _ := got["message"].(string); got["error"] != true || got["code"] != float64(code) || text == "" || len(got) != 3 {
		r.t.Errorf("%s: %v, want code %d", what, got, code)
	}
}
