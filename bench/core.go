package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/millrace/millrace/ledger"
)

// memory is a ledger without hub and disk.
type memory struct {
	state *ledger.State
	block ledger.Builder
	out   []ledger.Applied
	index uint64
}

func newMemory() *memory {
	return &memory{state: ledger.New(benchParams(), newSeed())}
}

// submit applies ops as one block.
func (m *memory) submit(ops []ledger.Op) ([]ledger.Applied, error) {
	_, err := m.apply(ops)
	return m.out, err
}

// apply builds a block, applies it, and says how long the applying took.
func (m *memory) apply(ops []ledger.Op) (time.Duration, error) {
	m.block.Reset()
	for i := range ops {
		m.block.Add(&ops[i], nil)
	}
	m.index++
	block := m.block.Seal(ledger.Header{
		Time: uint64(time.Now().UnixMilli()), Number: m.index, Parent: m.state.Index(), Head: m.state.Head(),
	})
	began := time.Now()
	var err error
	m.out, err = m.state.Apply(m.index, block, m.out[:0])
	return time.Since(began), err
}

// inMemory is a ledger in memory with its crowd, and the trial that applies advances to it.
type inMemory struct {
	memory   *memory
	advances *advances
}

func newInMemory(ctx context.Context, c *Config) (*inMemory, error) {
	m := newMemory()
	channels, err := newBuilder(ctx, m.submit).crowd(c.Accounts)
	if err != nil {
		return nil, err
	}
	parts, err := divide(channels, 1, c.BatchOps)
	if err != nil {
		return nil, err
	}
	return &inMemory{m, parts[0]}, nil
}

// run counts the time that Apply takes, and not that in which the next block is built.
func (m *inMemory) run(ctx context.Context, d time.Duration) (sample, error) {
	s := sample{waits: newWaits()}
	for s.took < d && ctx.Err() == nil {
		took, err := m.memory.apply(m.advances.next())
		if err != nil {
			return s, err
		}
		if err := m.advances.acknowledged(m.memory.out); err != nil {
			return s, err
		}
		s.took += took
		s.ops += uint64(len(m.memory.out))
		record(s.waits, took)
	}
	return s, nil
}

// check is the verification at the end.
func (m *inMemory) check() error {
	if err := m.memory.state.Audit(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return m.advances.check(m.memory.state)
}

// runCore measures the ledger alone. It has no limit: it is one.
func runCore(ctx context.Context, c *Config, _ string) (Result, error) {
	m, err := newInMemory(ctx, c)
	if err != nil {
		return Result{}, err
	}
	own := &trial{name: "apply in memory", run: m.run}
	if err := takeTurns(ctx, c, "core", own); err != nil {
		return Result{}, err
	}
	return newResult(fmt.Sprintf("block of %d", c.BatchOps), own), m.check()
}
