package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"testing"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
)

// TestCuts is the metamorphic test: the same ops in the same order at the same times, cut into other blocks and with
// restarts from snapshots and ids and entitlements forgotten anywhere between, give the same outcomes, head, digest and snapshot, byte for byte.
func TestCuts(t *testing.T) {
	seeds := uint64(30)
	if testing.Short() || raceEnabled {
		seeds = 6
	}
	for seed := range seeds {
		g := ledgertest.NewGenerator(2000 + seed)
		steps, want := g.Steps(1200)
		first := runCut(t, g.Model.Params, steps, want, seed, 1, 0)
		for i, most := range []int{7, 60, 1000} {
			s := runCut(t, g.Model.Params, steps, want, seed+uint64(i), most, 1+i)
			if s.Head() != first.Head() || s.Digest() != first.Digest() || s.Seq() != first.Seq() {
				t.Fatalf("seed %d: blocks of up to %d ops come to another state", seed, most)
			}
			if !bytes.Equal(body(snapshot(t, s.View())), body(snapshot(t, first.View()))) {
				t.Fatalf("seed %d: blocks of up to %d ops give another snapshot", seed, most)
			}
		}
	}
}

// runCut applies steps in blocks of up to most ops, restarting about that many times, each time with another seed.
func runCut(t *testing.T, p ledger.Params, steps []ledgertest.Step, want []ledgertest.Outcome, seed uint64, most, restarts int) *ledger.State {
	rng := newRand(seed)
	w := newWorkbench(t, p)
	w.state.ShrinkShelves(1 + uint32(seed%5))
	batches := ledgertest.Cut(rng, steps, most)
	i := 0
	for _, batch := range batches {
		for _, a := range w.block(batch) {
			if got := ledgertest.OutcomeOf(a); got != want[i] {
				t.Fatalf("seed %d, blocks of up to %d, op %d: ledger %+v, model %+v", seed, most, i, got, want[i])
			}
			i++
		}
		if restarts > 0 && rng.IntN(3) == 0 {
			w.state.Forget(w.state.Seq() - rng.Uint64N(w.state.Seq()+1))
		}
		if rng.IntN(len(batches)) < restarts {
			restart(t, w, ledger.Seed{rng.Uint64(), rng.Uint64()})
		}
	}
	return w.state
}

// restart puts the ledger through a snapshot. The proposer goes on: blocks in flight name heads from before.
func restart(t testing.TB, w *workbench, seed ledger.Seed) {
	t.Helper()
	old := w.state
	written := snapshot(t, old.View())
	s, err := ledger.Restore(bytes.NewReader(written), seed)
	if err != nil {
		t.Fatal(err)
	}
	if s.Index() != old.Index() || s.Head() != old.Head() || s.Now() != old.Now() || s.Params() != old.Params() || s.Counts() != old.Counts() {
		t.Fatal("a restored ledger is not as it was")
	}
	if !bytes.Equal(snapshot(t, s.View()), written) {
		t.Fatal("a restored ledger writes another snapshot")
	}
	s.Attach(w.archive)
	w.state = s
}

// TestHead computes the head from its description: the applied ops, and each new time before them. So refused ops, repeats and
// cuts leave no trace in it, and anybody who has the entries can check it.
func TestHead(t *testing.T) {
	for seed := range uint64(10) {
		g := ledgertest.NewGenerator(3000 + seed)
		steps, outcomes := g.Steps(600)
		p, le := g.Model.Params, binary.LittleEndian
		entries := []byte("millrace ledger 2\n")
		entries = le.AppendUint32(entries, p.FeePPM)
		entries = le.AppendUint64(le.AppendUint64(entries, p.IDWindow), p.IDAhead)
		var now, last uint64
		for i, s := range steps {
			now = max(now, s.Time)
			if outcomes[i].Result != ledger.Done {
				continue
			}
			if now != last {
				entries = le.AppendUint64(append(entries, 0), now)
				last = now
			}
			entries = ledger.AppendOp(entries, &s.Op, s.Detail)
		}
		if s := runCut(t, p, steps, outcomes, seed, 50, 2); s.Head() != sha256.Sum256(entries) {
			t.Errorf("seed %d: the head is not the hash of the entries", seed)
		}
	}
}

// TestView: a view that is written out when the ledger has long moved on is what it was when it was taken; and what is
// written beside Apply races with nothing.
func TestView(t *testing.T) {
	g := ledgertest.NewGenerator(11)
	steps, _ := g.Steps(6000)
	w := newWorkbench(t, g.Model.Params)
	type taken struct {
		view *ledger.View
		want []byte
	}
	var views []taken
	var writers sync.WaitGroup
	for i, batch := range ledgertest.Cut(newRand(11), steps, 100) {
		w.block(batch)
		if i%40 != 0 {
			continue
		}
		views = append(views, taken{w.state.View(), snapshot(t, w.state.View())})
		beside := views[len(views)-1]
		writers.Go(func() {
			var b bytes.Buffer
			if _, err := beside.view.WriteTo(&b); err != nil || !bytes.Equal(b.Bytes(), beside.want) {
				t.Errorf("a view written beside Apply is not what it was when taken (%v)", err)
			}
		})
	}
	writers.Wait()
	if len(views) < 5 {
		t.Fatalf("only %d views", len(views))
	}
	for i, v := range views {
		if !bytes.Equal(snapshot(t, v.view), v.want) {
			t.Errorf("view %d changed after it was taken", i)
		}
	}
}

// TestViewPages is TestView over tables of several pages: a write after the view copies its page and no other's rows.
func TestViewPages(t *testing.T) {
	w := newWorkbench(t, ledger.DefaultParams())
	const accounts = 10_000
	var steps []ledgertest.Step
	for range accounts {
		steps = append(steps, ledgertest.Step{Time: testTime, Op: ledger.Op{Kind: ledger.OpOpenAccount, ID: w.newID(testTime)}})
	}
	w.block(steps)
	w.must(ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Dev, Target: uint32(ledger.FirstAccount), Amount: 1 << 30}, nil)
	view, want := w.state.View(), snapshot(t, w.state.View())
	steps = steps[:0]
	for i := range uint32(accounts - 1) {
		op := ledger.Op{Kind: ledger.OpTransfer, Actor: ledger.FirstAccount, Target: uint32(ledger.FirstAccount) + 1 + i, Amount: 1, ID: w.newID(testTime)}
		steps = append(steps, ledgertest.Step{Time: testTime, Op: op})
	}
	w.block(steps)
	if !bytes.Equal(snapshot(t, view), want) {
		t.Error("writes reached a view")
	}
	for i := range accounts - 1 {
		if a, _ := w.state.Account(ledger.FirstAccount + 1 + ledger.AccountNo(i)); a.Available != 1 {
			t.Fatalf("account %d has %d msat after a view, want 1", i, a.Available)
		}
	}
	restart(t, w, ledger.Seed{1, 2})
}
