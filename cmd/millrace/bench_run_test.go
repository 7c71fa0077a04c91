package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/bench"
	"github.com/millrace/millrace/bench/agent"
	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
)

const everything = `
workers = 5
warmup = "100ms"
duration = "%s"
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
unlock = 1
history = %d
[request]
ops = %d
encoding = "%s"
most_msat = 20
[retry]
attempts = 20
backoff = "20ms"
timeout = "5s"
`

// bounded has a load make a hundred requests a second, all of which are made however long a busy machine takes for them.
func bounded(text, long string) string {
	return text + "[arrival]\nloop = \"open\"\npatience = \"5m\"\nstages = [{rate = 100, for = \"" + long + "\"}]\n"
}

func runBench(t *testing.T, text string) {
	t.Helper()
	s, err := scenario.Parse([]byte(text), "test")
	if err != nil {
		t.Fatal(err)
	}
	var progress strings.Builder
	cfg := bench.Config{
		Dir: t.TempDir(), Serve: serveBench, ServeNoop: serveNoop, Progress: &progress,
		Command: func(args ...string) *exec.Cmd {
			c := itself(args...)
			c.Env = append(c.Env, "BE_MILLRACE=1")
			return c
		},
	}
	r, err := bench.RunScenario(t.Context(), cfg, s, "millrace", nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	if !r.Passed() || !r.Verdict.Agree || r.Counts.Ops == 0 || r.Counts.Refused > 0 || r.Counts.Failed > 0 {
		t.Errorf("%+v %+v %v %v", r.Verdict, r.Counts, r.Refusals, r.Errors)
	}
	for _, f := range r.Faults {
		if f.Err != "" {
			t.Errorf("fault %s: %s", f.Kind, f.Err)
		}
	}
	if len(s.Faults) > 0 && (len(r.Faults) == 0 || r.Counts.Errors == 0) {
		t.Errorf("%d faults happened, %d attempts had no answer", len(r.Faults), r.Counts.Errors)
	}
	if r.System == nil || r.System.Memory == 0 || r.Generator.CPU <= 0 {
		t.Errorf("used: %+v by the hub, %+v by the generator", r.System, r.Generator)
	}
	if left, err := os.ReadDir(cfg.Dir); err != nil || len(left) != 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

// TestBenchRun holds that a hub keeps its books under every kind of request, in every encoding.
func TestBenchRun(t *testing.T) {
	for _, c := range []struct {
		ops, history int
		encoding     scenario.Encoding
	}{{1, 2, scenario.Binary}, {100, 0, scenario.Binary}, {30, 1, scenario.Lines}, {30, 0, scenario.JSON}} {
		t.Run(fmt.Sprintf("%d %s", c.ops, c.encoding), func(t *testing.T) {
			runBench(t, bounded(fmt.Sprintf(everything, "1s", c.history, c.ops, c.encoding), "400ms"))
		})
	}
}

// TestBenchFaults holds the same where the hub is killed, stopped for a while and left without waiting for its answer.
func TestBenchFaults(t *testing.T) {
	for _, fault := range []string{
		"kind = \"kill\"\nat = \"200ms\"\nevery = \"600ms\"",
		"kind = \"freeze\"\nat = \"200ms\"\nfor = \"300ms\"\n[[faults]]\nkind = \"vanish\"\nat = \"20ms\"\nevery = \"20ms\"",
		"kind = \"slow_sync\"\nat = \"100ms\"\nfor = \"300ms\"\ndelay = \"10ms\"\n[[faults]]\nkind = \"stop_disk\"\nat = \"500ms\"\nfor = \"200ms\"\n[[faults]]\nkind = \"kill\"\nat = \"800ms\"",
	} {
		for _, ops := range []int{1, 50} {
			runBench(t, bounded(fmt.Sprintf(everything, "2s", 1, ops, "binary"), "2s")+"[[faults]]\n"+fault+"\n") // the last begins long before the end, even where a machine is busy
		}
	}
}

func TestBenchRunRefused(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret of the bench"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"run", "knee"} {
		fails(t, exitInternal, "agent http://127.0.0.1:1: ", "bench", verb, "tips", "--agent", "http://127.0.0.1:1", "--agent-secret-file", secret)
	}
	file := filepath.Join(t.TempDir(), "bad.toml")
	if err := os.WriteFile(file, []byte("speed = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		`no key "speed"`:           {file},
		`no "nosuch" comes`:        {"nosuch"},
		`no such target: "abacus"`: {"tips", "--target", "abacus"},
		"accepts 1 arg":            {},
		"--duration: scenario":     {"tips", "--duration", "-3s"},
		"--duration: the stages":   {"steady", "--duration", "3s"},
		"--rounds: 0":              {"tips", "--rounds", "0"},
	} {
		fails(t, exitUsage, want, append([]string{"bench", "run"}, args...)...)
	}
	if f := classify(fmt.Errorf("%w: p99", bench.ErrFailed)); f.exit != exitFailed {
		t.Errorf("a failed bench has exit code %d", f.exit)
	}
}

// TestBenchAgents holds that two agents make one load, beside a coordinator that kills the hub, and that the books are held against both.
func TestBenchAgents(t *testing.T) {
	const secret = "a secret of the bench"
	for _, fault := range []string{"", "[[faults]]\nkind = \"kill\"\nat = \"300ms\"\n"} {
		s, err := scenario.Parse([]byte(bounded(fmt.Sprintf(everything, "1s", 1, 1, "binary"), "1s")+fault), "test")
		if err != nil {
			t.Fatal(err)
		}
		cfg := bench.Config{Dir: t.TempDir(), Serve: serveBench, ServeNoop: serveNoop, AgentSecret: secret, AgentsLate: time.Minute, Command: func(args ...string) *exec.Cmd {
			c := itself(args...)
			c.Env = append(c.Env, "BE_MILLRACE=1")
			return c
		}}
		for range 2 {
			a, err := agent.NewServer(secret, bench.Join)
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(a.Handler())
			defer server.Close()
			cfg.Agents = append(cfg.Agents, server.URL)
		}
		r, err := bench.RunScenario(t.Context(), cfg, s, "millrace", nil)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Passed() || r.Counts.Ops == 0 || (len(r.Faults) > 0) != (fault != "") || (r.Counts.Errors > 0) != (fault != "") {
			t.Errorf("%+v %+v %v %v", r.Verdict, r.Counts, r.Errors, r.Faults)
		}
		seen := slices.ContainsFunc(r.Intervals, func(i generator.Interval) bool { return i.Memory > 0 })
		if fault == "" && (r.System == nil || r.System.CPU <= 0 || !seen) || len(r.Agents) != 2 {
			t.Errorf("used: %+v by the hub, of agents %+v; %+v", r.System, r.Agents, r.Intervals)
		}
	}
}
