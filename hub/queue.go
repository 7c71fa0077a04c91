package hub

import "sync"

// queue is the open block's waiting room: what callers have submitted and the sequencer has not taken yet. It is bounded in
// ops, and who does not fit is told at once.
type queue struct {
	mu      sync.Mutex
	arrived sync.Cond
	batches []*Batch
	ops     int // in batches; at most limit
	limit   int
	closed  bool
}

func newQueue(limit int) *queue {
	q := &queue{limit: limit}
	q.arrived.L = &q.mu
	return q
}

func (q *queue) put(b *Batch) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	if q.ops+len(b.Ops) > q.limit {
		return ErrOverload
	}
	q.ops += len(b.Ops)
	q.batches = append(q.batches, b)
	if len(q.batches) == 1 {
		q.arrived.Signal()
	}
	return nil
}

// take waits for batches, and moves them to the end of into until they weigh enough for a block. False means that the queue
// is closed and empty.
func (q *queue) take(into []*Batch, enough int) ([]*Batch, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.batches) == 0 {
		if q.closed {
			return into, false
		}
		q.arrived.Wait()
	}
	n, ops, weight := 0, 0, 0
	for ; n < len(q.batches) && weight < enough; n++ {
		ops += len(q.batches[n].Ops)
		weight += q.batches[n].weight()
	}
	into = append(into, q.batches[:n]...)
	rest := copy(q.batches, q.batches[n:])
	clear(q.batches[rest:])
	q.batches = q.batches[:rest]
	q.ops -= ops
	return into, true
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.arrived.Signal()
	q.mu.Unlock()
}

func (q *queue) depth() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ops
}
