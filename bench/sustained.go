package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

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
	followed, alone := newWaits(), newWaits() // of commits
	var lag uint64
	var late time.Duration
	own := &trial{name: "followed", run: func(ctx context.Context, d time.Duration) (sample, error) {
		s, err := on.timed(ctx, d, followed)
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
		return runUnfollowed(ctx, c, filepath.Join(dir, "off"), d, alone)
	}}
	if err := takeTurns(ctx, c, "sustained", own, off); err != nil {
		return Result{}, err
	}
	res = newResult(fmt.Sprintf("batch of %d", c.BatchOps), own, off)
	res.add(own.sum().took.Seconds(), "s", "in all rounds, catching up included")
	res.add(float64(lag), "entries", "the most in memory alone at the end of a round's load")
	res.add(late.Seconds(), "s", "the longest that catching up then took")
	res.add(float64(r.kept.taken.Load()), "", "checkpoints")
	res.addWaits("commit", followed)
	res.addWaits("commit where nothing follows", alone)
	fmt.Fprintf(c.Progress, "verifying %s payments\n", count(float64(own.sum().ops)))
	return res, on.finish(ctx, &res)
}

// runUnfollowed is a whole life of a hub where nothing follows the log.
func runUnfollowed(ctx context.Context, c *Config, dir string, d time.Duration, commits *hdrhistogram.Histogram) (s sample, err error) {
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
	if s, err = off.timed(ctx, d, commits); err != nil {
		return s, err
	}
	return s, off.finish(ctx, &Result{})
}
