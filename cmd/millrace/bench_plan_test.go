package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/bench"
	"github.com/millrace/millrace/bench/plan"
)

// TestBenchPlan measures a small hub for a short time, keeps what it has measured, and plans from it. What the figures are is not held to anything: the
// machine may be busy with other tests.
func TestBenchPlan(t *testing.T) {
	cfg := bench.Config{Dir: t.TempDir(), Serve: serveBench, ServeNoop: serveNoop, Progress: t.Output(), Command: func(args ...string) *exec.Cmd {
		c := itself(args...)
		c.Env = append(c.Env, "BE_MILLRACE=1")
		return c
	}}
	m, err := bench.Measure(t.Context(), cfg, bench.Sizing{
		Each: 200 * time.Millisecond, Kinds: []string{"advance"}, Channels: 2000,
		Points: []bench.SizingPoint{{Ops: 1, Workers: 8}, {Ops: 16, Workers: 8}, {Ops: 256, Workers: 2}, {Ops: 1, Workers: 4, Rate: 200}},
		Sizes:  []bench.SizingHub{{Accounts: 2}, {Accounts: 5000}, {Accounts: 5000, Channels: 5000}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Payments["advance"] {
		// A few payments are less than what the files' heads differ by.
		if p.Rate <= 0 || p.Payments == 0 || p.Commits <= 0 || p.Syncs <= 0 || p.Sync <= 0 || p.Memory < 1e6 || p.Batch == 256 && (p.Log <= 0 || p.Index <= 0) {
			t.Errorf("%+v", p)
		}
	}
	for _, s := range m.Sizes {
		if s.Memory < 1e6 || s.Disk == 0 {
			t.Errorf("%+v", s)
		}
	}
	if left, err := os.ReadDir(cfg.Dir); err != nil || len(left) != 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
	kept := filepath.Join(t.TempDir(), "here.json")
	text, err := json.Marshal(m)
	if err == nil {
		err = os.WriteFile(kept, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := millrace(t, nil, nil, "bench", "plan", "--peak", "1000", "--batch", "10", "--accounts", "10000", "--channels", "5000", "--measured", kept)
	if r.code != exitDone || !strings.Contains(r.out, "  cores ") || !strings.Contains(r.out, " a year; ") || !strings.Contains(r.out, "  syncs ") {
		t.Errorf("exit %d: %s %s", r.code, r.out, r.err)
	}
	var p plan.Plan
	if r = millrace(t, nil, nil, "bench", "plan", "--peak", "1000", "--measured", kept, "--json"); json.Unmarshal([]byte(r.out), &p) != nil || p.Cores < 1 || p.Memory < 1e6 || p.DiskDay <= 0 || p.Syncs <= 0 {
		t.Errorf("exit %d: %s %s", r.code, r.out, r.err)
	}
	fails(t, exitUsage, "payments a second at the peak", "bench", "plan", "--measured", kept)
	if err := os.WriteFile(kept, []byte(`{"cores":2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, exitUsage, "another version", "bench", "plan", "--peak", "1", "--measured", kept)
}
