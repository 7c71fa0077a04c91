package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/ledger"
)

// runStartup makes a long log, and then has a hub in a process of its own take batches over HTTP, kills it in the middle of
// that, and starts it again, as often as there are rounds.
func runStartup(ctx context.Context, c *Config, dir string) (Result, error) {
	f, err := openFolder(ctx, c, c.place(dir))
	if err != nil {
		return Result{}, err
	}
	k := &killing{c: c, rig: f.rig}
	if err = f.grow(ctx, c, c.Entries); err == nil {
		per := (c.Channels + c.BatchConns*c.BatchOps - 1) / (c.BatchConns * c.BatchOps)
		k.load, err = newBatchSources(ctx, c, f.rig, per, c.BatchOps, false)
	}
	if err == nil {
		err = f.settle(ctx)
	}
	if err = errors.Join(err, f.rig.close()); err != nil {
		return Result{}, err
	}
	p, err := newProcess(c, f.rig.dir, anyPort)
	if err != nil {
		return Result{}, err
	}
	res := Result{Unit: "s", Call: "start"}
	clean := p.took
	for i := range c.Rounds {
		if p, err = k.round(ctx, p); err != nil {
			return Result{}, err
		}
		fmt.Fprintf(c.Progress, "startup: round %d of %d: serves %.2f s after SIGKILL, with %.0f MB\n", i+1, c.Rounds, p.took.Seconds(), k.started.now)
	}
	if err := k.last(ctx, p); err != nil {
		return Result{}, err
	}
	res.Calls, res.Value = uint64(c.Rounds), slices.Max(k.starts)
	res.add(res.Value, "s", "start after SIGKILL under load, the longest of %d", c.Rounds)
	res.add(median(k.starts), "s", "the same, median")
	res.add(clean.Seconds(), "s", "start after a clean stop")
	res.add(k.started.now, "MB", "memory when it serves")
	res.add(k.started.peak, "MB", "the most until then")
	res.add(k.loaded.peak, "MB", "the most under load")
	res.add(float64(f.entries()), "", "entries")
	fmt.Fprintf(c.Progress, "verifying a log of more than %s entries\n", count(float64(f.entries())))
	return res, f.rig.verify(ctx, func(s *ledger.State) error { return errors.Join(f.clients.check(s), k.check(s, f.rig.seq)) })
}

// killing is a hub that takes batches, dies, and is started again.
type killing struct {
	c       *Config
	rig     *rig
	load    []*batchSource
	starts  []float64 // in seconds, after SIGKILL
	started memoryUse // the most, when a hub served
	loaded  memoryUse // the most, when it was about to be killed
	unsure  uint64    // payments of which nobody knows whether the killed hub had made them durable
}

func (m *memoryUse) raise(n memoryUse) { m.now, m.peak = max(m.now, n.now), max(m.peak, n.peak) }

// round has a process take batches, kills it, and starts another.
func (k *killing) round(ctx context.Context, p *process) (*process, error) {
	fleet, err := newFleet(p.addr, len(k.load))
	if err != nil {
		return nil, errors.Join(err, p.kill())
	}
	ended := make(chan error, 1)
	go func() {
		_, err := fleet.run(ctx, k.sources(), time.Hour) // until the hub hangs up
		ended <- err
	}()
	select {
	case err = <-ended:
		return nil, errors.Join(fmt.Errorf("before the hub was killed: %w", err), fleet.close(), p.kill())
	case <-time.After(k.c.Round):
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), p.kill(), fleet.close())
	}
	m, err := p.memory()
	k.loaded.raise(m)
	if err = errors.Join(err, p.kill()); err != nil {
		return nil, err
	}
	<-ended // with the error of whoever waited for an answer
	k.forget()
	if err := fleet.close(); err != nil {
		return nil, err
	}
	if p, err = newProcess(k.c, k.rig.dir, anyPort); err != nil {
		return nil, err
	}
	k.starts = append(k.starts, p.took.Seconds())
	if m, err = p.memory(); err != nil {
		return nil, errors.Join(err, p.kill())
	}
	k.started.raise(m)
	return p, nil
}

func (k *killing) sources() (all []source) {
	for _, s := range k.load {
		all = append(all, s)
	}
	return all
}

// forget gives up the requests that were never answered: a total further than theirs will be paid, by one entry whether they
// were paid or not.
func (k *killing) forget() {
	for _, s := range k.load {
		if s.waiting {
			s.waiting = false
			s.last.total++
			s.last.unsure = true
			k.unsure += uint64(len(s.last.channels))
		}
	}
}

// last pays until each total is known again, and stops the hub.
func (k *killing) last(ctx context.Context, p *process) error {
	fleet, err := newFleet(p.addr, len(k.load))
	if err != nil {
		return errors.Join(err, p.kill())
	}
	for !k.everywhere() {
		if _, err := fleet.run(ctx, k.sources(), k.c.Round); err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err(), fleet.close(), p.kill())
		}
	}
	return errors.Join(fleet.close(), p.stop())
}

// everywhere says whether no total is in doubt any more.
func (k *killing) everywhere() bool {
	for _, s := range k.load {
		for i := range s.requests {
			if s.requests[i].unsure {
				return false
			}
		}
	}
	return true
}

// check holds a ledger against what was acknowledged since a seq.
func (k *killing) check(state *ledger.State, since uint64) error {
	paid := uint64(0)
	for _, s := range k.load {
		paid += s.payments
		if err := s.check(state); err != nil {
			return err
		}
	}
	if got := state.Seq() - since; got < paid || got > paid+k.unsure {
		return fmt.Errorf("the ledger has %d entries since the set-up: %d were acknowledged, and %d more may have been made", got, paid, k.unsure)
	}
	return nil
}
