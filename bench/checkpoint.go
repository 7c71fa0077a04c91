package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// commits are the log's, by whether a checkpoint was on its way.
type commits struct {
	mu            sync.Mutex
	busy          func() bool
	alone, beside *hdrhistogram.Histogram
}

func (k *commits) add(took time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.busy == nil: // not begun
	case k.busy():
		record(k.beside, took)
	default:
		record(k.alone, took)
	}
}

// both says whether there were commits of both kinds.
func (k *commits) both() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.alone.TotalCount() > 0 && k.beside.TotalCount() > 0
}

// runCheckpoint measures how long commits and batches take while a checkpoint is written, and while none is. All pay as fast as
// they can, so that what a checkpoint takes of cores and disk is missed.
func runCheckpoint(ctx context.Context, c *Config, dir string) (res Result, err error) {
	f, err := openFolder(ctx, c, c.place(dir))
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, f.rig.close()) }()
	k := &commits{alone: newWaits(), beside: newWaits()}
	f.rig.committed = k.add
	if err := errors.Join(f.rig.restart(ctx), f.settle(ctx)); err != nil {
		return Result{}, err
	}
	for _, each := range f.clients {
		each.busy, each.beside = f.rig.kept.writing, newWaits()
	}
	k.mu.Lock()
	k.busy = f.rig.kept.writing
	k.mu.Unlock()
	own := &trial{name: "batches", run: func(ctx context.Context, d time.Duration) (sample, error) { return f.clients.run(ctx, f.rig.hub, d) }}
	if err := takeTurns(ctx, c, "checkpoint", own); err != nil {
		return Result{}, err
	}
	for !k.both() { // however long that takes: the log grows
		if _, err := own.once(ctx, c.Round); err != nil {
			return Result{}, err
		}
	}
	if err := f.rig.catchUp(ctx); err != nil {
		return Result{}, err
	}
	beside := newWaits()
	for _, each := range f.clients {
		beside.Merge(each.beside)
	}
	res = newResult(fmt.Sprintf("batch of %d", c.BatchOps), own)
	_, bytes := f.rig.kept.Covered()
	res.add(float64(f.rig.kept.taken.Load()), "", "checkpoints")
	res.add(float64(bytes)/1e6, "MB", "written for the last one")
	alone := own.sum().waits
	res.addWaits("commit", k.alone)
	res.addWaits("commit while a checkpoint is written", k.beside)
	res.addWaits("batch", alone)
	res.addWaits("batch while a checkpoint is written", beside)
	res.add(float64(beside.Max())/1000, "ms", "the longest batch of these")
	res.add(ratio(k.beside, k.alone), "times", "p99 of commit, with to without")
	res.add(ratio(beside, alone), "times", "p99 of batch, with to without")
	return res, f.finish(ctx, c, &res)
}

func ratio(a, b *hdrhistogram.Histogram) float64 {
	return float64(a.ValueAtQuantile(99)) / float64(max(b.ValueAtQuantile(99), 1))
}
