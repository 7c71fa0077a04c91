package channels

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/ledger"
)

// tend does what is to be done about a batch now.
func (r *Rails) tend(b *Batch) {
	if r.ctx.Err() != nil {
		return
	}
	switch b.Status {
	case BatchCut:
		if r.heldBack() != nil {
			r.findUnsent(b)
			return
		}
		r.fund(b)
	case BatchSigned:
		r.watch(b)
	case BatchConfirmed:
		r.deliver(b)
	case BatchClosed:
		r.bury(b)
	}
}

// place is where a transaction of a batch is. False: nowhere.
func (r *Rails) place(id Hash) (Place, bool, error) {
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.CallFor)
	defer cancel()
	p, err := r.cfg.Watcher.Place(ctx, id)
	if errors.Is(err, ErrNoTransaction) {
		return p, false, nil
	}
	return p, err == nil, err
}

// watch looks for the transactions of a signed batch in the chain.
func (r *Rails) watch(b *Batch) {
	seen, newest := false, false
	b.lost = false // until that is found again
	for i := range slices.Backward(b.Tries) {
		p, found, err := r.place(b.Tries[i].ID)
		if err != nil {
			r.failed(err)
			r.warn("a batch cannot be looked up", "batch", b.ID.String(), "err", err)
			return
		}
		if found && p.Confirmations >= r.cfg.Confirmed {
			r.confirm(b, i)
			return
		}
		newest = newest || found && i == len(b.Tries)-1
		if seen = seen || found; found {
			r.settle("conflict", b.ID.String(), "it is to be seen again")
		}
		if found && p.Confirmations > 0 {
			return
		}
	}
	dear := false
	if !newest { // a node that starts anew may have another of them in its mempool: the newest takes its place
		dear = r.publish(b)
	}
	if !seen && !dear {
		return
	}
	if r.heldBack() == nil && r.cfg.BumpAfter > 0 && r.now().Sub(b.Signed) >= r.cfg.BumpAfter {
		if rate, err := r.rate(r.ctx); err == nil {
			r.bumpBySelf(b, rate)
		}
	}
}

// rateOf is what a transaction pays.
func rateOf(s *Signed) FeeRate { return FeeRate(int64(s.Fee) * 1000 / max(1, s.VSize)) }

// publish hands out the newest transaction of a batch; where that cannot be, since another of them stands in its way or none, the others.
// Dear: none is taken, and one that pays more would be.
func (r *Rails) publish(b *Batch) (dear bool) {
	conflicts := 0
	for i := range slices.Backward(b.Tries) {
		ctx, cancel := context.WithTimeout(r.ctx, r.cfg.CallFor)
		err := r.cfg.Wallet.Publish(ctx, b.Tries[i].Raw, "millrace "+b.ID.String())
		cancel()
		switch {
		case err == nil:
			return false
		case errors.Is(err, ErrConflict):
			conflicts++
			continue
		case errors.Is(err, ErrRefused), errors.Is(err, ErrFee), errors.Is(err, ErrDust):
			dear = dear || errors.Is(err, ErrFee)
			r.Raise(Incident{Kind: "publish", Subject: b.ID.String(), Amount: sum(b.Parts), Text: fmt.Sprintf("the network refuses a batch: %v", err)})
			continue
		}
		r.failed(err)
		r.warn("a batch is not published yet", "batch", b.ID.String(), "err", err)
		return false
	}
	if conflicts == len(b.Tries) {
		r.contest(b)
	}
	return dear
}

// contest finds out whether a batch is lost: coins that it spends are spent, or not there, and nothing of it is to be seen. That may pass:
// a block came between two questions, or one that the coins come from is out of the chain. Only the chain says that it will not.
func (r *Rails) contest(b *Batch) {
	ours := func(id Hash) bool {
		return slices.ContainsFunc(b.Tries, func(s Signed) bool { return s.ID == id })
	}
	for _, coin := range b.Tries[0].Inputs {
		ctx, cancel := context.WithTimeout(r.ctx, r.cfg.CallFor)
		by, found, err := r.cfg.Watcher.Spender(ctx, coin, 0)
		cancel()
		if errors.Is(err, ErrNoTransaction) {
			// The chain was reorganised, and what the coin comes from was not mined again; perhaps a replacement of it was.
			b.lost = true
			r.Raise(Incident{Kind: "conflict", Subject: b.ID.String(), Amount: sum(b.Parts), Text: fmt.Sprintf(
				"a coin of a batch comes from transaction %s, which is not in the chain any more: its payouts stay held until that is mined again, or an "+
					"operator, who has seen that it never can be, gives the batch up", coin.Tx.TxID())})
			return
		}
		if err != nil {
			r.warn("a batch is in conflict, and nobody knows with what", "batch", b.ID.String(), "err", err)
			return
		}
		if !found || ours(by) {
			continue
		}
		if p, there, err := r.place(by); err != nil || !there || p.Confirmations < r.cfg.Confirmed {
			return
		}
		b.lost = true
		r.Raise(Incident{Kind: "conflict", Subject: b.ID.String(), Amount: sum(b.Parts), Text: fmt.Sprintf(
			"a coin of a batch was spent by transaction %s, which is not the hub's: its payouts stay held until an operator gives it up", by.TxID())})
		return
	}
}

// Bump has a batch pay more. The rate is in satoshis per 1,000 virtual bytes, at most Policy.MaxRate. Whoever names it takes what the hub
// pays of the fee upon the hub: Policy.HubFee does not bound it.
func (r *Rails) Bump(id ID, rate FeeRate) error {
	r.tending.Lock()
	defer r.tending.Unlock()
	for _, b := range r.chain.batches {
		if b.ID == id && b.Status == BatchSigned {
			return r.bump(b, rate, true)
		}
	}
	return fmt.Errorf("%w: no batch %s that waits for its confirmation", ErrUnknown, id)
}

// bump makes, writes and publishes a transaction of the same coins that pays more: the change pays it, and so the hub does, as far as it
// is above the limits of the payouts: at most Policy.HubFee, unless that is forced.
func (r *Rails) bump(b *Batch, rate FeeRate, forced bool) error {
	err := r.replace(b, min(rate, r.cfg.MaxRate), forced)
	if err != nil {
		err = fmt.Errorf("bumping the fee of batch %s: %w", b.ID, err)
		b.Signed = r.stamp() // not at once again
		r.Raise(Incident{Kind: "bump", Subject: b.ID.String(), Amount: sum(b.Parts), Text: err.Error()})
	}
	return err
}

func (r *Rails) replace(b *Batch, rate FeeRate, forced bool) error {
	if r.cfg.Replace == nil || len(b.Tries) >= maxTries {
		return fmt.Errorf("%w: it was replaced %d times", ErrRefused, len(b.Tries)-1)
	}
	unsigned, err := r.cfg.Replace(*b.last(), rate)
	if err != nil {
		return err
	}
	if rest := b.beyond(unsigned.Fee); !forced && rest > r.cfg.hubFee() {
		return fmt.Errorf("%w: the hub would pay %d msat of the fee, and may pay %d", ErrLimit, rest, r.cfg.hubFee())
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.CallFor)
	defer cancel()
	s, err := r.cfg.Wallet.Sign(ctx, unsigned.PSBT)
	if err != nil {
		return err
	}
	s.PSBT, s.Fee, s.Change, s.Inputs = unsigned.PSBT, unsigned.Fee, unsigned.Change, unsigned.Inputs
	if s.VSize == 0 {
		s.VSize = unsigned.VSize
	}
	if err := b.adds(&s); err != nil {
		return err
	}
	b.Tries, b.Signed = append(b.Tries, s), r.stamp()
	if !r.saveBatch(b) {
		return ErrStopped
	}
	r.publish(b)
	return nil
}

// confirm writes which of a batch's transactions it is, and who pays what of its fee.
func (r *Rails) confirm(b *Batch, winner int) {
	b.Winner, b.Status, b.Parts = winner, BatchConfirmed, slices.Clone(b.Parts)
	if b.Rest = share(b.Parts, ledger.Msat(b.Tries[winner].Fee)*msatPerSat); b.Rest > 0 {
		b.Debit = r.newID()
	}
	if r.saveBatch(b) {
		r.deliver(b)
	}
}

// deliver tells the payouts of a confirmed batch that they are paid, and closes it when they are all over.
func (r *Rails) deliver(b *Batch) {
	flights := r.of(b)
	if !b.delivered {
		fees := make(map[Key]ledger.Msat, len(b.Parts))
		for i := range b.Parts {
			fees[b.Parts[i].Key] = b.Parts[i].Fee
		}
		actions := r.move(flights, func(f *flight) event {
			if f.p.Batch != b.ID {
				return event{}
			}
			return event{kind: evArrived, fee: fees[f.key], tx: b.Tries[b.Winner].ID}
		}, func() ([]Row, error) { return nil, nil })
		if actions == nil {
			return
		}
		for i, f := range flights {
			r.dispatch(f, actions[i])
		}
		b.delivered = true
	}
	if len(flights) > 0 || !r.payRest(b) {
		return
	}
	if err := r.release(b); err != nil { // what a call to Fund without an answer may have left
		r.warn("a batch is not closed yet", "batch", b.ID.String(), "err", err)
		return
	}
	for _, kind := range []string{"fees", "bump", "publish", "conflict"} {
		r.settle(kind, b.ID.String(), "the batch is confirmed and paid")
	}
	b.Status = BatchClosed
	r.saveBatch(b)
}

// payRest takes from the hub's income what of the fee is not the payouts'. False: not yet.
func (r *Rails) payRest(b *Batch) bool {
	for tries := 0; b.Rest > 0 && !b.Debited && tries < 3; tries++ {
		a, err := r.ledger.Submit(ledger.Op{Kind: ledger.OpDebit, Actor: ledger.Fees, Target: uint32(ledger.Chain), Amount: b.Rest, ID: b.Debit})
		if err != nil {
			r.warn("the hub's part of a fee is not paid yet", "batch", b.ID.String(), "err", err)
			return false
		}
		switch result := a.Result(); {
		case result.OK():
			b.Debited = true
		case result == ledger.IDExpired:
			_, found, err := r.applied(ledger.Fees, ledger.OpDebit, b.Debit)
			if err != nil {
				r.warn("the hub's part of a fee is not paid yet", "batch", b.ID.String(), "err", err)
				return false
			}
			if b.Debited = found; !found {
				b.Debit = r.newID()
			}
			if !r.saveBatch(b) {
				return false
			}
		default:
			r.Raise(Incident{Kind: "fees", Subject: b.ID.String(), Amount: b.Rest,
				Text: fmt.Sprintf("the hub's part of a batch's fee cannot be taken from its income: %v", result)})
			return false
		}
	}
	return b.Rest == 0 || b.Debited
}

// settle closes an incident that has come to its end by itself.
func (r *Rails) settle(kind, subject, note string) {
	if _, err := r.CloseIncident(kind, subject, note); err != nil {
		r.warn("an incident is not closed", "kind", kind, "subject", subject, "err", err)
	}
}

// Batches are those that are not buried yet, the oldest first. What is in them is not to be changed.
func (r *Rails) Batches() []Batch {
	r.queueing.Lock()
	defer r.queueing.Unlock()
	return r.chain.shown
}

// show makes what the batches are now what Batches returns: who asks does not wait for a node. r.tending must be held.
func (r *Rails) show() {
	all := make([]Batch, len(r.chain.batches))
	for i, b := range r.chain.batches {
		all[i] = *b
	}
	r.queueing.Lock()
	defer r.queueing.Unlock()
	r.chain.shown = all
}

// Batch is a batch, buried or not.
func (r *Rails) Batch(id ID) (Batch, error) {
	var b Batch
	found, err := r.read(rowKey(keyBatch, id[:]), &b)
	if err == nil && !found {
		err = ErrUnknown
	}
	return b, err
}

// loadBatches reads those that are not buried, at a start.
func (r *Rails) loadBatches() error {
	keys, err := r.keysUnder(keyBatching, nil, 1<<20)
	if err != nil {
		return err
	}
	for _, key := range keys {
		b := new(Batch)
		found, err := r.read(rowKey(keyBatch, key), b)
		if err != nil || !found {
			return errors.Join(fmt.Errorf("a batch that is under way has no record: %x", key), err)
		}
		r.chain.batches = append(r.chain.batches, b)
	}
	slices.SortFunc(r.chain.batches, func(a, b *Batch) int { return a.Made.Compare(b.Made) })
	r.show()
	return nil
}
