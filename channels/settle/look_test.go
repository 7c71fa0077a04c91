package settle

import (
	"context"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
)

// asked is how often the rails were asked about payouts, and how many there are.
func (w *world) asked() (looks, payouts int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.looks {
		looks += n
	}
	return looks, len(w.payouts)
}

// TestLooks: how payouts stand is asked when it is time, and not whenever a worker has done something.
func TestLooks(t *testing.T) {
	r := newRig(t)
	ticks := make(chan time.Time)
	d, err := Open(Config{Records: r.disk, Ledger: r.world, Network: testNet{}, Clock: r.world.now, After: func(time.Duration) <-chan time.Time { return ticks },
		Market: func(context.Context) (Market, error) { return Market{Lightning: 1e12, LightningMost: 1e12}, nil }})
	must(t, err)
	r.Desk = d
	d.takeUp(r.world)
	t.Cleanup(d.Close)
	const n = 50
	for i := range ledger.AccountNo(n) {
		r.payee(ledger.FirstAccount+i, 10_000_000, Payee{Lightning: testNode})
	}
	id := r.start().ID
	r.until("all payouts are made", func() bool { _, made := r.world.asked(); return made == n })
	if looks, _ := r.world.asked(); looks != 0 {
		t.Errorf("%d questions before it was time", looks)
	}
	ticks <- time.Time{}
	ticks <- time.Time{} // the look of the first is over
	if looks, _ := r.world.asked(); looks > 2*n {
		t.Errorf("%d questions in two looks at %d payouts", looks, n)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for run, err := r.Run(id); err == nil && run.State != Closed; run, err = r.Run(id) {
			select {
			case ticks <- time.Time{}:
			case <-time.After(time.Millisecond):
			}
		}
	}()
	if run := r.closed(id); run.Report.Paid.Count != n {
		t.Errorf("%+v", run.Report)
	}
	<-done
}

// TestCancelMany: a run is cancelled that has more items than are written at once.
func TestCancelMany(t *testing.T) {
	r := startRig(t)
	const n = 2*chunk + 50
	for i := range n {
		no := ledger.AccountNo(r.world.apply(t, ledger.Op{Kind: ledger.OpOpenAccount}))
		p := Payee{Lightning: testNode}
		if i%3 == 0 {
			p = Payee{Address: "test1" + no.String()}
		}
		r.payee(no, 100_000_000, p)
	}
	run, err := r.StartRun(t.Context(), "alice", true)
	must(t, err)
	if run.Items != n {
		t.Fatalf("%d items", run.Items)
	}
	_, err = r.Cancel(run.ID, "alice")
	must(t, err)
	if run = r.closed(run.ID); run.Report.Skipped.Count != n || run.Report.Reasons[Cancelled].Count != n || run.Report.Paid.Count != 0 {
		t.Errorf("%+v", run.Report)
	}
	if again := r.start(); again.Items != n {
		t.Errorf("%d of %d payees can be paid by the next run", again.Items, n)
	}
}
