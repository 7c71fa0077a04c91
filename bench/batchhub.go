package bench

import (
	"context"
	"errors"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/millrace/millrace/ledger"
)

// batchHub is a hub that takes batches over HTTP.
type batchHub struct {
	rig   *rig
	load  []source
	tally []*batchSource
	addr  string
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
	addr, stop, err := c.Serve(r.hub, anyPort)
	if err != nil {
		return nil, err
	}
	b.addr, b.stop = addr, stop
	b.fleet, err = newFleet(addr, c.BatchConns)
	return b, err
}

// run sends batches for some time.
func (b *batchHub) run(ctx context.Context, d time.Duration) (sample, error) {
	return b.fleet.run(ctx, b.load, d)
}

// timed is run, and notes how long commits took.
func (b *batchHub) timed(ctx context.Context, d time.Duration, commits *hdrhistogram.Histogram) (sample, error) {
	b.rig.waits.note(func() *hdrhistogram.Histogram { return commits })
	defer b.rig.waits.note(nil)
	return b.run(ctx, d)
}

// finish stops the server and verifies the hub.
func (b *batchHub) finish(ctx context.Context, res *Result) error {
	if err := b.hangUp(); err != nil {
		return err
	}
	return b.rig.finish(ctx, b.paid(), res, func(state *ledger.State) error {
		for _, s := range b.tally {
			if err := s.check(state); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *batchHub) paid() (n uint64) {
	for _, s := range b.tally {
		n += s.payments
	}
	return n
}

func (b *batchHub) hangUp() error {
	err := errors.Join(b.fleet.close(), b.stop())
	b.fleet, b.stop = &fleet{}, func() error { return nil }
	return err
}

// close takes down what finish has not.
func (b *batchHub) close() error { return errors.Join(b.hangUp(), b.rig.close()) }
