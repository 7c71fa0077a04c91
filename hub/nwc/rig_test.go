package nwc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/records"
)

const (
	alice = ledger.FirstAccount
	bob   = ledger.FirstAccount + 1
)

// wallet is a wallet that does what tests tell it to. It outlives the service.
type wallet struct {
	mu       sync.Mutex
	balance  ledger.Msat
	orders   map[string]*channels.Item
	made     []channels.Order // payments, in the order of their making
	invoices []channels.Item
	answer   func(channels.Order) (channels.State, ledger.Msat, error) // of a new order: how it ends, and its fee
	changed  chan struct{}
}

var errLost = errors.New("the line went dead")

func newWallet() *wallet {
	return &wallet{balance: 1_000_000, orders: make(map[string]*channels.Item), changed: make(chan struct{})}
}

func (w *wallet) Balance(ledger.AccountNo) (ledger.Msat, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.balance, nil
}

func (w *wallet) Invoice(_ context.Context, _ ledger.AccountNo, n channels.NewInvoice) (channels.Item, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	i := channels.Item{
		Rail: channels.Lightning, Incoming: true, State: channels.Open, Hash: channels.Hash{9, byte(len(w.invoices))}, Invoice: fmt.Sprintf("lntest%d", n.Amount),
		Amount: n.Amount, Memo: n.Memo, DescHash: n.DescHash, Made: now, Expires: now.Add(n.Expiry),
	}
	w.invoices = append(w.invoices, i)
	return i, nil
}

func (w *wallet) Pay(ctx context.Context, account ledger.AccountNo, o channels.Order) (channels.Item, error) {
	w.mu.Lock()
	key := account.String() + o.Key
	if w.orders[key] == nil {
		state, fee := channels.Settled, ledger.Msat(0)
		var err error
		if w.answer != nil {
			state, fee, err = w.answer(o)
		}
		if state == "" {
			w.mu.Unlock()
			return channels.Item{}, err
		}
		amount := o.Amount
		if i, _ := decode(o.Invoice); i.Amount != 0 {
			amount = i.Amount
		}
		w.made = append(w.made, o)
		w.orders[key] = &channels.Item{
			Rail: channels.Lightning, State: state, Hash: channels.Hash{7, byte(len(w.made))}, Preimage: channels.Hash{8, byte(len(w.made))}, Invoice: o.Invoice,
			Amount: amount, Fee: fee, Made: time.Now(), Reason: "no_route",
		}
		if err != nil {
			w.mu.Unlock()
			return channels.Item{}, err
		}
	}
	for w.orders[key].State == channels.Open {
		changed := w.changed
		w.mu.Unlock()
		select {
		case <-changed:
			w.mu.Lock()
		case <-ctx.Done():
			w.mu.Lock()
			defer w.mu.Unlock()
			return *w.orders[key], nil
		}
	}
	defer w.mu.Unlock()
	return *w.orders[key], nil
}

// finish ends what is under way.
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

func (w *wallet) payments() []channels.Order {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]channels.Order(nil), w.made...)
}

func (w *wallet) set(answer func(channels.Order) (channels.State, ledger.Msat, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = answer
}

func (w *wallet) Item(_ context.Context, _ ledger.AccountNo, hash channels.Hash) (channels.Item, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, i := range w.invoices {
		if i.Hash == hash {
			return i, nil
		}
	}
	return channels.Item{}, channels.ErrNoItem
}

func (w *wallet) Items(_ ledger.AccountNo, f channels.Filter, each func(channels.Item) bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := len(w.invoices) - 1; n >= 0; n-- {
		i := w.invoices[n]
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
	return channels.Invoice{Text: text, Amount: ledger.Msat(amount)}, nil
}

// clock is a time that tests move, and waits that end at once when it does.
type clock struct {
	mu   sync.Mutex
	at   time.Time
	wait []wait
}

type wait struct {
	until time.Time
	c     chan time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) after(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := wait{c.at.Add(d), make(chan time.Time, 1)}
	c.wait = append(c.wait, w)
	return w.c
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	var rest []wait
	for _, w := range c.wait {
		if w.until.After(c.at) {
			rest = append(rest, w)
		} else {
			w.c <- c.at
		}
	}
	c.wait = rest
}

// rig is a service over a wallet and relays, all of which can be lost and come again.
type rig struct {
	*Service
	t      *testing.T
	cfg    Config
	wallet *wallet
	clock  *clock
	relays []*testRelay
}

func newRig(t *testing.T, relays int) *rig {
	t.Helper()
	db, err := records.Open(records.Options{Dir: "records", FS: vfs.NewMem(), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, wallet: newWallet(), clock: &clock{at: time.Now().Truncate(time.Second)}}
	r.cfg = Config{
		Records: db, Secret: [32]byte{1}, Wallet: r.wallet, History: r.wallet, Decode: decode, Development: true, Clock: r.clock.now, After: r.clock.after,
		Fee: func(amount ledger.Msat) ledger.Msat { return amount/100 + 10 },
		Info: func(context.Context) (Info, error) {
			return Info{Alias: "hub", Key: "02ab", Network: "regtest", Height: 7}, nil
		},
		Address: func(no ledger.AccountNo) string { return no.String() + "@hub.example" },
	}
	for range relays {
		relay := newTestRelay(t)
		r.relays = append(r.relays, relay)
		r.cfg.Relays = append(r.cfg.Relays, relay.url())
	}
	r.start()
	t.Cleanup(func() {
		r.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) start() {
	r.t.Helper()
	s, err := New(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Service = s
	s.Start()
	r.clock.pass(time.Second) // what is asked from now on is asked of this process
	r.eventually("the relays are there", func() bool { return s.Connected() == len(r.relays) })
}

func (r *rig) restart() {
	r.Close()
	r.start()
}

// eventually waits for something, and lets the clock run so that waits end.
func (r *rig) eventually(what string, so func() bool) {
	r.t.Helper()
	for until := time.Now().Add(10 * time.Second); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(until) {
			r.t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

// app is an application with a connection's URI.
type app struct {
	r    *rig
	key  privateKey
	to   publicKey
	how  scheme
	tags [][]string // beside those of every request
}

func (r *rig) connect(account ledger.AccountNo, w Wanted) (*app, Connection) {
	r.t.Helper()
	c, uri, err := r.Connect(account, w)
	if err != nil {
		r.t.Fatal(err)
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "nostr+walletconnect" || len(u.Query()["relay"]) != len(r.relays) {
		r.t.Fatalf("%s: %v", uri, err)
	}
	a := &app{r: r, how: nip44}
	raw, _ := hex.DecodeString(u.Query().Get("secret"))
	if a.key, err = parsePrivate(raw); err == nil {
		err = a.to.UnmarshalText([]byte(u.Host))
	}
	if err != nil {
		r.t.Fatal(err)
	}
	n := 0
	for _, each := range r.byAccount {
		n += len(each)
	}
	r.eventually("the relays are asked about it", func() bool {
		for _, relay := range r.relays {
			if relay.keys() != n {
				return false
			}
		}
		return true
	})
	return a, c
}

// ask makes a request.
func (a *app) ask(method string, params any) *event {
	a.r.t.Helper()
	text, err := json.Marshal(map[string]any{"method": method, "params": params})
	if err != nil {
		a.r.t.Fatal(err)
	}
	return a.raw(text)
}

func (a *app) raw(text []byte) *event {
	a.r.t.Helper()
	content, err := seal(a.how, a.key, a.to, text)
	if err != nil {
		a.r.t.Fatal(err)
	}
	tags := append([][]string{{"p", a.to.String()}}, a.tags...)
	if a.how == nip44 {
		tags = append(tags, []string{"encryption", string(nip44)})
	}
	e, err := newEvent(a.key, kindRequest, a.r.clock.now(), content, tags...)
	if err != nil {
		a.r.t.Fatal(err)
	}
	return e
}

type said struct {
	Type   string          `json:"result_type"`
	Error  *fault          `json:"error"`
	Result json.RawMessage `json:"result"`
}

// answers are the responses to a request that a relay has.
func (a *app) answers(relay *testRelay, to *event) (all []said) {
	a.r.t.Helper()
	for _, e := range relay.kept(kindResponse) {
		if id, _ := e.tag("e"); id != to.ID.String() {
			continue
		}
		p, _ := e.tag("p")
		text, err := open(a.how, a.key, e.Key, e.Content)
		var s said
		if err != nil || json.Unmarshal(text, &s) != nil || p != a.key.public().String() || e.Key != a.to {
			a.r.t.Fatalf("%s: %v", text, err)
		}
		all = append(all, s)
	}
	return all
}

// answer waits for the response to a request.
func (a *app) answer(to *event) said {
	a.r.t.Helper()
	var all []said
	a.r.eventually("an answer", func() bool { all = a.answers(a.r.relays[0], to); return len(all) > 0 })
	return all[0]
}

// call asks, and waits for the answer.
func (a *app) call(method string, params, result any) *fault {
	a.r.t.Helper()
	e := a.ask(method, params)
	a.r.relays[0].put(e)
	s := a.answer(e)
	if s.Type != method {
		a.r.t.Errorf("an answer to %q: want %q", s.Type, method)
	}
	if s.Error != nil {
		if string(s.Result) != "null" {
			a.r.t.Errorf("an error with a result: %s", s.Result)
		}
		return s.Error
	}
	if err := json.Unmarshal(s.Result, result); err != nil {
		a.r.t.Fatalf("%s: %v", s.Result, err)
	}
	return nil
}

func (a *app) pay(amount ledger.Msat) (paid payResult, f *fault) {
	a.r.t.Helper()
	f = a.call("pay_invoice", paramsOf("invoice", fmt.Sprintf("lntest%d", amount)), &paid)
	return paid, f
}

func paramsOf(pairs ...any) map[string]any {
	m := make(map[string]any)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

// spent checks what a connection has spent and reserved.
func (r *rig) spent(account ledger.AccountNo, spent, reserved ledger.Msat) {
	r.t.Helper()
	r.eventually(fmt.Sprintf("%d are spent and %d reserved", spent, reserved), func() bool {
		c := r.Connections(account)[0]
		return c.Spent == spent && c.Reserved == reserved
	})
}
