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

// TestKnee looks for the knee of a target whose every worker takes 5 ms for a request: three of them make 600 a second at most.
func TestKnee(t *testing.T) {
	p := workload.NewPlan(parse(t, small))
	m := newMemory(p)
	m.pause = 5 * time.Millisecond
	g := New(Config{Plan: p, Target: m})
	k, err := g.Knee(t.Context(), Search{Objective: objective(t, "p90 < 100ms"), From: 50, Most: 100_000, Step: 300 * time.Millisecond, Precision: 0.25})
	if err != nil {
		t.Fatal(err)
	}
	if k.Rate < 50 || k.Rate > 650 || k.Above <= k.Rate || !k.Last.Verdict.Agree || len(k.Tried) < 4 {
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
	time.AfterFunc(300*time.Millisecond, cancel)
	k, err = New(Config{Plan: p, Target: m}).Knee(ctx, s)
	if err != nil || !k.Stopped || k.Rate != 0 || k.Above != 0 || len(k.Tried) != 0 || !k.Last.Stopped {
		t.Errorf("stopped: %+v, %v", k, err)
	}
}

// TestNoKnee holds what is said where every rate holds, and where none does.
func TestNoKnee(t *testing.T) {
	p := workload.NewPlan(parse(t, small))
	k, err := New(Config{Plan: p, Target: newMemory(p)}).Knee(t.Context(), Search{Objective: objective(t, "p50 < 10s"), From: 250, Most: 1000, Step: 50 * time.Millisecond, Precision: 0.1})
	if err != nil || k.Rate != 1000 || k.Above != 0 || !k.Last.Verdict.Agree {
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
