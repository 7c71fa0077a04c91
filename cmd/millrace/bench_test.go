package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/bench"
)

// TestBenchOverHTTP runs every case that needs the API on it, as small as can be.
func TestBenchOverHTTP(t *testing.T) {
	for _, repeats := range []int{0, 50} {
		cfg := bench.Config{
			Dir: t.TempDir(), Rounds: 1, Round: 100 * time.Millisecond, Channels: 100, BatchOps: 50, LineOps: 10, BatchConns: 2,
			Conns: 3, Payers: 2, Contents: 5, Repeats: repeats, Serve: serveBench, ServeNoop: serveNoop,
		}
		usual, _ := bench.Names()
		for _, name := range usual {
			if strings.HasPrefix(name, "http-") {
				cfg.Cases = append(cfg.Cases, name)
			}
		}
		results, err := bench.Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			if r.Name != cfg.Cases[i] || r.Value <= 0 || r.Ratio <= 0 || r.Limit <= 0 || r.LogBytes <= 0 {
				t.Errorf("%+v", r)
			}
		}
	}
}

// TestBenchOfTimeAndSize runs the cases that are not run unasked, as small as can be, the second time on a folder that is there.
// Those that need nodes are left to bench's own tests.
func TestBenchOfTimeAndSize(t *testing.T) {
	_, long := bench.Names()
	long = slices.DeleteFunc(long, func(name string) bool { return strings.HasPrefix(name, "payouts-") })
	cfg := bench.Config{
		Dir: t.TempDir(), Cases: long, Rounds: 2, Round: 100 * time.Millisecond, Accounts: 500, Channels: 100, BatchOps: 50, BatchConns: 2,
		Clients: 2, Payees: 40, Entries: 20_000, Base: 10_000, SnapshotEvery: 100_000, Keep: filepath.Join(t.TempDir(), "kept"),
		Serve: serveBench, ServeNoop: serveNoop,
		Command: func(args ...string) *exec.Cmd {
			c := itself(args...)
			c.Env = append(c.Env, "BE_MILLRACE=1")
			return c
		},
	}
	results, err := bench.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if r.Name != long[i] || r.Value <= 0 || r.Unit == "" || len(r.Figures) == 0 {
			t.Errorf("%+v", r)
		}
		for _, f := range r.Figures {
			if f.Value < 0 || f.Name == "" {
				t.Errorf("%s: %+v", r.Name, f)
			}
		}
	}
	if left, err := os.ReadDir(cfg.Dir); err != nil || len(left) != 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

func TestBenchCommand(t *testing.T) {
	run := func(args ...string) (stdout string, err error) {
		c := &cobra.Command{Use: "millrace"}
		c.PersistentFlags().Bool("json", false, "")
		c.AddCommand(newBenchCommand())
		c.SilenceErrors, c.SilenceUsage = true, true
		var out, progress bytes.Buffer
		c.SetOut(&out)
		c.SetErr(&progress)
		c.SetArgs(append([]string{"bench"}, args...))
		err = c.ExecuteContext(t.Context())
		return out.String(), err
	}
	out, err := run("--quick", "--json", "--case", "core", "--rounds", "1", "--seconds", "0.01", "--dir", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var results []struct {
		Name  string  `json:"name"`
		Value float64 `json:"value"`
		Unit  string  `json:"unit"`
	}
	if err := json.Unmarshal([]byte(out), &results); err != nil || len(results) != 1 ||
		results[0].Name != "core" || results[0].Value <= 0 || results[0].Unit != "payments/s" {
		t.Errorf("%s: %v", out, err)
	}
	if _, err := run("--case", "speed"); err == nil || !strings.Contains(err.Error(), "core") {
		t.Errorf("an unknown case: %v", err)
	}
}
