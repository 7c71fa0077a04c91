package generator

import (
	"errors"
	"strings"
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
	j := &Joint{Scenario: whole.Scenario, Begin: begin, Late: time.Minute, Names: []string{"a", "b", "c"}, Shares: make([]*Share, parts)}
	all, errs := make([]*Testimony, parts), make([]error, parts)
	var wait sync.WaitGroup
	for i := range parts {
		g := New(Config{Plan: workload.NewPlan(parse(t, text)), Target: m, Part: i, Parts: parts, Every: 50 * time.Millisecond})
		wait.Go(func() {
			p, err := g.Prepare(whole.Scenario)
			if err == nil {
				j.Shares[i], err = p.Contribute(t.Context(), begin)
			}
			if err == nil {
				all[i], err = g.Testify(t.Context())
			}
			errs[i] = err
		})
	}
	wait.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
	}
	g := New(Config{Plan: whole, Target: m, Parts: parts, Every: 50 * time.Millisecond})
	r, err := g.Combine(j)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Conclude(t.Context(), r, all); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestContribute(t *testing.T) {
	r := contribute(t, "workers = 7\n"+small[len("\nworkers = 3\n"):], nil)
	if !r.Verdict.Agree || r.Counts.Ops == 0 || r.Wait.N != r.Counts.Requests || r.Generator.CPU <= 0 || len(r.Intervals) < 2 {
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
	if r := contribute(t, many, func(m *memory) { m.forget = 10 }); r.Verdict.Agree || len(r.Verdict.Lies) == 0 {
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
	empty, err := encode(newWaits())
	if err != nil {
		t.Fatal(err)
	}
	begin, long := time.Now(), p.Scenario.Length()
	at := func(late time.Duration, long time.Duration) *Share {
		return &Share{Began: begin.Add(late).UnixNano(), Seconds: long.Seconds(), Waits: empty, Service: empty, Late: empty, Queued: empty}
	}
	good := at(0, long)
	stopped := at(-time.Hour, 0)
	stopped.Stopped = true
	for name, c := range map[string]struct {
		share *Share
		want  string
	}{
		"good":               {at(40*time.Millisecond, long), ""},
		"stopped":            {stopped, ""},
		"lost":               {nil, ""},
		"late":               {at(80*time.Millisecond, long), "agent b began 80ms late; 50ms are allowed"},
		"early":              {at(-80*time.Millisecond, long), "overlap"},
		"over early":         {at(0, long-60*time.Millisecond), "overlap"},
		"no histogram":       {&Share{Began: good.Began, Seconds: good.Seconds}, "agent b: reading a histogram"},
		"garbage histograms": {&Share{Began: good.Began, Seconds: good.Seconds, Waits: []byte("x"), Service: empty, Late: empty, Queued: empty}, "agent b: reading a histogram"},
		"half the intervals": {&Share{Began: good.Began, Seconds: good.Seconds, Waits: empty, Service: empty, Late: empty, Queued: empty, Between: [][]byte{empty}}, "1 histograms"},
	} {
		j := &Joint{Scenario: p.Scenario, Begin: begin, Names: []string{"a", "b"}, Shares: []*Share{good, c.share}, Lost: []error{nil, errors.New("gone")}}
		r, err := g.Combine(j)
		if c.want == "" {
			if err != nil || len(r.Agents) != 2 || (c.share == nil) != strings.Contains(r.Failed, "not in the figures: gone") {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// TestConcludeRefuses holds that tallies that do not fit are refused, and that without one nobody knows whether the books agree.
func TestConcludeRefuses(t *testing.T) {
	p := workload.NewPlan(parse(t, small))
	g := New(Config{Plan: p, Target: newMemory(p), Parts: 2})
	another, err := p.Export(0, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, tally := range [][]byte{nil, another, []byte("tally")} {
		r := &Result{Refusals: make(map[string]uint64)}
		if err := g.Conclude(t.Context(), r, []*Testimony{{Tally: tally}, {Tally: tally}}); err == nil || r.Verdict.Agree {
			t.Errorf("%q: %+v", tally, r.Verdict)
		}
	}
	fits, err := p.Export(0, 2)
	if err != nil {
		t.Fatal(err)
	}
	r := &Result{Refusals: make(map[string]uint64)}
	if err := g.Conclude(t.Context(), r, []*Testimony{{Tally: fits}, nil}); err != nil || r.Verdict.Agree || !strings.Contains(r.Verdict.Unverified, "1 of 2 agents") {
		t.Errorf("%+v, %v", r.Verdict, err)
	}
}
