package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/bench/report"
)

// TestBenchReport runs a small load in two rounds, and makes every report of it, at once and from its JSON.
func TestBenchReport(t *testing.T) {
	t.Setenv("BE_MILLRACE", "1")
	dir := t.TempDir()
	file, out := filepath.Join(dir, "small.toml"), filepath.Join(dir, "out")
	if err := os.WriteFile(file, []byte(bounded(fmt.Sprintf(everything, "1s", 0, 10, "binary"), "300ms")), 0o600); err != nil {
		t.Fatal(err)
	}
	r := millrace(t, nil, nil, "bench", "run", file, "--rounds", "2", "--dir", dir, "--out", out, "--json")
	if r.code != exitDone {
		t.Fatalf("exit %d: %s", r.code, r.err)
	}
	made, err := report.Read(strings.NewReader(r.out))
	if err != nil || !made.Passed() || len(made.Targets) != 1 || len(made.Targets[0].Rounds) != 2 || made.Machine.CPUs == 0 {
		t.Errorf("%+v, %v", made, err)
	}
	document := filepath.Join(out, report.DocumentFile)
	again := filepath.Join(dir, "again")
	if r := millrace(t, nil, nil, "bench", "report", document, "--out", again, "--svg", filepath.Join(dir, "svg")); r.code != exitDone || !strings.Contains(r.out, "verified: ") {
		t.Errorf("exit %d: %s %s", r.code, r.out, r.err)
	}
	for _, name := range []string{report.PageFile, report.DocumentFile, report.MarkdownFile, report.IntervalsFile, report.SummaryFile, "plots/percentiles.svg"} {
		first, err := os.ReadFile(filepath.Join(out, name))
		if err != nil || len(first) == 0 {
			t.Errorf("%s: %d bytes, %v", name, len(first), err)
		}
		if second, err := os.ReadFile(filepath.Join(again, name)); err != nil || string(first) != string(second) {
			t.Errorf("%s made from the JSON is another: %v", name, err)
		}
	}
	if plots, err := filepath.Glob(filepath.Join(dir, "svg", "*.svg")); err != nil || len(plots) < 5 {
		t.Errorf("%q, %v", plots, err)
	}
	if r := millrace(t, nil, nil, "bench", "compare", document, document); r.code != exitDone || !strings.Contains(r.out, "payments, ops/s") || !strings.Contains(r.out, "So few rounds") {
		t.Errorf("exit %d: %s %s", r.code, r.out, r.err)
	}
	r = millrace(t, nil, nil, "bench", "compare", document, document, "--json")
	var c report.Comparison
	if err := json.Unmarshal([]byte(r.out), &c); err != nil || len(c.Targets) != 1 || c.Targets[0].Rows[0].P != 1 {
		t.Errorf("%v: %s", err, r.out)
	}
}

// TestBenchFailWorse holds that a comparison fails where it is asked to, from files.
func TestBenchFailWorse(t *testing.T) {
	t.Setenv("BE_MILLRACE", "1")
	dir := t.TempDir()
	file, out := filepath.Join(dir, "small.toml"), filepath.Join(dir, "out")
	if err := os.WriteFile(file, []byte(bounded(fmt.Sprintf(everything, "1s", 0, 10, "binary"), "100ms")), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := millrace(t, nil, nil, "bench", "run", file, "--target", "sqlite", "--rounds", "4", "--dir", dir, "--out", out); r.code != exitDone {
		t.Fatalf("exit %d: %s", r.code, r.err)
	}
	document := filepath.Join(out, report.DocumentFile)
	made, err := readReport(document)
	if err != nil {
		t.Fatal(err)
	}
	slow := filepath.Join(dir, "slow.json")
	for name, rate := range map[string]float64{document: 1000, slow: 100} { // what was really measured differs as the machine likes
		for _, one := range made.Targets[0].Rounds {
			one.Rate = rate
		}
		f, err := os.Create(name)
		if err == nil {
			err = errors.Join(made.Write(f), f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if r := millrace(t, nil, nil, "bench", "compare", document, document, "--fail-worse", "5%"); r.code != exitDone {
		t.Errorf("the same: exit %d: %s", r.code, r.err)
	}
	if r := millrace(t, nil, nil, "bench", "compare", document, slow, "--fail-worse", "5%"); r.code != exitFailed || !strings.Contains(r.err, "payments -90.0%") || !strings.Contains(r.out, "WORSE") {
		t.Errorf("slower: exit %d: %s %s", r.code, r.out, r.err)
	}
	if r := millrace(t, nil, nil, "bench", "compare", document, slow); r.code != exitDone {
		t.Errorf("slower, not asked: exit %d: %s", r.code, r.err)
	}
	fails(t, exitUsage, "no percentage", "bench", "compare", document, slow, "--fail-worse", "much")
}

func TestBenchReportRefused(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other.json")
	if err := os.WriteFile(other, []byte(`{"format":99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, verb := range [][]string{{"report", other}, {"compare", other, other}} {
		fails(t, exitUsage, "its format is 99", append([]string{"bench"}, verb...)...)
	}
	fails(t, exitUsage, "no such file", "bench", "report", filepath.Join(t.TempDir(), "none"))
	fails(t, exitUsage, "--out is empty", "bench", "report", other, "--out", "")
	fails(t, exitUsage, "accepts 2 arg", "bench", "compare", other)
}
