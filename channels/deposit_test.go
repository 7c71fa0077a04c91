package channels

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
)

func (r *rig) deposited(no ledger.AccountNo, ref Ref, want DepositStatus) Deposit {
	r.t.Helper()
	var d Deposit
	r.eventually("deposit "+ref.String()+" is "+string(want), func() bool {
		var err error
		d, err = r.Deposit(no, ref)
		return err == nil && d.Status == want
	}, func() any { return d })
	return d
}

func lightningRef(h Hash) Ref { return Ref{h, noOutput} }

// TestInvoices: what is paid is credited once, whoever tells of it how often.
func TestInvoices(t *testing.T) {
	r := newRig(t, nil)
	to := r.account(0)
	d, err := r.NewInvoice(t.Context(), to, NewInvoice{Amount: 5000, Memo: "a book"})
	if err != nil {
		t.Fatal(err)
	}
	if d.Status != DepositOpen || d.Asked != 5000 || d.Memo != "a book" || d.Invoice == "" || time.Until(d.Expires) < time.Minute {
		t.Errorf("%+v", d)
	}
	r.node.settle(d.Hash, 5001, nil)
	d = r.deposited(to, d.Ref, DepositCredited)
	if d.Amount != 5001 || d.Proof == (Hash{}) || d.Came.IsZero() {
		t.Errorf("%+v", d)
	}
	for range 3 {
		if err := r.receive(&r.node.settled[0]); err != nil {
			t.Fatal(err)
		}
	}
	r.has(to, 5001, 0)
	r.has(ledger.Lightning, -5001, 0)

	// Settled while the hub is down: the node tells it afterwards.
	open, err := r.NewInvoice(t.Context(), to, NewInvoice{})
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	r.node.settle(open.Hash, 7, nil)
	r.start()
	r.deposited(to, open.Ref, DepositCredited)
	r.has(to, 5008, 0)

	if _, err := r.NewInvoice(t.Context(), ledger.Chain, NewInvoice{}); !errors.Is(err, ErrTarget) {
		t.Errorf("for an external account: %v", err)
	}
	list, next, err := r.Deposits(to, true, Page{})
	if err != nil || len(list) != 2 || next != nil || list[0].Hash != open.Hash {
		t.Errorf("%+v, %v, %v", list, next, err)
	}
}

// TestLostRecords: rails that have lost their newest records do not credit a payment twice.
func TestLostRecords(t *testing.T) {
	r := newRig(t, nil)
	to := r.account(0)
	d, err := r.NewInvoice(t.Context(), to, NewInvoice{Amount: 5000})
	if err != nil {
		t.Fatal(err)
	}
	before := r.memory.clone()
	r.node.settle(d.Hash, 5000, nil)
	r.deposited(to, d.Ref, DepositCredited)
	r.stop()
	r.memory = before
	r.clock.forward(25 * time.Hour) // the ledger does not recognise the op by its id any more
	r.start()
	r.deposited(to, d.Ref, DepositCredited)
	r.has(to, 5000, 0)
	r.stop()
	r.memory = newMemory()
	if rails, err := New(Config{Records: r.memory, Ledger: r.book}); err != nil {
		t.Fatal(err)
	} else if err := rails.Start(); !errors.Is(err, ErrLost) {
		t.Errorf("no records at all beside a ledger that money came into: %v", err)
	}
}

// TestExpiry: an invoice that nobody has paid in time ends, makes room, and is forgotten; one that was paid without anybody telling is found.
func TestExpiry(t *testing.T) {
	r := newRig(t, nil)
	to := r.account(0)
	old, err := r.NewInvoice(t.Context(), to, NewInvoice{Amount: 1, Expiry: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	silent, err := r.NewInvoice(t.Context(), to, NewInvoice{Amount: 1, Expiry: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	r.node.mu.Lock() // as a node whose index was set back
	r.node.invoices[silent.Hash].settled = true
	r.node.settled = append(r.node.settled, Receipt{Hash: silent.Hash, Amount: 1, Time: r.clock.now()})
	r.node.mu.Unlock()
	r.clock.forward(4 * time.Minute)
	r.deposited(to, old.Ref, DepositExpired)
	r.deposited(to, silent.Ref, DepositCredited)
	r.mu.Lock()
	if r.invoicesAll != 0 || len(r.invoices) != 0 {
		t.Errorf("%d invoices are counted", r.invoicesAll)
	}
	r.mu.Unlock()
	r.clock.forward(8 * 24 * time.Hour)
	r.eventually("it is forgotten", func() bool { _, err := r.Deposit(to, old.Ref); return errors.Is(err, ErrNoItem) })
	if list, _, _ := r.Deposits(to, true, Page{}); len(list) != 1 {
		t.Errorf("%+v", list)
	}
}

// TestTooManyInvoices: an account has so many open ones, also after a restart.
func TestTooManyInvoices(t *testing.T) {
	r := newRig(t, nil)
	to := r.account(0)
	for range MaxInvoices {
		if _, err := r.NewInvoice(t.Context(), to, NewInvoice{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if _, err := r.NewInvoice(t.Context(), to, NewInvoice{}); !errors.Is(err, ErrTooMany) {
			t.Errorf("one more: %v", err)
		}
		r.crash()
	}
}

// TestPaidInside: an invoice that another account has paid makes room for the next, in the same process too.
func TestPaidInside(t *testing.T) {
	r := newRig(t, nil)
	from, to := r.account(100_000), r.account(0)
	d, err := r.NewInvoice(t.Context(), to, NewInvoice{Amount: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for range MaxInvoices - 1 {
		if _, err := r.NewInvoice(t.Context(), to, NewInvoice{}); err != nil {
			t.Fatal(err)
		}
	}
	q := r.request(from, d.Invoice, 0, 0)
	r.withdraw(q)
	r.ends(q.Key, Done)
	r.eventually("there is room for one", func() bool {
		_, err := r.NewInvoice(t.Context(), to, NewInvoice{})
		return err == nil
	})
	if _, err := r.NewInvoice(t.Context(), to, NewInvoice{}); !errors.Is(err, ErrTooMany) {
		t.Errorf("room for two: %v", err)
	}
}

// TestKeysend: a keysend that names an account is its; any other waits for an operator.
func TestKeysend(t *testing.T) {
	r := newRig(t, nil)
	to := r.account(0)
	r.node.settle(Hash{1}, 4000, map[uint64][]byte{AccountRecord: []byte(to.String())})
	r.deposited(to, lightningRef(Hash{1}), DepositCredited)
	r.has(to, 4000, 0)
	r.node.settle(Hash{2}, 3000, map[uint64][]byte{AccountRecord: []byte("nobody")})
	i := r.incident("unassigned")
	if i.Amount != 3000 || i.Subject != (Hash{2}).String() {
		t.Errorf("%+v", i)
	}
	r.crash()
	r.incident("unassigned")
	for range 2 {
		if err := r.Assign(lightningRef(Hash{2}), to); err != nil && !errors.Is(err, ErrNoItem) {
			t.Fatal(err)
		}
	}
	r.has(to, 7000, 0)
	r.crash()
	if list, _ := r.Incidents(0); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	r.has(to, 7000, 0)
}

// TestAddress: what comes on-chain is shown, and credited when it is deep enough: more for more. What is undone before is not, and may
// come again; after that nothing is taken back.
func TestAddress(t *testing.T) {
	r := newRig(t, nil)
	to := r.account(0)
	address := func() string {
		a, err := r.NewAddress(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := address()
	if address() != first {
		t.Error("another address though nothing has come by the first")
	}
	tx := r.chain.pay(Output{[]byte(first), 50_000}, Output{[]byte("somebody else's"), 9}, Output{[]byte(first), 150_000})
	small, large := Ref{tx.id, 0}, Ref{tx.id, 2}
	r.deposited(to, small, DepositPending)
	r.deposited(to, large, DepositPending)
	if address() == first {
		t.Error("the same address though something has come by it")
	}
	r.has(to, 0, 0)
	r.chain.mine(1)
	r.deposited(to, small, DepositCredited)
	r.has(to, 50_000_000, 0)
	r.chain.mine(1)
	r.eventually("two confirmations", func() bool {
		d, _ := r.Deposit(to, large)
		return d.Has == 2 && d.Status == DepositPending && d.Needs == 3
	})
	r.chain.undo(2, true) // depth 2: the small one was credited
	r.deposited(to, large, DepositGone)
	if i := r.incident("reorganised"); i.Subject != small.String() || i.Amount != 50_000_000 || i.Account != to {
		t.Errorf("%+v", i)
	}
	r.crash()
	r.has(to, 50_000_000, 0)
	r.chain.mu.Lock()
	r.chain.mempool = append(r.chain.mempool, tx)
	r.chain.changed()
	r.chain.mu.Unlock()
	r.deposited(to, large, DepositPending)
	r.chain.mine(3)
	r.deposited(to, large, DepositCredited)
	r.has(to, 200_000_000, 0)
	r.has(ledger.Chain, -200_000_000, 0)
	r.eventually("the incident is closed by itself", func() bool { list, _ := r.Incidents(0); return len(list) == 0 })
	r.chain.mine(buried)
	r.eventually("nothing is watched", func() bool { keys, _ := r.keysUnder(keyWatch, nil, 10); return len(keys) == 0 })
	r.crash()
	time.Sleep(5 * r.cfg.Poll)
	r.has(to, 200_000_000, 0)
}

// TestOwnAddress: a withdrawal to an address of an account's of ours is paid inside.
func TestOwnAddress(t *testing.T) {
	r := newRig(t, nil)
	from, to := r.account(10_000_000), r.account(0)
	a, err := r.NewAddress(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	q := r.request(from, a, 1_000_500, 0)
	r.withdraw(q)
	if p := r.ends(q.Key, Done); p.Rail != Internal || p.Fee != 0 {
		t.Error(shown(p))
	}
	r.has(to, 1_000_500, 0)
	q = r.request(from, strings.ToUpper(a), 500, 0) // as QR codes have it
	r.withdraw(q)
	if p := r.ends(q.Key, Done); p.Rail != Internal || p.Fee != 0 {
		t.Error(shown(p))
	}
	r.has(to, 1_001_000, 0)
}

// TestOwnInvoice: an invoice of ours is paid once: inside, or by somebody outside who was quicker. One of somebody else's with the same
// hash is not paid at all.
func TestOwnInvoice(t *testing.T) {
	r := newRig(t, nil)
	from, to := r.account(100_000), r.account(0)
	d, err := r.NewInvoice(t.Context(), to, NewInvoice{Amount: 60_000})
	if err != nil {
		t.Fatal(err)
	}
	forged := r.node.forge(d.Hash, 1)
	if _, err := r.Withdraw(t.Context(), r.request(from, forged, 0, 0)); !errors.Is(err, ErrInvoice) {
		t.Errorf("a forged invoice: %v", err)
	}
	if q, err := r.Quote(t.Context(), Request{Key: Key{Account: from}, To: d.Invoice}); err != nil || q.Rail != Internal || q.Fee != 0 {
		t.Errorf("%+v, %v", q, err)
	}
	poor := r.account(59_999)
	if p := r.withdraw(r.request(poor, d.Invoice, 0, 0)); p.Status != Voided {
		t.Error(shown(p))
	}
	r.node.mu.Lock()
	r.node.down = true
	r.node.mu.Unlock()
	q := r.request(from, d.Invoice, 0, 0)
	r.withdraw(q)
	r.eventually("it is on its way", func() bool { p, _ := r.Payout(q.Key); return p.Status == InTransit })
	if _, err := r.Withdraw(t.Context(), r.request(poor, d.Invoice, 0, 0)); !errors.Is(err, ErrInTransit) {
		t.Errorf("a second payer: %v", err)
	}
	r.node.settle(d.Hash, 60_000, nil) // quicker than the cancellation
	r.node.mu.Lock()
	r.node.down = false
	r.node.mu.Unlock()
	if p := r.ends(q.Key, Voided); p.Reason != reasonPaid {
		t.Error(shown(p))
	}
	r.deposited(to, d.Ref, DepositCredited)
	r.has(from, 100_000, 0)
	r.has(to, 60_000, 0)
	if _, err := r.Withdraw(t.Context(), r.request(from, d.Invoice, 0, 0)); err == nil {
		p, _ := r.Payout(q.Key)
		t.Errorf("paid again: %s", shown(p))
	}
}
