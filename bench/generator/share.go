package generator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/millrace/millrace/bench/scenario"
)

// Share is what one of several generators has measured, to be merged with the others': histograms whole, since quantiles do not add up.
type Share struct {
	Seconds   float64           `json:"seconds"`
	Stopped   bool              `json:"stopped"`
	Counts    Counts            `json:"counts"`
	Errors    map[string]uint64 `json:"errors"`
	Refusals  map[string]uint64 `json:"refusals"`
	Waits     []byte            `json:"waits"` // HdrHistogram's compressed form, version 2, of microseconds
	Service   []byte            `json:"service"`
	Late      []byte            `json:"late"`
	Intervals []Interval        `json:"intervals"`
	Between   [][]byte          `json:"between"` // the latencies of each interval, in the same form
	Generator Use               `json:"generator"`
	Saturated []string          `json:"saturated,omitempty"`
	Resolved  uint64            `json:"resolved"`
	Lies      []string          `json:"lies,omitempty"`
	Open      int               `json:"open"` // requests whose outcome nobody knows
	Why       string            `json:"why,omitempty"`
	Failed    string            `json:"failed,omitempty"` // why it has ended early
	Tally     []byte            `json:"tally"`            // workload.Plan.Export
}

func encode(h *hdrhistogram.Histogram) ([]byte, error) {
	return h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
}

// Contribute is a load of this generator's part of the workers, without the verification, which needs all parts.
func (g *Generator) Contribute(ctx context.Context) (*Share, error) {
	r, failed := g.Load(ctx, g.cfg.Plan.Scenario)
	if r == nil {
		return nil, failed
	}
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.cfg.Settle)
	defer cancel()
	s := &Share{
		Seconds: r.Seconds, Stopped: r.Stopped, Counts: r.Counts, Errors: r.Errors, Intervals: r.Intervals, Between: r.between,
		Generator: r.Generator, Saturated: r.Saturated,
	}
	if failed != nil {
		s.Failed = failed.Error()
	}
	var why error
	if s.Open, why = g.settle(settle, r); why != nil && s.Open > 0 {
		s.Why = why.Error()
	}
	g.testify(r)
	s.Resolved, s.Lies, s.Refusals = r.Resolved, r.Verdict.Lies, r.Refusals
	var err error
	for _, h := range []struct {
		from *hdrhistogram.Histogram
		to   *[]byte
	}{{r.waits, &s.Waits}, {r.service, &s.Service}, {r.late, &s.Late}} {
		if *h.to, err = encode(h.from); err != nil {
			return nil, fmt.Errorf("writing a histogram: %w", err)
		}
	}
	s.Tally, err = g.cfg.Plan.Export(g.cfg.Part, g.cfg.Parts)
	return s, err
}

// Combine puts the shares of all parts together, in their order, and holds the target's books against all tallies. The plan has no tally of its own.
func (g *Generator) Combine(ctx context.Context, began time.Time, faults []Happened, shares []*Share) (*Result, error) {
	s := g.cfg.Plan.Scenario
	r := &Result{Scenario: s, Target: g.cfg.Target.Name(), Began: began, Faults: faults, Refusals: make(map[string]uint64)}
	all := newGauge()
	open, why := 0, ""
	for i, part := range shares {
		if err := r.take(all, part); err != nil {
			return nil, fmt.Errorf("the share of part %d: %w", i, err)
		}
		if err := g.cfg.Plan.Import(i, len(shares), part.Tally); err != nil {
			return nil, fmt.Errorf("the share of part %d: %w", i, err)
		}
		if open += part.Open; part.Why != "" {
			why = part.Why
		}
	}
	if err := r.mergeIntervals(shares); err != nil {
		return nil, err
	}
	r.sum(all)
	r.Generator.PerOpCPU = r.Generator.CPU * 1e6 / float64(max(r.Counts.Ops, 1))
	r.judge()
	if open > 0 {
		r.Verdict.Unverified = fmt.Sprintf("nobody knows what became of %d requests: %s", open, why)
		return r, nil
	}
	g.audit(ctx, r)
	return r, nil
}

// take adds one share.
func (r *Result) take(all *gauge, part *Share) error {
	c := part.Counts
	all.counts.add(counts{c.Requests, c.Ops, c.Refused, c.Retried, c.Failed, c.Dropped, c.Errors})
	for _, h := range []struct {
		from []byte
		to   *hdrhistogram.Histogram
	}{{part.Waits, all.waits}, {part.Service, all.service}, {part.Late, all.late}} {
		one, err := hdrhistogram.Decode(h.from)
		if err != nil {
			return fmt.Errorf("reading a histogram: %w", err)
		}
		h.to.Merge(one)
	}
	for text, n := range part.Errors {
		all.reasons[text] += n
	}
	for word, n := range part.Refusals {
		r.Refusals[word] += n
	}
	r.Seconds, r.Stopped = max(r.Seconds, part.Seconds), r.Stopped || part.Stopped
	r.Resolved += part.Resolved
	r.Generator.CPU += part.Generator.CPU
	r.Generator.Cores += part.Generator.Cores
	r.Saturated = append(r.Saturated, part.Saturated...)
	r.Verdict.Lies = append(r.Verdict.Lies, part.Lies...)
	if part.Failed != "" {
		r.Failed = part.Failed
	}
	return nil
}

// mergeIntervals adds up intervals that ended at about the same time. All parts begin at once, so they are the k-th of each.
func (r *Result) mergeIntervals(shares []*Share) error {
	waits := []*hdrhistogram.Histogram{}
	for _, part := range shares {
		if len(part.Between) != len(part.Intervals) {
			return fmt.Errorf("%d intervals with %d histograms", len(part.Intervals), len(part.Between))
		}
		for k, i := range part.Intervals {
			h, err := hdrhistogram.Decode(part.Between[k])
			if err != nil {
				return fmt.Errorf("reading a histogram: %w", err)
			}
			if k == len(r.Intervals) {
				r.Intervals, waits = append(r.Intervals, Interval{At: i.At, Seconds: i.Seconds}), append(waits, newWaits())
			}
			to := &r.Intervals[k]
			to.Ops, to.Refused, to.Errors, to.Dropped, to.CPU = to.Ops+i.Ops, to.Refused+i.Refused, to.Errors+i.Errors, to.Dropped+i.Dropped, to.CPU+i.CPU
			waits[k].Merge(h)
		}
	}
	for k, h := range waits {
		i := &r.Intervals[k]
		i.P50, i.P99, i.Max = float64(h.ValueAtQuantile(50))/1000, float64(h.ValueAtQuantile(99))/1000, float64(h.Max())/1000
	}
	return nil
}

// Break makes the faults of a scenario happen that befall the target, for parts that cannot reach it, from the end of the warm-up on.
func (g *Generator) Break(ctx context.Context, warm time.Time) []Happened {
	return g.breaks(ctx, without(g.cfg.Plan.Scenario, func(k scenario.FaultKind) bool { return k == scenario.Vanish }), warm, nil)
}

// own is a scenario with the faults that a generator makes happen itself: all, or, where it is one of several, those of its workers.
func (g *Generator) own(s *scenario.Scenario) *scenario.Scenario {
	if !g.shared {
		return s
	}
	return without(s, func(k scenario.FaultKind) bool { return k != scenario.Vanish })
}

func without(s *scenario.Scenario, gone func(scenario.FaultKind) bool) *scenario.Scenario {
	rest := *s
	rest.Faults = slices.DeleteFunc(slices.Clone(s.Faults), func(f scenario.Fault) bool { return gone(f.Kind) })
	return &rest
}

// testify adds what the workers' answers have shown.
func (g *Generator) testify(r *Result) {
	for _, src := range g.sources {
		for word, n := range src.Tally.Refusals {
			r.Refusals[word] += n
		}
		for _, lie := range src.Lies {
			r.Verdict.Lies = append(r.Verdict.Lies, lie.Error())
		}
	}
}

// auditing bounds how long books may take, a restart and the replay of a long log included.
const auditing = 15 * time.Minute

// audit holds the books against the tally, and does so again after a restart where the target can be restarted.
func (g *Generator) audit(ctx context.Context, r *Result) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditing) // what is left of the settling says nothing about the books
	defer cancel()
	if !g.read(ctx, r, "") {
		return
	}
	if t, ok := g.cfg.Target.(Restarter); ok && !r.Verdict.Restarted {
		if err := t.Restart(ctx); err != nil {
			r.Verdict.Unverified = fmt.Sprintf("the target cannot be restarted: %v", err)
			return
		}
		if r.Verdict.Restarted = g.read(ctx, r, "after a restart: "); !r.Verdict.Restarted {
			return
		}
	}
	r.Verdict.Agree = len(r.Verdict.Lies) == 0
}

// read holds the books as they are now against the tally, unless they cannot be read.
func (g *Generator) read(ctx context.Context, r *Result, when string) bool {
	books, err := g.cfg.Target.Books(ctx)
	if err != nil {
		r.Verdict.Unverified = fmt.Sprintf("%sthe books cannot be read: %v", when, err)
		return false
	}
	if err := g.cfg.Plan.Verify(books); err != nil {
		r.Verdict.Lies = append(r.Verdict.Lies, when+err.Error())
	}
	r.Verdict.Restarted = books.Restarted
	return true
}
