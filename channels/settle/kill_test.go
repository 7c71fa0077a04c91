package settle_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/settle"
	"github.com/millrace/millrace/deploy/regtest/networktest"
	"github.com/millrace/millrace/ledger"
)

// placeVariable tells a process of TestRegtestSettleKilled which hub is its own.
const placeVariable = "MILLRACE_TEST_SETTLE"

// TestSettleInAnotherProcess is that process: it starts a run, if there is none, and ends when that is closed, if nobody kills it before.
func TestSettleInAnotherProcess(t *testing.T) {
	text := os.Getenv(placeVariable)
	if text == "" {
		t.Skip("it is TestRegtestSettleKilled that starts it")
	}
	r := &real{t: t, ctx: t.Context()}
	r.must(json.Unmarshal([]byte(text), &r.place))
	r.open()
	defer r.close()
	runs, err := r.Runs(channels.ID{}, 0)
	r.must(err)
	if len(runs) == 0 {
		run, err := r.StartRun(r.ctx, "alice", false)
		r.must(err)
		runs = append(runs, run)
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		r.ahead.Add(int64(time.Second)) // so that nobody waits long for another try
		if run, err := r.Run(runs[0].ID); err != nil || run.State == settle.Closed {
			r.must(err)
			return
		}
	}
	t.Error("the run is not closed")
}

// TestRegtestSettleKilled kills the hub, again and again, while it settles over both rails. In the end everybody was paid once.
func TestRegtestSettleKilled(t *testing.T) {
	r := newReal(t, networktest.Start(t))
	const n = 60
	wallet := r.wallet()
	payees := r.accounts(n)
	r.depositCoin(payees[0], 5_000_000)
	for _, no := range payees[1:] {
		r.must(r.transfer(payees[0], no, 50_000_000))
	}
	held := r.has(payees[0])
	for i, no := range payees {
		p := settle.Payee{Lightning: r.net.Publisher.Key(), Reserve: ledger.Msat(i)}
		if i%2 == 0 {
			p = settle.Payee{Address: creator(t, i), Reserve: ledger.Msat(i)}
		}
		_, err := r.SetPayee(no, p)
		r.must(err)
	}
	channel := func() int64 {
		a, err := r.lightning.Assets(r.ctx)
		r.must(err)
		return int64(a.Local + a.Pending)
	}
	side := channel()
	text, err := json.Marshal(&r.place)
	r.must(err)
	r.close()

	mining, stop := context.WithCancel(r.ctx)
	mined := make(chan error, 1)
	go func() {
		for mining.Err() == nil {
			if _, err := r.net.Chain.Mine(r.ctx, 1); err != nil {
				mined <- err
				return
			}
			select {
			case <-mining.Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
		mined <- nil
	}()
	kills := 0
	for {
		cmd := exec.CommandContext(r.ctx, os.Args[0], "-test.run=^TestSettleInAnotherProcess$")
		cmd.Env = append(os.Environ(), placeVariable+"="+string(text))
		r.must(cmd.Start())
		// The first ones live for a moment only, later ones longer; nobody knows what they are doing when they are killed.
		kill := time.AfterFunc(time.Duration(rand.IntN(100)+60*kills)*time.Millisecond+150*time.Millisecond, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		if kill.Stop(); err == nil {
			break
		}
		if kills++; kills > 100 {
			t.Fatal("it never comes to its end")
		}
	}
	t.Logf("killed %d times", kills)
	stop()
	r.must(<-mined)
	r.open()
	runs, err := r.Runs(channels.ID{}, 0)
	r.must(err)
	if len(runs) != 1 || runs[0].State != settle.Closed || runs[0].Report.Paid.Count != n {
		t.Fatalf("%+v", runs)
	}
	items, err := r.Items(runs[0].ID, 0, 0)
	r.must(err)
	var over ledger.Msat
	for i, item := range items {
		had := ledger.Msat(50_000_000)
		if item.Account == payees[0] {
			had = held
		}
		if item.Rail == channels.Lightning {
			over += item.Amount + item.Fee
		}
		if got := r.has(item.Account); item.Stage != settle.Paid || got != had-item.Amount-item.Fee {
			t.Errorf("payee %d has %d left: %+v", i, got, item)
		}
	}
	if got := r.outside(ledger.Lightning); got != -int64(over) {
		t.Errorf("the ledger says that %d msat left over Lightning, want %d", -got, over)
	}
	r.eventually("the node has what the ledger says", func() bool {
		return channel()-side == r.outside(ledger.Lightning) && int64(r.wallet()-wallet)*1000 == r.outside(ledger.Chain)
	})
	if kills < 3 {
		t.Error(fmt.Sprint("it was killed only ", kills, " times"))
	}
}
