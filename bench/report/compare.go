package report

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/aclements/go-moremath/stats"
)

// alpha is how often a difference may be said to be one that is none, as in benchstat.
const alpha = 0.05

// Comparison is what has changed from a run to another.
type Comparison struct {
	Targets []Compared `json:"targets"`
	Notes   []string   `json:"notes,omitempty"` // why the two may not be comparable
}

// Compared is a target that both runs have.
type Compared struct {
	Old  string   `json:"old"` // its names, with versions
	New  string   `json:"new"`
	Rows []Change `json:"measures"`
}

// Change is a measure in both.
type Change struct {
	Measure string   `json:"measure"`
	Unit    string   `json:"unit,omitempty"`
	Old     Spread   `json:"old"`
	New     Spread   `json:"new"`
	Percent *float64 `json:"delta_percent,omitempty"` // of the medians; none where the old one is 0
	// P is how often rounds would differ so much or more if nothing had changed: Mann-Whitney's U test, two-sided. 1 where it says nothing.
	P         float64 `json:"p"`
	Different bool    `json:"different"`      // P is below 0.05
	Better    bool    `json:"better"`         // and it has become better; of measures that are neither, never
	Worse     bool    `json:"worse"`          // or worse
	Cannot    bool    `json:"cannot_be_told"` // there are too few rounds for any difference to be significant
	name      string  // for a person
}

// Compare holds a run against an earlier one: the targets that both have, by the names that they were asked for by, or, where each has one, those.
func Compare(old, later *Report) *Comparison {
	c := &Comparison{Notes: differences(old, later)}
	for i := range old.Targets {
		for j := range later.Targets {
			a, b := &old.Targets[i], &later.Targets[j]
			if a.Key == b.Key || len(old.Targets) == 1 && len(later.Targets) == 1 {
				for _, t := range []*Target{a, b} {
					if stopped := len(t.results()) - len(t.complete()); stopped > 0 {
						c.Notes = append(c.Notes, fmt.Sprintf("%s: of %d rounds %d were stopped, and are not compared", t.Name, len(t.results()), stopped))
					}
				}
				c.Targets = append(c.Targets, Compared{Old: a.Name, New: b.Name, Rows: changes(a, b)})
			}
		}
	}
	if len(c.Targets) == 0 {
		c.Notes = append(c.Notes, "the two have no target in common")
	}
	return c
}

// differences are what makes a comparison doubtful.
func differences(old, later *Report) (all []string) {
	for _, d := range []struct{ what, a, b string }{
		{"scenario", old.Scenario().Name, later.Scenario().Name},
		{"CPU", old.Machine.CPU, later.Machine.CPU},
		{"number of CPUs", fmt.Sprint(old.Machine.CPUs), fmt.Sprint(later.Machine.CPUs)},
		{"memory", bytesText(old.Machine.Memory), bytesText(later.Machine.Memory)},
		{"file system", old.Machine.Files, later.Machine.Files},
		{"kernel", old.Machine.Kernel, later.Machine.Kernel},
	} {
		if d.a != d.b {
			all = append(all, fmt.Sprintf("not the same %s: %s, then %s", d.what, d.a, d.b))
		}
	}
	if a, b := scenarioText(old.Scenario()), scenarioText(later.Scenario()); a != b {
		all = append(all, "the scenarios are not the same, line by line")
	}
	if !old.Passed() {
		all = append(all, "the old run failed: "+strings.Join(old.Failures(), "; "))
	}
	if !later.Passed() {
		all = append(all, "the new run failed: "+strings.Join(later.Failures(), "; "))
	}
	return all
}

// changes are those of all measures. Rounds that were stopped are left out.
func changes(a, b *Target) (rows []Change) {
	if len(a.complete()) == 0 || len(b.complete()) == 0 {
		return nil
	}
	for i := range measures {
		m := &measures[i]
		old, later := a.values(m), b.values(m)
		if len(old) == 0 || len(later) == 0 {
			continue
		}
		c := Change{Measure: m.key, name: m.name, Unit: m.unit, Old: spreadOf(old), New: spreadOf(later)}
		c.P, c.Cannot = significance(old, later)
		c.Different = c.P < alpha
		if c.Old.Median != 0 {
			d := 100 * (c.New.Median/c.Old.Median - 1)
			c.Percent = &d
		}
		if more := c.New.Median > c.Old.Median; c.Different && c.New.Median != c.Old.Median && m.better != 0 {
			c.Better, c.Worse = more == (m.better > 0), more != (m.better > 0)
		}
		rows = append(rows, c)
	}
	return rows
}

// significance is the P of two samples, and whether there are so few values that no difference, however large, would be significant: the least P
// of n and m values is 2 / C(n+m, n).
func significance(a, b []float64) (p float64, cannot bool) {
	n := float64(len(a) + len(b))
	ways := 1.0
	for k := range len(a) {
		ways *= (n - float64(k)) / float64(k+1)
	}
	cannot = 2/ways >= alpha
	r, err := stats.MannWhitneyUTest(a, b, stats.LocationDiffers)
	if err != nil { // all values are equal, or there are none
		return 1, cannot
	}
	return min(r.P, 1), cannot
}

// ErrFew is returned where rounds are so few that no difference could be told from chance, or nothing was measured in both.
var ErrFew = errors.New("nothing can be told from chance: run both with --rounds 4 or more")

// Worse are the measures that have become worse by more than chance and by more than so many in a hundred of what they were, in words. One that
// was 0 has become worse by more than any part of it.
func (c *Comparison) Worse(percent float64) (all []string, err error) {
	told := false
	for _, t := range c.Targets {
		for i := range t.Rows {
			r := &t.Rows[i]
			told = told || !r.Cannot
			if r.Worse && (r.Percent == nil || math.Abs(*r.Percent) > percent) {
				all = append(all, fmt.Sprintf("%s: %s %s", plain(t.New), r.name, r.delta()))
			}
		}
	}
	if !told {
		return nil, ErrFew
	}
	return all, nil
}

// WriteText writes it as a table, as benchstat does: "~" where nothing can be said to have changed.
func (c *Comparison) WriteText(w io.Writer) error {
	few := false
	for _, t := range c.Targets {
		title := t.New
		if t.Old != t.New {
			title = t.Old + " → " + t.New
		}
		fmt.Fprintln(w, plain(title))
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(table, "\told\tnew\tdelta\t\t")
		for _, r := range t.Rows {
			name := r.name
			if r.Unit != "" {
				name += ", " + r.Unit
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t\n", name, r.Old.text(), r.New.text(), r.delta(), r.why())
			few = few || r.Cannot
		}
		if err := table.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	if few {
		fmt.Fprintln(w, "So few rounds cannot tell a difference from chance: run both with --rounds 4 or more.")
	}
	for _, n := range c.Notes {
		fmt.Fprintln(w, "note: "+plain(n))
	}
	_, err := fmt.Fprintln(w, "Medians over the rounds and their range; ~: no significant difference (Mann-Whitney U test, p < 0.05).")
	return err
}

// delta is the change in a hundred, or "~".
func (c *Change) delta() string {
	switch {
	case !c.Different:
		return "~"
	case c.Percent == nil:
		return "from 0"
	case math.Abs(*c.Percent) >= 1000:
		return "×" + short(1+*c.Percent/100)
	}
	return fmt.Sprintf("%+.1f%%", *c.Percent)
}

// why is what the judgement rests on.
func (c *Change) why() string {
	rounds := fmt.Sprintf("n=%d+%d", c.Old.N, c.New.N)
	if c.Cannot {
		return rounds
	}
	word := ""
	switch {
	case c.Better:
		word = " better"
	case c.Worse:
		word = " WORSE"
	}
	return fmt.Sprintf("p=%.3f %s%s", c.P, rounds, word)
}
