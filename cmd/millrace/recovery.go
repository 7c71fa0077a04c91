package main

import (
	"io"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
)

// recovery is the machine of a replay without a hub: a ledger that the log drives, and nobody behind it.
type recovery struct {
	seed     ledger.Seed
	index    *index.Index // the ledger's archive; nil: it remembers everything itself
	outcomes []ledger.Applied
	state    *ledger.State
}

func newRecovery(p ledger.Params, past *index.Index) recovery {
	m := recovery{seed: store.NewSeed(), index: past}
	m.state = ledger.New(p, m.seed)
	if past != nil {
		m.state.Attach(past)
	}
	return m
}

// Apply is for store.Machine.
func (m *recovery) Apply(index uint64, block []byte) (err error) {
	m.outcomes, err = m.state.Apply(index, block, m.outcomes[:0])
	return err
}

// Restore begins the replay at the index's checkpoint.
func (m *recovery) Restore(_ uint64, from io.Reader) error {
	s, err := ledger.Restore(from, m.seed)
	if err != nil {
		return err
	}
	s.Attach(m.index)
	m.state = s
	return nil
}

// Snapshot is of no use here, since nobody keeps it, but a machine has one.
func (m *recovery) Snapshot() *ledger.View { return m.state.View() }
