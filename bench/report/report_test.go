package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew, but for the documents of formats")

// testMachine is one that never was.
func testMachine() Machine {
	return Machine{Millrace: "v1.2.3", Commit: "0123456789abcdef", Go: "go1.26.0", OS: "Debian GNU/Linux 12 (bookworm)", Kernel: "6.1.0-18-amd64", CPU: "Abacus 9000 @ 3.1 GHz",
		CPUs: 2, Memory: 25_000_000_000, Files: "ext4 (rw,relatime), 52.3 GB"}
}

func testScenario(t testing.TB) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Parse([]byte(`
about = "Single transfers from many readers to few creators"
workers = 64
duration = "20s"
thresholds = ["failed == 0", "p99 < 50ms", "rate >= 5000/s"]
[population]
payers = 20_000
payees = 1_000
[mix]
transfer = 1
[[faults]]
kind = "kill"
at = "8s"
`), "tips")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// testResult is what a load might have come to: payments a second, and the median latency in milliseconds.
func testResult(s *scenario.Scenario, name string, seed uint64, rate, p50 float64) *generator.Result {
	random := rand.New(rand.NewPCG(seed, 1))
	r := &generator.Result{
		Scenario: s, Target: name, Began: time.Date(2026, 11, 21, 5, 0, int(seed), 0, time.UTC), Seconds: 20, Errors: map[string]uint64{}, Refusals: map[string]uint64{},
		Faults:    []generator.Happened{{Kind: scenario.Kill, At: 8, Until: 9.3}},
		Generator: generator.Use{CPU: 12, Cores: 0.6, PerOpCPU: 12e6 / (rate * 20)},
		System:    &generator.Use{CPU: 24, Cores: 1.2, Memory: 212_000_000, Disk: int64(rate * 20 * 17), PerOpCPU: 24e6 / (rate * 20), PerOpDsk: 17},
		Verdict:   generator.Verdict{Agree: true},
	}
	bars := make(map[int64]int64)
	for range 5000 {
		wait := p50 * 1000 * math.Exp(random.NormFloat64()*0.7)
		if random.IntN(500) == 0 {
			wait += 1e6 * random.Float64() // behind the kill
		}
		micros := int64(wait)
		if step := int64(math.Pow(2, math.Floor(math.Log2(wait))-6)); step > 1 {
			micros -= micros % step
		}
		bars[max(micros, 1)]++
	}
	for _, micros := range slices.Sorted(maps.Keys(bars)) {
		r.Histogram = append(r.Histogram, generator.Bar{Micros: micros, Count: bars[micros]})
	}
	for at := -1; at <= 20; at++ {
		i := generator.Interval{At: float64(at), Seconds: 1, Ops: uint64(rate * (0.95 + 0.1*random.Float64())), P50: p50, P99: 4 * p50 * (0.9 + 0.2*random.Float64()),
			Max: 9 * p50 * (0.8 + 0.6*random.Float64()), CPU: 0.55 + 0.1*random.Float64(), System: 1.1 + 0.2*random.Float64(), Memory: 180_000_000 + int64(at)*1_600_000,
			Disk: 50_000_000 + int64(float64(at+2)*rate*17)}
		switch at {
		case 9:
			i.Ops, i.P50, i.P99, i.Max, i.System, i.Errors = 0, 0, 0, 0, 0, 64
		case 10:
			i.Ops, i.P99, i.Max, i.Errors = i.Ops*6/10, 900, 1100, 11
		}
		r.Intervals = append(r.Intervals, i)
		if at > 0 {
			r.Counts.Ops += i.Ops
			r.Counts.Errors += i.Errors
		}
	}
	r.Counts.Requests, r.Counts.Retried = r.Counts.Ops, 75
	r.Rate, r.Requests, r.Resolved = float64(r.Counts.Ops)/20, float64(r.Counts.Ops)/20, 3
	r.Errors["read tcp: connection reset by peer"] = 64
	r.Errors["dial tcp: connection refused"] = 11
	n := r.Counts.Requests
	r.Wait = generator.Quantiles{P50: p50, P90: 2.4 * p50, P99: 5 * p50, P999: 400, Max: 1100, N: n}
	r.Service = generator.Quantiles{P50: p50, P90: 2.4 * p50, P99: 5 * p50, P999: 400, Max: 1100, N: n}
	for _, h := range []struct {
		text     string
		measured float64
	}{{"failed == 0", 0}, {"p99 < 50ms", 5000 * p50}, {"rate >= 5000/s", r.Rate}} {
		var threshold scenario.Threshold
		if err := threshold.UnmarshalText([]byte(h.text)); err != nil {
			panic(err) // a mistake of this test
		}
		r.Held = append(r.Held, generator.Held{Threshold: h.text, Measured: h.measured, Holds: threshold.Holds(h.measured)})
	}
	return r
}

// versus is a report of two targets in five rounds, one of which failed.
func versus(t testing.TB) *Report {
	s := testScenario(t)
	var all []*generator.Result
	for n := range uint64(5) {
		all = append(all, testResult(s, "millrace v1.2.3", n, 52_000+700*float64(n), 1.1), testResult(s, "PostgreSQL 15.6, one by one", n+10, 9_000+150*float64(n), 7.2-float64(n)/100))
	}
	bad := all[3]
	bad.Held[1].Holds, bad.Held[1].Measured = false, 61_234
	bad.Saturated = []string{"the generator took 1.40 of 2 cores"}
	bad.Counts.Refused, bad.Refusals["insufficient_funds"] = 12, 12
	return New(testMachine(), []string{"millrace", "postgres-single"}, all)
}

// alone is a report of one target in one round.
func alone(t testing.TB) *Report {
	return New(testMachine(), []string{"millrace"}, []*generator.Result{testResult(testScenario(t), "millrace v1.2.3", 1, 52_000, 1.1)})
}

func golden(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	var got bytes.Buffer
	if err := write(&got); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		a, b := strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("%s, line %d:\n%.300s\nwant\n%.300s", name, i+1, a[i], b[i])
			}
		}
		t.Fatalf("%s: %d lines, want %d", name, len(a), len(b))
	}
}

// TestGolden holds every form against testdata.
func TestGolden(t *testing.T) {
	one, two := alone(t), versus(t)
	golden(t, "one.txt", one.WriteText)
	golden(t, "two.txt", two.WriteText)
	golden(t, "two.md", func(w io.Writer) error {
		return two.WriteMarkdown(w, Plot{Title: "Throughput", File: "plots/throughput.svg"})
	})
	golden(t, "one.html", withoutScenario(one))
	golden(t, "two.html", withoutScenario(two))
	golden(t, "summary.csv", two.WriteSummaryCSV)
	golden(t, "intervals.csv", one.WriteIntervalsCSV)
	for _, c := range append(two.together(), one.Targets[0].charts("target1")...) {
		golden(t, c.id+".svg", func(w io.Writer) error { return c.write(w, true) })
	}
}

// withoutScenario is a page but for the scenario's text, which grows with each key that scenarios learn.
func withoutScenario(r *Report) func(io.Writer) error {
	return func(w io.Writer) error {
		var b bytes.Buffer
		if err := r.WriteHTML(&b); err != nil {
			return err
		}
		_, err := w.Write(regexp.MustCompile(`(?s)<pre><code>.*</code></pre>`).ReplaceAll(b.Bytes(), []byte("<pre><code>...</code></pre>")))
		return err
	}
}

// TestFormat holds that a document of format 1, which is never written anew, says what it did.
func TestFormat(t *testing.T) {
	text, err := os.ReadFile("testdata/format1.json")
	if err != nil {
		t.Fatal(err)
	}
	old, err := Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "one.txt", old.WriteText)
	golden(t, "one.html", withoutScenario(old))
	// Whoever reads it by program finds everything where it was.
	var now, before map[string]any
	var b bytes.Buffer
	if err := errors.Join(old.Write(&b), json.Unmarshal(b.Bytes(), &now), json.Unmarshal(text, &before)); err != nil {
		t.Fatal(err)
	}
	missing(t, "document", before, now)
}

// missing names what a value has that another has not. Keys may be added.
func missing(t *testing.T, at string, before, now any) {
	t.Helper()
	switch was := before.(type) {
	case map[string]any:
		is, _ := now.(map[string]any)
		for key, value := range was {
			missing(t, at+"."+key, value, is[key])
		}
	case []any:
		is, _ := now.([]any)
		if len(is) != len(was) {
			t.Errorf("%s has %d values, had %d", at, len(is), len(was))
			return
		}
		for i := range was {
			missing(t, fmt.Sprintf("%s[%d]", at, i), was[i], is[i])
		}
	default:
		if before != now {
			t.Errorf("%s is %v, was %v", at, now, before)
		}
	}
}

// TestRead holds that a document is read as it was written, and that what is none is refused.
func TestRead(t *testing.T) {
	for _, r := range []*Report{alone(t), versus(t)} {
		var first, second bytes.Buffer
		if err := r.Write(&first); err != nil {
			t.Fatal(err)
		}
		again, err := Read(bytes.NewReader(first.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Write(&second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("what was written and read is written otherwise: %v", err)
		}
		var a, b bytes.Buffer
		if err := errors.Join(r.WriteHTML(&a), again.WriteHTML(&b)); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("its page is another: %v", err)
		}
	}
	for text, want := range map[string]string{
		"":                              "unexpected end",
		"[]":                            "cannot unmarshal",
		"{}":                            "format is 0",
		`{"format":2}`:                  "reads 1 to 1",
		`{"format":1}`:                  "no results",
		`{"format":1,"targets":[{}]}`:   "no results",
		`{"format":1,"targets":"none"}`: "cannot unmarshal",
		`{"format":1,"targets":[{"rounds":[null]}]}`: "no results",
		`{"format":1,"targets":[{"rounds":[{}]}]}`:   "no scenario",
	} {
		if _, err := Read(strings.NewReader(text)); !errors.Is(err, ErrDocument) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestLittle holds that every form can be made of a result that has next to nothing in it.
func TestLittle(t *testing.T) {
	s := testScenario(t)
	empty := &generator.Result{Scenario: s, Target: "none", Stopped: true, Verdict: generator.Verdict{Unverified: "it is gone"}}
	odd := &generator.Result{Scenario: s, Target: "odd", Seconds: math.MaxFloat64, Rate: math.SmallestNonzeroFloat64, Histogram: generator.Histogram{{Micros: math.MaxInt64, Count: 1}, {Micros: -1, Count: 5}},
		Intervals: []generator.Interval{{At: -5e300, Seconds: -1, Ops: math.MaxUint64, P50: 1e-300, Max: 1e300}, {At: 5e300, Disk: math.MinInt64, P99: -1}},
		System:    &generator.Use{Memory: math.MinInt64}, Faults: []generator.Happened{{At: -1e300, Until: 1e300}}, Counts: generator.Counts{Errors: 1}}
	for _, results := range [][]*generator.Result{{empty}, {empty, nil, odd}, {odd, empty}, {nil, odd}} {
		r := New(Machine{}, []string{"a", "b"}, results)
		if err := r.WriteFolder(t.TempDir()); err != nil {
			t.Error(err)
		}
		if r.Passed() {
			t.Error("passed")
		}
		var page bytes.Buffer
		if err := errors.Join(r.WriteHTML(&page), r.WriteText(io.Discard), Compare(r, r).WriteText(io.Discard)); err != nil {
			t.Error(err)
		}
		if strings.Contains(page.String(), "NaN") || strings.Contains(page.String(), "Inf") {
			t.Error("the page has what is no number")
		}
	}
}

// FuzzRead holds that of every document that is read a page can be made, and that it shows no number that is none.
func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := alone(f).Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.String())
	f.Add(`{"format":1,"targets":[{"rounds":[{"scenario":{},"histogram":[{"us":1,"n":1}],"intervals":[{"at_s":1e308,"ops":5},{"at_s":-1e308}]}]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Read(strings.NewReader(text))
		if err != nil {
			return
		}
		var page bytes.Buffer
		if err := errors.Join(r.WriteHTML(&page), r.WriteMarkdown(io.Discard), r.WriteSummaryCSV(io.Discard), Compare(r, r).WriteText(io.Discard)); err != nil {
			t.Error(err)
		}
		for _, c := range append(r.together(), r.Targets[0].charts("x")...) {
			var b bytes.Buffer
			if err := c.write(&b, true); err != nil {
				t.Error(err)
			}
			if found := regexp.MustCompile(`[ MLHVd"](NaN|[+-]?Inf)`).FindString(b.String()); found != "" {
				t.Errorf("%s has %q", c.id, found)
			}
		}
	})
}
