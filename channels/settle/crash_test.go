package settle

import (
	"errors"
	"fmt"
	"testing"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// crashRig is a desk of which the process ends with a certain write. What happens to its payees is always the same.
func crashRig(t *testing.T) *rig {
	r := newRig(t)
	must(t, r.open())
	for i := range ledger.AccountNo(6) {
		p := Payee{Lightning: fmt.Sprintf("u%d@b.c", i)}
		if i%3 == 2 {
			p = Payee{Address: fmt.Sprintf("test1u%d", i)}
		}
		r.payee(20+i, 100_000_000, p)
	}
	_, err := r.SetFeeShare(21, 100)
	must(t, err)
	r.world.say("u3@b.c", "no_route", "timeout")
	r.world.say("u4@b.c", "no_route", "no_route", "no_route", "no_route")
	return r
}

// TestRunCrash ends the process at every write of a run, before it and after it, and looks at what the next process makes of it: everybody
// is paid once, or not at all and has the money back, and the fee is given back once.
func TestRunCrash(t *testing.T) {
	whole := crashRig(t)
	before := whole.disk.wrote
	whole.closed(whole.start().ID)
	whole.Close()
	writes := whole.disk.wrote - before
	if writes < 8 {
		t.Fatalf("a run is %d writes", writes)
	}
	for at := 1; at <= writes; at++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %v", at, after), func(t *testing.T) {
				r := crashRig(t)
				r.disk.mu.Lock()
				r.disk.crash, r.disk.after = r.disk.wrote+at, after
				r.disk.mu.Unlock()
				_, err := r.StartRun(t.Context(), "alice", false)
				r.until("the process ends, or the run", func() bool {
					r.world.clock.Add(10_000)
					runs, err := r.Runs(channels.ID{}, 0)
					return r.disk.crashed() || err == nil && len(runs) == 1 && runs[0].State == Closed
				})
				r.Close()
				r.disk.restart()
				must(t, r.open())
				runs, err2 := r.Runs(channels.ID{}, 0)
				must(t, err2)
				if len(runs) == 0 {
					if err == nil {
						t.Fatal("a run that was acknowledged is gone")
					}
					if n := r.count(itemKey) + r.count(ofKey) + r.count(makingKey); n != 0 {
						t.Errorf("of a run that never was %d rows are left", n)
					}
					runs = []Run{r.start()}
				}
				checkCrashed(t, r, r.closed(runs[0].ID))
			})
		}
	}
}

func checkCrashed(t *testing.T, r *rig, run Run) {
	t.Helper()
	for _, i := range r.items(run.ID) {
		got, at := r.world.got(i.To.Text), r.world.at(i.Account)
		switch {
		case i.Account == 24 && (i.Stage != Failed || got != 0 || at != 100_000_000 || i.Try != 4):
			t.Errorf("who cannot be paid: %d arrived, %d at hand: %+v", got, at, i)
		case i.Account != 24 && (i.Stage != Paid || got != i.Amount || at != int64(100_000_000-i.Amount-i.Fee+i.Returned)):
			t.Errorf("%d arrived, %d at hand: %+v", got, at, i)
		}
	}
	if got := r.world.at(ledger.Fees); got != 1_000_000-testFee {
		t.Errorf("the hub has %d left", got)
	}
	if run.Report.Paid.Count != 5 || run.Report.Failed.Count != 1 || run.Report.Tries != 5+2+4 || run.Report.Returned != testFee {
		t.Errorf("the report: %+v", run.Report)
	}
	if n := r.count(openKey); n != 0 {
		t.Errorf("%d runs are open", n)
	}
	for no := ledger.AccountNo(20); no < 26; no++ { // nobody is left marked as under way
		r.world.credit(t, no, 100_000_000)
	}
	if next := r.closed(r.start().ID); next.Items != 6 || next.Report.Paid.Count != 6 {
		t.Errorf("the next run: %+v", next.Report)
	}
}

// count counts rows.
func (r *rig) count(prefix string) (n int) {
	r.t.Helper()
	must(r.t, r.disk.Scan([]byte(prefix), nil, func(_, _ []byte) bool { n++; return true }))
	return n
}

func TestDamagedRecords(t *testing.T) {
	for what, row := range map[string]channels.Row{
		"payee": {Key: accountKey(payeeKey, 20), Value: []byte(`{"version":1,"surprise":true}`)},
		"rules": {Key: []byte(rulesKey), Value: []byte(`[]`)},
		"tick":  {Key: []byte(tickKey), Value: []byte(`1`)},
		"run":   {Key: idKey(openKey, channels.ID{1}), Value: []byte{}},
	} {
		r := newRig(t)
		must(t, r.disk.Write(row))
		if err := r.open(); err == nil {
			t.Errorf("%s: opened", what)
		}
	}
}

// TestRunsOfSchedules lets minutes pass, with the hub down in between.
func TestRunsOfSchedules(t *testing.T) {
	r := startRig(t)
	minute := uint32(r.world.clock.Load()/60_000)/day*day + day + 6*60 // 06:00 of tomorrow
	to := func(n int) string { return ledger.AccountNo(n).String() }
	at := func(m uint32) error {
		t.Helper()
		if now := uint64(m) * 60_000; now > r.world.clock.Load() {
			r.world.clock.Store(now)
		}
		return r.onMinute(m)
	}
	must(t, at(minute))
	r.payee(20, 100, Payee{Internal: to(50), Schedule: Schedule{Daily: "06:30"}})
	r.payee(21, 100, Payee{Internal: to(51), Schedule: Schedule{EveryMinutes: 10}})
	r.payee(22, 100, Payee{Internal: to(52), Schedule: Schedule{Balance: 150}})
	closedRuns := func() int {
		t.Helper()
		runs, err := r.Runs(channels.ID{}, 0)
		must(t, err)
		for _, run := range runs {
			if run.Cause != BySchedule || run.By != "" {
				t.Errorf("%+v", run)
			}
			r.closed(run.ID)
		}
		return len(runs)
	}
	must(t, at(minute+9))
	if n := closedRuns(); n != 0 {
		t.Fatalf("%d runs before anybody's time", n)
	}
	must(t, at(minute+10))
	if closedRuns() != 1 || r.world.got(to(51)) != 100 || r.world.got(to(50)) != 0 {
		t.Fatal("every ten minutes")
	}
	must(t, at(minute+10)) // the same minute again
	r.world.credit(t, 22, 50)
	must(t, at(minute+11))
	if closedRuns() != 2 || r.world.got(to(52)) != 150 {
		t.Fatal("at a balance")
	}
	r.world.credit(t, 21, 7)
	r.Close()
	must(t, r.open())
	r.world.mu.Lock()
	r.world.down = true // the hub is back after two days, and then its node is
	r.world.mu.Unlock()
	if err := at(minute + 2*day + 45); !errors.Is(err, channels.ErrDown) {
		t.Fatalf("without a node: %v", err)
	}
	r.world.mu.Lock()
	r.world.down = false
	r.world.mu.Unlock()
	must(t, at(minute+2*day+46))
	must(t, at(minute+2*day+47))
	if closedRuns() != 3 || r.world.got(to(50)) != 100 || r.world.got(to(51)) != 107 {
		t.Fatal("what was missed is run once")
	}
}

// TestTickCrash: the minute and its run are written together.
func TestTickCrash(t *testing.T) {
	for at := 1; at <= 4; at++ {
		for _, after := range []bool{false, true} {
			r := startRig(t)
			minute := uint32(r.world.clock.Load() / 60_000)
			must(t, r.onMinute(minute))
			r.payee(20, 100, Payee{Internal: ledger.AccountNo(50).String(), Schedule: Schedule{EveryMinutes: 1}})
			r.disk.mu.Lock()
			r.disk.crash, r.disk.after = r.disk.wrote+at, after
			r.disk.mu.Unlock()
			r.world.clock.Add(120_000)
			_ = r.onMinute(minute + 1)
			r.until("the process ends", r.disk.crashed)
			r.Close()
			r.disk.restart()
			must(t, r.open())
			must(t, r.onMinute(minute+1)) // as a process does that starts within that minute
			runs, err := r.Runs(channels.ID{}, 0)
			must(t, err)
			if len(runs) != 1 {
				t.Fatalf("crash at write %d, after it %v: %d runs", at, after, len(runs))
			}
			r.closed(runs[0].ID)
		}
	}
}

func TestOldRunsAreForgotten(t *testing.T) {
	r := startRig(t)
	r.payee(20, 100, Payee{Internal: ledger.AccountNo(50).String()})
	old := r.closed(r.start().ID)
	r.world.clock.Add(300 * dayMillis)
	r.world.credit(t, 20, 100)
	kept := r.closed(r.start().ID)
	must(t, r.forget())
	if runs, err := r.Runs(channels.ID{}, 0); err != nil || len(runs) != 2 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	r.world.clock.Add(150 * dayMillis)
	must(t, r.forget())
	if runs, err := r.Runs(channels.ID{}, 0); err != nil || len(runs) != 1 || runs[0].ID != kept.ID {
		t.Errorf("%+v, %v", runs, err)
	}
	if _, err := r.Items(old.ID, 0, 0); !errors.Is(err, ErrUnknownRun) || r.count(itemKey) != 1 || r.count(ofKey) != 1 {
		t.Errorf("its items: %v", err)
	}
}
