package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/ledger"
)

// batchHub is a hub that takes batches over HTTP.
type batchHub struct {
	rig   *rig
	load  []source
	tally []*batchSource
	fleet *fleet
	stop  func() error
}

func newBatchHub(ctx context.Context, c *Config, r *rig) (b *batchHub, err error) {
	b = &batchHub{rig: r, stop: func() error { return nil }, fleet: &fleet{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	per := (c.Channels + c.BatchConns*c.BatchOps - 1) / (c.BatchConns * c.BatchOps)
	if b.tally, err = newBatchSources(ctx, c, r, per, c.BatchOps, false); err != nil {
		return nil, err
	}
	for _, s := range b.tally {
		b.load = append(b.load, s)
	}
	if err := r.restart(ctx); err != nil {
		return nil, err
	}
	addr, stop, err := c.Serve(r.hub)
	if err != nil {
		return nil, err
	}
	b.stop = stop
	b.fleet, err = newFleet(addr, c.BatchConns)
	return b, err
}

// run sends batches for some time.
func (b *batchHub) run(ctx context.Context, d time.Duration) (sample, error) {
	return b.fleet.run(ctx, b.load, d)
}

// finish stops the server and verifies the hub.
func (b *batchHub) finish(ctx context.Context, res *Result) error {
	if err := b.hangUp(); err != nil {
		return err
	}
	paid := uint64(0)
	for _, s := range b.tally {
		paid += s.payments
	}
	return b.rig.finish(ctx, paid, res, func(state *ledger.State) error {
		for _, s := range b.tally {
			if err := s.check(state); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *batchHub) hangUp() error {
	err := errors.Join(b.fleet.close(), b.stop())
	b.fleet, b.stop = &fleet{}, func() error { return nil }
	return err
}

// close takes down what finish has not.
func (b *batchHub) close() error { return errors.Join(b.hangUp(), b.rig.close()) }

// runSustained measures batches over HTTP on a hub where all that follows the log must have caught up before the clock stops, in
// turns with a hub where nothing follows. The one goes on from round to round; the other is a new one in each, so that the disk
// need not hold two long logs.
func runSustained(ctx context.Context, c *Config, dir string) (res Result, err error) {
	r, err := newRig(ctx, c, dir)
	if err != nil {
		return Result{}, err
	}
	on, err := newBatchHub(ctx, c, r)
	if err != nil {
		return Result{}, errors.Join(err, r.close())
	}
	defer func() { err = errors.Join(err, on.close()) }()
	var lag uint64
	var late time.Duration
	own := &trial{name: "followed", run: func(ctx context.Context, d time.Duration) (sample, error) {
		s, err := on.run(ctx, d)
		if err != nil {
			return s, err
		}
		_, entries := r.index.Lag()
		began := time.Now()
		err = r.catchUp(ctx)
		took := time.Since(began)
		s.took += took
		lag, late = max(lag, entries), max(late, took)
		return s, err
	}}
	off := &trial{name: "nothing follows", run: func(ctx context.Context, d time.Duration) (sample, error) {
		return runUnfollowed(ctx, c, filepath.Join(dir, "off"), d)
	}}
	if err := takeTurns(ctx, c, "sustained", own, off); err != nil {
		return Result{}, err
	}
	res = newResult(fmt.Sprintf("batch of %d", c.BatchOps), own, off)
	res.add(own.sum().took.Seconds(), "s", "in all rounds, catching up included")
	res.add(float64(lag), "entries", "the most in memory alone at the end of a round's load")
	res.add(late.Seconds(), "s", "the longest that catching up then took")
	res.add(float64(r.kept.taken.Load()), "", "checkpoints")
	fmt.Fprintf(c.Progress, "verifying %s payments\n", count(float64(own.sum().ops)))
	return res, on.finish(ctx, &res)
}

// runUnfollowed is a whole life of a hub where nothing follows the log.
func runUnfollowed(ctx context.Context, c *Config, dir string, d time.Duration) (s sample, err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := &rig{dir: filepath.Join(dir, "data"), every: c.SnapshotEvery, off: true}
	if err := r.init(); err != nil {
		return s, err
	}
	if err := r.start(ctx); err != nil {
		return s, err
	}
	off, err := newBatchHub(ctx, c, r)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, off.close()) }()
	if s, err = off.run(ctx, d); err != nil {
		return s, err
	}
	return s, off.finish(ctx, &Result{})
}
