package settle

import (
	"errors"
	"fmt"
	"testing"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

func TestRunPays(t *testing.T) {
	r := startRig(t)
	r.payee(20, 10_000_000, Payee{Lightning: "a@b.c"})
	r.payee(21, 100_000_000, Payee{Address: "test1a"})
	r.payee(22, 500, Payee{Internal: ledger.AccountNo(50).String()})
	r.payee(23, 10_000_000, Payee{Lightning: "bad@b.c"})
	r.payee(24, 10_000_000, Payee{Lightning: "later@b.c"})
	r.payee(25, 10, Payee{Lightning: "small@b.c", Threshold: 11})
	r.payee(26, 10_000_000, Payee{Lightning: "never@b.c"})
	r.payee(27, 10_000_000, Payee{Lightning: "odd@b.c"})
	r.world.say("bad@b.c", "error dust")
	r.world.say("later@b.c", "no_route", "error full", "timeout", "error: the server says 503")
	r.world.say("never@b.c", "no_route", "no_route", "no_route", "no_route", "no_route")
	r.world.say("odd@b.c", "the operator's rules do not allow it: above a cap")

	plan, _, err := r.Preview(t.Context())
	must(t, err)
	if plan.Total.Count != 7 || len(plan.Left) != 1 || plan.NotDue[NoDestination].Count != 0 {
		t.Fatalf("the preview: %+v", plan)
	}
	if due, _, err := r.Explain(t.Context(), 20); err != nil || due == nil || due.Amount == 0 {
		t.Errorf("why who is due is due: %+v, %v", due, err)
	}
	if _, left, err := r.Explain(t.Context(), 25); err != nil || left != (Left{25, BelowThreshold, 10}) {
		t.Errorf("why who is not due is not: %+v, %v", left, err)
	}
	if _, left, err := r.Explain(t.Context(), 28); err != nil || left.Reason != NoDestination {
		t.Errorf("why who said nothing is not: %+v, %v", left, err)
	}
	run := r.start()
	if c := r.Counts(); c.Payees != 8 || c.UnderWay > 7 {
		t.Errorf("counts: %+v", c)
	}
	if run.State != Running || run.Items != 7 || run.Planned != plan.Total.Amount || run.FeeLimit != plan.Fees {
		t.Fatalf("the run: %+v", run)
	}
	run = r.closed(run.ID)
	want := map[ledger.AccountNo]string{20: "paid 1", 21: "paid 1", 22: "paid 1", 23: "failed 1 dust", 24: "paid 4", 26: "failed 4 no_route", 27: "failed 1 not_allowed"}
	for _, i := range r.items(run.ID) {
		got := fmt.Sprintf("%s %d", i.Stage, i.Try)
		if i.Reason != "" {
			got += " " + string(i.Reason)
		}
		if got != want[i.Account] {
			t.Errorf("account %d: %s, want %s", i.Account, got, want[i.Account])
		}
		if i.Stage == Paid && (r.world.got(i.To.Text) != i.Amount || i.Ended == 0 || i.Proof == "") {
			t.Errorf("account %d got %d: %+v", i.Account, r.world.got(i.To.Text), i)
		}
		left := int64(i.Amount + i.FeeLimit)
		if i.Stage == Paid {
			left = int64(i.FeeLimit - i.Fee)
		}
		if at := r.world.at(i.Account); at < left || at > left+2000 {
			t.Errorf("account %d has %d left, want %d or little more", i.Account, at, left)
		}
	}
	rep := run.Report
	if rep.Paid.Count != 4 || rep.Failed.Count != 3 || rep.Skipped.Count != 0 || rep.Tries != 13 || rep.Fees != 3*testFee || rep.ByRail[channels.Chain].Count != 1 ||
		rep.Reasons["no_route"].Count != 1 || rep.Paid.Amount+rep.Failed.Amount != run.Planned {
		t.Errorf("the report: %+v", rep)
	}
	if p, s, err := r.Payee(26); err != nil || s.Failures != 1 || s.Paid || s.Run != run.ID || p.Lightning != "never@b.c" {
		t.Errorf("the payee's status: %+v, %v", s, err)
	}
	if list, err := r.ItemsOf(24, Numbered{}, 0); err != nil || len(list) != 1 || list[0].Stage != Paid {
		t.Errorf("what was paid to an account: %+v, %v", list, err)
	}
	if r.world.flushes == 0 {
		t.Error("nobody asked for a batch")
	}
}

func TestRunNeedsOperators(t *testing.T) {
	r := startRig(t)
	must(t, r.SetRules(Rules{TwoOperators: 1000}))
	r.payee(20, 1001, Payee{Internal: ledger.AccountNo(50).String()})
	run := r.start()
	if run.State != Created || run.Needs != 2 {
		t.Fatalf("%+v", run)
	}
	if _, err := r.StartRun(t.Context(), "bob", false); !errors.Is(err, ErrNothingDue) {
		t.Errorf("while its run waits, it is due again: %v", err)
	}
	_, err := r.Approve(run.ID, "")
	if !errors.Is(err, ErrOperator) {
		t.Errorf("nobody approves: %v", err)
	}
	if run, err = r.Approve(run.ID, "alice"); err != nil || run.State != Created {
		t.Errorf("one approves: %+v, %v", run, err)
	}
	if _, err = r.Approve(run.ID, "alice"); !errors.Is(err, ErrOperator) {
		t.Errorf("one approves twice: %v", err)
	}
	r.Close() // what one has said counts after a restart
	must(t, r.open())
	if got := r.world.got(ledger.AccountNo(50).String()); got != 0 {
		t.Errorf("%d was paid", got)
	}
	if run, err = r.Approve(run.ID, "bob"); err != nil || run.State != Running {
		t.Errorf("two approve: %+v, %v", run, err)
	}
	if run = r.closed(run.ID); run.Report.Paid.Count != 1 || len(run.Approvals) != 2 {
		t.Errorf("%+v", run)
	}
	for what, f := range map[string]func() (Run, error){
		"approve": func() (Run, error) { return r.Approve(run.ID, "carol") }, "pause": func() (Run, error) { return r.Pause(run.ID, "carol") },
		"resume": func() (Run, error) { return r.Resume(run.ID) }, "cancel": func() (Run, error) { return r.Cancel(run.ID, "carol") },
	} {
		if _, err := f(); !errors.Is(err, ErrState) {
			t.Errorf("%s a closed run: %v", what, err)
		}
	}
	if _, err := r.Approve(channels.ID{1}, "carol"); !errors.Is(err, ErrUnknownRun) {
		t.Errorf("approve no run: %v", err)
	}
}

func TestRunHeldPausedResumedCancelled(t *testing.T) {
	r := startRig(t)
	for no := ledger.AccountNo(20); no < 40; no++ {
		r.payee(no, 10_000_000, Payee{Lightning: fmt.Sprintf("u%d@b.c", no)})
		r.world.say(fmt.Sprintf("u%d@b.c", no), "no_route")
	}
	run, err := r.StartRun(t.Context(), "alice", true)
	must(t, err)
	if run.State != Created || run.Needs != 1 {
		t.Fatalf("%+v", run)
	}
	_, err = r.Approve(run.ID, "bob")
	must(t, err)
	r.until("all have failed once", func() bool {
		for _, i := range r.items(run.ID) {
			if i.Stage != Waiting || i.Try != 1 {
				return false
			}
		}
		return true
	})
	_, err = r.Pause(run.ID, "bob")
	must(t, err)
	r.world.clock.Add(3_600_000)
	for range 3 { // nothing happens, whatever time passes
		for _, i := range r.items(run.ID) {
			if i.Stage != Waiting {
				t.Fatalf("a paused run goes on: %+v", i)
			}
		}
		r.Close()
		must(t, r.open())
	}
	r.world.say("u39@b.c", "hang")
	_, err = r.Resume(run.ID)
	must(t, err)
	r.until("all others are paid", func() bool {
		n := 0
		for _, i := range r.items(run.ID) {
			if i.Stage == Paid {
				n++
			}
		}
		return n == 19
	})
	run, err = r.Cancel(run.ID, "carol")
	must(t, err)
	if run.State != Running || !run.Cancelled {
		t.Errorf("cancelled while one is on its way: %+v", run)
	}
	r.world.say("u39@b.c", "timeout")
	run = r.closed(run.ID)
	if run.Report.Paid.Count != 19 || run.Report.Reasons[Cancelled].Count != 1 {
		t.Errorf("%+v", run.Report)
	}

	r.world.credit(t, 20, 10_000_000)
	run, err = r.StartRun(t.Context(), "alice", true)
	must(t, err)
	_, err = r.Cancel(run.ID, "alice")
	must(t, err)
	if run = r.closed(run.ID); run.Report.Skipped.Count != int(run.Items) || run.Report.Tries != 0 {
		t.Errorf("%+v", run.Report)
	}
	if _, s, _ := r.Payee(20); s == nil || !s.Paid {
		t.Errorf("what was not tried counts as the payee's last payment: %+v", s)
	}
}

func TestRunSkipsWhoseSettingsChanged(t *testing.T) {
	r := startRig(t)
	r.payee(20, 10_000_000, Payee{Lightning: "old@b.c"})
	run, err := r.StartRun(t.Context(), "alice", true)
	must(t, err)
	_, err = r.SetPayee(20, Payee{Lightning: "new@b.c"})
	must(t, err)
	_, err = r.Approve(run.ID, "alice")
	must(t, err)
	run = r.closed(run.ID)
	if run.Report.Reasons[SettingsChanged].Count != 1 || r.world.got("old@b.c") != 0 {
		t.Errorf("%+v", run.Report)
	}
	r.closed(r.start().ID)
	if r.world.got("new@b.c") == 0 {
		t.Error("the next run does not pay")
	}
}

func TestRunGivesBackTheHubsPartOfTheFee(t *testing.T) {
	r := startRig(t)
	r.payee(20, 10_000_000, Payee{Lightning: "a@b.c"})
	_, err := r.SetFeeShare(20, 50)
	must(t, err)
	if p, err := r.SetPayee(20, Payee{Lightning: "a@b.c", HubFeePercent: 100}); err != nil || p.HubFeePercent != 50 {
		t.Fatalf("an account sets the hub's part: %+v, %v", p, err)
	}
	r.world.mu.Lock()
	r.world.deaf = true // each transfer is made, and nobody hears of it
	r.world.mu.Unlock()
	run := r.start()
	r.until("the fee is given back", func() bool {
		r.world.mu.Lock()
		defer r.world.mu.Unlock()
		for _, l := range r.world.lines[20] {
			if l.Kind == ledger.OpTransfer {
				return true
			}
		}
		return false
	})
	r.Close()
	r.world.clock.Add(3 * dayMillis) // the ledger does not know the id any more
	r.world.mu.Lock()
	r.world.deaf = false
	r.world.mu.Unlock()
	r.world.credit(t, 30, 1) // the ledger's time has moved on
	must(t, r.open())
	run = r.closed(run.ID)
	item := r.items(run.ID)[0]
	if item.Fee != testFee || item.Returned != testFee/2 || run.Report.Returned != testFee/2 {
		t.Errorf("%+v", item)
	}
	if got := r.world.at(ledger.Fees); got != 1_000_000-testFee/2 {
		t.Errorf("the hub has %d left", got)
	}
}

func TestRunWithoutIncomeForTheFee(t *testing.T) {
	r := startRig(t)
	r.payee(20, 10_000_000, Payee{Lightning: "a@b.c"})
	_, err := r.SetFeeShare(20, 100)
	must(t, err)
	r.world.apply(t, ledger.Op{Kind: ledger.OpTransfer, Actor: ledger.Fees, Target: 60, Amount: 1_000_000})
	run := r.closed(r.start().ID)
	if item := r.items(run.ID)[0]; item.Stage != Paid || item.Reason != ReturnRefused || item.Returned != 0 {
		t.Errorf("%+v", item)
	}
}

func TestBatchIsAskedForOnce(t *testing.T) {
	r := startRig(t)
	for no := ledger.AccountNo(20); no < 110; no++ {
		r.payee(no, 100_000_000, Payee{Address: fmt.Sprintf("test1x%d", no)})
	}
	run := r.closed(r.start().ID)
	if run.Report.Paid.Count != 90 || r.world.flushes != 1 {
		t.Errorf("%d paid, %d batches asked for", run.Report.Paid.Count, r.world.flushes)
	}
}

func TestLargePayoutWaitsForTwoOperators(t *testing.T) {
	r := startRig(t)
	must(t, r.SetRules(Rules{TwoOperators: 1000}))
	p := channels.Payout{Request: channels.Request{Key: channels.Key{Account: 20, ID: channels.ID{1}}, To: "x"}, Rail: channels.Lightning, Pays: 1001}
	inside := p
	inside.Rail = channels.Internal
	must(t, r.Gate().Check(inside))
	small := p
	small.Pays, small.ID = 1000, channels.ID{2}
	must(t, r.Gate().Check(small))
	if err := r.Gate().Check(p); !errors.Is(err, ErrApproval) || errors.Is(err, channels.ErrNotAllowed) {
		t.Fatalf("it does not wait: %v", err)
	}
	if list := r.Requests(); len(list) != 1 || list[0].Key != p.Key {
		t.Errorf("what waits: %+v", list)
	}
	_, err := r.ApprovePayout(p.Key, "alice")
	must(t, err)
	if _, err := r.ApprovePayout(p.Key, "alice"); !errors.Is(err, ErrOperator) {
		t.Errorf("twice: %v", err)
	}
	r.Close()
	must(t, r.open())
	if err := r.Gate().Check(p); !errors.Is(err, ErrApproval) {
		t.Errorf("one is enough: %v", err)
	}
	_, err = r.ApprovePayout(p.Key, "bob")
	must(t, err)
	must(t, r.Gate().Check(p))
	if list := r.Requests(); len(list) != 0 {
		t.Errorf("what still waits: %+v", list)
	}
	other := p
	other.Origin = origin(channels.ID{9}, 0, 1)
	other.ID = payoutID(channels.ID{9}, 0, 1)
	if err := r.Gate().Check(other); !errors.Is(err, ErrApproval) {
		t.Errorf("one that says it is of a run that there is not: %v", err)
	}
}

// TestOperatorsWordIsFinal: what an operator has ended is not tried again by the run, whatever he wrote beside it.
func TestOperatorsWordIsFinal(t *testing.T) {
	r := startRig(t)
	r.payee(20, 10_000_000, Payee{Lightning: "a@b.c"})
	r.world.say("a@b.c", "op-1: it never arrived", "pay")
	run := r.closed(r.start().ID)
	if item := r.items(run.ID)[0]; item.Stage != Failed || item.Try != 1 || item.Reason != "op-1: it never arrived" || r.world.got("a@b.c") != 0 {
		t.Errorf("%+v", item)
	}
}
