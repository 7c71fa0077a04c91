package hub

import (
	"fmt"
	"io"

	"github.com/millrace/millrace/ledger"
)

// Machine is the hub as the log drives it. One goroutine, the log's, calls it in the order of the log.
type Machine struct{ h *Hub }

// Apply does what a durable block says, and answers the callers who wait for it: acknowledgements leave only from here.
func (m Machine) Apply(index uint64, block []byte) error {
	h := m.h
	var err error
	h.mu.Lock()
	h.outcomes, err = h.state.Apply(index, block, h.outcomes[:0])
	h.mu.Unlock()
	if err != nil {
		return err
	}
	h.cfg.Index.Append(h.state.Last()) // before the acknowledgements: what is acknowledged is in the histories
	h.show(h.state.Seq())
	if header := ledger.HeaderOf(block); header.Proposer == h.proposer {
		return h.acknowledge(header.Number)
	}
	return nil
}

// acknowledge hands the outcomes of this process's own block to those who wait, in the block's order.
func (h *Hub) acknowledge(number uint64) error {
	f := <-h.flying
	if f.number != number {
		return fmt.Errorf("block %d of this process came where its block %d belongs", number, f.number)
	}
	outcomes := h.outcomes
	for _, b := range f.batches {
		for i := range b.Out {
			if b.Out[i].Result() == ledger.Undecided {
				b.Out[i] = outcomes[0]
				h.late[outcomes[0].Result()]++
				outcomes = outcomes[1:]
			}
		}
	}
	h.metrics.results(&h.late)
	h.metrics.blockOps.Observe(float64(len(h.outcomes)))
	for _, b := range f.batches {
		b.done <- struct{}{}
	}
	h.free <- f
	return nil
}

// Snapshot is a cheap frozen view of the ledger, to be kept as a checkpoint.
func (m Machine) Snapshot() *ledger.View {
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	return m.h.state.Checkpoint()
}

// Indexed is for the index to report that it has everything up to an entry: the ledger's memory may let go of that.
func (h *Hub) Indexed(_, seq uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.Forget(seq)
}

// Restore replaces the ledger by the one that a view wrote, or leaves it and returns an error.
func (m Machine) Restore(index uint64, r io.Reader) error {
	s, err := ledger.Restore(r, m.h.seed)
	if err != nil {
		return err
	}
	if s.Index() != index {
		return fmt.Errorf("snapshot of block %d under the name of block %d", s.Index(), index)
	}
	if s.Params() != m.h.state.Params() {
		return fmt.Errorf("snapshot of a ledger with other rules")
	}
	s.Attach(m.h.cfg.Index)
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	m.h.state = s
	return nil
}
