// Package report shows what loads came to: while they run, in a terminal; and then as text, as one HTML file, as JSON, CSV, Markdown and SVG. It
// also compares two runs.
package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
)

// Format is the number of the JSON document's form. A later form has a larger one, and reads the earlier ones.
const Format = 1

// maxDocument bounds a document that is read, in bytes: a thousand intervals of twenty targets in a hundred rounds are less.
const maxDocument = 1 << 30

// ErrDocument is returned, wrapped, for what is no document of a run, or one of a later form.
var ErrDocument = errors.New("no document of a bench run")

// Report is a run of the suite: one scenario, against one target or several, in one round or several. It is the JSON document, too.
type Report struct {
	Format  int      `json:"format"`
	Machine Machine  `json:"machine"`
	Targets []Target `json:"targets"` // the first is the one that the others are compared with
	Ratios  []Ratio  `json:"ratios,omitempty"`
}

// Ratio is how many times the ops a second of the first target those of another are, each taken within a round.
type Ratio struct {
	Of     string    `json:"of"`
	To     string    `json:"to"`
	Rounds []float64 `json:"rounds"`
	Spread Spread    `json:"spread"`
}

// Target is a payment system, and what its loads came to.
type Target struct {
	Key    string              `json:"key"`              // as it was asked for
	Name   string              `json:"name"`             // with its version
	Rounds []*generator.Result `json:"rounds"`           // nil: it came to nothing
	Failed []string            `json:"failed,omitempty"` // why rounds came to nothing
}

// New makes a report of results in the order in which they ran, each round having each target once; the last round may be cut short.
func New(m Machine, targets []string, results []*generator.Result) *Report {
	r := &Report{Format: Format, Machine: m}
	for _, key := range targets {
		r.Targets = append(r.Targets, Target{Key: key, Name: key})
	}
	for i, one := range results {
		t := &r.Targets[i%len(targets)]
		if t.Rounds = append(t.Rounds, one); one != nil {
			t.Name = one.Target
		}
	}
	for i := range r.Targets {
		if found := ratios(&measures[0], &r.Targets[0], &r.Targets[i]); i > 0 && len(found) > 0 {
			r.Ratios = append(r.Ratios, Ratio{r.Targets[0].Key, r.Targets[i].Key, found, spreadOf(found)})
		}
	}
	return r
}

// Write writes the document.
func (r *Report) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// Read reads a document.
func Read(from io.Reader) (*Report, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	if len(text) > maxDocument {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrDocument, maxDocument)
	}
	var head struct{ Format int }
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	if head.Format < 1 || head.Format > Format {
		return nil, fmt.Errorf("%w: its format is %d; this version reads 1 to %d", ErrDocument, head.Format, Format)
	}
	r := &Report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	r.Format = Format
	for _, t := range r.Targets {
		for _, one := range t.results() {
			if one.Scenario == nil {
				return nil, fmt.Errorf("%w: a round of %q has no scenario", ErrDocument, t.Name)
			}
		}
	}
	if r.first() == nil {
		return nil, fmt.Errorf("%w: it has no results", ErrDocument)
	}
	return r, nil
}

// short is the target's name, or, where that is long, what it was asked for by.
func (t *Target) short() string {
	if len(t.Name) > 18 && t.Key != "" && len(t.Key) < len(t.Name) {
		return t.Key
	}
	return t.Name
}

// results are the rounds that came to something.
func (t *Target) results() (all []*generator.Result) {
	for _, one := range t.Rounds {
		if one != nil {
			all = append(all, one)
		}
	}
	return all
}

// typical is the round whose rate is the median, or next to it; nil: there is none.
func (t *Target) typical() *generator.Result {
	all := t.results()
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b *generator.Result) int { return cmp.Compare(a.Rate, b.Rate) })
	return all[(len(all)-1)/2]
}

// first is any result; nil: there is none.
func (r *Report) first() *generator.Result {
	for i := range r.Targets {
		if all := r.Targets[i].results(); len(all) > 0 {
			return all[0]
		}
	}
	return nil
}

// Scenario is the one that was run. There is one result at least.
func (r *Report) Scenario() *scenario.Scenario { return r.first().Scenario }

// rounds is how many there are of the target that has most.
func (r *Report) rounds() (n int) {
	for _, t := range r.Targets {
		n = max(n, len(t.Rounds))
	}
	return n
}

// Passed says whether, in every round of every target, the books agree and every threshold holds.
func (r *Report) Passed() bool { return len(r.Targets) > 0 && len(r.Failures()) == 0 }

// Failures are what did not hold, in words. Where there are several targets or rounds, each says in which.
func (r *Report) Failures() (all []string) {
	for i := range r.Targets {
		for _, f := range r.Targets[i].failures() {
			if len(r.Targets) > 1 {
				f = r.Targets[i].Name + ": " + f
			}
			all = append(all, f)
		}
	}
	return all
}

func (t *Target) failures() (all []string) {
	for _, f := range t.Failed {
		all = append(all, "came to nothing: "+f)
	}
	if len(t.Rounds) == 0 && len(t.Failed) == 0 {
		all = append(all, "was not measured")
	}
	for n, one := range t.Rounds {
		if one == nil {
			continue
		}
		found := one.Failures()
		if len(found) == 0 && !one.Passed() {
			found = []string{"the books were not verified"}
		}
		for _, f := range found {
			if len(t.Rounds) > 1 {
				f = fmt.Sprintf("round %d: %s", n+1, f)
			}
			all = append(all, f)
		}
	}
	return all
}
