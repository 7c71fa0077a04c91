package settle

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
)

// TestRunWaitsForTheBooks: nothing of a run begins before the books agree, across restarts; it says why, and goes on by itself.
func TestRunWaitsForTheBooks(t *testing.T) {
	var agree atomic.Bool
	var asked atomic.Int32
	r := newRig(t)
	r.ready = func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("it may take for ever")
		}
		if asked.Add(1); agree.Load() {
			return nil
		}
		return errors.New("payouts are stopped, since the books do not agree")
	}
	must(t, r.open())
	r.payee(20, 10_000_000, Payee{Lightning: "a@b.c"})
	r.payee(21, 100_000_000, Payee{Address: "test1a"})
	run := r.start()
	waits := func() {
		t.Helper()
		r.until("the run says that it waits", func() bool {
			got, err := r.Run(run.ID)
			must(t, err)
			return got.State == Running && strings.Contains(got.Waits, "do not agree")
		})
	}
	waits()
	before := asked.Load()
	r.until("it asks again", func() bool { r.world.clock.Add(1000); return asked.Load() > before })
	r.Close()
	must(t, r.open())
	before = asked.Load()
	r.until("it asks again", func() bool { return asked.Load() > before })
	waits()
	for _, i := range r.items(run.ID) {
		if i.Stage != Waiting || i.Try != 0 {
			t.Errorf("it has begun: %+v", i)
		}
	}
	agree.Store(true)
	if got := r.closed(run.ID); got.Waits != "" || got.Report.Paid.Count != 2 {
		t.Errorf("%+v", got)
	}
	agree.Store(false)
	r.payee(22, 10_000_000, Payee{Lightning: "c@b.c"})
	run = r.start()
	waits()
	_, err := r.Cancel(run.ID, "bob")
	must(t, err)
	if got := r.closed(run.ID); got.Waits != "" || got.Report.Skipped.Count != int(got.Items) {
		t.Errorf("%+v", got)
	}
}
