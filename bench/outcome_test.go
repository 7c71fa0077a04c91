package bench

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
)

func TestRatios(t *testing.T) {
	o := &Outcome{Targets: []string{"a", "b", "c"}}
	for _, rate := range []float64{100, 10, 0, 90, 30, 2, 80, 4} {
		o.Results = append(o.Results, &generator.Result{Target: "x", Rate: rate, Verdict: generator.Verdict{Agree: true}})
	}
	o.compare()
	if len(o.Ratios) != 2 || o.Ratios[0].Median != 10 || o.Ratios[0].Least != 3 || o.Ratios[0].Most != 20 || o.Ratios[1].Median != 45 {
		t.Errorf("%+v", o.Ratios)
	}
	if got := o.Ratios[0].String(); got != "a / b: 10 times (3 to 20 in 3 rounds)" {
		t.Errorf("%q", got)
	}
	if !o.Passed() {
		t.Error("failed")
	}
	o.Results[1].Verdict = generator.Verdict{Lies: []string{"twice"}}
	if f := o.Failures(); o.Passed() || len(f) != 1 || f[0] != "x: twice" {
		t.Errorf("%q", f)
	}
}

// TestPlaces holds that a round which began with another target has its results in the targets' order, and that what was stopped is in no ratio.
func TestPlaces(t *testing.T) {
	o := &Outcome{Targets: []string{"a", "b"}, Rounds: 1}
	one := func(rate float64, stopped bool) *generator.Result {
		return &generator.Result{Target: "x", Rate: rate, Stopped: stopped, Scenario: &scenario.Scenario{}, Verdict: generator.Verdict{Agree: true}}
	}
	o.note(0, one(30, false))
	o.note(1, one(10, false))
	o.Rounds = 2
	o.note(1, one(5, false))
	if len(o.Results) != 4 || o.Results[2] != nil || o.Results[3].Rate != 5 || len(o.Ratios[0].Rounds) != 1 || !o.Passed() || o.Lied() {
		t.Errorf("%+v %+v", o.Results, o.Ratios)
	}
	o.note(0, one(40, true))
	if len(o.Ratios[0].Rounds) != 1 || o.Ratios[0].Median != 3 || o.Passed() || !strings.Contains(strings.Join(o.Failures(), "; "), "it was stopped") {
		t.Errorf("%+v %q", o.Ratios, o.Failures())
	}
}

func TestVersusRefused(t *testing.T) {
	s, err := scenario.Load("tips")
	if err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]struct {
		targets []string
		rounds  int
	}{
		"want one at least": {nil, 1},
		"0 rounds":          {[]string{"millrace"}, 0},
		"1000 runs":         {[]string{"millrace"}, 1001},
		"named twice":       {[]string{"millrace", "millrace"}, 2},
		`"abacus"`:          {[]string{"millrace", "abacus"}, 2},
	} {
		if o, err := Versus(t.Context(), Config{}, s, c.targets, c.rounds, nil); o != nil || !errors.Is(err, ErrTarget) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", want, o, err)
		}
	}
}

// TestDisplayed holds that no password of a URL is shown, and that targets are told apart all the same.
func TestDisplayed(t *testing.T) {
	got := displayed([]string{"millrace", "postgres=postgres://me:hunter2@there/db", "postgres=postgres://me:hunter3@here/db"})
	if want := []string{"millrace", "postgres", "postgres 2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestUnable holds that a scenario whose faults a target cannot have is not run without them.
func TestUnable(t *testing.T) {
	s, err := scenario.Parse([]byte("[population]\npayers = 10\n[mix]\ntransfer = 1\n[[faults]]\nkind = \"kill\"\n"), "test")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := RunScenario(t.Context(), Config{Dir: t.TempDir(), Cases: []string{"core"}}, s, "sqlite", nil); !errors.Is(err, ErrTarget) || r != nil {
		t.Errorf("%+v, %v", r, err)
	}
}
