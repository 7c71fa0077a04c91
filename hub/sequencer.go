package hub

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
)

// blocksInFlight bounds the blocks between the sequencer and the answers: one that is applied, one that syncs, and one that
// is ready when it has. More would only cut what waits into smaller blocks. It must stay below ledger.MaxInFlight.
const blocksInFlight = 3

// blockWeight is what the sequencer takes for one block: some 17,000 ops, 300 KiB of advances. The last batch may go beyond
// it, so a block is smaller than blockWeight plus the heaviest batch: within ledger.MaxBlock.
const blockWeight = 640 << 10

// MaxBatchOps bounds one submission.
const MaxBatchOps = 8192

// flight is a block on its way from the sequencer to Apply.
type flight struct {
	builder ledger.Builder
	number  uint64
	batches []*Batch // those with an op in the block, in its order
}

// sequence is the sequencer: the one goroutine that turns what waits into blocks. What the present state refuses, or has
// done before, is answered now and never logged: an answer that is right in an order in which the op came before all that
// is still on its way.
func (h *Hub) sequence() {
	defer close(h.sequenced)
	var taken []*Batch
	for number := uint64(1); ; number++ {
		var f *flight
		select {
		case f = <-h.free: // while the log is busy, the next block gathers
		case <-h.dead:
			return
		}
		var ok bool
		if taken, ok = h.queue.take(taken[:0], blockWeight); !ok {
			h.free <- f
			return
		}
		f.builder.Reset()
		f.batches = f.batches[:0]
		f.number = number
		header := h.gather(f, taken)
		if f.builder.Count() == 0 {
			h.free <- f
			continue
		}
		switch err := h.log.Propose(f.builder.Seal(header)); {
		case err == nil:
			h.flying <- f // Apply may have come before, and waits for it
		case errors.Is(err, store.ErrNoSpace):
			h.turnAway(f)
		default:
			h.Fail(fmt.Errorf("proposing block %d: %w", number, err))
			return
		}
	}
}

// turnAway refuses a block's batches, of which nothing was done: what was answered early of them was done, or refused, before.
func (h *Hub) turnAway(f *flight) {
	for _, b := range f.batches {
		b.err = ErrNoSpace
		h.metrics.notTaken.Add(float64(len(b.Ops)))
		b.done <- struct{}{}
	}
	h.free <- f
}

// gather checks what was taken against the present state, wakes whoever has all his answers, and puts the rest in the block.
func (h *Hub) gather(f *flight, taken []*Batch) ledger.Header {
	header := h.checkAll(f, taken)
	for _, b := range taken {
		if b.left == 0 {
			b.done <- struct{}{}
			continue
		}
		var own []byte
		details := b.Detail
		for i := range b.Out {
			if len(details) > 0 {
				own, details = b.Ops[i].CutDetail(details)
			}
			if b.Out[i].Result() == ledger.Undecided {
				f.builder.Add(&b.Ops[i], own)
			}
		}
		f.batches = append(f.batches, b)
	}
	h.metrics.results(&h.early)
	return header
}

// checkAll is the part of gather that reads the ledger. It is kept short: Apply waits meanwhile.
func (h *Hub) checkAll(f *flight, taken []*Batch) ledger.Header {
	h.mu.RLock()
	defer h.mu.RUnlock()
	now := max(h.clock(), h.state.Now())
	for _, b := range taken {
		b.left = h.state.CheckAll(b.Ops, b.Detail, now, b.Out)
		if b.left == len(b.Ops) {
			continue
		}
		for i := range b.Out {
			if r := b.Out[i].Result(); r != ledger.Undecided {
				h.early[r]++
			}
		}
	}
	return ledger.Header{Time: now, Proposer: h.proposer, Number: f.number, Parent: h.state.Index(), Head: h.state.Head()}
}
