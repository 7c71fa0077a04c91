package report

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/millrace/millrace/bench/generator"
)

// TestSignificance holds the test against values that can be counted by hand, or stand in tables: the number of arrangements at least as
// far apart, by that of all.
func TestSignificance(t *testing.T) {
	for _, c := range []struct {
		a, b   []float64
		p      float64
		cannot bool
	}{
		{[]float64{1}, []float64{2}, 1, true},
		{[]float64{1, 2}, []float64{3, 4}, 2.0 / 6, true},
		{[]float64{1, 2, 3}, []float64{4, 5, 6}, 2.0 / 20, true},
		{[]float64{1, 2, 3, 4}, []float64{5, 6, 7, 8}, 2.0 / 70, false},
		{[]float64{8, 7, 6, 5}, []float64{4, 3, 2, 1}, 2.0 / 70, false},
		{[]float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}, 2.0 / 252, false},
		{[]float64{1, 2, 3, 5}, []float64{4, 6, 7, 8}, 4.0 / 70, false},
		{[]float64{1, 3, 5, 7}, []float64{2, 4, 6, 8}, 48.0 / 70, false},
		{[]float64{3, 3, 3, 3}, []float64{3, 3, 3, 3}, 1, false},
		{[]float64{1, 1, 2, 2}, []float64{2, 3, 3, 3}, 0.0857142857, false}, // a tie: 6 of 70
	} {
		p, cannot := significance(c.a, c.b)
		if math.Abs(p-c.p) > 1e-6 || cannot != c.cannot {
			t.Errorf("%v and %v: p = %.7f, %v; want %.7f, %v", c.a, c.b, p, cannot, c.p, c.cannot)
		}
	}
}

// runs makes a report of rounds with these rates.
func runs(t *testing.T, name string, rates ...float64) *Report {
	s := testScenario(t)
	var all []*generator.Result
	for i, rate := range rates {
		all = append(all, testResult(s, name, uint64(i), 10_000, 1))
		all[i].Rate = rate
	}
	return New(testMachine(), []string{"millrace"}, all)
}

func change(t *testing.T, c *Comparison, key string) Change {
	t.Helper()
	if len(c.Targets) != 1 {
		t.Fatalf("%d targets: %q", len(c.Targets), c.Notes)
	}
	for _, r := range c.Targets[0].Rows {
		if r.Measure == key {
			return r
		}
	}
	t.Fatalf("no measure %q", key)
	return Change{}
}

func TestCompare(t *testing.T) {
	old := runs(t, "millrace v1", 100, 102, 98, 101)
	for name, c := range map[string]struct {
		rates                     []float64
		delta                     string
		different, better, cannot bool
	}{
		"faster":       {[]float64{120, 121, 119, 122}, "+19.9%", true, true, false},
		"slower":       {[]float64{50, 51, 49, 52}, "-49.8%", true, false, false},
		"the same":     {[]float64{100, 103, 97, 101}, "~", false, false, false},
		"one round":    {[]float64{200}, "~", false, false, true},
		"three rounds": {[]float64{200, 201, 202}, "~", false, false, true},
	} {
		got := change(t, Compare(old, runs(t, "millrace v2", c.rates...)), "ops_per_second")
		if got.delta() != c.delta || got.Different != c.different || got.Better != c.better || got.Worse != (c.different && !c.better) || got.Cannot != c.cannot {
			t.Errorf("%s: %s, %+v", name, got.delta(), got)
		}
	}
	// Of latencies less is better.
	slow := runs(t, "millrace v1", 100, 102, 98, 101)
	for i, r := range slow.Targets[0].Rounds {
		r.Wait.P99 = 40 + float64(i)
	}
	if got := change(t, Compare(old, slow), "latency_p99_ms"); !got.Worse {
		t.Errorf("%+v", got)
	}
}

// TestWorse holds that a gate closes on what has become worse by more than it allows, and on nothing else; and that it does not stand open
// where there is nothing to judge by.
func TestWorse(t *testing.T) {
	old := runs(t, "millrace v1", 100, 102, 98, 101)
	for name, c := range map[string]struct {
		rates []float64
		most  float64
		want  int
	}{
		"slower":                {[]float64{50, 51, 49, 52}, 5, 1},
		"slower, but allowed":   {[]float64{50, 51, 49, 52}, 60, 0},
		"faster":                {[]float64{120, 121, 119, 122}, 0, 0},
		"by chance":             {[]float64{99, 103, 97, 101}, 0, 0},
		"a little, and surely":  {[]float64{96, 97, 96.5, 95}, 5, 0},
		"a little, none wanted": {[]float64{96, 97, 96.5, 95}, 0, 1},
	} {
		got, err := Compare(old, runs(t, "millrace v2", c.rates...)).Worse(c.most)
		if err != nil || len(got) != c.want || c.want > 0 && !strings.HasPrefix(got[0], "millrace v2: payments -") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	lost := runs(t, "millrace v1", 100, 102, 98, 101)
	for _, r := range lost.Targets[0].Rounds {
		r.Counts.Failed = 3
	}
	for _, r := range old.Targets[0].Rounds {
		r.Counts.Failed = 0
	}
	if got, err := Compare(old, lost).Worse(50); err != nil || len(got) != 1 || !strings.Contains(got[0], "failed from 0") {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := Compare(runs(t, "millrace", 1), runs(t, "millrace", 2)).Worse(5); !errors.Is(err, ErrFew) {
		t.Errorf("one round: %v", err)
	}
	if _, err := (&Comparison{}).Worse(5); !errors.Is(err, ErrFew) {
		t.Errorf("nothing: %v", err)
	}
}

func TestCompareText(t *testing.T) {
	old, later := runs(t, "millrace v1", 100, 102, 98, 101), runs(t, "millrace v2", 120, 121, 119, 122)
	later.Machine.CPU = "Slide rule"
	golden(t, "compare.txt", Compare(old, later).WriteText)
	var b bytes.Buffer
	if err := Compare(runs(t, "millrace", 1), runs(t, "millrace", 2)).WriteText(&b); err != nil || !strings.Contains(b.String(), "So few rounds cannot tell") {
		t.Errorf("%v\n%s", err, &b)
	}
	other := versus(t)
	other.Targets = other.Targets[1:]
	other.Targets = append(other.Targets, Target{Key: "sqlite", Name: "SQLite"})
	if c := Compare(old, other); len(c.Targets) != 0 || !strings.Contains(strings.Join(c.Notes, "; "), "no target in common") {
		t.Errorf("%+v", c)
	}
}
