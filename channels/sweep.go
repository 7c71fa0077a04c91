package channels

import (
	"context"
	"errors"
)

// The bounds of one look through records. The next one goes on behind it.
const (
	sweepMost = 10_000 // records
	sweepVain = 100    // of them about which nothing can be done now
)

// sweep does, now and then, what nothing else brings about.
func (r *Rails) sweep() {
	for r.ctx.Err() == nil {
		r.creditArrived()
		if r.cfg.Receiver != nil {
			if err := r.sweepInvoices(); err != nil {
				r.warn("invoices cannot be looked into; trying again", "err", err)
			}
		}
		r.pause(r.cfg.Poll)
	}
}

// round is how far looks through the records of one kind have come: the key behind which the next one goes on; nil: at the first. So
// what can be done nothing about holds up none of those behind it.
type round []byte

// goRound calls f with the ends of the next keys of a round: at most so many, until f says that those from there on are not due, or
// a node does not answer, or too much was in vain. It returns the first error.
func (r *Rails) goRound(o *round, prefix string, most int, f func(key []byte) (due bool, err error)) (first error) {
	var from []byte
	if *o != nil {
		from = append(rowKey(prefix, *o), 0)
	}
	keys, err := r.keysUnder(prefix, from, most)
	if err != nil {
		return err
	}
	vain := 0
	for _, key := range keys {
		if r.ctx.Err() != nil {
			return first
		}
		due, err := f(key)
		if !due {
			*o = nil
			return first
		}
		*o = key
		if err == nil {
			continue
		}
		if first == nil {
			first = err
		}
		if vain++; vain == sweepVain || unanswered(err) {
			return first
		}
	}
	if len(keys) < most { // that was the last
		*o = nil
	}
	return first
}

// unanswered says whether a node did not answer: it would not answer about the next one either.
func unanswered(err error) bool {
	return errors.Is(err, ErrDown) || errors.Is(err, context.DeadlineExceeded)
}
