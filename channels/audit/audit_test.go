package audit

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// TestBalanced: whatever comes and goes through the rails, the books agree to the msat; and only what is new is read.
func TestBalanced(t *testing.T) {
	w := newWorld(t)
	w.received(900_001, 77_777) // before the books are opened: nobody's business
	w.paid(900_002, 5, 1, channels.Succeeded)
	w.arrived(900_003, 1234, 200, "")
	w.arrived(900_004, 1235, 0, "")
	a := w.auditor()
	r := w.check(a, true, 0)
	if r.Sheet.Capital != r.Sheet.Held || r.Sheet.Owed != 0 || !r.Steady || r.Sheet.Ratio != MaxRatio {
		t.Errorf("%+v", r)
	}
	for n := range 40 {
		w.deposit(n, ledger.Msat(1_000_000+n))
	}
	for n := 40; n < 60; n++ {
		w.payout(n, ledger.Msat(300_000+n), ledger.Msat(n))
	}
	w.received(60, 9_001)
	w.recorded(60, 9_001, channels.DepositArrived)
	w.received(61, 9_003)
	w.recorded(61, 9_003, channels.DepositUnassigned)
	w.paid(62, 5_000, 3, channels.Succeeded)
	w.paidOut(62, 5_000, 3, channels.Paid)
	w.paid(63, 6_000, 4, channels.Succeeded)
	w.paidOut(63, 6_000, 4, channels.InTransit)
	w.paid(64, 6_000, 0, channels.Failed)
	w.earned = append(w.earned, time.Now())
	w.assets.Local += 7
	w.arrived(65, 50_000, 301, "")
	w.coin(65, 0, 30_000, channels.DepositCredited)
	w.coin(65, 2, 20_000, channels.DepositCredited)
	w.arrived(66, 40_000, 0, "")
	w.coin(66, 1, 40_000, channels.DepositPending)
	w.arrived(67, -100_300, 301, "0:openchannel:shortchanid-1")
	w.moves[len(w.moves)-1].Fee = 300
	w.assets.Local += 100_000_000
	r = w.check(a, false, 0)
	s := r.Sheet
	if s.Uncredited != 9_001+9_003+40_000_000 || s.Uncaptured != 5_003+6_004 || s.Earned != 7 || s.Costs != 300_000 || s.Difference != 0 {
		t.Errorf("%+v", s)
	}
	if s.Due != s.Owed-s.Uncaptured || s.Ratio <= 1 {
		t.Errorf("%+v", s)
	}
	w.recorded(60, 9_001, channels.DepositCredited)
	w.paidOut(62, 5_000, 3, channels.Done)
	w.paidOut(63, 6_000, 4, channels.Done)
	w.coin(66, 1, 40_000, channels.DepositCredited)
	w.check(a, true, 0)
	w.height = 1000 // all is buried
	for i := range w.moves {
		if w.moves[i].Place.Height == 0 {
			w.moves[i].Place.Height = 302
		}
	}
	w.check(a, false, 0)
	w.read = 0
	r = w.check(w.auditor(), false, 0) // after a restart
	if w.read != 0 || r.Sheet.Uncredited != 9_003 || r.Sheet.Uncaptured != 0 || r.Sheet.Earned != 7 || r.Sheet.Costs != 300_000 {
		t.Errorf("%d read again; %+v", w.read, r.Sheet)
	}
	if w.changed != 0 || len(w.raised) != 0 {
		t.Errorf("payouts were stopped: %v", w.raised)
	}
}

// TestLate: what comes while the run looks is no mismatch.
func TestLate(t *testing.T) {
	w := newWorld(t)
	late := &lateRecords{world: w}
	a := w.auditor(func(c *Config) { c.Records, c.Late = late, 20*time.Second })
	w.check(a, false, 0)
	w.received(1, 5000)
	w.arrived(2, 70, 0, "")
	late.after(3, func() {
		w.recorded(1, 5000, channels.DepositCredited)
		w.coin(2, 0, 70, channels.DepositPending)
	})
	r := w.check(a, false, 0)
	if late.asked < 3 || r.Sheet.Uncredited != 70_000 {
		t.Errorf("asked %d times; %+v", late.asked, r.Sheet)
	}
}

// lateRecords have something done when they were asked some times.
type lateRecords struct {
	*world
	asked, when int
	do          func()
}

func (l *lateRecords) after(times int, do func()) { l.asked, l.when, l.do = 0, times, do }

func (l *lateRecords) DepositsOf(hash channels.Hash) ([]channels.Deposit, error) {
	if l.asked++; l.asked == l.when {
		l.do()
	}
	return l.world.DepositsOf(hash)
}

// TestRestless: where something moves all the time, totals say nothing; items and the ratio do.
func TestRestless(t *testing.T) {
	w := newWorld(t)
	a := w.auditor()
	w.check(a, false, 0)
	w.restless = true
	w.assets.Confirmed-- // that cannot be told from what moves
	if r := w.check(a, false, 0); r.Steady {
		t.Errorf("%+v", r)
	}
	w.paid(1, 50, 0, channels.Succeeded)
	w.check(a, false, 1)
	w.restless = false
	w.check(a, false, 2)
}

func TestRatio(t *testing.T) {
	w := newWorld(t)
	w.assets, w.lines = channels.Assets{Local: 1_000_000}, nil
	a := w.auditor()
	w.check(a, false, 0)
	w.deposit(1, 9_000_000)
	if r := w.check(a, false, 0); r.Sheet.Ratio < 1.111 || r.Sheet.Ratio > 1.112 {
		t.Errorf("%v", r.Sheet.Ratio)
	}
	a = w.auditor(func(c *Config) { c.Floor = 1.2 })
	if r := w.check(a, false, 1); r.Mismatches[0].Kind != KindRatio {
		t.Errorf("%+v", r)
	}
	w.enter(ledger.Dev, ledger.OpCredit, ledger.OpID{1}, 0, -2_000_000) // made up, and owed
	if r := w.check(w.auditor(), false, 1); r.Mismatches[0].Kind != KindRatio {
		t.Errorf("%+v", r)
	}
	w.check(w.auditor(func(c *Config) { c.Floor = -1 }), false, 0)
}

// TestDown: a node that does not answer changes nothing, and neither does a disk that fails: the next run finds the same.
func TestDown(t *testing.T) {
	w := newWorld(t)
	a := w.auditor()
	w.down = true
	if _, err := a.Check(t.Context(), false); !errors.Is(err, channels.ErrDown) {
		t.Fatal(err)
	}
	if _, ok := a.Last(); ok || len(w.rows) != 0 {
		t.Errorf("opened while the node is away: %v", w.rows)
	}
	w.down = false
	w.check(a, false, 0)
	for n := range 5 {
		w.deposit(n, 1000)
		w.payout(10+n, 100, 1)
	}
	w.paid(1, 77, 0, channels.Succeeded)
	w.down = true
	if _, err := a.Check(t.Context(), false); !errors.Is(err, channels.ErrDown) || a.Stopped() != nil {
		t.Fatal(err)
	}
	w.down, w.failing = false, true
	for range 2 {
		if _, err := a.Check(t.Context(), true); !errors.Is(err, errDisk) || a.Stopped() != nil {
			t.Fatal(err)
		}
	}
	w.failing = false
	w.check(a, false, 1)
	w.down = true
	if _, err := a.Check(t.Context(), false); err == nil || a.Stopped() == nil {
		t.Errorf("a run that could not look has let payouts go on: %v", err)
	}
}

// TestPending: what lies behind a payment that is under way is counted once, however often it is read.
func TestPending(t *testing.T) {
	w := newWorld(t)
	a := w.auditor()
	w.check(a, false, 0)
	w.deposit(1, 1_000_000)
	w.payout(10, 1000, 1)
	w.paid(11, 2000, 2, channels.Pending)
	w.paidOut(11, 2000, 0, channels.InTransit)
	w.payout(12, 3000, 3)
	w.paid(13, 4000, 4, channels.Succeeded)
	w.paidOut(13, 4000, 4, channels.Paid)
	for range 3 {
		if r := w.check(a, true, 0); r.Sheet.Uncaptured != 4004 {
			t.Errorf("%+v", r.Sheet)
		}
	}
	w.paidOut(13, 4000, 4, channels.Done)
	w.sent[1].Attempt = channels.Attempt{Stage: channels.Succeeded, Fee: 2}
	w.assets.Local -= 2002
	w.paidOut(11, 2000, 2, channels.Done)
	w.check(a, true, 0)
	w.read = 0
	if w.check(a, false, 0); w.read != 0 {
		t.Errorf("%d read again", w.read)
	}
}

// TestParts: a full run that has to be cut into parts finds the same.
func TestParts(t *testing.T) {
	w := newWorld(t)
	a := w.auditor()
	a.facts = 37
	w.check(a, false, 0)
	for n := range 300 {
		w.deposit(n, 1_000_000)
		w.payout(1000+n, 1000, 1)
	}
	w.check(a, true, 0)
	delete(w.deposits, channels.Ref{Hash: hashOf(7), Output: 1<<32 - 1})
	delete(w.payouts, hashOf(1007))
	w.check(a, true, 4)
	a.facts = 1
	if _, err := a.Check(t.Context(), true); !errors.Is(err, errMany) {
		t.Errorf("too many for any parts: %v", err)
	}
}

// TestBatch: a batch from its publication to its end, with a bump, and its label lost.
func TestBatch(t *testing.T) {
	w := newWorld(t)
	w.deposit(1, 900_000_000)
	a := w.auditor()
	w.check(a, false, 0)
	b := channels.Batch{ID: opID(5), Status: channels.BatchSigned, Tries: []channels.Signed{{ID: hashOf(50), Fee: 500}}, Debit: opID(6)}
	for n := range 3 {
		p := channels.Payout{Request: channels.Request{Key: channels.Key{Account: someone, ID: opID(60 + n)}}, Rail: channels.Chain, Pays: 10_000_000, Status: channels.InTransit, Hold: uint32(n)}
		w.payouts[hashOf(60+n)] = p
		b.Parts = append(b.Parts, channels.Part{Key: p.Key, Amount: 10_000})
	}
	w.batches[b.ID] = b
	w.arrived(50, -30_500, 0, "millrace "+b.ID.String())
	if r := w.check(a, true, 0); r.Sheet.Uncaptured != 30_500_000 {
		t.Errorf("published: %+v", r.Sheet)
	}
	b.Tries = append(b.Tries, channels.Signed{ID: hashOf(51), Fee: 800})
	w.batches[b.ID] = b
	w.moves[0].ID, w.moves[0].Amount, w.moves[0].Label = hashOf(51), -30_800, "external"
	w.assets.Unconfirmed -= 300
	if r := w.check(a, true, 0); r.Sheet.Uncaptured != 30_800_000 {
		t.Errorf("bumped: %+v", r.Sheet)
	}
	b.Status, b.Winner, b.Rest = channels.BatchConfirmed, 1, 200_000
	for n := range b.Parts {
		b.Parts[n].Fee = 200_000
	}
	w.batches[b.ID] = b
	w.moves[0].Place.Height = 301
	w.check(a, true, 0)
	for n := range b.Parts {
		p := w.payouts[hashOf(60+n)]
		p.Status, p.Fee = channels.Done, 200_000
		w.payouts[hashOf(60+n)] = p
		w.enter(ledger.Chain, ledger.OpCapture, ledger.OpID{}, p.Hold, 10_200_000)
		w.check(a, n == 0, 0)
	}
	w.enter(ledger.Chain, ledger.OpDebit, ledger.OpID(b.Debit), 0, 200_000)
	b.Debited, b.Status = true, channels.BatchClosed
	w.batches[b.ID] = b
	if r := w.check(a, true, 0); r.Sheet.Uncaptured != 0 {
		t.Errorf("closed: %+v", r.Sheet)
	}
	w.height = 500
	w.check(a, true, 0)
	w.check(a, true, 0)
}

// TestOpening: the books are not opened while something is on its way.
func TestOpening(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*world)
	}{
		{"a payout", func(w *world) { w.paidOut(1, 10, 0, channels.InTransit) }},
		{"a payment", func(w *world) { w.paid(1, 10, 0, channels.Pending) }},
		{"a deposit", func(w *world) {
			w.arrived(1, 10, 0, "")
			w.coin(1, 0, 10, channels.DepositPending)
		}},
		{"a forward", func(w *world) { w.earned = append(w.earned, time.Now()) }},
	} {
		w := newWorld(t)
		tt.do(w)
		if _, err := w.auditor().Check(t.Context(), false); !errors.Is(err, ErrBusy) || len(w.rows) != 0 {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestAdjust(t *testing.T) {
	w := newWorld(t)
	a := w.auditor()
	good := Adjustment{ID: "x-1", Amount: -5, Reason: "a fee", By: "somebody"}
	first, err := a.Adjust(good)
	if err != nil || first.Time.IsZero() {
		t.Fatal(err)
	}
	if again, err := w.auditor().Adjust(good); err != nil || again != first {
		t.Errorf("again: %+v, %v", again, err)
	}
	other := good
	other.Amount = -6
	for _, bad := range []Adjustment{other, {}, {ID: "a/b", Amount: 1, Reason: "x"}, {ID: "a", Amount: 1, Reason: " "}, {ID: "a", Reason: "x"},
		{ID: "a", Amount: 1, Reason: strings.Repeat("x", 501)}, {ID: "a", Amount: 1 << 62, Reason: "x"}, {ID: "a", Amount: 1, Reason: "x", Rail: channels.Internal},
		{ID: strings.Repeat("a", 65), Amount: 1, Reason: "x"}, {ID: "a", Amount: 1, Reason: "x", Ref: strings.Repeat("0", 81)}, {ID: "a\xff", Amount: 1, Reason: "x"}} {
		if _, err := a.Adjust(bad); !errors.Is(err, ErrAdjustment) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	w.failing = true
	if _, err := a.Adjust(Adjustment{ID: "y", Amount: 1, Reason: "x"}); !errors.Is(err, errDisk) {
		t.Error(err)
	}
	if all := w.auditor().Adjustments(); len(all) != 1 || all[0] != first {
		t.Errorf("%+v", all)
	}
}
