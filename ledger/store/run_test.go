package store_test

import (
	"math/rand/v2"
	"testing"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
	"github.com/millrace/millrace/ledger/store"
)

// maxFlying is how many blocks these tests have on their way at most: fewer than a block may lie behind the head it names.
const maxFlying = 8

// history is a sequence of blocks' contents, and what a ledger is after each of them.
type history struct {
	params  ledger.Params
	batches [][]ledgertest.Step
	prints  []print // after so many batches
}

func newHistory(seed uint64, ops int) *history {
	g := ledgertest.NewGenerator(seed)
	steps, _ := g.Steps(ops)
	h := &history{params: g.Model.Params, batches: ledgertest.Cut(newRand(seed), steps, 6)}
	m := newMachine(h.params)
	h.prints = append(h.prints, m.print())
	for i, batch := range h.batches {
		if err := m.Apply(uint64(i+1), m.block(batch...)); err != nil {
			panic(err)
		}
		h.prints = append(h.prints, m.print())
	}
	return h
}

func (h *history) last() print { return h.prints[len(h.prints)-1] }

// feed proposes the batches from the one behind the machine's last block to before the given one, a few at a time.
func (h *history) feed(t testing.TB, rng *rand.Rand, s *store.Store, m *machine, to int) {
	t.Helper()
	for i := int(m.index()); i < to; {
		for range 1 + rng.IntN(maxFlying) {
			if i < to {
				propose(t, s, m.block(h.batches[i]...))
				i++
			}
		}
		barrier(t, s)
	}
}

// check compares a machine with the history after so many blocks.
func (h *history) check(t testing.TB, what string, m *machine, blocks int) {
	t.Helper()
	if got := m.index(); got != uint64(blocks) {
		t.Errorf("%s: at block %d, want %d", what, got, blocks)
	}
	if m.print() != h.prints[blocks] {
		t.Errorf("%s: another ledger after block %d", what, blocks)
	}
}
