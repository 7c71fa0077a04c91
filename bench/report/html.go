package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/bench/generator"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// page is what page.html shows.
type page struct {
	Style     template.CSS
	Name      string
	About     string
	When      string
	Passed    bool
	Stopped   bool
	Restarted string // that the books were read after a restart, too
	Rounds    int
	Several   bool // targets
	Targets   []pageTarget
	Rows      [][]string // of the main figures, with a head
	Details   [][]string
	Together  []template.HTML
	Scenario  string
	Machine   []struct{ Name, Value string }
}

// pageTarget is a section.
type pageTarget struct {
	ID         string
	Name       string
	Passed     bool
	Failures   []string
	Saturated  []string
	Thresholds []pageThreshold
	Charts     []template.HTML
	Round      int // whose charts they are
	Reasons    []reason
	Faults     []pageFault
	Durability string // of what it acknowledges; empty: as everybody's
	Resolved   uint64
}

// pageThreshold is one with what was measured in each round.
type pageThreshold struct {
	Text     string
	Holds    bool
	Measured string
}

type pageFault struct {
	Kind, Error string
	From, Took  string
}

// reason is why something was not done, and how often, in all rounds.
type reason struct {
	What string
	Text string
	N    uint64
}

// WriteHTML writes a report as one file that asks for no other.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return fmt.Errorf("the page of a report: %w", err)
	}
	p, err := r.page()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return err
	}
	// The template escapes markup. What no page may hold beside, in the text of others, becomes U+FFFD.
	_, err = w.Write(bytes.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return '\uFFFD'
		}
		return r
	}, b.Bytes()))
	return err
}

func (r *Report) page() (*page, error) {
	one := r.first()
	if one == nil {
		return nil, fmt.Errorf("%w: it has no results", ErrDocument)
	}
	p := &page{
		Style: template.CSS(plotStyle + pageStyle), Name: one.Scenario.Name, About: one.Scenario.About, When: one.Began.UTC().Format("2 January 2006, 15:04 MST"),
		Passed: r.Passed(), Restarted: r.restarted(), Rounds: r.rounds(), Several: len(r.Targets) > 1, Rows: r.rows(false), Details: r.rows(true),
		Scenario: scenarioText(one.Scenario), Machine: r.Machine.facts(),
	}
	together, err := drawn(r.together())
	if err != nil {
		return nil, err
	}
	if p.Several {
		p.Together = together
	}
	for i := range r.Targets {
		t := &r.Targets[i]
		q := pageTarget{ID: targetID(i), Name: t.Name, Failures: t.failures(), Saturated: t.saturated(), Thresholds: t.thresholds(), Reasons: t.reasons()}
		q.Passed = len(q.Failures) == 0
		if q.Charts, err = drawn(t.charts(q.ID)); err != nil {
			return nil, err
		}
		if !p.Several {
			q.Charts = slices.Insert(q.Charts, min(2, len(q.Charts)), together...)
		}
		middle := t.typical()
		for n, one := range t.Rounds {
			if one == nil {
				continue
			}
			p.Stopped = p.Stopped || one.Stopped
			q.Resolved += one.Resolved
			q.Durability = one.Durability
			if one == middle {
				q.Round, q.Faults = n+1, faults(one)
			}
		}
		p.Targets = append(p.Targets, q)
	}
	return p, nil
}

// drawn are charts as parts of a page. What they say of others they have escaped themselves.
func drawn(charts []*chart) (all []template.HTML, err error) {
	for _, c := range charts {
		var b strings.Builder
		if err := c.write(&b, false); err != nil {
			return nil, err
		}
		all = append(all, template.HTML(b.String()))
	}
	return all, nil
}

// thresholds are those of the scenario, each with what was measured round by round.
func (t *Target) thresholds() (all []pageThreshold) {
	for _, r := range t.results() {
		for _, h := range r.Held {
			i := slices.IndexFunc(all, func(p pageThreshold) bool { return p.Text == h.Threshold })
			if i < 0 {
				i = len(all)
				all = append(all, pageThreshold{Text: h.Threshold, Holds: true})
			}
			if all[i].Measured != "" {
				all[i].Measured += ", "
			}
			all[i].Measured += h.InWords()
			all[i].Holds = all[i].Holds && h.Holds
		}
	}
	return all
}

// reasons are refusals and errors, the most frequent first.
func (t *Target) reasons() (all []reason) {
	for _, r := range t.results() {
		for what, found := range map[string]map[string]uint64{"refused": r.Refusals, "no answer": r.Errors} {
			for text, n := range found {
				i := slices.IndexFunc(all, func(k reason) bool { return k.What == what && k.Text == text })
				if i < 0 {
					i = len(all)
					all = append(all, reason{What: what, Text: text})
				}
				all[i].N += n
			}
		}
	}
	slices.SortFunc(all, func(a, b reason) int {
		return cmp.Or(-cmp.Compare(a.N, b.N), cmp.Compare(a.What, b.What), cmp.Compare(a.Text, b.Text))
	})
	return all
}

func faults(r *generator.Result) (all []pageFault) {
	for _, h := range r.Faults {
		took := time.Duration((h.Until - h.At) * float64(time.Second)).Round(time.Millisecond)
		all = append(all, pageFault{Kind: string(h.Kind), Error: h.Err, From: short(h.At), Took: took.String()})
	}
	return all
}
