package generator

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/millrace/millrace/bench/scenario"
)

// Share is what one of several generators has measured in a load, to be merged with the others': histograms whole, since quantiles do not add up.
type Share struct {
	Began     int64             `json:"began_ns"` // when its workers really did: since 1970, by its machine's clock
	Seconds   float64           `json:"seconds"`
	Stopped   bool              `json:"stopped"`
	Counts    Counts            `json:"counts"`
	Errors    map[string]uint64 `json:"errors"`
	Waits     []byte            `json:"waits"` // HdrHistogram's compressed form, version 2, of microseconds
	Service   []byte            `json:"service"`
	Late      []byte            `json:"late"`
	Queued    []byte            `json:"queued"`
	Intervals []Interval        `json:"intervals"`
	Between   [][]byte          `json:"between"` // the latencies of each interval, in the same form
	Generator Use               `json:"generator"`
	Saturated []string          `json:"saturated,omitempty"`
	Failed    string            `json:"failed,omitempty"` // why it has ended early
}

func encode(h *hdrhistogram.Histogram) ([]byte, error) {
	return h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
}

// share is a result as a part of a larger one, which was told to begin at a time.
func (r *Result) share(begin time.Time, failed error) (*Share, error) {
	s := &Share{
		// The clock on the wall may be set meanwhile: the time between is taken by the other one.
		Began:   begin.Add(r.start.Sub(begin)).UnixNano(),
		Seconds: r.Seconds, Stopped: r.Stopped, Counts: r.Counts, Errors: r.Errors, Intervals: r.Intervals, Between: r.between,
		Generator: r.Generator, Saturated: r.Saturated,
	}
	if failed != nil {
		s.Failed = failed.Error()
	}
	var err error
	for _, h := range []struct {
		from *hdrhistogram.Histogram
		to   *[]byte
	}{{r.waits, &s.Waits}, {r.service, &s.Service}, {r.late, &s.Late}, {r.queued, &s.Queued}} {
		if *h.to, err = encode(h.from); err != nil {
			return nil, fmt.Errorf("writing a histogram: %w", err)
		}
	}
	return s, nil
}

// take adds one share.
func (r *Result) take(all *gauge, part *Share) error {
	c := part.Counts
	all.counts.add(counts{c.Requests, c.Ops, c.Refused, c.Retried, c.Failed, c.Dropped, c.Errors})
	for _, h := range []struct {
		from []byte
		to   *hdrhistogram.Histogram
	}{{part.Waits, all.waits}, {part.Service, all.service}, {part.Late, all.late}, {part.Queued, all.queued}} {
		one, err := hdrhistogram.Decode(h.from)
		if err != nil {
			return fmt.Errorf("reading a histogram: %w", err)
		}
		h.to.Merge(one)
	}
	for text, n := range part.Errors {
		all.reasons[text] += n
	}
	r.Seconds, r.Stopped = max(r.Seconds, part.Seconds), r.Stopped || part.Stopped
	r.Generator.CPU += part.Generator.CPU
	r.Generator.Cores += part.Generator.Cores
	return nil
}

// slot is which of the intervals of some length one is, counted from the end of the warm-up: all parts end theirs at the same times, but for what a
// busy machine leaves out.
func (i *Interval) slot(every time.Duration) int {
	return int(math.Floor((i.At - i.Seconds/2) / every.Seconds()))
}

// mergeIntervals adds up the intervals of the same times.
func (r *Result) mergeIntervals(shares []*Share, every time.Duration) error {
	type sum struct {
		Interval
		cpu   float64 // seconds
		waits *hdrhistogram.Histogram
	}
	sums := make(map[int]*sum)
	for _, part := range shares {
		if part == nil {
			continue
		}
		if len(part.Between) != len(part.Intervals) {
			return fmt.Errorf("%d intervals with %d histograms", len(part.Intervals), len(part.Between))
		}
		for k, i := range part.Intervals {
			h, err := hdrhistogram.Decode(part.Between[k])
			if err != nil {
				return fmt.Errorf("reading a histogram: %w", err)
			}
			to := sums[i.slot(every)]
			if to == nil {
				to = &sum{waits: newWaits(), Interval: Interval{At: i.At, Seconds: i.Seconds}}
				sums[i.slot(every)] = to
			}
			to.At, to.Seconds = max(to.At, i.At), max(to.Seconds, i.Seconds)
			to.Ops, to.Refused, to.Errors, to.Dropped, to.cpu = to.Ops+i.Ops, to.Refused+i.Refused, to.Errors+i.Errors, to.Dropped+i.Dropped, to.cpu+i.CPU*i.Seconds
			to.waits.Merge(h)
		}
	}
	for _, slot := range slices.Sorted(maps.Keys(sums)) {
		i := sums[slot]
		i.P50, i.P99, i.Max = float64(i.waits.ValueAtQuantile(50))/1000, float64(i.waits.ValueAtQuantile(99))/1000, float64(i.waits.Max())/1000
		i.CPU = i.cpu / max(i.Seconds, 1e-9)
		r.Intervals = append(r.Intervals, i.Interval)
	}
	return nil
}

// Break makes the faults of a scenario happen that befall the target, for parts that cannot reach it, from the end of the warm-up on.
func (g *Generator) Break(ctx context.Context, s *scenario.Scenario, warm time.Time) []Happened {
	return g.breaks(ctx, without(s, func(k scenario.FaultKind) bool { return k == scenario.Vanish }), warm, nil)
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
