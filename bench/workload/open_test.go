package workload

import (
	"testing"

	"github.com/millrace/millrace/bench/scenario"
)

// TestLostBounded holds that what is kept of requests without an outcome is bounded by their ops, over all workers, and that works that they asked for are known.
func TestLostBounded(t *testing.T) {
	s, err := scenario.Parse([]byte("workers = 2\n[population]\npayers = 4\nworks = 9\n[mix]\nunlock = 1\n[request]\nops = 8192\n"), "test")
	if err != nil {
		t.Fatal(err)
	}
	p := NewPlan(s)
	a, b := p.Source(0), p.Source(1)
	r, err := a.Next(0)
	if err != nil {
		t.Fatal(err)
	}
	if a.askedFor(r.Payer, r.Ops[0].Object) {
		t.Error("asked for before it was")
	}
	if !a.Lost(r) || !a.askedFor(r.Payer, r.Ops[0].Object) || a.askedFor(r.Payer+2, r.Ops[0].Object) {
		t.Error("what a lost request has asked for")
	}
	p.open.Store(maxOpenOps - 8192)
	q, err := b.Next(0)
	if err != nil {
		t.Fatal(err)
	}
	if b.Lost(q) || p.open.Load() != maxOpenOps {
		t.Errorf("%d ops are open, and there is room for more", p.open.Load())
	}
}
