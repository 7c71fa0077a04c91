package scenario

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestShipped(t *testing.T) {
	names := Shipped()
	if len(names) < 12 {
		t.Fatalf("shipped: %q", names)
	}
	for _, name := range names {
		s, err := Load(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.Name != name || s.About == "" || len(s.Thresholds) == 0 {
			t.Errorf("%s: named %q, about %q, %d thresholds: each has all three", name, s.Name, s.About, len(s.Thresholds))
		}
	}
}

// TestTOML holds that a scenario that was written is read as it was.
func TestTOML(t *testing.T) {
	for _, name := range Shipped() {
		s, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := s.TOML()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(text, name)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		second, err := again.TOML()
		if err != nil || !bytes.Equal(text, second) || again.Validate() != nil {
			t.Errorf("%s: %v\n%s\nthen\n%s", name, err, text, second)
		}
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mine.toml")
	if err := os.WriteFile(file, []byte("about = \"x\"\nworkers = 3\n[mix]\ntransfer = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Load(file)
	if err != nil || s.Name != "mine" || s.Workers != 3 || s.Retry.Attempts != Default().Retry.Attempts {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := Load("nosuch"); !errors.Is(err, ErrScenario) || !strings.Contains(err.Error(), "tips") {
		t.Errorf("a name that is none: %v", err)
	}
	if _, err := Load("./nosuch.toml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is none: %v", err)
	}
	if err := os.WriteFile(file, []byte(strings.Repeat("#", maxFile+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); !errors.Is(err, ErrScenario) {
		t.Errorf("a file that is too large: %v", err)
	}
}

// TestRefused holds that each bad value is refused by a message that names its key.
func TestRefused(t *testing.T) {
	const good = "[mix]\ntransfer = 1\n"
	if _, err := Parse([]byte(good), "good"); err != nil {
		t.Fatal(err)
	}
	open := "[arrival]\nloop = \"open\"\n"
	for text, want := range map[string]string{
		"":                            "advance: nothing is asked for",
		"wrokers = 3\n" + good:        `line 1: no key "wrokers"`,
		good + "x = 1\n":              `no key "mix.x"`,
		"workers = \"many\"\n" + good: "line 1",
		"workers = 0\n" + good:        "workers: 0",
		"workers = 5\n[population]\npayers = 4\n" + good:            "only 4 payers",
		"duration = \"0s\"\n" + good:                                "duration",
		"duration = \"-1s\"\n" + good:                               `"-1s" is not a duration`,
		"duration = 10\n" + good:                                    "duration",
		"thresholds = [\"p98 < 1ms\"]\n" + good:                     `no measure "p98"`,
		"thresholds = [\"p99 < 1\"]\n" + good:                       "want a time",
		"thresholds = [\"refused < 1\"]\n" + good:                   "want a share",
		"thresholds = [\"rate > 5%\"]\n" + good:                     "want a number a second",
		"thresholds = [\"rate\"]\n" + good:                          "is not a threshold",
		"[population]\npayers = 0\n" + good:                         "population.payers: 0",
		"[population]\nchannels = 15000\n" + good:                   "multiple",
		"[population]\nfunds_msat = 9000000000000000000\n" + good:   "more than there is bitcoin",
		"[population]\nfunds_msat = 0\n" + good:                     "does not pay for one op",
		"[population]\npayers = 10000000\nworks = 1000000\n" + good: "product",
		"[skew]\npayees = \"zipf 9\"\n" + good:                      "zipf",
		"[skew]\npayees = \"normal\"\n" + good:                      "neither",
		"[skew]\nhot_payees = 3\n" + good:                           "hot_share",
		"[mix]\nadvance = 1\n":                                      "there are no channels",
		"[mix]\nunlock = 1\n":                                       "there are no works",
		"[mix]\ntransfer = -1\n":                                    "transfer: -1",
		good + "[request]\nops = 8193\n":                            "request.ops: 8193",
		good + "[request]\nencoding = \"xml\"\n":                    "encoding",
		good + "[request]\nleast_msat = 5\nmost_msat = 4\n":         "from 5 to 4",
		good + "[arrival]\nloop = \"half\"\n":                       "neither closed nor open",
		good + open:                                                 "needs one at least",
		good + open + "stages = [{rate = -1, for = \"1s\"}]\n":      "rate of -1",
		good + open + "stages = [{rate = nan, for = \"1s\"}]\n":     "rate of NaN",
		good + open + "stages = [{rate = 1e12, for = \"1s\"}]\n":    "rate of 1e+12",
		good + open + "stages = [{rate = 5}]\n":                     "takes no time",
		good + open + "stages = [{rate = 0, for = \"1s\"}]\n":       "none has a rate",
		good + "[arrival]\nstages = [{rate = 5, for = \"1s\"}]\n":   "open loop alone",
		good + "[retry]\nattempts = 0\n":                            "attempts: 0",
		good + "[[faults]]\nkind = \"rain\"\n":                      "none of kill",
		good + "[[faults]]\nkind = \"freeze\"\n":                    "how long",
		good + "[[faults]]\nkind = \"kill\"\nat = \"1h\"\n":         "after the end",
		good + "[[faults]]\nkind = \"slow_sync\"\nfor = \"1s\"\n":   "by how much",
		good + "[[faults]]\nkind = \"vanish\"\nshare = 101\n":       "share: 101",
	} {
		if _, err := Parse([]byte(text), "bad"); !errors.Is(err, ErrScenario) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\n%v\nwant %q in it", text, err, want)
		}
	}
}

func TestThreshold(t *testing.T) {
	for text, cases := range map[string]map[float64]bool{
		"p99 < 50ms":       {49_999: true, 50_000: false},
		"rate >= 1_000/s":  {1000: true, 999: false},
		"refused <= 0.1%":  {0.1: true, 0.11: false},
		"dropped == 0":     {0: true, 0.001: false},
		"requests > 5":     {5: false, 5.1: true},
		"late_p99 < 1.5ms": {1499: true, 1500: false},
	} {
		var h Threshold
		if err := h.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for value, want := range cases {
			if h.Holds(value) != want {
				t.Errorf("%s: %g holds: %v", text, value, !want)
			}
		}
		if again, err := h.MarshalText(); err != nil || string(again) != text {
			t.Errorf("%s: written as %s", text, again)
		}
	}
}

// TestZipf holds how often numbers are drawn against how often they should be.
func TestZipf(t *testing.T) {
	const n, draws = 50, 400_000
	for _, s := range []float64{0.1, 0.7, 1, 1.3, 3} {
		draw := Choice{S: s}.Draw(rand.New(rand.NewPCG(1, 2)), n)
		var got [n]int
		for range draws {
			got[draw()]++
		}
		var sum float64
		for k := range n {
			sum += math.Pow(float64(k+1), -s)
		}
		squares := 0.0 // Pearson's chi-squared, over those that are expected five times at least
		degrees := -1
		for k := range n {
			if want := draws * math.Pow(float64(k+1), -s) / sum; want >= 5 {
				squares += (float64(got[k]) - want) * (float64(got[k]) - want) / want
				degrees++
			}
		}
		if limit := float64(degrees) + 5*math.Sqrt(2*float64(degrees)); squares > limit {
			t.Errorf("zipf %g: chi-squared of %.1f with %d degrees of freedom", s, squares, degrees)
		}
	}
}

func TestStages(t *testing.T) {
	s, err := Parse([]byte("[mix]\ntransfer = 1\n[arrival]\nloop = \"open\"\nstages = [{rate = 10, to = 20, for = \"3s\"}, {rate = 20, for = \"2s\"}]\n"), "x")
	if err != nil {
		t.Fatal(err)
	}
	if s.Length() != 5*time.Second || s.Arrival.Stages[0].End() != 20 || s.Arrival.Stages[1].End() != 20 {
		t.Errorf("%v, %+v", s.Length(), s.Arrival.Stages)
	}
}
