package channels

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/ledger"
)

// batcher is what is on its way on-chain. One goroutine tends it, and whoever else changes something holds its lock meanwhile.
type batcher struct {
	waiting []*flight // held, and for the next batch
	batches []*Batch  // that are not buried, the oldest first
	cutAt   time.Time // when the next batches are cut, if nobody asks for them before
	flush   bool      // somebody has asked
	shown   []Batch   // copies of batches
	down    bool      // a call has failed in this look: what is left is for the next one
	rate    FeeRate   // asked for last
	rated   time.Time
	dear    int       // batches of this look that would have cost the hub too much
	calm    time.Time // until then no full batches are cut because they are full: it would be in vain
}

// enqueue has a held payout wait for the next batch.
func (r *Rails) enqueue(f *flight) {
	r.queueing.Lock()
	defer r.queueing.Unlock()
	r.chain.waiting = append(r.chain.waiting, f)
	if len(r.chain.waiting) == r.cfg.BatchOutputs {
		r.poke()
	}
}

// Flush has batches cut now of what waits for them.
func (r *Rails) Flush() {
	r.queueing.Lock()
	r.chain.flush = true
	r.queueing.Unlock()
	r.poke()
}

// Block tells the rails that the chain has another tip, so that they look at once.
func (r *Rails) Block() { r.poke() }

// poke wakes the goroutine that looks after the chain.
func (r *Rails) poke() {
	select {
	case r.poked <- struct{}{}:
	default:
	}
}

// rate is what gets a batch into the chain in time, at most half a minute old.
func (r *Rails) rate(ctx context.Context) (FeeRate, error) {
	r.queueing.Lock()
	rate, age := r.chain.rate, r.now().Sub(r.chain.rated)
	r.queueing.Unlock()
	if rate > 0 && age < min(30*time.Second, r.cfg.Poll) {
		return rate, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.CallFor)
	defer cancel()
	rate, err := r.cfg.Watcher.FeeRate(ctx, r.cfg.Target)
	if err != nil {
		return 0, fmt.Errorf("asking for the fee rate: %w", err)
	}
	rate = min(rate, r.cfg.MaxRate)
	r.queueing.Lock()
	r.chain.rate, r.chain.rated = rate, r.now()
	r.queueing.Unlock()
	return rate, nil
}

// tendChain is one look at all that is on its way on-chain.
func (r *Rails) tendChain() {
	r.tending.Lock()
	defer r.tending.Unlock()
	if r.cfg.Wallet == nil || r.cfg.Watcher == nil {
		return
	}
	r.queueing.Lock()
	r.chain.flush = r.chain.flush && len(r.chain.waiting) > 0 // what comes after this look was not asked for, should the look end early
	r.queueing.Unlock()
	r.chain.down, r.chain.dear = false, 0
	for _, b := range slices.Clone(r.chain.batches) {
		if r.tend(b); r.chain.down {
			return
		}
	}
	r.queueing.Lock()
	if r.chain.cutAt.IsZero() {
		r.chain.cutAt = r.now().Add(r.cfg.BatchEvery)
	}
	waiting := r.chain.waiting
	due := r.chain.flush || !r.now().Before(r.chain.cutAt)
	switch {
	case due:
	case r.now().Before(r.chain.calm):
		waiting = nil
	default: // full ones alone: the others wait for what makes them full
		waiting = waiting[:len(waiting)-len(waiting)%r.cfg.BatchOutputs]
	}
	r.chain.waiting = slices.Clone(r.chain.waiting[len(waiting):])
	if len(r.chain.waiting) == 0 {
		r.chain.flush, r.chain.cutAt = false, r.now().Add(r.cfg.BatchEvery)
	}
	r.queueing.Unlock()
	switch {
	case len(waiting) > 0:
		r.cutBatches(waiting)
	case due:
		r.affords("nothing waits for it")
	}
}

// cutBatches makes batches of what waits. What cannot be in one now waits on; the order stays.
func (r *Rails) cutBatches(waiting []*flight) {
	rate, err := r.rate(r.ctx)
	budget := Sat(1 << 62)
	if err == nil && r.cfg.Purse != nil {
		budget, err = r.coins()
	}
	if err != nil {
		r.warn("no batch can be made now; trying again", "err", err)
		r.putBack(waiting, "")
		r.queueing.Lock()
		r.chain.cutAt = r.now() // at the next look
		r.queueing.Unlock()
		return
	}
	flights := make(map[Key]*flight)
	var parts []Part
	for _, f := range waiting {
		p := f.payout()
		if p.Status != Held {
			continue
		}
		if act, ok := r.admit(f, &p); !ok {
			r.dispatch(f, act)
			continue
		}
		flights[f.key] = f
		parts = append(parts, Part{Key: f.key, Amount: Sat(p.Pays / msatPerSat), Weight: outputWeight(p.Script), Limit: p.FeeLimit, record: p.recordMost()})
	}
	of := func(parts []Part) (list []*flight) {
		for i := range parts {
			list = append(list, flights[parts[i].Key])
		}
		return list
	}
	parts, dear := affordable(parts, rate)
	r.putBack(of(dear), reasonFee)
	parts, beyond := within(parts, budget, rate)
	if len(beyond) > 0 {
		r.putBack(of(beyond), reasonCoins)
		r.Raise(Incident{Kind: "funds", Subject: "wallet", Amount: sum(beyond),
			Text: fmt.Sprintf("the wallet has %d sat to pay out on-chain, and %d payouts wait for more", budget, len(beyond))})
	}
	for _, group := range cut(parts, r.cfg.BatchOutputs, r.cfg.BatchWeight) {
		if b := r.join(of(group), rate); b != nil {
			r.tend(b)
		} else {
			r.putBack(of(group), "") // those that are held still
		}
	}
	if r.chain.dear == 0 && len(dear) == 0 && !r.chain.down {
		r.affords("batches were built")
	}
}

// coins is what the wallet can spend: without what must stay for bumping the fees of Lightning channels that close.
func (r *Rails) coins() (Sat, error) {
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.CallFor)
	defer cancel()
	a, err := r.cfg.Purse.Assets(ctx)
	if err != nil {
		return 0, fmt.Errorf("asking what the wallet has: %w", err)
	}
	return max(0, a.Confirmed-a.Reserved), nil
}

// within keeps the parts that a budget suffices for, in their order. One that it does not suffice for holds up none behind it.
func within(parts []Part, budget Sat, rate FeeRate) (in, out []Part) {
	for _, p := range parts {
		need := p.Amount + Sat(feeOf(p.Weight, rate)/msatPerSat)
		if len(in) == 0 {
			need += Sat(feeOf(overheadWeight, rate) / msatPerSat)
		}
		if need > budget {
			out = append(out, p)
			continue
		}
		budget -= need
		in = append(in, p)
	}
	return in, out
}

func sum(parts []Part) (total ledger.Msat) {
	for i := range parts {
		total += ledger.Msat(parts[i].Amount) * msatPerSat
	}
	return total
}

// putBack has payouts wait for the next batch.
func (r *Rails) putBack(flights []*flight, why string) {
	for _, f := range flights {
		if why != "" {
			r.advance(f, event{kind: evWaits, reason: why})
		}
	}
	r.queueing.Lock()
	defer r.queueing.Unlock()
	r.chain.waiting = append(slices.Clone(flights), r.chain.waiting...)
}

// join writes a new batch, and that payouts are in it. nil: it could not be written.
func (r *Rails) join(flights []*flight, rate FeeRate) *Batch {
	now := r.stamp()
	b := &Batch{ID: r.newID(), Status: BatchCut, Rate: rate, Made: now, Changed: now}
	moved := r.move(flights, func(f *flight) event {
		p := &f.p
		if p.Status != Held {
			return event{}
		}
		b.Parts = append(b.Parts, Part{Key: f.key, Amount: Sat(p.Pays / msatPerSat), Weight: outputWeight(p.Script), Limit: p.FeeLimit})
		return event{kind: evJoined, id: b.ID}
	}, func() ([]Row, error) {
		if len(b.Parts) == 0 { // all were taken back meanwhile
			return nil, nil
		}
		return b.rows()
	})
	if moved == nil || len(b.Parts) == 0 {
		return nil
	}
	r.chain.batches = append(r.chain.batches, b)
	r.show()
	return b
}

// move steps many payouts at once: all that they become is written together with other rows, and then counts. The event of each is asked
// for when its lock is held. It returns what is to be done next for each; nil: it could not be written.
func (r *Rails) move(flights []*flight, of func(*flight) event, with func() ([]Row, error)) []action {
	var rows []Row
	next := make([]Payout, len(flights))
	actions := make([]action, len(flights))
	for i, f := range flights {
		f.mu.Lock()
		defer f.mu.Unlock()
		e := of(f)
		e.at = r.now()
		next[i], actions[i] = step(f.p, e)
		if next[i].Rev != f.p.Rev {
			more, err := payoutRows(&next[i])
			if err != nil {
				r.log.Error("a payout cannot be written", "err", err)
				return nil
			}
			rows = append(rows, more...)
		}
	}
	more, err := with()
	if rows = append(rows, more...); err == nil && len(rows) > 0 {
		err = r.write(rows...)
	}
	if err != nil {
		r.log.Error("a batch cannot be written", "err", err)
		return nil
	}
	for i, f := range flights {
		r.take(f, next[i])
		actions[i] = f.next(actions[i])
	}
	return actions
}

// of are the payouts of a batch that are under way.
func (r *Rails) of(b *Batch) (flights []*flight) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range b.Parts {
		if f := r.flights[b.Parts[i].Key]; f != nil {
			flights = append(flights, f)
		}
	}
	return flights
}

// dissolve undoes a batch of which nothing was signed, or nothing that anybody has: its payouts go back to being held, or fail.
func (r *Rails) dissolve(b *Batch, e event) (flights []*flight, actions []action) {
	if err := r.release(b); err != nil {
		r.warn("coins of a batch that was given up are still set aside", "batch", b.ID.String(), "err", err)
	}
	flights = r.of(b)
	actions = r.move(flights, func(f *flight) event {
		if f.p.Batch != b.ID {
			return event{}
		}
		return e
	}, func() ([]Row, error) {
		return []Row{{Key: rowKey(keyBatch, b.ID[:])}, {Key: rowKey(keyBatching, b.ID[:])}}, nil
	})
	if actions == nil {
		return nil, nil
	}
	r.strike(b)
	return flights, actions
}

// strike takes a batch off the list.
func (r *Rails) strike(b *Batch) {
	r.chain.batches = slices.DeleteFunc(slices.Clone(r.chain.batches), func(x *Batch) bool { return x == b })
	r.show()
}

// failed ends this look at the chain if a node does not answer: it would not answer about the next batch either.
func (r *Rails) failed(err error) {
	r.chain.down = r.chain.down || unanswered(err)
}

// saveBatch writes a batch.
func (r *Rails) saveBatch(b *Batch) bool {
	b.Changed = r.stamp()
	rows, err := b.rows()
	if err == nil {
		err = r.write(rows...)
	}
	if err != nil {
		r.log.Error("a batch cannot be written", "batch", b.ID.String(), "err", err)
	}
	r.show()
	return err == nil
}
