package generator

import (
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/bench/workload"
)

// contribute runs a scenario by several generators at once, each with a plan of its own, and puts their shares together.
func contribute(t *testing.T, text string, bend func(*memory)) *Result {
	t.Helper()
	const parts = 3
	whole := workload.NewPlan(parse(t, text))
	m := newMemory(whole)
	m.pause = 50 * time.Microsecond
	if bend != nil {
		bend(m)
	}
	begin := time.Now().Add(20 * time.Millisecond)
	shares, errs := make([]*Share, parts), make([]error, parts)
	var wait sync.WaitGroup
	for i := range parts {
		g := New(Config{Plan: workload.NewPlan(parse(t, text)), Target: m, Part: i, Parts: parts, Begin: begin, Every: 50 * time.Millisecond})
		wait.Go(func() { shares[i], errs[i] = g.Contribute(t.Context()) })
	}
	wait.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
	}
	r, err := New(Config{Plan: whole, Target: m, Parts: parts}).Combine(t.Context(), begin, nil, shares)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestContribute(t *testing.T) {
	r := contribute(t, "workers = 7\n"+small[len("\nworkers = 3\n"):], nil)
	if !r.Verdict.Agree || r.Counts.Ops == 0 || r.Wait.N != r.Counts.Requests || r.Generator.CPU <= 0 || len(r.Intervals) < 3 {
		t.Errorf("%+v %+v, %d latencies, %d intervals", r.Verdict, r.Counts, r.Wait.N, len(r.Intervals))
	}
	var ops uint64
	for _, i := range r.Intervals {
		ops += i.Ops
	}
	if ops != r.Counts.Ops {
		t.Errorf("intervals have %d ops, the whole %d", ops, r.Counts.Ops)
	}
}

// TestContributeLies holds that what one part sees, and what only the books show, is found out.
func TestContributeLies(t *testing.T) {
	if r := contribute(t, small, func(m *memory) { m.forget = 40 }); r.Verdict.Agree || len(r.Verdict.Lies) == 0 {
		t.Errorf("%+v", r.Verdict)
	}
	if r := contribute(t, small, func(m *memory) { m.mute = 5 }); !r.Verdict.Agree || r.Counts.Errors == 0 {
		t.Errorf("answers that are lost: %+v %+v", r.Verdict, r.Counts)
	}
}

// TestCombineRefuses holds that shares that do not fit are refused.
func TestCombineRefuses(t *testing.T) {
	p := workload.NewPlan(parse(t, small))
	g := New(Config{Plan: p, Target: newMemory(p), Parts: 2})
	tally, err := p.Export(0, 1)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := encode(newWaits())
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*Share{
		"no histogram":       {Tally: tally},
		"another's tally":    {Waits: empty, Service: empty, Late: empty, Tally: tally},
		"garbage for tally":  {Waits: empty, Service: empty, Late: empty, Tally: []byte("tally")},
		"garbage histograms": {Waits: []byte("x"), Service: empty, Late: empty, Tally: tally},
	} {
		if r, err := g.Combine(t.Context(), time.Now(), nil, []*Share{s, s}); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
