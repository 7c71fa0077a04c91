package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/target/generic"
	"github.com/millrace/millrace/bench/target/postgres"
	"github.com/millrace/millrace/bench/target/sqlite"
	"github.com/millrace/millrace/bench/workload"
)

// ErrTarget is returned, wrapped, for the name of a payment system that the suite does not know.
var ErrTarget = errors.New("no such target")

// errNoCommand is why the hub of this program cannot be started.
var errNoCommand = errors.New("millrace needs a command to run")

// maker makes a target of a kind, with the population of a plan in it, in a folder of its own. Where is what stands behind the name: the URL of a
// system that is there already, or nothing.
type maker struct {
	name  string
	where bool // a URL may stand behind the name
	start func(ctx context.Context, c *Config, plan *workload.Plan, dir, where string) (generator.Target, error)
}

// there says whether it is a system that is asked whether it is there, before anything is made in it.
func (m *maker) there(where string) bool {
	return m.name == "http" || m.name == "millrace" && where != ""
}

// makers are the payment systems that a scenario can be run against.
var makers = [...]maker{
	{"millrace", true, func(ctx context.Context, c *Config, plan *workload.Plan, dir, where string) (generator.Target, error) {
		if where != "" {
			return startElsewhere(ctx, c, plan, where)
		}
		if c.Command == nil {
			return nil, errNoCommand
		}
		return newHubTarget(ctx, c, plan, dir)
	}},
	{"millrace-inprocess", false, func(ctx context.Context, c *Config, plan *workload.Plan, dir, _ string) (generator.Target, error) {
		return newInnerTarget(ctx, c, plan, dir)
	}},
	{"sqlite", false, func(ctx context.Context, _ *Config, plan *workload.Plan, dir, _ string) (generator.Target, error) {
		return sqlite.New(ctx, plan, dir)
	}},
	{"http", false, func(ctx context.Context, _ *Config, plan *workload.Plan, _, _ string) (generator.Target, error) {
		t, err := generic.New(ctx, plan)
		switch {
		case errors.Is(err, generic.ErrUndescribed):
			return nil, fmt.Errorf("%w: http: %w", ErrTarget, err)
		case err != nil:
			return nil, err
		}
		return t, nil
	}},
	{string(postgres.Batches), true, startPostgres(postgres.Batches)},
	{string(postgres.Totals), true, startPostgres(postgres.Totals)},
	{string(postgres.Single), true, startPostgres(postgres.Single)},
}

func startElsewhere(ctx context.Context, c *Config, plan *workload.Plan, where string) (generator.Target, error) {
	t, err := newElsewhere(ctx, c, plan, where)
	if err != nil {
		return nil, err
	}
	return t, nil
}

func startPostgres(mode postgres.Mode) func(context.Context, *Config, *workload.Plan, string, string) (generator.Target, error) {
	return func(ctx context.Context, c *Config, plan *workload.Plan, dir, where string) (generator.Target, error) {
		return postgres.New(ctx, postgres.Config{Plan: plan, Mode: mode, Dir: dir, URL: where, Progress: c.Progress})
	}
}

// Targets are the names of the payment systems that a scenario can be run against.
func Targets() (names []string) {
	for _, m := range makers {
		names = append(names, m.name)
	}
	return names
}

// findMaker takes a target as it is asked for apart: NAME, or NAME=URL.
func findMaker(target string) (m maker, where string, err error) {
	name, where, given := strings.Cut(target, "=")
	i := slices.IndexFunc(makers[:], func(m maker) bool { return m.name == name })
	switch {
	case i < 0:
		return m, "", fmt.Errorf("%w: %q; want one of %q", ErrTarget, name, Targets())
	case given && !makers[i].where:
		return m, "", fmt.Errorf("%w: %s is started by the suite, and is nowhere before", ErrTarget, name)
	case given && where == "":
		return m, "", fmt.Errorf("%w: %s= and no URL behind it", ErrTarget, name)
	}
	return makers[i], where, nil
}
