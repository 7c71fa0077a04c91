package channels

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
)

// told is what Moved was told.
type toldOf struct {
	mu    sync.Mutex
	items map[ledger.AccountNo][]Item
}

func (s *toldOf) moved(no ledger.AccountNo, i Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items[no] = append(s.items[no], i)
}

func (s *toldOf) of(no ledger.AccountNo) []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.items[no])
}

func tellerRig(t *testing.T) (*rig, *toldOf) {
	told := &toldOf{items: make(map[ledger.AccountNo][]Item)}
	return newRig(t, func(c *Config) { c.Moved = told.moved }), told
}

func TestTellerPays(t *testing.T) {
	r, told := tellerRig(t)
	teller, from := r.Teller(), r.account(100_000)
	text, hash := r.node.foreign(50_000, behaviour{fee: 120})
	o := Order{Key: "wallet/1", Invoice: text, FeeLimit: 500, Memo: "a song", Until: r.clock.now().Add(time.Minute)}
	for range 2 {
		i, err := teller.Pay(t.Context(), from, o)
		if err != nil || i.State != Settled || i.Fee != 120 || i.Amount != 50_000 || i.Hash != hash || i.Preimage == (Hash{}) || i.Key != o.Key || i.Memo != "a song" {
			t.Errorf("%+v, %v", i, err)
		}
		o.Until = o.Until.Add(time.Hour) // in other words, and it is the same order
	}
	if b, err := teller.Balance(from); b != 49_880 || err != nil {
		t.Errorf("%d, %v", b, err)
	}
	if i, err := teller.Item(t.Context(), from, hash); err != nil || i.State != Settled || i.Incoming {
		t.Errorf("%+v, %v", i, err)
	}
	if _, err := teller.Item(t.Context(), from+1, hash); !errors.Is(err, ErrNoItem) {
		t.Errorf("another's: %v", err)
	}
	r.eventually("it is told", func() bool { return len(told.of(from)) == 1 })
	if i := told.of(from)[0]; i.State != Settled || i.Hash != hash {
		t.Errorf("%+v", i)
	}
	if r.node.paid[hash] != 1 {
		t.Errorf("paid %d times", r.node.paid[hash])
	}
}

// TestTellerRefuses: what is no payment is said to be none, and nothing is set aside.
func TestTellerRefuses(t *testing.T) {
	r, _ := tellerRig(t)
	teller, from, other := r.Teller(), r.account(100_000), r.account(100_000)
	paid, _ := r.node.foreign(1000, behaviour{})
	if _, err := teller.Pay(t.Context(), other, Order{Key: "x", Invoice: paid}); err != nil {
		t.Fatal(err)
	}
	slow, _ := r.node.foreign(1000, behaviour{take: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if i, err := teller.Pay(ctx, other, Order{Key: "y", Invoice: slow}); err != nil || i.State != Open {
		t.Errorf("under way: %+v, %v", i, err)
	}
	fresh, _ := r.node.foreign(50_000, behaviour{})
	rich, _ := r.node.foreign(100_000, behaviour{})
	open, _ := r.node.foreign(0, behaviour{})
	mine, err := teller.Invoice(t.Context(), from, NewInvoice{Amount: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for name, step := range map[string]struct {
		o    Order
		want error
	}{
		"paid before":      {Order{Invoice: paid}, ErrPaidBefore},
		"on its way":       {Order{Invoice: slow}, ErrInTransit},
		"too much":         {Order{Invoice: rich, FeeLimit: 1}, ErrBalance},
		"nobody's":         {Order{Invoice: "lnfake00"}, ErrInvoice},
		"of no amount":     {Order{Invoice: open}, ErrInvoice},
		"of two amounts":   {Order{Invoice: fresh, Amount: 49_999}, ErrInvoice},
		"the account's":    {Order{Invoice: mine.Invoice}, ErrInvoice},
		"no node":          {Order{Payee: "02zz", Amount: 1000}, ErrInvoice},
		"ordered too late": {Order{Invoice: fresh, Until: r.clock.now()}, ErrExpired},
	} {
		step.o.Key = name
		for range 2 {
			if i, err := teller.Pay(t.Context(), from, step.o); !errors.Is(err, step.want) {
				t.Errorf("%s: %+v, %v", name, i, err)
			}
		}
	}
	r.has(from, 100_000, 0)
	r.clock.forward(time.Second)
	fails, _ := r.node.foreign(1000, behaviour{fail: "no_route"})
	for range 2 {
		if i, err := teller.Pay(t.Context(), from, Order{Key: "fails", Invoice: fails}); err != nil || i.State != GaveBack || i.Reason != "no_route" {
			t.Errorf("%+v, %v", i, err)
		}
	}
}

func TestTellerLists(t *testing.T) {
	r, told := tellerRig(t)
	teller, a, b := r.Teller(), r.account(1_000_000), r.account(1_000_000)
	bill, err := teller.Invoice(t.Context(), b, NewInvoice{Amount: 7000, Memo: "a dance"})
	if err != nil || bill.State != Open || !bill.Incoming || bill.Amount != 7000 || bill.Invoice == "" {
		t.Fatalf("%+v, %v", bill, err)
	}
	if got, err := teller.Incoming(t.Context(), bill.Hash); err != nil || got.Invoice != bill.Invoice {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := teller.Incoming(t.Context(), Hash{1}); !errors.Is(err, ErrNoItem) {
		t.Errorf("%v", err)
	}
	if i, err := teller.Invoice(t.Context(), b, NewInvoice{Amount: 7000, Memo: "a comment", DescHash: make([]byte, 32)}); err != nil || i.Memo != "a comment" || len(i.DescHash) != 32 {
		t.Errorf("%+v, %v", i, err)
	}
	if i, err := teller.Pay(t.Context(), a, Order{Key: "inside", Invoice: bill.Invoice}); err != nil || i.Rail != Internal || i.State != Settled {
		t.Errorf("%+v, %v", i, err)
	}
	r.eventually("both are told", func() bool { return len(told.of(a)) == 1 && len(told.of(b)) == 1 })
	if i := told.of(b)[0]; !i.Incoming || i.State != Settled || i.Amount != 7000 || i.Memo != "a dance" {
		t.Errorf("%+v", i)
	}
	r.clock.forward(time.Second)
	fails, _ := r.node.foreign(1000, behaviour{fail: "no_route"})
	if _, err := teller.Pay(t.Context(), a, Order{Key: "fails", Invoice: fails}); err != nil {
		t.Fatal(err)
	}
	var made []Item
	for i := range 150 { // both lists have more than a page
		r.clock.forward(time.Second)
		item, err := teller.Invoice(t.Context(), a, NewInvoice{Amount: ledger.Msat(1000 + i)})
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, item)
		text, _ := r.node.foreign(ledger.Msat(2000+i), behaviour{})
		r.clock.forward(time.Second)
		if item, err = teller.Pay(t.Context(), a, Order{Key: "pay " + text, Invoice: text}); err != nil {
			t.Fatal(err)
		}
		made = append(made, item)
	}
	slices.Reverse(made)
	list := func(f Filter) (all []Item) {
		t.Helper()
		if err := teller.Items(a, f, func(i Item) bool { all = append(all, i); return len(all) < 1000 }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	all := list(Filter{Unsettled: true})
	if len(all) != 302 {
		t.Fatalf("%d items", len(all))
	}
	for i := range made {
		if all[i].Hash != made[i].Hash {
			t.Fatalf("item %d is %+v, want %+v", i, all[i], made[i])
		}
	}
	yes, no := true, false
	for name, want := range map[string]struct {
		f Filter
		n int
	}{
		"settled":      {Filter{}, 151},
		"in":           {Filter{Incoming: &yes, Unsettled: true}, 150},
		"in, settled":  {Filter{Incoming: &yes}, 0},
		"out":          {Filter{Incoming: &no, Unsettled: true}, 152},
		"from":         {Filter{From: made[9].Made, Unsettled: true}, 10},
		"until":        {Filter{Until: made[290].Made, Unsettled: true}, 12},
		"between both": {Filter{From: made[20].Made, Until: made[11].Made, Unsettled: true}, 10},
	} {
		if got := len(list(want.f)); got != want.n {
			t.Errorf("%s: %d items, want %d", name, got, want.n)
		}
	}
	n := 0
	if err := teller.Items(a, Filter{}, func(Item) bool { n++; return n < 3 }); err != nil || n != 3 {
		t.Errorf("%d, %v", n, err)
	}
	if got := list(Filter{Unsettled: true})[301]; got.Rail != Internal {
		t.Errorf("the oldest: %+v", got)
	}
}

func TestTellerTakesOnChain(t *testing.T) {
	r, _ := tellerRig(t)
	teller, a := r.Teller(), r.account(0)
	address, err := teller.Address(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := teller.Address(t.Context(), a); again != address || err != nil {
		t.Errorf("%s, %v", again, err)
	}
	if _, err := teller.Balance(999); !errors.Is(err, ErrNoItem) {
		t.Errorf("nobody's: %v", err)
	}
}
