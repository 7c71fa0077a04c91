package bench

import (
	"os"
	"strings"
	"testing"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
)

const everything = `
workers = 4
warmup = "20ms"
duration = "300ms"
[population]
payers = 40
payees = 9
channels = 120
works = 30
funds_msat = 1_000_000_000
[skew]
payees = "zipf 1.0"
[mix]
advance = 5
transfer = 4
unlock = 2
history = 1
[request]
most_msat = 20
[retry]
attempts = 50
backoff = "10ms"
timeout = "30s"
`

// TestTargets holds that one scenario runs against targets that need no other program, in turns, and that each keeps its books.
func TestTargets(t *testing.T) {
	for name, text := range map[string]string{
		"single":  everything,
		"batches": strings.NewReplacer("[request]", "[request]\nops = 50", "history = 1", "history = 0").Replace(everything), // a history takes the place of a batch
		"left":    everything + "[[faults]]\nkind = \"vanish\"\nat = \"10ms\"\nevery = \"20ms\"\n",
		"poor":    strings.NewReplacer("1_000_000_000", "1_100", "advance = 5", "advance = 0").Replace(everything),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := scenario.Parse([]byte(text), "test")
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			o, err := Versus(t.Context(), Config{Dir: dir, Cases: []string{"core"}}, s, []string{"millrace-inprocess", "sqlite"}, 2, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(o.Results) != 4 || len(o.Ratios) != 1 || len(o.Ratios[0].Rounds) != 2 || o.Ratios[0].Median <= 0 {
				t.Fatalf("%d results, ratios %+v", len(o.Results), o.Ratios)
			}
			for _, r := range o.Results {
				if !r.Verdict.Agree || !r.Verdict.Restarted || r.Counts.Ops == 0 || (r.Counts.Refused > 0) != (name == "poor") {
					t.Errorf("%s: %+v %+v %v %v", r.Target, r.Verdict, r.Counts, r.Refusals, r.Errors)
				}
			}
			if o.Results[0].Target != "millrace-inprocess" || !strings.HasPrefix(o.Results[3].Target, "sqlite") {
				t.Errorf("%s, %s", o.Results[0].Target, o.Results[3].Target)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left in the folder: %v, %v", left, err)
			}
		})
	}
}

// TestInside holds that a hub in this process is not taken for one that can be killed.
func TestInside(t *testing.T) {
	var target generator.Target = inner{&innerTarget{}}
	if _, ok := target.(generator.Process); ok {
		t.Error("it can be killed")
	}
}
