package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/settle"
	"github.com/millrace/millrace/hub/api"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/records"
)

// node is a Lightning node and a wallet that pays and is paid at once, and always. What a real one does is tested in cmd/millrace.
type node struct {
	mu      sync.Mutex
	made    uint64
	paid    chan channels.Receipt
	down    bool
	slow    atomic.Bool // payments take until it is not
	decoded map[string]channels.Invoice
}

const nodeKey = "02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func newNode() *node {
	return &node{paid: make(chan channels.Receipt, 10), decoded: make(map[string]channels.Invoice)}
}

func (n *node) Invoice(_ context.Context, i channels.NewInvoice) (channels.Invoice, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return channels.Invoice{}, channels.ErrDown
	}
	n.made++
	preimage := binary.BigEndian.AppendUint64(make([]byte, 24), n.made)
	inv := channels.Invoice{Text: fmt.Sprintf("lnsb1own%d", n.made), Hash: sha256.Sum256(preimage), Payee: nodeKey, Amount: i.Amount, Made: time.UnixMilli(startAt), Expires: time.UnixMilli(startAt).Add(i.Expiry)}
	n.decoded[inv.Text] = inv
	return inv, nil
}

func (n *node) Lookup(context.Context, channels.Hash) (channels.Receipt, bool, error) {
	return channels.Receipt{}, false, nil
}
func (n *node) Cancel(context.Context, channels.Hash) error { return nil }

func (n *node) Settled(ctx context.Context, _ uint64, f func(channels.Receipt) error) error {
	for {
		select {
		case r := <-n.paid:
			if err := f(r); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *node) Pay(ctx context.Context, p channels.Payment) (channels.Attempt, error) {
	for n.slow.Load() {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return channels.Attempt{}, ctx.Err()
		}
	}
	return channels.Attempt{Stage: channels.Succeeded, Preimage: p.Hash, Fee: 3}, nil
}

func (n *node) Track(context.Context, channels.Hash) (channels.Attempt, error) {
	return channels.Attempt{}, channels.ErrUnknownPayment
}
func (n *node) Quote(context.Context, channels.Payment) (ledger.Msat, error) { return 3, nil }

func (n *node) Decode(text string) (channels.Invoice, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if inv, ok := n.decoded[text]; ok {
		return inv, nil
	}
	if !strings.HasPrefix(text, "lnsb1theirs") {
		return channels.Invoice{}, channels.ErrNetwork
	}
	return channels.Invoice{Text: text, Hash: sha256.Sum256([]byte(text)), Payee: "03" + nodeKey[2:], Amount: 1000, Description: "work", Made: time.UnixMilli(startAt), Expires: time.UnixMilli(startAt).Add(time.Hour)}, nil
}

func (n *node) Assets(context.Context) (channels.Assets, error) {
	return channels.Assets{Local: 1_000_000_000, Confirmed: 5}, nil
}
func (n *node) Address(context.Context) (string, error) { return "sb1qours", nil }
func (n *node) Coins(context.Context, int64, func(channels.Coin) error) error {
	return nil
}

// Fund has no coins: what waits for a batch goes on waiting.
func (n *node) Fund(context.Context, channels.Hash, []channels.Output, channels.FeeRate) (channels.Signed, error) {
	return channels.Signed{}, channels.ErrFunds
}
func (n *node) Sign(context.Context, []byte) (channels.Signed, error) {
	return channels.Signed{}, channels.ErrFunds
}
func (n *node) Release(context.Context, channels.Hash, []channels.Outpoint) error { return nil }
func (n *node) Publish(context.Context, []byte, string) error                     { return nil }

// script knows the addresses that begin with sb1q.
func script(address string) ([]byte, error) {
	if !strings.HasPrefix(address, "sb1q") {
		return nil, errors.New("no address")
	}
	return make([]byte, 22), nil
}

func (n *node) Moved(ctx context.Context, _ func(channels.Hash) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (n *node) Place(context.Context, channels.Hash) (channels.Place, error) {
	return channels.Place{}, channels.ErrNoTransaction
}
func (n *node) FeeRate(context.Context, int) (channels.FeeRate, error) { return 1000, nil }

func (n *node) Spender(context.Context, channels.Outpoint, int64) (channels.Hash, bool, error) {
	return channels.Hash{}, false, nil
}

// railed is a hub with rails over a node that always works.
func railed(t testing.TB) (*rig, *node) {
	n := newNode()
	return setup{node: n}.rig(t), n
}

// rails are what a rig with a node has.
func (r *rig) makeRails() (*channels.Rails, *settle.Desk) {
	db, err := records.Open(records.Options{Dir: filepath.Join(r.dir, "rails"), Create: true, Fatal: func(err error) { r.t.Error(err) }})
	r.must(err)
	desk := r.makeDesk(db)
	rails, err := channels.New(channels.Config{Records: db, Gate: desk.Gate().Check, Ledger: r.hub.Book(), Payer: r.node, Receiver: r.node, Wallet: r.node, Script: script, Dust: func([]byte) channels.Sat { return 294 }, Purse: r.node, Watcher: r.node, Node: nodeKey,
		Clock: func() time.Time { return time.UnixMilli(int64(r.millis.Load())) }, Fatal: func(err error) { r.t.Error(err) }})
	r.must(err)
	r.must(rails.Start())
	desk.Start(rails)
	r.rails, r.wallets = rails, r.makeWallets(db, rails)
	r.endRails = func() {
		r.wallets.Logins.Close()
		desk.Close()
		rails.Close()
		if err := db.Close(); err != nil {
			r.t.Errorf("closing the rails' records: %v", err)
		}
	}
	return rails, desk
}

// TestDeposits: an invoice is credited when it is paid, and once; an address is the same until something comes by it.
func TestDeposits(t *testing.T) {
	r, n := railed(t)
	u := r.user(0)
	base := "/v1/accounts/" + u.account
	d := u.post(base+"/deposits", object{"amount_msat": 5000, "memo": "coffee", "expires_in_s": 600}).want(201).
		has(object{"status": "open", "asked_msat": 5000, "memo": "coffee", "account": u.account})
	u.post(base+"/deposits", nil).want(201)
	name := d.text("deposit")
	var hash, preimage channels.Hash
	if _, err := hex.Decode(hash[:], []byte(name)); err != nil {
		t.Fatal(err)
	}
	preimage[31] = 1
	for range 2 {
		n.paid <- channels.Receipt{Index: 1, Hash: hash, Preimage: preimage, Amount: 5000, Time: time.UnixMilli(startAt)}
	}
	for deadline := time.Now().Add(10 * time.Second); u.get(base+"/deposits/"+name).want(200).text("status") != "credited"; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a paid invoice is not credited")
		}
	}
	u.balance(5000, 0)
	if got := u.get(base + "/deposits").want(200); len(got.object()["deposits"].([]any)) != 1 {
		t.Errorf("%s", got.body)
	}
	page := u.get(base + "/deposits?unpaid=yes&limit=1").want(200)
	rest := u.get(base + "/deposits?unpaid=yes&limit=1&cursor=" + page.text("next")).want(200)
	if string(rest.body) == string(page.body) || len(rest.object()["deposits"].([]any)) != 1 {
		t.Errorf("%s\n%s", page.body, rest.body)
	}
	u.get(base+"/withdrawals?cursor="+page.text("next")).refused(400, "malformed_query", "another list")
	first := u.post(base+"/addresses", object{}).want(200).text("address")
	if again := u.post(base+"/addresses", nil).want(200).text("address"); first != again {
		t.Errorf("%s, %s", first, again)
	}
	r.user(0).get(base+"/deposits").refused(403, "foreign_account", "another")
	u.get(base+"/deposits/"+strings.Repeat("0", 64)).refused(404, "deposit_unknown", "no such")
	u.get(base+"/deposits/x").refused(400, "malformed_body", "payment hash")
	u.post(base+"/deposits", object{"amount_msat": 0}).refused(400, "malformed_body", "amount_msat")
	n.mu.Lock()
	n.down = true
	n.mu.Unlock()
	u.post(base+"/deposits", object{}).refused(503, "node_down", "does not answer")
	u.pay(r.user(0), 1).want(200) // payments go on
}

// TestWithdrawals: the fee is said before, the money is held first, and the same id is one withdrawal.
func TestWithdrawals(t *testing.T) {
	r, _ := railed(t)
	u := r.user(100_000)
	base := "/v1/accounts/" + u.account
	order := func(to string, fee int) object { return object{"id": r.id(), "to": to, "max_fee_msat": fee} }
	u.post(base+"/quotes", object{"to": "lnsb1theirs"}).want(200).has(object{"rail": "lightning", "amount_msat": 1000, "fee_msat": 3, "description": "work"})
	rent := order("lnsb1theirs", 10)
	u.post(base+"/withdrawals", rent).want(200)
	path := base + "/withdrawals/" + rent["id"].(string)
	w := u.get(path + "?wait_s=10").want(200).has(object{"status": "done", "fee_msat": 3, "held_msat": 0})
	if again := u.post(base+"/withdrawals", rent).want(200); string(again.body) != string(w.body) {
		t.Errorf("%s, and again %s", w.body, again.body)
	}
	u.balance(100_000-1003, 0)
	rent["max_fee_msat"] = 11
	u.post(base+"/withdrawals", rent).refused(409, "id_reused", "id")
	u.post(base+"/withdrawals", order("lnsb1theirs", 10)).refused(409, "paid_before", "paid before")
	u.post(base+"/withdrawals", order("lnbc1", 1)).refused(422, "wrong_network", "network")
	u.post(base+"/withdrawals", object{"id": r.id(), "to": "lnsb1theirs2"}).refused(400, "malformed_body", "max_fee_msat")
	u.with(r.operator).post(base+"/withdrawals", rent).refused(403, "no_account", "operator")
	inside := order(r.user(0).account, 0)
	inside["amount_msat"] = 5
	u.post(base+"/withdrawals", inside).want(200).has(object{"rail": "internal"})

	small := u.narrowed(object{"scopes": []string{"read", "pay"}, "max_msat_per_call": 1005})
	capped := order("lnsb1theirs3", 5)
	small.post(base+"/withdrawals", capped).refused(400, "malformed_body", "cap")
	capped["amount_msat"], capped["max_fee_msat"] = 1000, 6
	small.post(base+"/withdrawals", capped).refused(403, "cap_exceeded", "one call")
	capped["max_fee_msat"] = 5
	small.post(base+"/withdrawals", capped).want(200)
	u.narrowed(object{"scopes": []string{"read"}}).post(base+"/withdrawals", rent).refused(403, "scope_missing", "pay")

	list := u.get(base + "/withdrawals?limit=2").want(200)
	if len(list.object()["withdrawals"].([]any)) != 2 || list.text("next") == "" {
		t.Errorf("%s", list.body)
	}
	u.get(base+"/withdrawals/"+r.id()).refused(404, "withdrawal_unknown", "no such")
}

// TestOperator: an operator sees what is under way, ends what waits, decides what nobody will know, and says whose money is.
func TestOperator(t *testing.T) {
	r, n := railed(t)
	u := r.user(20_000_000)
	op := u.with(r.operator)
	base := "/v1/accounts/" + u.account + "/withdrawals"
	at := func(id, verb string) string { return "/v1/rails/payouts/" + u.account + "/" + id + "/" + verb }
	order := object{"id": r.id(), "to": "sb1qtheirs", "amount_msat": 1_000_000, "max_fee_msat": 1_000_000}
	u.post(base, order).want(200).has(object{"rail": "chain", "held_msat": 2_000_000})
	op.get("/v1/rails/payouts?rail=chain").want(200).has(object{"count": 1})
	op.get("/v1/rails/payouts?rail=lightning&status=held").want(200).has(object{"count": 0})
	op.post(at(order["id"].(string), "cancel"), object{"note": "asked"}).want(200)
	u.get(base + "/" + order["id"].(string) + "?wait_s=20").want(200).has(object{"status": "failed", "reason": "cancelled"})
	op.get(base + "/" + order["id"].(string)).want(200).has(object{"reason": "cancelled: asked"})
	u.balance(20_000_000, 0)
	op.post("/v1/rails/flush", nil).want(200)
	op.get("/v1/rails/batches").want(200)
	op.post("/v1/rails/batches/"+r.id()+"/bump", object{"sat_per_kvb": 5000}).refused(404, "withdrawal_unknown", "no batch")
	op.post("/v1/rails/batches/"+r.id()+"/abandon", nil).refused(404, "withdrawal_unknown", "no such")

	n.slow.Store(true)
	lost := object{"id": r.id(), "to": "lnsb1theirs", "max_fee_msat": 10}
	u.post(base, lost).want(200)
	for deadline := time.Now().Add(10 * time.Second); u.get(base+"/"+lost["id"].(string)).want(200).text("status") != "in_transit"; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is not sent")
		}
	}
	op.post(at(lost["id"].(string), "cancel"), nil).refused(409, "payment_in_transit", "way")
	op.post(at(lost["id"].(string), "decide"), object{"note": "n"}).refused(400, "malformed_body", "paid")
	op.post(at(lost["id"].(string), "decide"), object{"paid": false, "note": "the node was lost"}).want(200)
	u.get(base + "/" + lost["id"].(string) + "?wait_s=20").want(200).has(object{"status": "failed", "reason": "stopped"})
	if told := op.get(base + "?limit=10").want(200); !strings.Contains(string(told.body), "the node was lost") {
		t.Errorf("the operator is told %s", told.body)
	}
	u.balance(20_000_000, 0)

	n.paid <- channels.Receipt{Index: 1, Hash: channels.Hash{9}, Amount: 77, Time: time.UnixMilli(startAt), Keysend: true}
	name := channels.Hash{9}.String()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(string(op.get("/v1/rails/incidents").want(200).body), name); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no incident")
		}
	}
	if got := op.get("/v1/rails/deposits").want(200); !strings.Contains(string(got.body), name) {
		t.Errorf("nobody's deposits: %s", got.body)
	}
	op.post("/v1/rails/deposits/"+name+"/assign", object{"account": u.account}).want(200)
	if got := op.get("/v1/rails/deposits").want(200); strings.Contains(string(got.body), name) {
		t.Errorf("nobody's deposits: %s", got.body)
	}
	r.rails.Raise(channels.Incident{Kind: "odd", Subject: "this", Text: "look"})
	done := object{"kind": "odd", "subject": "this", "note": "seen"}
	op.post("/v1/rails/incidents/close", done).want(200)
	op.post("/v1/rails/incidents/close", done).refused(404, "incident_unknown", "no such")
	if got := op.get("/v1/rails/incidents?closed=10").want(200); !strings.Contains(string(got.body), "seen") {
		t.Errorf("%s", got.body)
	}
	u.get("/v1/rails/payouts").refused(403, "not_operator", "operator")
}

// TestDegraded: a node that is lost is said, and neither readiness nor payments end with it.
func TestDegraded(t *testing.T) {
	var behind atomic.Bool
	lnd := func(context.Context) error {
		if behind.Load() {
			return api.ErrBehind
		}
		return errors.New("nobody there")
	}
	r := setup{node: newNode(), api: api.Config{Nodes: []api.Node{{Name: "lnd", Ask: lnd}, {Name: "btcd", Ask: func(context.Context) error { return nil }}}}}.rig(t)
	wait := func(why string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			a := fmt.Sprint(r.do(ask{method: "GET", path: "/readyz"}).want(200).object()["lost"])
			if strings.Contains(a, "lnd") && strings.Contains(a, why) && !strings.Contains(a, "btcd") {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal(a)
			}
		}
	}
	wait("no_answer")
	r.user(10).pay(r.user(0), 1).want(200)
	behind.Store(true)
	wait("behind")
	m := r.metrics()
	if m[`millrace_node_up{node="lnd"}`] != 0 || m[`millrace_node_up{node="btcd"}`] != 1 || m["millrace_incidents_open"] != 0 {
		t.Errorf("%v", m)
	}
}

// TestNoRails: a hub without rails has none of their routes.
func TestNoRails(t *testing.T) {
	u := newRig(t).user(0)
	u.get("/v1/accounts/"+u.account+"/deposits").refused(404, "route_unknown", "no rails")
}
