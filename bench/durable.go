package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
)

// client is one goroutine that submits batches.
type client struct {
	advances *advances
	batch    hub.Batch
	waits    sample
	busy     func() bool             // may be nil
	beside   *hdrhistogram.Histogram // of the batches that were answered while busy, which are then not in waits
}

// run submits one batch after the other.
func (k *client) run(ctx context.Context, h *hub.Hub, until time.Time) error {
	for at := time.Now(); at.Before(until) && ctx.Err() == nil; {
		k.batch.Ops = k.advances.next()
		if err := h.Submit(&k.batch); err != nil {
			return err
		}
		if err := k.advances.acknowledged(k.batch.Out); err != nil {
			return err
		}
		now := time.Now()
		if k.busy != nil && k.busy() {
			record(k.beside, now.Sub(at))
		} else {
			record(k.waits.waits, now.Sub(at))
		}
		k.waits.ops += uint64(len(k.batch.Out))
		at = now
	}
	return nil
}

// clients are those of one hub.
type clients []*client

func (all clients) run(ctx context.Context, h *hub.Hub, d time.Duration) (sample, error) {
	errs := make([]error, len(all))
	for _, k := range all {
		k.waits = sample{waits: newWaits()}
	}
	began := time.Now()
	var wait sync.WaitGroup
	for i, k := range all {
		wait.Go(func() { errs[i] = k.run(ctx, h, began.Add(d)) })
	}
	wait.Wait()
	s := sample{took: time.Since(began), waits: newWaits()}
	for _, k := range all {
		s.ops += k.waits.ops
		s.waits.Merge(k.waits.waits)
	}
	return s, errors.Join(errs...)
}

// tally is all that the clients were told, the warm-up included.
func (all clients) tally() (total uint64) {
	for _, k := range all {
		total += k.advances.total
	}
	return total
}

func (all clients) check(s *ledger.State) error {
	for _, k := range all {
		if err := k.advances.check(s); err != nil {
			return err
		}
	}
	return nil
}

// runDurable measures hub, ledger and disk together, without HTTP.
func runDurable(ctx context.Context, c *Config, dir string) (res Result, err error) {
	r, err := newRig(ctx, c, dir)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	channels, err := newBuilder(ctx, r.submit).crowd(c.Accounts)
	if err != nil {
		return Result{}, err
	}
	parts, err := divide(channels, c.Clients, c.BatchOps)
	if err != nil {
		return Result{}, err
	}
	if err := r.restart(ctx); err != nil {
		return Result{}, err
	}
	var all clients
	for _, p := range parts {
		all = append(all, &client{advances: p})
	}
	memory, err := newInMemory(ctx, c)
	if err != nil {
		return Result{}, err
	}
	pebble, err := newBare(ctx, dir)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, pebble.close()) }()
	res, err = turnsOfDurable(ctx, c, r, all, memory, pebble)
	if err != nil {
		return Result{}, err
	}
	err = errors.Join(memory.check(), r.finish(ctx, all.tally(), &res, all.check))
	return res, err
}

func turnsOfDurable(ctx context.Context, c *Config, r *rig, all clients, memory *inMemory, pebble *bare) (Result, error) {
	var busy, took time.Duration
	var commits, bytes, ops uint64 // of the hub, so that pebble alone writes what the hub did: as much in one commit
	own := &trial{name: "durable", run: func(ctx context.Context, d time.Duration) (sample, error) {
		commits0, bytes0, busy0 := r.commits.Load(), r.bytes.Load(), r.syncing.Load()
		s, err := all.run(ctx, r.hub, d)
		commits += r.commits.Load() - commits0
		bytes += r.bytes.Load() - bytes0
		ops += s.ops
		busy += time.Duration(r.syncing.Load() - busy0)
		took += s.took
		return s, err
	}}
	alone := &trial{name: "pebble alone", run: func(ctx context.Context, d time.Duration) (sample, error) {
		n := max(commits, 1)
		return pebble.run(ctx, d, bytes/n, ops/n)
	}}
	apply := &trial{name: "apply in memory", run: memory.run}
	if err := takeTurns(ctx, c, "durable", own, apply, alone); err != nil {
		return Result{}, err
	}
	res := newResult(fmt.Sprintf("batch of %d", c.BatchOps), own, apply, alone)
	res.CommitOps = float64(ops) / float64(max(commits, 1))
	res.Committing = busy.Seconds() / took.Seconds()
	fmt.Fprintf(c.Progress, "durable: %.0f payments in a commit; the log was committing for %s of the time\n", res.CommitOps, percent(res.Committing))
	return res, nil
}
