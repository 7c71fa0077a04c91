package nwc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// TestBudget: what is reserved and spent, to the msat, and when it is there again.
func TestBudget(t *testing.T) {
	r := newRig(t, 1)
	r.clock.pass(time.Date(2027, 1, 31, 23, 0, 0, 0, time.UTC).Sub(r.clock.now()))
	a, c := r.connect(alice, Wanted{Budget: 10_000, Period: Monthly})
	if c.Spent != 0 || c.Budget != 10_000 {
		t.Errorf("%+v", c)
	}
	r.wallet.set(func(o channels.Order) (channels.State, ledger.Msat, error) {
		return channels.Settled, o.FeeLimit / 2, nil
	})
	if paid, f := a.pay(5000); f != nil || paid.Fees != 30 { // of at most 60
		t.Errorf("%+v, %+v", paid, f)
	}
	r.spent(alice, 5030, 0)
	if _, f := a.pay(4971); f == nil || f.Code != QuotaExceeded {
		t.Errorf("one too many: %+v", f)
	}
	if paid, f := a.pay(4950); f != nil || paid.Fees != 10 { // the 20 that are left, though it could cost 59
		t.Errorf("%+v, %+v", paid, f)
	}
	r.spent(alice, 9990, 0)
	if paid, f := a.pay(10); f != nil || paid.Fees != 0 {
		t.Errorf("%+v, %+v", paid, f)
	}
	if _, f := a.pay(1); f == nil || f.Code != QuotaExceeded {
		t.Errorf("%+v", f)
	}
	var budget struct {
		Used   ledger.Msat `json:"used_budget"`
		Total  ledger.Msat `json:"total_budget"`
		Renews int64       `json:"renews_at"`
		Period Period      `json:"renewal_period"`
	}
	if f := a.call("get_budget", paramsOf(), &budget); f != nil || budget.Used != 10_000 || budget.Total != 10_000 || budget.Period != Monthly ||
		budget.Renews != time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC).Unix() {
		t.Errorf("%+v, %+v", budget, f)
	}
	r.restart()
	r.spent(alice, 10_000, 0)
	r.clock.pass(time.Hour) // February
	r.spent(alice, 0, 0)
	if _, f := a.pay(5000); f != nil {
		t.Errorf("%+v", f)
	}
	if _, f := a.pay(5000); f == nil || f.Code != QuotaExceeded {
		t.Errorf("%+v", f)
	}
}

func TestPeriods(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, step := range []struct {
		p                 Period
		now, begin, again string
	}{
		{Daily, "2027-03-01T00:00:00Z", "2027-03-01T00:00:00Z", "2027-03-02T00:00:00Z"},
		{Daily, "2027-02-28T23:59:59+01:00", "2027-02-28T00:00:00Z", "2027-03-01T00:00:00Z"},
		{Daily, "2027-03-01T00:30:00+01:00", "2027-02-28T00:00:00Z", "2027-03-01T00:00:00Z"},
		{Weekly, "2027-01-03T23:59:59Z", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"}, // a Sunday
		{Weekly, "2027-01-04T00:00:00Z", "2027-01-04T00:00:00Z", "2027-01-11T00:00:00Z"},
		{Monthly, "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
		{Yearly, "2028-12-31T23:59:59Z", "2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z"},
	} {
		again, ok := step.p.renews(at(step.now))
		if begin := step.p.begin(at(step.now)); !begin.Equal(at(step.begin)) || !again.Equal(at(step.again)) || !ok || step.p.start(at(step.now)) != begin.UnixMilli() {
			t.Errorf("%s at %s: %v to %v", step.p, step.now, begin, again)
		}
	}
	if _, ok := Never.renews(at("2027-01-01T00:00:00Z")); ok || Never.start(time.Now()) != 0 {
		t.Error("never renews")
	}
}

// TestReplay: an event that comes again, from whoever and whenever, is paid once.
func TestReplay(t *testing.T) {
	r := newRig(t, 2)
	a, _ := r.connect(alice, Wanted{Budget: 100_000, Period: Daily})
	r.wallet.set(func(channels.Order) (channels.State, ledger.Msat, error) { return channels.Open, 3, nil })
	e := a.ask("pay_invoice", paramsOf("invoice", "lntest5000"))
	var putting sync.WaitGroup
	for i := range 8 {
		putting.Go(func() { r.relays[i%2].put(e) })
	}
	putting.Wait()
	r.eventually("it is under way", func() bool { return len(r.wallet.payments()) == 1 })
	r.spent(alice, 0, 5060)
	r.restart() // the relays send it once more
	r.spent(alice, 0, 5060)
	if n := len(a.answers(r.relays[0], e)); n != 0 {
		t.Errorf("%d answers, and nobody knows", n)
	}
	r.wallet.finish(channels.Settled)
	r.clock.pass(sweepWait)
	if s := a.answer(e); s.Error != nil || s.Type != "pay_invoice" {
		t.Errorf("%+v", s)
	}
	r.spent(alice, 5003, 0)
	r.eventually("both relays have it", func() bool { return len(a.answers(r.relays[1], e)) >= 1 })
	before := len(a.answers(r.relays[1], e))
	r.restart() // and again: it is answered out of its record
	r.eventually("another answer", func() bool { return len(a.answers(r.relays[1], e)) > before })
	for _, s := range a.answers(r.relays[1], e) {
		if string(s.Result) != string(a.answers(r.relays[0], e)[0].Result) {
			t.Errorf("%s", s.Result)
		}
	}
	r.spent(alice, 5003, 0)
	if made := r.wallet.payments(); len(made) != 1 {
		t.Errorf("paid %d times", len(made))
	}
}

// TestCrash: the line to the wallet goes dead before or behind an order, or the records do; then the process dies.
func TestCrash(t *testing.T) {
	for name, step := range map[string]struct {
		answer func(channels.Order) (channels.State, ledger.Msat, error)
		made   int // payments before the crash
		want   ledger.Msat
	}{
		"before the order":            {func(channels.Order) (channels.State, ledger.Msat, error) { return "", 0, errLost }, 0, 5000},
		"behind it, and it arrived":   {func(channels.Order) (channels.State, ledger.Msat, error) { return channels.Settled, 9, errLost }, 1, 5009},
		"behind it, and it did not":   {func(channels.Order) (channels.State, ledger.Msat, error) { return channels.GaveBack, 9, errLost }, 1, 0},
		"behind it, and it goes on":   {func(channels.Order) (channels.State, ledger.Msat, error) { return channels.Open, 9, errLost }, 1, 5009},
		"behind it, without an error": {func(channels.Order) (channels.State, ledger.Msat, error) { return channels.Open, 9, nil }, 1, 5009},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			a, _ := r.connect(alice, Wanted{Budget: 100_000, Period: Daily})
			r.wallet.set(step.answer)
			e := a.ask("pay_invoice", paramsOf("invoice", "lntest5000"))
			r.relays[0].put(e)
			r.spent(alice, 0, 5060)
			r.eventually("the wallet was asked", func() bool { return len(r.wallet.payments()) == step.made })
			r.wallet.set(nil)
			r.restart()
			r.wallet.finish(channels.Settled)
			r.clock.pass(sweepWait)
			s := a.answer(e)
			if (s.Error == nil) != (step.want != 0) {
				t.Errorf("%+v", s)
			}
			r.spent(alice, step.want, 0)
			if made := r.wallet.payments(); len(made) != 1 {
				t.Errorf("paid %d times", len(made))
			}
		})
	}
}

// failing are records whose writes can be made to fail: lost, or done and reported lost.
type failing struct {
	channels.Records
	mu   sync.Mutex
	lost int // the next so many are not done
	late int // and so many are, and fail
}

var errDisk = errors.New("the disk is broken")

func (f *failing) Write(rows ...channels.Row) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost > 0 {
		f.lost--
		return errDisk
	}
	if err := f.Records.Write(rows...); err != nil || f.late == 0 {
		return err
	}
	f.late--
	return errDisk
}

// TestRecordsFail: nothing is ordered that is not written down, and what came of it is written down before it is told.
func TestRecordsFail(t *testing.T) {
	r := newRig(t, 1)
	r.Close()
	disk := &failing{Records: r.cfg.Records}
	r.cfg.Records = disk
	r.start()
	a, _ := r.connect(alice, Wanted{Budget: 100_000, Period: Daily})
	disk.mu.Lock()
	disk.lost = 1
	disk.mu.Unlock()
	e := a.ask("pay_invoice", paramsOf("invoice", "lntest5000"))
	r.relays[0].put(e)
	r.eventually("the write has failed", func() bool {
		disk.mu.Lock()
		defer disk.mu.Unlock()
		return disk.lost == 0
	})
	r.clock.pass(sweepWait)
	r.restart() // the relay sends it again, and nobody knows what was said
	if f := a.call("get_balance", paramsOf(), new(any)); f != nil {
		t.Errorf("%+v", f)
	}
	if n := len(a.answers(r.relays[0], e)); n != 0 || len(r.wallet.payments()) != 0 {
		t.Errorf("%d answers, paid %d times", n, len(r.wallet.payments()))
	}
	r.spent(alice, 0, 0)
	r.wallet.set(func(channels.Order) (channels.State, ledger.Msat, error) {
		disk.mu.Lock()
		defer disk.mu.Unlock()
		disk.lost = 1
		return channels.Settled, 1, nil
	})
	e = a.ask("pay_invoice", paramsOf("invoice", "lntest5000"))
	r.relays[0].put(e)
	r.eventually("it is paid", func() bool { return len(r.wallet.payments()) == 1 })
	r.spent(alice, 0, 5060)
	r.eventually("nobody is at it", func() bool {
		l := r.links(alice)[0]
		l.mu.Lock()
		defer l.mu.Unlock()
		return !l.open[e.ID].busy
	})
	if n := len(a.answers(r.relays[0], e)); n != 0 {
		t.Errorf("%d answers", n)
	}
	r.clock.pass(sweepWait)
	if s := a.answer(e); s.Error != nil {
		t.Errorf("%+v", s)
	}
	r.spent(alice, 5001, 0)
	r.restart()
	r.spent(alice, 5001, 0)
}

// TestRefusedBefore: what one process has refused the next one does not pay.
func TestRefusedBefore(t *testing.T) {
	r := newRig(t, 1)
	a, _ := r.connect(alice, Wanted{Budget: 5000, Period: Never})
	if _, f := a.pay(5001); f == nil || f.Code != QuotaExceeded {
		t.Errorf("%+v", f)
	}
	r.Close()
	l := r.links(alice)[0]
	l.Budget = 1_000_000 // somebody has found another way to allow it
	if err := r.cfg.Records.Write(row(connectionKey(l.ID), l.Connection)); err != nil {
		t.Fatal(err)
	}
	r.start()
	if paid, f := a.pay(6000); f != nil {
		t.Errorf("%+v, %+v", paid, f)
	}
	if made := r.wallet.payments(); len(made) != 1 {
		t.Errorf("paid %d times", len(made))
	}
}

// TestOldOrder: what was reserved and never ordered is not begun when nobody expects it any more: the wallet sees until when.
func TestOldOrder(t *testing.T) {
	r := newRig(t, 1)
	a, _ := r.connect(alice, Wanted{})
	made := r.clock.now()
	if _, f := a.pay(5000); f != nil {
		t.Errorf("%+v", f)
	}
	if o := r.wallet.payments()[0]; !o.Until.Equal(made.Add(beginBy)) {
		t.Errorf("until %v", o.Until)
	}
}

// TestBudgetRace: payments at once, that succeed, fail and are refused, never spend more than there is.
func TestBudgetRace(t *testing.T) {
	r := newRig(t, 1)
	a, _ := r.connect(alice, Wanted{Budget: 20_000, Period: Never})
	r.wallet.set(func(o channels.Order) (channels.State, ledger.Msat, error) {
		switch rand.N(4) {
		case 0:
			return "", 0, channels.ErrBalance
		case 1:
			return channels.GaveBack, 0, nil
		}
		return channels.Settled, rand.N(o.FeeLimit + 1), nil
	})
	for range 6 {
		var events []*event
		for range 8 {
			events = append(events, a.ask("pay_invoice", paramsOf("invoice", fmt.Sprintf("lntest%d", 1+rand.N(1500)))))
		}
		var putting sync.WaitGroup
		for _, e := range events {
			putting.Go(func() { r.relays[0].put(e) })
		}
		putting.Wait()
		for _, e := range events {
			if s := a.answer(e); s.Error != nil && s.Error.Code != QuotaExceeded && s.Error.Code != PaymentFailed && s.Error.Code != InsufficientBalance {
				t.Errorf("%+v", s.Error)
			}
		}
		r.clock.pass(10 * time.Second)
	}
	var want ledger.Msat
	for _, i := range r.wallet.orders {
		if i.State == channels.Settled {
			want += i.Amount + i.Fee
		}
	}
	r.spent(alice, want, 0)
	if want > 20_000 {
		t.Errorf("%d are spent", want)
	}
	r.restart()
	r.spent(alice, want, 0)
}

// TestTooMany: requests and payments that come too fast are told to come again, and no other connection waits for them.
func TestTooMany(t *testing.T) {
	r := newRig(t, 1)
	a, _ := r.connect(alice, Wanted{})
	b, _ := r.connect(bob, Wanted{})
	r.wallet.set(func(channels.Order) (channels.State, ledger.Msat, error) { return channels.Open, 0, nil })
	for range maxOpen {
		r.relays[0].put(a.ask("pay_invoice", paramsOf("invoice", "lntest5")))
		r.clock.pass(time.Second) // each is another event
	}
	r.eventually("all are under way", func() bool { return len(r.wallet.payments()) == maxOpen })
	if _, f := a.pay(5); f == nil || f.Code != RateLimited {
		t.Errorf("%+v", f)
	}
	limited := 0
	for range burst + 5 {
		if f := b.call("get_balance", paramsOf(), new(any)); f != nil && f.Code == RateLimited {
			limited++
		}
	}
	if limited < 5 {
		t.Errorf("%d were told to come again", limited)
	}
	r.clock.pass(time.Second)
	if f := b.call("get_balance", paramsOf(), new(any)); f != nil {
		t.Errorf("%+v", f)
	}
	r.wallet.finish(channels.GaveBack)
}
