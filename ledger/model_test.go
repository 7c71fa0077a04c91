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
	if testing.Short() || raceEnabled {
		seeds = 15
	}
	seen := map[ledger.Result]int{}
	for seed := range seeds {
		runModel(t, seed, ops, 40, seen)
	}
	t.Log(seen)
	for _, r := range ledger.Results() {
		if seen[r] == 0 {
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
