package bench

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/millrace/millrace/bench/scenario"
)

// TestLasts holds that funds which cannot last are spoken of before the load, and that those of the scenarios that come with the program last.
func TestLasts(t *testing.T) {
	for _, name := range scenario.Shipped() {
		s, err := scenario.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if warning, err := lasts(s); warning != "" || err != nil {
			t.Errorf("%s: %s, %v", name, warning, err)
		}
	}
	const people = "workers = 2\n[population]\npayers = 10\nchannels = 20\nfunds_msat = 1_000_000\n"
	const tens = "[request]\nleast_msat = 10\nmost_msat = 10\n"
	stage := func(rate string) string {
		return "[arrival]\nloop = \"open\"\nstages = [{rate = " + rate + ", for = \"10s\"}]\n"
	}
	for name, c := range map[string]struct{ text, warning, err string }{
		"channels last":      {people + "[mix]\nadvance = 1\n" + tens + stage("50_000"), "", ""},
		"channels do not":    {people + "[mix]\nadvance = 1\n" + tens + stage("100_000"), "", "used up after 1.00 M of 1.20 M ops"},
		"a hot payer's":      {people + "[skew]\npayers = \"zipf 1.0\"\n[mix]\nadvance = 1\n" + tens + stage("50_000"), "", "used up after"},
		"balances last":      {people + "[mix]\ntransfer = 1\n" + tens + stage("30_000"), "", ""},
		"balances do not":    {people + "[mix]\ntransfer = 1\n" + tens + stage("200_000"), "will be refused", ""},
		"histories are free": {people + "[mix]\nhistory = 1\n" + stage("200_000"), "", ""},
		"nobody knows":       {people + "[mix]\ntransfer = 1\n" + tens, "more than 41.7 k ops/s", ""},
	} {
		s, err := scenario.Parse([]byte(c.text), "test")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		warning, err := lasts(s)
		if !strings.Contains(warning, c.warning) || (warning == "") != (c.warning == "") {
			t.Errorf("%s: warning %q, want %q", name, warning, c.warning)
		}
		if (err == nil) != (c.err == "") || err != nil && (!strings.Contains(err.Error(), c.err) || !errors.Is(err, scenario.ErrScenario)) {
			t.Errorf("%s: %v, want %q", name, err, c.err)
		}
	}
}

// TestLargest holds the part of the one that is chosen most against sums that are known.
func TestLargest(t *testing.T) {
	for _, c := range []struct {
		s, want float64
		n       int
	}{{0, 0.25, 4}, {1, 12.0 / 25, 4}, {2, 6 / (math.Pi * math.Pi), 5_000_000}, {1, 1, 1}} {
		if got := (scenario.Choice{S: c.s}).Largest(c.n); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("zipf %g of %d: %.9f, want %.9f", c.s, c.n, got, c.want)
		}
	}
}
