package generator

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
)

func objective(t *testing.T, text string) []scenario.Threshold {
	t.Helper()
	var h scenario.Threshold
	if err := h.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return []scenario.Threshold{h}
}

// model is a target that answers in 5 ms up to a rate, and in half a second above it, and when it stutters.
type model struct {
	capacity float64
	stutters []int // the loads, from 1 on, in which it does
	asked    []float64
}

func (m *model) Load(_ context.Context, s *scenario.Scenario) (*Result, error) {
	rate, long := s.Arrival.Stages[0].Rate, s.Length().Seconds()
	m.asked = append(m.asked, rate)
	n := uint64(rate * long)
	r := &Result{Scenario: s, Seconds: long, Counts: Counts{Requests: n, Ops: n}, Wait: Quantiles{P90: 5, N: n}}
	if rate > m.capacity || slices.Contains(m.stutters, len(m.asked)) {
		r.Wait.P90 = 500
	}
	r.judge()
	return r, nil
}

func (m *model) Verify(_ context.Context, r *Result) { r.Verdict.Agree = true }

// TestSeek holds which rates are tried, and what is found: where a machine stutters once, where all rates hold and where none does.
func TestSeek(t *testing.T) {
	for name, c := range map[string]struct {
		m           model
		asked       []float64
		rate, above float64
	}{
		"found":         {model{capacity: 620}, []float64{100, 200, 400, 800, 800, 600, 700, 700}, 600, 700},
		"stutters":      {model{capacity: 620, stutters: []int{2}}, []float64{100, 200, 200, 400, 800, 800, 600, 700, 700}, 600, 700},
		"all hold":      {model{capacity: 1e9}, []float64{100, 200, 400, 800, 1000}, 1000, 0},
		"none holds":    {model{}, []float64{100, 100, 50, 50, 25, 25, 12.5, 12.5}, 0, 12.5},
		"below a start": {model{capacity: 60}, []float64{100, 100, 50, 75, 75, 62.5, 62.5, 56.25}, 56.25, 62.5},
	} {
		t.Run(name, func(t *testing.T) {
			s := Search{Objective: objective(t, "p90 < 100ms"), From: 100, Most: 1000, Step: time.Second, Precision: 0.15}
			k, err := Seek(t.Context(), &c.m, parse(t, small), s, time.Minute)
			if err != nil || !slices.Equal(c.m.asked, c.asked) || k.Rate != c.rate || k.Above != c.above || !k.Last.Verdict.Agree {
				t.Errorf("%v: tried %v, a knee of %g below %g", err, c.m.asked, k.Rate, k.Above)
			}
		})
	}
}

// TestKnee looks for the knee of a target whose every worker takes 5 ms for a request: three of them make 600 a second at most, and fewer on a busy machine.
func TestKnee(t *testing.T) {
	p := workload.NewPlan(parse(t, small))
	m := newMemory(p)
	m.pause = 5 * time.Millisecond
	g := New(Config{Plan: p, Target: m})
	k, err := g.Knee(t.Context(), Search{Objective: objective(t, "p90 < 100ms"), From: 50, Most: 100_000, Step: 300 * time.Millisecond, Precision: 0.25})
	if err != nil {
		t.Fatal(err)
	}
	if k.Rate > 650 || k.Above <= k.Rate || !k.Last.Verdict.Agree || len(k.Tried) < 2 {
		t.Errorf("a knee of %g below %g, verdict %+v, %d rates tried", k.Rate, k.Above, k.Last.Verdict, len(k.Tried))
	}
	for _, one := range k.Tried {
		if one.Holds != (len(one.Why) == 0) || one.Asked <= 0 {
			t.Errorf("%+v", one)
		}
	}
}

// TestKneeTries holds that a rate is tried twice before it does not hold, that the limit that is named is that of the rate that did not hold, and that a
// search that is stopped says so.
func TestKneeTries(t *testing.T) {
	p := workload.NewPlan(parse(t, small+"[arrival]\npatience = \"20ms\"\n"))
	m := newMemory(p)
	m.pause = 20 * time.Millisecond // three workers: 150 a second at most
	var tried []Tried
	s := Search{Objective: objective(t, "p90 < 100ms"), From: 1000, Most: 1000, Step: 200 * time.Millisecond, Precision: 0.9, Tried: func(one Tried) { tried = append(tried, one) }}
	k, err := New(Config{Plan: p, Target: m}).Knee(t.Context(), s)
	if err != nil || k.Above == 0 || len(tried) < 2 || tried[0].Again || !tried[1].Again || tried[0].Asked != tried[1].Asked {
		t.Fatalf("%+v, %v: %+v", k, err, tried)
	}
	if got, want := k.Limited, k.Tried[len(k.Tried)-1].Result.Saturated; k.Rate == 0 && !slices.Equal(got, want) {
		t.Errorf("limited by %q, want %q", got, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.Tried = nil
	s.Step = time.Hour
	m.came.Store(0)
	m.at, m.then = 5, cancel
	k, err = New(Config{Plan: p, Target: m}).Knee(ctx, s)
	if err != nil || !k.Stopped || k.Rate != 0 || k.Above != 0 || len(k.Tried) != 0 || !k.Last.Stopped {
		t.Errorf("stopped: %+v, %v", k, err)
	}
}

// TestNoKnee holds what is said where every rate holds, and where none does.
func TestNoKnee(t *testing.T) {
	p := workload.NewPlan(parse(t, small))
	k, err := New(Config{Plan: p, Target: newMemory(p)}).Knee(t.Context(), Search{Objective: objective(t, "p50 < 10s"), From: 250, Most: 1000, Step: 50 * time.Millisecond, Precision: 0.1})
	if err != nil || !k.Last.Verdict.Agree || k.Above == 0 && k.Rate != 1000 { // a busy machine may not keep up
		t.Errorf("all hold: %+v, %v", k, err)
	}
	p = workload.NewPlan(parse(t, small))
	k, err = New(Config{Plan: p, Target: newMemory(p)}).Knee(t.Context(), Search{Objective: objective(t, "p50 < 1us"), From: 400, Most: 500, Step: 50 * time.Millisecond, Precision: 0.9})
	if err != nil || k.Rate != 0 || k.Above == 0 || k.Last == nil || !k.Last.Verdict.Agree {
		t.Errorf("none holds: %+v, %v", k, err)
	}
	if _, err := New(Config{Plan: p, Target: newMemory(p)}).Knee(t.Context(), Search{}); err == nil {
		t.Error("a search for nothing is accepted")
	}
}
