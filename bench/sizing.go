package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/plan"
	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
)

// sizingBatches are the sizes of a batch that a plan is made from, with the connections that make a hub busy.
var sizingBatches = []struct{ ops, workers int }{{1, 64}, {16, 64}, {256, 16}, {8192, 4}}

// Measure measures what a plan is made from on this machine: payments by transfer and by advance in requests of several sizes, each for a
// time, and the memory of hubs of three sizes.
func Measure(ctx context.Context, cfg Config, each time.Duration) (*plan.Measured, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := &plan.Measured{Cores: runtime.NumCPU(), Machine: runtime.GOOS + "/" + runtime.GOARCH, Payments: make(map[string][]plan.Point)}
	for _, kind := range []string{"advance", "transfer"} {
		for _, b := range sizingBatches {
			p, err := measurePoint(ctx, &cfg, kind, b.ops, b.workers, each)
			if err != nil {
				return nil, fmt.Errorf("bench: measuring %s in batches of %d: %w", kind, b.ops, err)
			}
			fmt.Fprintf(cfg.Progress, "%s in batches of %d: %s a second, %.3g us of CPU and %.1f bytes each\n", kind, b.ops, count(p.Rate), p.CPU, p.Disk)
			m.Payments[kind] = append(m.Payments[kind], p)
		}
	}
	const small = 10_000
	for _, n := range []scenario.Population{{Payers: small, Payees: small}, {Payers: small, Payees: 1 << 20}, {Payers: small, Payees: 1 << 20, Channels: 50 * small}} {
		size, err := measureSize(ctx, &cfg, n)
		if err != nil {
			return nil, fmt.Errorf("bench: measuring the memory of a hub: %w", err)
		}
		fmt.Fprintf(cfg.Progress, "%d accounts and %d channels: %d MB\n", size.Accounts, size.Channels, size.Memory/1e6)
		m.Sizes = append(m.Sizes, size)
	}
	return m, nil
}

func measurePoint(ctx context.Context, c *Config, kind string, ops, workers int, each time.Duration) (plan.Point, error) {
	s := scenario.Default()
	s.Name, s.Workers, s.Request.Ops = kind, workers, ops
	s.Warmup, s.Duration = scenario.Duration{Duration: each / 4}, scenario.Duration{Duration: each}
	s.Population.Payers, s.Population.Payees = 1000, 1000
	if s.Mix.Transfer = 1; kind == "advance" {
		s.Mix, s.Population.Channels = scenario.Mix{Advance: 1}, 100_000
	}
	var point plan.Point
	err := withHub(ctx, c, &s, func(p *workload.Plan, t *hubTarget) error {
		r, err := generator.New(generator.Config{Plan: p, Target: t}).Run(ctx)
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !r.Passed() || r.System == nil || r.Counts.Ops == 0 {
			return fmt.Errorf("%w: %q", ErrFailed, r.Failures())
		}
		point = plan.Point{Batch: ops, CPU: r.System.PerOpCPU, Disk: r.System.PerOpDsk, Rate: r.Rate, P99: r.Wait.P99}
		return nil
	})
	return point, err
}

func measureSize(ctx context.Context, c *Config, n scenario.Population) (plan.Size, error) {
	s := scenario.Default()
	s.Name, s.Mix.Transfer = "size", 1
	n.Funds, n.Price = s.Population.Funds, s.Population.Price
	s.Population = n
	size := plan.Size{Accounts: n.Payers + n.Payees, Channels: n.Channels}
	err := withHub(ctx, c, &s, func(_ *workload.Plan, t *hubTarget) error {
		u, err := t.Using()
		size.Memory = u.Memory
		return err
	})
	return size, err
}

// withHub makes a hub with a scenario's population in a temporary folder, which is removed at the end.
func withHub(ctx context.Context, c *Config, s *scenario.Scenario, do func(*workload.Plan, *hubTarget) error) (err error) {
	if err := s.Validate(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.Dir, "millrace-bench-")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p := workload.NewPlan(s)
	t, err := newHubTarget(ctx, c, p, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	return do(p, t)
}
