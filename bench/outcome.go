package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
)

// Outcome is what a scenario came to against one target or several.
type Outcome struct {
	Targets []string            `json:"targets"` // as they were asked for
	Rounds  int                 `json:"rounds"`  // that were begun
	Results []*generator.Result `json:"results"` // round by round, in each the targets in their order. Nil: it was not run
	Ratios  []Ratio             `json:"ratios,omitempty"`
}

// Ratio is how many times the ops a second of one target those of another are, round by round.
type Ratio struct {
	Of     string    `json:"of"`
	To     string    `json:"to"`
	Rounds []float64 `json:"rounds"`
	Median float64   `json:"median"`
	Least  float64   `json:"least"`
	Most   float64   `json:"most"`
}

// ErrStopped is what a run ends with that somebody has ended before its time: it is a context.Canceled.
var ErrStopped = fmt.Errorf("stopped before its time: %w", context.Canceled)

// maxRuns bounds the targets times the rounds of one outcome.
const maxRuns = 1000

// Versus puts targets under a scenario's load, one after the other, and all of them again for so many rounds in all, so that what the
// machine does meanwhile falls upon each of them; each round begins with another target. Each run has a target and a population of its own. What was measured so far is returned
// when the context ends, or a run fails.
func Versus(ctx context.Context, cfg Config, s *scenario.Scenario, targets []string, rounds int, live func(generator.Interval)) (*Outcome, error) {
	if rounds < 1 || len(targets) < 1 || rounds > maxRuns/len(targets) {
		return nil, fmt.Errorf("%w: %d rounds of %d targets; want one at least, and %d runs at most", ErrTarget, rounds, len(targets), maxRuns)
	}
	for i, t := range targets {
		if _, _, err := findMaker(t); err != nil {
			return nil, err
		}
		if slices.Contains(targets[:i], t) {
			return nil, fmt.Errorf("%w: %q is named twice: for several runs there are rounds", ErrTarget, t)
		}
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	names := displayed(targets)
	o := &Outcome{Targets: names}
	for o.Rounds < rounds && ctx.Err() == nil {
		o.Rounds++
		for k := range targets {
			i := (o.Rounds - 1 + k) % len(targets)
			if rounds*len(targets) > 1 {
				fmt.Fprintf(cfg.Progress, "round %d of %d: %s\n", o.Rounds, rounds, names[i])
			}
			if cfg.Turn != nil {
				cfg.Turn(names[i])
			}
			r, err := RunScenario(ctx, cfg, s, targets[i], live)
			if r != nil {
				o.note(i, r)
			}
			if err != nil {
				return o, err
			}
			if ctx.Err() != nil {
				break
			}
		}
	}
	return o, nil
}

// note puts a result of the round that is on at its place.
func (o *Outcome) note(target int, r *generator.Result) {
	at := (o.Rounds-1)*len(o.Targets) + target
	for len(o.Results) <= at {
		o.Results = append(o.Results, nil)
	}
	o.Results[at] = r
	o.compare()
}

// compare holds the first target against each of the others, in the rounds that both have done to their end.
func (o *Outcome) compare() {
	n := len(o.Targets)
	o.Ratios = nil
	for i := 1; i < n; i++ {
		q := Ratio{Of: o.Targets[0], To: o.Targets[i]}
		for at := 0; at+i < len(o.Results); at += n {
			of, to := o.Results[at], o.Results[at+i]
			if of != nil && to != nil && !of.Stopped && !to.Stopped && to.Rate > 0 {
				q.Rounds = append(q.Rounds, of.Rate/to.Rate)
			}
		}
		if len(q.Rounds) == 0 {
			continue
		}
		sorted := slices.Sorted(slices.Values(q.Rounds))
		m := len(sorted)
		q.Median, q.Least, q.Most = (sorted[(m-1)/2]+sorted[m/2])/2, sorted[0], sorted[m-1]
		o.Ratios = append(o.Ratios, q)
	}
}

// Passed says whether every run has.
func (o *Outcome) Passed() bool {
	return !slices.ContainsFunc(o.Results, func(r *generator.Result) bool { return r != nil && !r.Passed() })
}

// Lied says whether a target's books do not agree, or an answer cannot be true: a failure however far a run came.
func (o *Outcome) Lied() bool {
	return slices.ContainsFunc(o.Results, func(r *generator.Result) bool { return r != nil && len(r.Verdict.Lies) > 0 })
}

// Failures are what did not hold, in words, with the target where there are several.
func (o *Outcome) Failures() (all []string) {
	for _, r := range o.Results {
		if r == nil {
			continue
		}
		for _, f := range r.Failures() {
			if len(o.Results) > 1 {
				f = r.Target + ": " + f
			}
			all = append(all, f)
		}
	}
	return all
}

// String is a ratio, in a line.
func (q Ratio) String() string {
	return fmt.Sprintf("%s / %s: %.3g times (%.3g to %.3g in %d rounds)", q.Of, q.To, q.Median, q.Least, q.Most, len(q.Rounds))
}

// displayed are targets as they may be shown: without where they are, for a URL may hold a password.
func displayed(targets []string) []string {
	names := make([]string, 0, len(targets))
	for _, t := range targets {
		name, _, _ := strings.Cut(t, "=")
		for n := 2; slices.Contains(names, name); n++ {
			base, _, _ := strings.Cut(t, "=")
			name = fmt.Sprintf("%s %d", base, n)
		}
		names = append(names, name)
	}
	return names
}
