package bench

import (
	"context"
	"errors"
	"time"

	"github.com/millrace/millrace/hub/token"
	"github.com/millrace/millrace/ledger"
)

// httpCase is what the HTTP cases share: a hub behind its server, beside the server that does nothing.
type httpCase struct {
	name, call string
	conns      int
	// setUp makes what is to be paid with, and the sources: one for each connection to the hub, and as many that send the
	// like to the server that does nothing.
	setUp func(ctx context.Context, c *Config, r *rig) (load, idle []source, err error)
	// check holds the ledger at the end against the tallies, and says how many payments they have.
	tally func() uint64
	check func(*ledger.State) error
}

func (k *httpCase) run(ctx context.Context, c *Config, dir string) (res Result, err error) {
	r, err := newRig(ctx, c, dir)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	load, idle, err := k.setUp(ctx, c, r)
	if err != nil {
		return Result{}, err
	}
	if err := r.restart(ctx); err != nil {
		return Result{}, err
	}
	if res, err = k.turns(ctx, c, r, load, idle); err != nil {
		return Result{}, err
	}
	err = r.finish(ctx, k.tally(), &res, k.check)
	return res, err
}

func (k *httpCase) turns(ctx context.Context, c *Config, r *rig, load, idle []source) (res Result, err error) {
	addr, stop, err := c.Serve(r.hub, anyPort)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	noopAddr, stopNoop, err := c.ServeNoop()
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, stopNoop()) }()
	toHub, err := newFleet(addr, k.conns)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, toHub.close()) }()
	toNoop, err := newFleet(noopAddr, k.conns)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, toNoop.close()) }()
	for i := range idle {
		idle[i] = unheard{idle[i]}
	}
	own := &trial{name: "hub", run: func(ctx context.Context, d time.Duration) (sample, error) { return toHub.run(ctx, load, d) }}
	noop := &trial{name: "no-op handler", run: func(ctx context.Context, d time.Duration) (sample, error) { return toNoop.run(ctx, idle, d) }}
	if err := takeTurns(ctx, c, k.name, own, noop); err != nil {
		return Result{}, err
	}
	return newResult(k.call, own, noop), nil
}

// tokens issues one for each account.
func (r *rig) tokens(accounts []ledger.AccountNo) ([]string, error) {
	all := make([]string, 0, len(accounts))
	for _, no := range accounts {
		text, err := r.hub.IssueToken(no, token.Limits{})
		if err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, nil
}
