package channels

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/ledger"
)

// ErrDecided means that it is not for an operator to decide how a payout ended: it was not sent, is over, or the chain will say.
var ErrDecided = errors.New("there is nothing to decide")

// Decide ends a payout over Lightning of which the node says something that does not fit, or will never say anything any more, by what an
// operator has found out. Paid: what was held leaves the ledger; otherwise it goes back. Who decides wrongly loses that money.
// In restored records that are paused he can also say that what waits, or is in a batch whose coins are gone, was paid: see Pause.
func (r *Rails) Decide(key Key, paid bool, note string) (Payout, error) {
	p, f, err := r.find(key)
	if err != nil {
		return p, err
	}
	unsure := f != nil && (p.Rail != Chain && p.Status == InTransit || p.Foreign)
	if f == nil || !unsure && !(paid && r.paidUnseen(&p)) {
		return p, ErrDecided
	}
	e := event{kind: evDenied, reason: note}
	if paid {
		e = r.granted(&p)
	}
	r.log.Warn("an operator decides about a payout", "payout", key.String(), "paid", paid, "note", note)
	act := r.advance(f, e)
	r.dispatch(f, act)
	r.settle("foreign", key.String(), note)
	r.settle("stuck", key.String(), note)
	return f.payout(), nil
}

// granted is an operator's word that a payout arrived, with the fee and the proof from the node's record where it has one: without a record
// nobody knows what it cost, and the account pays no fee.
func (r *Rails) granted(p *Payout) event {
	e := event{kind: evGranted}
	if p.Rail != Lightning {
		return e
	}
	ctx, cancel := context.WithTimeout(r.ctx, min(time.Second, r.cfg.CallFor))
	defer cancel()
	a, err := r.cfg.Payer.Track(ctx, p.Hash)
	switch {
	case err != nil:
		r.log.Warn("the node does not say what a payment cost that an operator has decided about", "payout", p.Key.String(), "err", err)
	case a.Stage == Succeeded:
		e.fee, e.proof = a.Fee, a.Preimage
	}
	return e
}

// Cancel ends a payout that was not sent yet: it waits for the next batch, for coins or for somebody's approval. ErrInTransit: it was sent.
// That is final. Where the ledger may have been asked to set its money aside, and has not answered, the payout is Asked a while longer,
// until that is known and given back.
func (r *Rails) Cancel(key Key, why string) (Payout, error) {
	p, f, err := r.find(key)
	if err != nil {
		return p, err
	}
	if f == nil {
		return p, ErrInTransit
	}
	p, act, cancelled := r.cancel(f, why)
	r.dispatch(f, act)
	if !cancelled {
		err = ErrInTransit
	}
	return p, err
}

// cancel takes a step under one lock with what it depends on: nobody may ask the ledger to set money aside for a payout that is over.
func (r *Rails) cancel(f *flight, why string) (p Payout, act action, cancelled bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := event{kind: evRefused, reason: why, by: true}
	switch {
	case f.p.Status == Asked && f.asked:
		e.kind = evCancelled
	case f.p.Status != Asked && f.p.Status != Held:
		return f.p, act, false
	}
	act = r.advanceLocked(f, []event{e})
	return f.p, act, f.p.Cancelled || f.p.Status == Dropped || f.p.Status == Voided
}

// Wake has payouts that the gate holds up asked about again soon.
func (r *Rails) Wake() {
	r.mu.Lock()
	flights := make([]*flight, 0, 64)
	for _, f := range r.flights {
		flights = append(flights, f)
	}
	r.mu.Unlock()
	for _, f := range flights {
		var act action
		f.mu.Lock()
		switch {
		case f.p.Status == Asked:
			act.kind = actHold
		case f.p.Status == Held && f.rail != Chain: // what waits for a batch is asked about when it is cut
			act.kind = actClear
		}
		f.tries = 0
		act = f.next(act)
		f.mu.Unlock()
		r.dispatch(f, act)
	}
	r.poke()
}

// Abandon gives up a batch whose coins were spent by another transaction, or come from one that a reorganisation has left nowhere: its
// payouts wait for the next batch. An operator must have seen buried what spends those coins, or the coins of the one that is nowhere:
// otherwise the batch could still be confirmed, and its payees be paid twice.
func (r *Rails) Abandon(id ID) error {
	r.tending.Lock()
	defer r.tending.Unlock()
	i := slices.IndexFunc(r.chain.batches, func(b *Batch) bool { return b.ID == id })
	if i < 0 {
		return ErrUnknown
	}
	b := r.chain.batches[i]
	if b.Status != BatchSigned || !b.lost {
		return fmt.Errorf("%w: no coin of batch %s is known to be spent by another transaction, or to be gone", ErrDecided, id)
	}
	r.log.Warn("an operator gives up a batch", "batch", id.String(), "payouts", len(b.Parts))
	flights, actions := r.dissolve(b, event{kind: evLeft, reason: "batch_abandoned"})
	for i, f := range flights {
		r.dispatch(f, actions[i])
	}
	r.settle("conflict", id.String(), "given up")
	return nil
}

// Counts are numbers of payouts since the process started, by rail and by the status that they came to; and those under way now.
type Counts struct {
	Came  map[Rail]map[Status]uint64
	Now   map[Rail]map[Status]int
	Held  map[Rail]ledger.Msat // set aside for them
	Queue map[string]int       // tasks that wait: for the ledger, for a payment's turn, for the node; payouts for a batch
}

// count notes a change of status.
func (r *Rails) count(rail Rail, s Status) {
	r.counting.Lock()
	defer r.counting.Unlock()
	if r.came[rail] == nil {
		r.came[rail] = make(map[Status]uint64)
	}
	r.came[rail][s]++
}

// Counts is for metrics.
func (r *Rails) Counts() Counts {
	c := Counts{Came: make(map[Rail]map[Status]uint64), Now: make(map[Rail]map[Status]int), Held: make(map[Rail]ledger.Msat), Queue: map[string]int{
		"books": r.books.length(), "payments": r.pays.length(), "questions": r.asks.length()}}
	r.counting.Lock()
	for rail, came := range r.came {
		c.Came[rail] = make(map[Status]uint64, len(came))
		for s, n := range came {
			c.Came[rail][s] = n
		}
	}
	r.counting.Unlock()
	for _, p := range r.Underway() {
		if c.Now[p.Rail] == nil {
			c.Now[p.Rail] = make(map[Status]int)
		}
		c.Now[p.Rail][p.Status]++
		if p.Hold != 0 && !p.Status.Over() {
			c.Held[p.Rail] += p.Aside()
		}
	}
	r.queueing.Lock()
	c.Queue["batch"] = len(r.chain.waiting)
	r.queueing.Unlock()
	return c
}
