package bench

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/millrace/millrace/bench/agent"
	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
)

// ErrFailed is what a load ends with that a threshold does not hold of, or whose books do not agree with what was acknowledged.
var ErrFailed = errors.New("failed")

// RunScenario puts a target under a scenario's load, and verifies its books. The target is started for it, in a temporary folder that is removed
// at the end. What was measured so far is returned when the context ends before the load does.
func RunScenario(ctx context.Context, cfg Config, s *scenario.Scenario, target string, live func(generator.Interval)) (r *generator.Result, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	warning, err := lasts(s)
	if err != nil {
		return nil, err
	}
	if warning != "" {
		fmt.Fprintf(cfg.Progress, "warning: %s: %s\n", s.Name, warning)
	}
	err = loaded(ctx, cfg, s, target, func(p *workload.Plan, t generator.Target) (err error) {
		if err := able(s, t); err != nil {
			return err
		}
		defer onStop(ctx, &cfg)()
		if len(cfg.Agents) == 0 {
			r, err = generator.New(generator.Config{Plan: p, Target: t, Live: live}).Run(ctx)
			return err
		}
		crowd, err := newCrowd(&cfg, p, t)
		if err != nil {
			return err
		}
		crowd.Live = live
		r, err = crowd.Run(ctx)
		return err
	})
	return r, err
}

// FindKnee looks for the highest rate at which a target holds an objective, under a scenario's requests: see generator.Generator.Knee.
func FindKnee(ctx context.Context, cfg Config, s *scenario.Scenario, target string, search generator.Search) (k *generator.Knee, err error) {
	err = loaded(ctx, cfg, s, target, func(p *workload.Plan, t generator.Target) (err error) {
		defer onStop(ctx, &cfg)()
		if len(cfg.Agents) == 0 {
			k, err = generator.New(generator.Config{Plan: p, Target: t}).Knee(ctx, search)
			return err
		}
		crowd, err := newCrowd(&cfg, p, t)
		if err != nil {
			return err
		}
		k, err = crowd.Knee(ctx, search)
		return err
	})
	return k, err
}

// agents finds out whether those are there that make the load, if any do.
func agents(ctx context.Context, cfg *Config) error {
	return (&agent.Crowd{Agents: cfg.Agents, Secret: cfg.AgentSecret, Version: cfg.Version, Late: cfg.AgentsLate}).Look(ctx)
}

// newCrowd has agents make the load of a target.
func newCrowd(cfg *Config, p *workload.Plan, t generator.Target) (*agent.Crowd, error) {
	there, ok := t.(agent.Sharer)
	if !ok {
		return nil, fmt.Errorf("%w: %s cannot be loaded by agents", ErrTarget, t.Name())
	}
	return &agent.Crowd{
		Agents: cfg.Agents, Secret: cfg.AgentSecret, Version: cfg.Version, Plan: p, Target: there, Log: cfg.Progress, Late: cfg.AgentsLate,
	}, nil
}

// onStop says what is going on when somebody has had enough, until it is called.
func onStop(ctx context.Context, c *Config) (over func() bool) {
	return context.AfterFunc(ctx, func() {
		fmt.Fprintf(c.Progress, "stopping; settling up to %v, and then the books are read (once more: at once, without a verdict)\n", generator.Stopping)
	})
}

// loaded starts a target with a scenario's population, and has something done to it.
func loaded(ctx context.Context, cfg Config, s *scenario.Scenario, target string, do func(*workload.Plan, generator.Target) error) (err error) {
	if err := cfg.Validate(); err != nil {
		return err
	}
	kind, where, err := findMaker(target)
	if err != nil {
		return err
	}
	if onMemory(cfg.Dir) {
		fmt.Fprintf(cfg.Progress, "warning: %s lies in memory, where a sync costs nothing: name a folder on a disk with --dir\n", cfg.Dir)
	}
	if err := agents(ctx, &cfg); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(cfg.Dir, "millrace-bench-")
	if err != nil {
		return fmt.Errorf("bench: making a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	plan := workload.NewPlan(s)
	if !kind.there(where) {
		announce(&cfg, plan)
	}
	t, err := kind.start(ctx, &cfg, plan, dir, where)
	if err != nil {
		return fmt.Errorf("bench: starting %s: %w", kind.name, err)
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	return do(plan, t)
}

// announce says what population is made.
func announce(c *Config, p *workload.Plan) {
	n := p.Scenario.Population
	fmt.Fprintf(c.Progress, "%s: making %d accounts, %d channels and %d works\n", p.Scenario.Name, p.Accounts(), n.Channels, n.Works)
}

// able refuses a scenario with faults that a target cannot have: a load without them would be another one.
func able(s *scenario.Scenario, t generator.Target) error {
	_, process := t.(generator.Process)
	for _, f := range s.Faults {
		if f.Kind != scenario.Vanish && !process {
			return fmt.Errorf("%w: %s cannot have the fault %s, which the scenario asks for", ErrTarget, t.Name(), f.Kind)
		}
	}
	return nil
}
