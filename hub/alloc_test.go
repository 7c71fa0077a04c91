package hub_test

import (
	"testing"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
)

// TestSubmitAllocations counts every allocation of the process while a prepared batch goes all the way to the disk and back:
// none for an op, and for a block only the few that pebble makes for a batch and a sync, and the index for its leaf and hashes
// in the transparency log.
func TestSubmitAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newRig(t, setup{})
	a, b := r.account(1e12), r.account(0)
	chans := r.channels(a, b, hub.MaxBatchOps, 1e6)
	full, single := &hub.Batch{}, &hub.Batch{}
	for _, c := range chans {
		full.Ops = append(full.Ops, ledger.Op{Kind: ledger.OpAdvance, Actor: a, Target: uint32(c)})
	}
	single.Ops = append(single.Ops, full.Ops[0])
	total := ledger.Msat(0)
	advance := func(batch *hub.Batch) func() {
		return func() {
			total++
			for i := range batch.Ops {
				batch.Ops[i].Amount = total
			}
			if err := r.Submit(batch); err != nil {
				t.Fatal(err)
			}
			if got := batch.Out[len(batch.Out)-1].Result(); got != ledger.Done {
				t.Fatal(got)
			}
		}
	}
	for range 20 { // until buffers have their size
		advance(full)()
		advance(single)()
	}
	for _, c := range []struct {
		name  string
		batch *hub.Batch
		most  float64
	}{{"8,192 advances", full, 16}, {"one advance", single, 16}} {
		n := testing.AllocsPerRun(50, advance(c.batch))
		t.Logf("%s: %v allocations for a batch", c.name, n)
		if n > c.most {
			t.Errorf("%s: %v allocations for a batch, at most %v", c.name, n, c.most)
		}
	}
	refused := &hub.Batch{Ops: []ledger.Op{{Kind: ledger.OpAdvance, Actor: b, Target: uint32(chans[0]), Amount: 1}}}
	if n := testing.AllocsPerRun(200, func() {
		if err := r.Submit(refused); err != nil || refused.Out[0].Result() != ledger.NotPermitted {
			t.Fatal(refused.Out, err)
		}
	}); n > 0 {
		t.Errorf("a refusal: %v allocations", n)
	}
	r.stop()
}
