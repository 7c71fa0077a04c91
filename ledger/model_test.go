package ledger_test

import (
	"testing"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
)

// TestModel runs what the generator makes through the ledger, cut into blocks, and compares every outcome with the model's
// and, at the end, everything that can be read.
func TestModel(t *testing.T) {
	seeds, ops := uint64(60), 1500
	if testing.Short() {
		seeds = 15
	}
	seen := map[ledger.Result]int{}
	for seed := range seeds {
		runModel(t, seed, ops, 40, seen)
	}
	t.Log(seen)
	for _, r := range ledger.Results() {
		if seen[r] == 0 && !testing.Short() {
			t.Errorf("the generator does not reach %v", r)
		}
	}
}

// TestCheckForetells: what Check says of an op is what Apply then makes of it, when no other comes between.
func TestCheckForetells(t *testing.T) {
	for seed := range uint64(12) {
		g := ledgertest.NewGenerator(1000 + seed)
		w := newWorkbench(t, g.Model.Params)
		for i := range 800 {
			step, want := g.Next()
			before := w.state.Digest()
			checked := w.state.Check(&step.Op, step.Detail, step.Time)
			if w.state.Digest() != before {
				t.Fatalf("seed %d, op %d: Check changed the state", seed, i)
			}
			applied := w.do(step.Time, step.Op, step.Detail)
			if checked.Result() == ledger.Undecided && want.Result == ledger.Done {
				continue
			}
			if checked != applied {
				t.Fatalf("seed %d, op %d %+v: Check %+v, Apply %+v", seed, i, step.Op, checked, applied)
			}
		}
	}
}

func FuzzGenerator(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed<<32, uint16(200), uint8(8))
	}
	f.Fuzz(func(t *testing.T, seed uint64, ops uint16, most uint8) {
		runModel(t, seed, int(ops%1000), 1+int(most), map[ledger.Result]int{})
	})
}

func runModel(t *testing.T, seed uint64, ops, most int, seen map[ledger.Result]int) {
	g := ledgertest.NewGenerator(seed)
	steps, want := g.Steps(ops)
	w := newWorkbench(t, g.Model.Params)
	i := 0
	for _, batch := range ledgertest.Cut(newRand(seed), steps, most) {
		for j, a := range w.block(batch) {
			if got := ledgertest.OutcomeOf(a); got != want[i] {
				t.Fatalf("seed %d, op %d %+v at %d: ledger %+v, model %+v", seed, i, batch[j].Op, batch[j].Time, got, want[i])
			}
			seen[want[i].Result]++
			i++
		}
		if err := w.state.Audit(); err != nil {
			t.Fatalf("seed %d, after op %d: %v", seed, i, err)
		}
	}
	if err := g.Model.Compare(w.state); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
}

// TestCheckAll: it is Check for many, also for more than are looked at together.
func TestCheckAll(t *testing.T) {
	g := ledgertest.NewGenerator(77)
	w := newWorkbench(t, g.Model.Params)
	steps, _ := g.Steps(900)
	for _, batch := range ledgertest.Cut(newRand(7), steps, 100) {
		w.block(batch)
	}
	var ops []ledger.Op
	for range 200 {
		step, _ := g.Next()
		ops = append(ops, step.Op)
	}
	now := w.state.Now() + 5
	for _, n := range []int{0, 1, 63, 64, 65, len(ops)} {
		out, want := make([]ledger.Applied, n), 0
		undecided := w.state.CheckAll(ops[:n], nil, now, out)
		for i := range out {
			a := w.state.Check(&ops[i], nil, now)
			if a.Result() == ledger.Undecided {
				want++
			}
			if a != out[i] {
				t.Errorf("op %d of %d %+v: Check %+v, CheckAll %+v", i, n, ops[i], a, out[i])
			}
		}
		if undecided != want {
			t.Errorf("%d of %d undecided, want %d", undecided, n, want)
		}
	}
}
