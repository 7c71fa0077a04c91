package bench

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/deploy/regtest/network"
)

func TestRailsWithoutNodes(t *testing.T) {
	cfg := tiny(t)
	cfg.Cases, cfg.Round, cfg.Payees = []string{"netting", "settling"}, 200*time.Millisecond, 40
	results, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r := results[0]; r.Unit != "s" || r.Value <= 0 || figure(t, r, "accounts, all with settings") != 200 || figure(t, r, "of them due") < 160 {
		t.Errorf("netting: %+v", r)
	}
	if r := results[1]; r.Ratio <= 0 || len(r.Rounds) != 2 || figure(t, r, "payees settled in all") < 1 {
		t.Errorf("settling: %+v", r)
	}
	left, err := os.ReadDir(cfg.Dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

// figure is a result's figure of a name.
func figure(t *testing.T, r Result, name string) float64 {
	t.Helper()
	for _, f := range r.Figures {
		if f.Name == name {
			return f.Value
		}
	}
	t.Fatalf("%s has no figure %q: %+v", r.Name, name, r.Figures)
	return 0
}

func TestNodesThatAreNotBuilt(t *testing.T) {
	t.Setenv("MILLRACE_NODES", t.TempDir())
	for _, name := range []string{"payouts-chain", "payouts-lightning"} {
		cfg := tiny(t)
		cfg.Cases = []string{name}
		results, err := Run(t.Context(), cfg)
		if !errors.Is(err, network.ErrNotBuilt) || !strings.Contains(err.Error(), "make nodes") || !strings.Contains(err.Error(), "MILLRACE_NODES") || len(results) != 0 {
			t.Errorf("%s: %v, %v", name, results, err)
		}
	}
}

// TestRegtestPayouts runs the cases that need nodes, as small as can be.
func TestRegtestPayouts(t *testing.T) {
	if _, err := network.Programs(""); errors.Is(err, network.ErrNotBuilt) {
		t.Skip(err)
	}
	if testing.Short() {
		t.Skip("real nodes take longer than -short allows")
	}
	cfg := tiny(t)
	cfg.Cases, cfg.Payees, cfg.Payouts = []string{"payouts-chain", "payouts-lightning"}, 30, 20
	results, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r := results[0]; r.Unit != "s" || r.Value <= 0 || figure(t, r, "transactions") != 1 || figure(t, r, "payees in the largest") != 30 {
		t.Errorf("payouts-chain: %+v", r)
	}
	if r := results[1]; r.Unit != "payouts/s" || r.Ratio <= 0 || r.Ops != 2*20 {
		t.Errorf("payouts-lightning: %+v", r)
	}
}
