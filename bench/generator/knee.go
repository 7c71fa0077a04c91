package generator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/bench/scenario"
)

// Search is how the knee is looked for: the highest rate of an open loop at which an objective holds.
type Search struct {
	Objective []scenario.Threshold // at least one; "p99 < 10ms" say
	From      float64              // requests a second to begin with, above 0
	Most      float64              // beyond which nobody looks
	Step      time.Duration        // how long each rate is held, after a quarter as much to warm up
	Precision float64              // the part of the rate to which it is looked for; 0.05, say
	Tried     func(Tried)          // is told of each rate. May be nil
}

// Tried is one rate of a search.
type Tried struct {
	Asked  float64   `json:"asked_per_second"` // requests
	Again  bool      `json:"again,omitempty"`  // the second try of a rate
	Got    float64   `json:"got_per_second"`
	Wait   Quantiles `json:"latency_ms"`
	Holds  bool      `json:"holds"`
	Why    []string  `json:"why,omitempty"` // why not
	Result *Result   `json:"-"`
}

// Knee is what a search has found.
type Knee struct {
	Rate    float64  `json:"requests_per_second"` // the highest that held; 0: none did
	Above   float64  `json:"above"`               // the lowest that did not; 0: all did
	Limited []string `json:"limited,omitempty"`   // why that may have been the generator, and not the target
	Stopped bool     `json:"stopped,omitempty"`   // before it was found
	Tried   []Tried  `json:"tried"`               // those that did not hold at the first try twice
	Last    *Result  `json:"last"`                // of the highest that held, or of the last that was tried, with the verdict
}

// minRequests are what a rate is judged by at least.
const minRequests = 10

// Validate names what is wrong.
func (s *Search) Validate() error {
	switch {
	case len(s.Objective) == 0:
		return errors.New("knee: no objective, such as \"p99 < 10ms\"")
	case !(s.From > 0) || !(s.Most >= s.From):
		return fmt.Errorf("knee: rates from %g to %g", s.From, s.Most)
	case s.From*s.Step.Seconds() < minRequests:
		return fmt.Errorf("knee: %g requests a second for %v are less than %d requests", s.From, s.Step, minRequests)
	case !(s.Precision > 0 && s.Precision < 1):
		return fmt.Errorf("knee: to a part of %g of the rate", s.Precision)
	}
	return nil
}

// maxTries bounds a search: doublings from a request a second to ten million, and halvings to a thousandth.
const maxTries = 40

// Loader makes loads of one population, one after the other, and verifies the books at the end.
type Loader interface {
	Load(ctx context.Context, s *scenario.Scenario) (*Result, error)
	Verify(ctx context.Context, r *Result)
}

// Knee looks for the highest rate at which the objective holds: see Seek.
func (g *Generator) Knee(ctx context.Context, s Search) (*Knee, error) {
	return Seek(ctx, g, g.cfg.Plan.Scenario, s, g.cfg.Settle)
}

// Seek looks for the highest rate at which the objective holds: it doubles the rate until it does not, and then halves what lies between. A rate
// that failed is tried once more, for machines stutter: it holds if it does then. The books are verified at the end, which may take so long. When the context ends, what was
// found so far is returned.
func Seek(ctx context.Context, l Loader, base *scenario.Scenario, s Search, verify time.Duration) (*Knee, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	k := &Knee{}
	var failed error
	for rate := s.From; len(k.Tried) < maxTries && ctx.Err() == nil && rate > 0; rate = s.next(k) {
		t, err := s.try(ctx, l, base, rate)
		if err == nil && !t.Holds && !t.Result.Stopped {
			k.note(&s, t)
			t, err = s.try(ctx, l, base, rate)
			t.Again = true
		}
		if err != nil {
			failed = err
			break
		}
		if k.Rate == 0 || t.Holds {
			k.Last = t.Result
		}
		if t.Result.Stopped { // it says nothing about the rate
			break
		}
		k.note(&s, t)
		if t.Holds {
			k.Rate = rate
		} else {
			k.Above, k.Limited = rate, t.Result.Saturated
		}
	}
	if k.Stopped = ctx.Err() != nil; k.Last == nil {
		return nil, errors.Join(failed, ctx.Err())
	}
	last := *k.Last
	if last.Stopped = k.Stopped; k.Stopped {
		verify = min(verify, hasty)
	}
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), verify)
	defer cancel()
	l.Verify(settle, &last)
	last.Stopped = k.Last.Stopped
	k.Last = &last
	return k, failed
}

func (k *Knee) note(s *Search, t Tried) {
	k.Tried = append(k.Tried, t)
	if s.Tried != nil {
		s.Tried(t)
	}
}

// next is the rate to try now; 0: it is found.
func (s *Search) next(k *Knee) float64 {
	switch {
	case k.Above == 0 && k.Rate >= s.Most:
		return 0
	case k.Above == 0:
		return min(2*k.Rate, s.Most)
	case k.Rate == 0 && k.Above/2*s.Step.Seconds() < minRequests:
		return 0
	case (k.Above-k.Rate)/k.Above <= s.Precision:
		return 0
	}
	return (k.Rate + k.Above) / 2
}

// try holds a rate for a step.
func (s *Search) try(ctx context.Context, l Loader, base *scenario.Scenario, rate float64) (Tried, error) {
	one := *base
	one.Warmup = scenario.Duration{Duration: s.Step / 4}
	one.Arrival.Loop, one.Arrival.Think = scenario.Open, scenario.Duration{}
	one.Arrival.Stages = []scenario.Stage{{Rate: rate, For: scenario.Duration{Duration: s.Step}}}
	one.Faults, one.Thresholds = nil, s.Objective
	r, err := l.Load(ctx, &one)
	if err != nil {
		return Tried{}, err
	}
	t := Tried{Asked: rate, Got: r.Requests, Wait: r.Wait, Result: r}
	for _, h := range r.Held {
		if !h.Holds {
			t.Why = append(t.Why, fmt.Sprintf("%s: %s", h.Threshold, h.InWords()))
		}
	}
	c := r.Counts
	if not := c.Refused + c.Failed; float64(not) > 0.01*float64(c.Ops+not) {
		t.Why = append(t.Why, fmt.Sprintf("of %d ops %d were refused or never answered", c.Ops+not, not))
	}
	// What comes in and is not answered waits: a rate that is not kept up has no latency that one could speak of.
	if want := rate * s.Step.Seconds(); float64(r.Counts.Requests) < 0.99*want-float64(one.Workers) {
		t.Why = append(t.Why, fmt.Sprintf("of %.0f requests %d were answered", want, r.Counts.Requests))
	}
	if r.Seconds > 1.1*s.Step.Seconds()+0.1 {
		t.Why = append(t.Why, fmt.Sprintf("it took %.1f s instead of %v", r.Seconds, s.Step))
	}
	t.Holds = len(t.Why) == 0 && !r.Stopped
	return t, nil
}
