package channels

import (
	"context"
	"errors"
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
	r.chain.down = false
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
	if !r.chain.flush && r.now().Before(r.chain.cutAt) { // full ones alone: the others wait for what makes them full
		waiting = waiting[:len(waiting)-len(waiting)%r.cfg.BatchOutputs]
	}
	r.chain.waiting = slices.Clone(r.chain.waiting[len(waiting):])
	if len(r.chain.waiting) == 0 {
		r.chain.flush, r.chain.cutAt = false, r.now().Add(r.cfg.BatchEvery)
	}
	r.queueing.Unlock()
	if len(waiting) > 0 {
		r.cutBatches(waiting)
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
		parts = append(parts, Part{Key: f.key, Amount: Sat(p.Pays / msatPerSat), Weight: outputWeight(p.Script), Limit: p.FeeLimit})
	}
	of := func(parts []Part) (list []*flight) {
		for i := range parts {
			list = append(list, flights[parts[i].Key])
		}
		return list
	}
	parts, dear := affordable(parts, rate)
	r.putBack(of(dear), "fee_above_limit")
	parts, beyond := within(parts, budget, rate)
	if len(beyond) > 0 {
		r.putBack(of(beyond), "insufficient_coins")
		r.Raise(Incident{Kind: "funds", Subject: "wallet", Amount: sum(beyond),
			Text: fmt.Sprintf("the wallet has %d sat to pay out on-chain, and %d payouts wait for more", budget, len(beyond))})
	}
	for _, group := range cut(parts, r.cfg.BatchOutputs, r.cfg.BatchWeight) {
		if b := r.join(of(group), rate); b != nil {
			r.tend(b)
		}
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

func (r *Rails) release(b *Batch) error {
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.CallFor)
	defer cancel()
	return r.cfg.Wallet.Release(ctx, b.lock(), nil)
}

// fund has the wallet make and sign the transaction of a batch, and writes it.
func (r *Rails) fund(b *Batch) {
	flights := r.of(b)
	outs := make([]Output, len(flights))
	for i, f := range flights {
		p := f.payout()
		outs[i] = Output{Script: p.Script, Amount: Sat(p.Pays / msatPerSat)}
	}
	ctx, cancel := context.WithTimeout(r.ctx, 3*r.cfg.CallFor)
	defer cancel()
	s, err := r.cfg.Wallet.Fund(ctx, b.lock(), outs, b.Rate)
	if err == nil && s.VSize > maxVSize {
		err = fmt.Errorf("%w: a transaction of %d virtual bytes", ErrRefused, s.VSize)
	}
	switch {
	case err == nil:
		b.Tries, b.Status, b.Signed = []Signed{s}, BatchSigned, r.stamp()
		if !r.saveBatch(b) { // nothing is published that is not written
			return
		}
		r.publish(b)
	case errors.Is(err, ErrFunds):
		r.retreat(b)
	case errors.Is(err, ErrDust), errors.Is(err, ErrRefused), errors.Is(err, ErrNetwork):
		r.bisect(b, err)
	default:
		r.failed(err)
		r.warn("a batch is not signed yet", "batch", b.ID.String(), "err", err)
	}
}

// retreat tries with the first half where the coins do not suffice. The other half waits.
func (r *Rails) retreat(b *Batch) {
	r.Raise(Incident{Kind: "funds", Subject: "wallet", Amount: sum(b.Parts), Text: fmt.Sprintf("the wallet has not enough coins for %d payouts", len(b.Parts))})
	rate := b.Rate
	flights, actions := r.dissolve(b, event{kind: evLeft, reason: "insufficient_coins"})
	if len(flights) > 1 {
		if half := r.join(flights[:len(flights)/2], rate); half != nil {
			r.tend(half)
			flights, actions = flights[len(flights)/2:], actions[len(actions)/2:]
		}
	}
	for i, f := range flights {
		r.dispatch(f, actions[i])
	}
}

// bisect finds the payout that the wallet cannot make a transaction with: it fails, and the others go on.
func (r *Rails) bisect(b *Batch, cause error) {
	if len(b.Parts) == 1 {
		flights, actions := r.dissolve(b, event{kind: evTurnedAway, reason: cause.Error()})
		for i, f := range flights {
			r.dispatch(f, actions[i])
		}
		return
	}
	rate := b.Rate
	flights, _ := r.dissolve(b, event{kind: evLeft, reason: cause.Error()})
	for _, half := range [][]*flight{flights[:len(flights)/2], flights[len(flights)/2:]} {
		if b := r.join(half, rate); b != nil {
			r.tend(b)
		}
	}
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
