package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
)

// bare is pebble alone: one Set and one Commit(Sync) of a block at a time. It goes through the store, with a machine behind
// it that does nothing; what counts is the time that the store reports for Set and Commit, and nothing around them.
type bare struct {
	store   *store.Store
	took    time.Duration // by the store's goroutine before Apply, by the caller after it
	applied chan struct{}
	failed  chan error
}

func newBare(ctx context.Context, dir string) (*bare, error) {
	b := &bare{applied: make(chan struct{}, 1), failed: make(chan error, 1)}
	opts := store.Options{
		Dir: filepath.Join(dir, "bare"), CheckpointEvery: 1 << 60,
		Fatal:     func(err error) { b.failed <- err },
		Committed: func(_, _ int, took time.Duration) { b.took = took },
	}
	if err := store.Init(opts, benchParams()); err != nil {
		return nil, err
	}
	var err error
	if b.store, err = store.Open(opts); err != nil {
		return nil, err
	}
	if err := b.store.Start(ctx, b, nil); err != nil {
		return nil, errors.Join(err, b.store.Close())
	}
	return b, nil
}

// write makes one block durable, and says how long pebble took.
func (b *bare) write(block []byte) (time.Duration, error) {
	if err := b.store.Propose(block); err != nil {
		return 0, err
	}
	select {
	case <-b.applied:
		return b.took, nil
	case err := <-b.failed:
		return 0, err
	}
}

// run writes blocks of a size, each of which stands for a number of payments.
func (b *bare) run(ctx context.Context, d time.Duration, size, payments uint64) (sample, error) {
	if size == 0 {
		return sample{}, errors.New("no size to write")
	}
	s, block := sample{waits: newWaits()}, make([]byte, size)
	for i := range block {
		block[i] = byte(i * 7)
	}
	for s.took < d && ctx.Err() == nil {
		took, err := b.write(block)
		if err != nil {
			return s, fmt.Errorf("writing a block: %w", err)
		}
		s.took += took
		s.ops += payments
		record(s.waits, took)
	}
	return s, nil
}

// Apply is told that the block is durable.
func (b *bare) Apply(uint64, []byte) error {
	b.applied <- struct{}{}
	return nil
}

// Snapshot is of an empty ledger.
func (b *bare) Snapshot() *ledger.View { return ledger.New(benchParams(), newSeed()).View() }

// Restore has nothing to restore.
func (b *bare) Restore(uint64, io.Reader) error { return nil }

func (b *bare) close() error { return b.store.Close() }
