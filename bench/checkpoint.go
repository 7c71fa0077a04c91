package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// runCheckpoint measures how long commits and batches take while a checkpoint is written, and while none is. All pay as fast as
// they can, so that what a checkpoint takes of cores and disk is missed.
func runCheckpoint(ctx context.Context, c *Config, dir string) (res Result, err error) {
	f, err := openFolder(ctx, c, c.place(dir))
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, f.rig.close()) }()
	kept := f.rig.kept
	for _, each := range f.clients {
		each.busy, each.beside = kept.writing, newWaits()
	}
	quiet, busy := newWaits(), newWaits() // commits
	f.rig.waits.note(func() *hdrhistogram.Histogram {
		if kept.writing() {
			return busy
		}
		return quiet
	})
	own := &trial{name: "batches", run: func(ctx context.Context, d time.Duration) (sample, error) { return f.clients.run(ctx, f.rig.hub, d) }}
	if err := takeTurns(ctx, c, "checkpoint", own); err != nil {
		return Result{}, err
	}
	for kept.taken.Load() == 0 { // however long that takes: the log grows
		if _, err := own.once(ctx, c.Round); err != nil {
			return Result{}, err
		}
	}
	if err := f.rig.catchUp(ctx); err != nil {
		return Result{}, err
	}
	f.rig.waits.note(nil)
	beside := newWaits()
	for _, each := range f.clients {
		beside.Merge(each.beside)
	}
	res = newResult(fmt.Sprintf("batch of %d", c.BatchOps), own)
	_, bytes := kept.Covered()
	res.add(float64(kept.taken.Load()), "", "checkpoints")
	res.add(float64(bytes)/1e6, "MB", "written for the last one")
	alone := own.sum().waits
	res.addWaits("commit", quiet)
	res.addWaits("commit while a checkpoint is written", busy)
	res.addWaits("batch", alone)
	res.addWaits("batch while a checkpoint is written", beside)
	res.add(float64(beside.Max())/1000, "ms", "the longest batch of these")
	res.add(ratio(busy, quiet), "times", "p99 of commit, with to without")
	res.add(ratio(beside, alone), "times", "p99 of batch, with to without")
	return res, f.finish(ctx, c, &res)
}

func ratio(a, b *hdrhistogram.Histogram) float64 {
	return float64(a.ValueAtQuantile(99)) / float64(max(b.ValueAtQuantile(99), 1))
}
