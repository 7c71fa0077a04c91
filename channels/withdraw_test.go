package channels

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
)

func TestInternal(t *testing.T) {
	r := newRig(t, nil)
	from, to := r.account(10_000), r.account(0)
	q := r.request(from, to.String(), 4000, 0)
	r.withdraw(q)
	p := r.ends(q.Key, Done)
	r.has(from, 6000, 0)
	r.has(to, 4000, 0)
	if p.Rail != Internal || p.Fee != 0 {
		t.Errorf("%s", shown(p))
	}
	if again := r.withdraw(q); again.Status != Done {
		t.Errorf("the same request again: %+v", again)
	}
	q.Amount = 1
	if _, err := r.Withdraw(t.Context(), q); !errors.Is(err, ErrReused) {
		t.Errorf("another request under the same id: %v", err)
	}
	q = r.request(from, to.String(), 6001, 0)
	if p := r.withdraw(q); p.Status != Voided || p.Reason != ledger.InsufficientFunds.String() {
		t.Errorf("more than there is: %+v", p)
	}
	r.has(from, 6000, 0)
}

func TestLightning(t *testing.T) {
	r := newRig(t, nil)
	from := r.account(1_000_000)
	text, hash := r.node.foreign(50_000, behaviour{fee: 120})
	quote, err := r.Quote(t.Context(), Request{Key: Key{Account: from}, To: text})
	if err != nil || quote.Fee != 120 || quote.Amount != 50_000 || quote.Rail != Lightning || quote.Limit < 120 {
		t.Errorf("%+v, %v", quote, err)
	}
	q := r.request(from, text, 0, 500)
	r.withdraw(q)
	p := r.ends(q.Key, Done)
	r.has(from, 1_000_000-50_120, 0)
	r.has(ledger.Lightning, 50_120, 0)
	if p.Fee != 120 || p.Hash != hash || p.Proof == (Hash{}) || r.node.paid[hash] != 1 {
		t.Errorf("%s", shown(p))
	}
	if _, err := r.Withdraw(t.Context(), r.request(from, text, 0, 500)); !errors.Is(err, ErrPaidBefore) {
		t.Errorf("the same invoice by another request: %v", err)
	}

	text, hash = r.node.foreign(50_000, behaviour{fail: "no_route"})
	q = r.request(from, text, 0, 500)
	r.withdraw(q)
	if p := r.ends(q.Key, Voided); p.Reason != "no_route" {
		t.Errorf("%s", shown(p))
	}
	r.has(from, 1_000_000-50_120, 0)
	r.node.mu.Lock()
	r.node.behave[hash] = behaviour{}
	r.node.mu.Unlock()
	q = r.request(from, text, 0, 500)
	r.withdraw(q)
	r.ends(q.Key, Done)
	r.has(from, 1_000_000-100_120, 0)

	keysend := "02" + "00000000000000000000000000000000000000000000000000000000000000cc"
	q = r.request(from, keysend, 7000, 0)
	r.withdraw(q)
	p = r.ends(q.Key, Done)
	if r.node.paid[p.Hash] != 1 {
		t.Errorf("%s", shown(p))
	}
	r.has(from, 1_000_000-107_120, 0)
}

// TestLateAnswer: what was handed over and not answered is asked about; what fails meanwhile is not believed too soon.
func TestLateAnswer(t *testing.T) {
	for name, b := range map[string]behaviour{
		"slow":            {take: 200 * time.Millisecond},
		"lost":            {lost: 3},
		"lost and slow":   {lost: 1, take: 100 * time.Millisecond},
		"late":            {late: 100 * time.Millisecond},
		"slow failure":    {take: 200 * time.Millisecond, fail: "timeout"},
		"lost failure":    {lost: 1, fail: "timeout"},
		"late failure":    {late: 100 * time.Millisecond, fail: "timeout"},
		"refused":         {refuse: ErrRefused},
		"above the limit": {fee: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			from := r.account(100_000)
			text, hash := r.node.foreign(50_000, b)
			q := r.request(from, text, 0, 500)
			r.withdraw(q)
			if b.fail != "" || b.refuse != nil || b.fee > 500 {
				r.ends(q.Key, Voided)
				r.has(from, 100_000, 0)
				return
			}
			r.ends(q.Key, Done)
			r.has(from, 50_000, 0)
			if r.node.paid[hash] != 1 {
				t.Errorf("paid %d times", r.node.paid[hash])
			}
		})
	}
}

// TestHeldInvoices: payees who let payments hang hold up nobody else, nor does an account that pays many at once.
func TestHeldInvoices(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Concurrency = 4 })
	bad, good := r.account(100_000_000), r.account(100_000)
	var hang []Request
	for range 40 {
		text, _ := r.node.foreign(1000, behaviour{take: time.Hour})
		q := r.request(bad, text, 0, 0)
		r.withdraw(q)
		hang = append(hang, q)
	}
	text, _ := r.node.foreign(1000, behaviour{})
	q := r.request(good, text, 0, 0)
	r.withdraw(q)
	r.ends(q.Key, Done)
	for _, q := range hang {
		if p, _ := r.Payout(q.Key); p.Status == Done || p.Status == Voided {
			t.Error(shown(p))
		}
	}
	a, _ := r.book.Account(bad)
	if a.Held != 40_000 {
		t.Errorf("%d held", a.Held)
	}
}

// TestConcurrency: the node makes as many payments at once as it may, and no more; a few others are ready when one of these ends.
func TestConcurrency(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Concurrency, c.SlotFor = 4, time.Minute })
	from := r.account(100_000_000)
	for range 20 {
		text, _ := r.node.foreign(1000, behaviour{take: time.Hour})
		r.withdraw(r.request(from, text, 0, 0))
	}
	begun := func() int {
		r.node.mu.Lock()
		defer r.node.mu.Unlock()
		return len(r.node.payments)
	}
	r.eventually("four are under way and two wait", func() bool { return begun() == 4 && r.Counts().Now[Lightning][InTransit] == 6 })
	for range 20 {
		time.Sleep(time.Millisecond)
		if n := begun(); n != 4 {
			t.Fatalf("the node makes %d payments at once", n)
		}
	}
	if n := r.Counts().Now[Lightning]; n[InTransit] != 6 || n[Held] != 14 {
		t.Errorf("%v", n)
	}
}

// TestNodeDown: without a node nothing is lost, and all goes on by itself when it is back. Payments inside do not need it.
func TestNodeDown(t *testing.T) {
	r := newRig(t, nil)
	from, to := r.account(1_000_000), r.account(0)
	text, hash := r.node.foreign(1000, behaviour{})
	r.node.mu.Lock()
	r.node.down = true
	r.node.mu.Unlock()
	q := r.request(from, text, 0, 0)
	if p := r.withdraw(q); p.Status != Held {
		t.Error(shown(p))
	}
	inside := r.request(from, to.String(), 500, 0)
	r.withdraw(inside)
	r.ends(inside.Key, Done)
	r.crash()
	if p, _ := r.Payout(q.Key); p.Status != Held {
		t.Error(shown(p))
	}
	r.node.mu.Lock()
	r.node.down = false
	r.node.mu.Unlock()
	r.ends(q.Key, Done)
	r.paidOnce(hash)
}

// TestForeign: a payment that the node knows, and the hub has not sent, is an operator's to decide.
func TestForeign(t *testing.T) {
	for _, paid := range []bool{true, false} {
		r := newRig(t, nil)
		from := r.account(100_000)
		text, hash := r.node.foreign(1000, behaviour{})
		if _, err := r.node.Pay(t.Context(), Payment{Hash: hash, FeeLimit: 10}); err != nil {
			t.Fatal(err)
		}
		q := r.request(from, text, 0, 50)
		r.withdraw(q)
		r.incident("foreign")
		r.crash()
		r.incident("foreign")
		if p, _ := r.Payout(q.Key); p.Status != Held {
			t.Error(shown(p))
		}
		r.has(from, 98_950, 1050)
		if _, err := r.Decide(q.Key, paid, "looked into it"); err != nil {
			t.Fatal(err)
		}
		if paid {
			r.ends(q.Key, Done)
			r.has(from, 99_000, 0)
		} else {
			r.ends(q.Key, Voided)
			r.has(from, 100_000, 0)
		}
		if p, _ := r.Payout(q.Key); !p.Decided {
			t.Errorf("nobody could tell that an operator has ended it: %s", shown(p))
		}
		if _, err := r.Decide(q.Key, paid, "again"); !errors.Is(err, ErrDecided) {
			t.Errorf("decided twice: %v", err)
		}
	}
}

// TestTriedBefore: that an earlier payment of an invoice has failed says nothing about a call that the node has not begun with yet.
func TestTriedBefore(t *testing.T) {
	r := newRig(t, nil)
	from := r.account(100_000)
	text, hash := r.node.foreign(50_000, behaviour{fail: "no_route"})
	q := r.request(from, text, 0, 500)
	r.withdraw(q)
	r.ends(q.Key, Voided)
	r.node.mu.Lock()
	r.node.behave[hash] = behaviour{late: 100 * time.Millisecond}
	r.node.mu.Unlock()
	q = r.request(from, text, 0, 500)
	r.withdraw(q)
	r.ends(q.Key, Done)
	r.has(from, 50_000, 0)
	if r.node.paid[hash] != 1 {
		t.Errorf("paid %d times", r.node.paid[hash])
	}
}

// TestNotSentInTime: what the node has never heard of, and whose time is over, is not sent after a start, however long that takes.
func TestNotSentInTime(t *testing.T) {
	r := newRig(t, nil)
	from := r.account(100_000)
	q := r.request(from, "02"+"00000000000000000000000000000000000000000000000000000000000000cc", 7000, 0)
	q.Until = r.clock.now().Add(time.Hour)
	r.node.mu.Lock()
	r.node.down = true
	r.node.mu.Unlock()
	p := r.withdraw(q)
	f := newFlight(p)
	r.stop()
	f.p, _ = step(f.p, event{kind: evCleared, at: r.clock.now()}) // the process ended when this was written
	rows, err := payoutRows(&f.p)
	if err == nil {
		err = r.memory.Write(rows...)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.clock.forward(2 * time.Hour)
	r.node.mu.Lock()
	r.node.down = false
	r.node.mu.Unlock()
	r.start()
	if p := r.ends(q.Key, Voided); p.Reason != reasonLate || r.node.paid[p.Hash] != 0 {
		t.Error(shown(p))
	}
	r.has(from, 100_000, 0)
}

// TestGate: what an operator's rule holds up goes on when it lets it; what it forbids fails, before or after money is set aside.
func TestGate(t *testing.T) {
	errWait := errors.New("two operators must approve")
	rule := make(chan func(Payout) error, 1)
	now := func(p Payout) error { f := <-rule; rule <- f; return f(p) }
	set := func(f func(Payout) error) { <-rule; rule <- f }
	rule <- func(Payout) error { return ErrNotAllowed }
	r := newRig(t, func(c *Config) { c.Gate, c.RetryMost, c.Retry = now, time.Hour, time.Hour })
	from, to := r.account(100_000), r.account(0)
	q := r.request(from, to.String(), 1000, 0)
	if p := r.withdraw(q); p.Status != Voided {
		t.Error(shown(p))
	}
	set(func(p Payout) error {
		if p.Status == Held {
			return errWait
		}
		return nil
	})
	text, _ := r.node.foreign(1000, behaviour{})
	first, second := r.request(from, to.String(), 1000, 0), r.request(from, text, 0, 0)
	for _, q := range []Request{first, second} {
		r.withdraw(q)
		r.eventually("it waits", func() bool { p, _ := r.Payout(q.Key); return p.Status == Held && p.Reason == errWait.Error() })
	}
	r.has(from, 98_000, 2000)
	if _, err := r.Decide(first.Key, true, "as if"); err == nil {
		t.Error("decided about what was never sent")
	}
	set(func(p Payout) error {
		if p.Key == first.Key {
			return fmt.Errorf("%w: one operator said no", ErrNotAllowed)
		}
		return nil
	})
	r.Wake()
	r.ends(first.Key, Voided)
	r.ends(second.Key, Done)
	r.has(from, 99_000, 0)
}

// TestOldIDs: an op that was written down, and whose outcome nobody heard of for a week, is applied once all the same.
func TestOldIDs(t *testing.T) {
	for name, deaf := range map[string]bool{"applied": true, "not applied": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Patience = 30 * 24 * time.Hour })
			from, to := r.account(100_000), r.account(0)
			r.book.mu.Lock()
			r.book.deaf, r.book.down = deaf, !deaf
			r.book.mu.Unlock()
			q := r.request(from, to.String(), 1000, 0)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if p, err := r.Withdraw(ctx, q); err != nil || p.Status != Asked {
				t.Fatal(shown(p), err)
			}
			r.stop()
			r.clock.forward(7 * 24 * time.Hour)
			r.book.mu.Lock()
			r.book.deaf, r.book.down = false, false
			r.book.mu.Unlock()
			r.account(0) // the ledger's time goes on
			r.start()
			r.ends(q.Key, Done)
			r.has(from, 99_000, 0)
			r.has(to, 1000, 0)
		})
	}
}

// TestTargets: what a request may name, and what it may not.
func TestTargets(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Resolve = func(_ context.Context, to string, amount ledger.Msat) (string, error) {
			if to != "alice@example.com" {
				return "", ErrTarget
			}
			return "addralice", nil
		}
	})
	from := r.account(100_000_000)
	other := r.account(0)
	expired := r.node.invoice(1000, "03"+strings.Repeat("00", 31)+"bb", -time.Minute)
	open := r.node.invoice(0, "03"+strings.Repeat("00", 31)+"bb", time.Minute)
	fixed := r.node.invoice(1000, "03"+strings.Repeat("00", 31)+"bb", time.Minute)
	stray := r.node.invoice(1000, ourNode, time.Minute)
	for _, c := range []struct {
		to     string
		amount ledger.Msat
		want   error
		rail   Rail
	}{
		{to: other.String(), amount: 1, rail: Internal},
		{to: from.String(), amount: 1, want: ErrTarget},
		{to: ledger.Chain.String(), amount: 1, want: ErrTarget},
		{to: ledger.AccountNo(4000).String(), amount: 1, want: ErrTarget},
		{to: other.String(), want: ErrAmount},
		{to: "lightning:" + fixed.Text, rail: Lightning},
		{to: strings.ToUpper(fixed.Text), rail: Lightning},
		{to: fixed.Text, amount: 1000, rail: Lightning},
		{to: fixed.Text, amount: 999, want: ErrAmount},
		{to: open.Text, amount: 999, rail: Lightning},
		{to: open.Text, want: ErrAmount},
		{to: expired.Text, want: ErrExpired},
		{to: stray.Text, want: ErrInvoice},
		{to: "lnbc1nonsense", want: ErrInvoice},
		{to: "alice@example.com", amount: 1_000_000, rail: Chain},
		{to: "bob@example.com", amount: 1_000_000, want: ErrTarget},
		{to: "addrx", amount: 1_000_000, rail: Chain},
		{to: "", amount: 1, want: ErrTarget},
		{to: strings.Repeat("x", MaxTo+1), amount: 1, want: ErrTarget},
		{to: other.String(), amount: ledger.MaxMsat + 1, want: ErrAmount},
		{to: ourNode, amount: 1, want: ErrTarget},
	} {
		q, err := r.Quote(t.Context(), Request{Key: Key{Account: from}, To: c.to, Amount: c.amount})
		if !errors.Is(err, c.want) || q.Rail != c.rail {
			t.Errorf("%.40q, %d: %+v, %v; want %v", c.to, c.amount, q, err, c.want)
		}
	}
	q := r.request(from, ourNode, 5, 0)
	q.Records = map[uint64][]byte{AccountRecord: []byte(other.String())}
	r.withdraw(q)
	r.ends(q.Key, Done)
	r.has(other, 5, 0)
}

// TestPages: lists are read in parts, the newest first.
func TestPages(t *testing.T) {
	r := newRig(t, nil)
	from, to := r.account(100_000), r.account(0)
	var all []Key
	for range 25 {
		q := r.request(from, to.String(), 10, 0)
		r.withdraw(q)
		all = append(all, q.Key)
		time.Sleep(2 * time.Millisecond)
	}
	var before []byte
	for page := 0; page == 0 || before != nil; page++ {
		list, next, err := r.Payouts(from, Page{Before: before, Most: 10})
		if err != nil || page > 2 {
			t.Fatal(page, err)
		}
		for _, p := range list {
			if want := all[len(all)-1]; p.Key != want {
				t.Fatalf("%v, want %v", p.Key, want)
			}
			all = all[:len(all)-1]
		}
		before = next
	}
	if len(all) != 0 {
		t.Errorf("%d are missing", len(all))
	}
}
