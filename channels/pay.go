package channels

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// payment is what the node is given.
func (r *Rails) payment(p *Payout) Payment {
	out := Payment{Hash: p.Hash, Invoice: p.Invoice, FeeLimit: p.FeeLimit, Timeout: r.cfg.PayFor}
	if p.Invoice == "" {
		out.Payee, out.Amount, out.Records = p.Payee, p.Pays, p.Records
		copy(out.Preimage[:], r.preimage(p))
		return out
	}
	if p.Open {
		out.Amount = p.Pays
	}
	return out
}

// clear finds out whether a held payout may be sent.
func (r *Rails) clear(f *flight) action {
	p := f.payout()
	if p.Status != Held {
		return action{}
	}
	switch {
	case p.Rail == Chain:
		r.enqueue(f) // who cuts the batch asks, when it is cut
		return action{}
	case f.ours:
		return r.clearOurs(f)
	}
	if p.Rail == Internal {
		if act, ok := r.admit(f, &p); !ok {
			return act
		}
		return r.advanceBy(f, []event{{kind: evCleared}, {kind: evArrived}})
	}
	if r.heldBack() != nil || r.doubtful(&p) { // what may have been sent is neither too late nor forbidden: the node is asked first
		if e := r.lookUp(&p); e.kind != evCleared {
			return r.advance(f, e)
		}
	}
	if act, ok := r.admit(f, &p); !ok {
		return act
	}
	return r.advance(f, r.lookUp(&p))
}

// lookUp asks the node whether the identity of a payout that is held is free.
func (r *Rails) lookUp(p *Payout) event {
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.CallFor)
	defer cancel()
	a, err := r.cfg.Payer.Track(ctx, p.Hash)
	switch {
	case errors.Is(err, ErrUnknownPayment):
		return event{kind: evCleared}
	case err == nil && a.Stage == Failed:
		return event{kind: evCleared, before: true}
	case err != nil:
		return event{kind: evWaits, reason: err.Error()}
	case a.Stage == Pending: // under way for somebody else, or the node did not answer in time
		return event{kind: evWaits, reason: "the node does not say that the hash is free"}
	}
	return event{kind: evForeign, reason: "the node knows a payment of this hash, and the hub has sent none"}
}

// send hands a payout over. Its identity is written.
func (r *Rails) send(f *flight) action {
	p := f.payout()
	switch {
	case p.Status != InTransit:
		return action{}
	case f.ours:
		return r.sendOurs(f)
	case p.Rail == Internal:
		return r.advance(f, event{kind: evArrived})
	case r.heldBack() != nil:
		return action{kind: actTrack, again: true}
	case r.now().After(p.Deadline): // whether a call before may still be about is the machine's to know
		return r.advance(f, event{kind: evTurnedAway, reason: reasonLate})
	}
	a, ok, err := r.pay(&p)
	switch {
	case !ok: // the next start goes on
		return action{}
	case err == nil:
		return r.answered(f, a, false)
	case errors.Is(err, ErrRefused), errors.Is(err, ErrNetwork), errors.Is(err, ErrExpired):
		return r.advance(f, event{kind: evTurnedAway, reason: reason(err)})
	}
	return r.advance(f, event{kind: evLost, reason: err.Error(), until: r.now().Add(r.cfg.Quiet)})
}

// pay hands a payment to the node when it is making fewer than Concurrency. Half as many workers more than that find out meanwhile whether
// the next ones may be sent, and write down what became of the last ones: so the node does not wait for the disk. False: the rails stop.
func (r *Rails) pay(p *Payout) (a Attempt, ok bool, err error) {
	select {
	case r.slots <- struct{}{}:
	case <-r.ctx.Done():
		return a, false, nil
	}
	defer func() { <-r.slots }()
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.SlotFor)
	defer cancel()
	a, err = r.cfg.Payer.Pay(ctx, r.payment(p))
	return a, true, err
}

// track asks the node how a payment stands.
func (r *Rails) track(f *flight) action {
	p := f.payout()
	if p.Status != InTransit {
		return action{}
	}
	ctx, cancel := context.WithTimeout(r.ctx, min(time.Second, r.cfg.CallFor))
	defer cancel()
	a, err := r.cfg.Payer.Track(ctx, p.Hash)
	switch {
	case err == nil && a.Stage == Pending:
		r.suspect(f, &p)
		return r.answered(f, a, true)
	case err == nil:
		return r.answered(f, a, true)
	case errors.Is(err, ErrUnknownPayment):
		return r.advance(f, event{kind: evUnheardOf})
	}
	return r.advance(f, event{kind: evLost, reason: err.Error()})
}

// answered is what the node says of a payment.
func (r *Rails) answered(f *flight, a Attempt, asked bool) action {
	if a.Stage != Pending {
		r.settle("stuck", f.key.String(), "the node says how it ended")
	}
	switch a.Stage {
	case Succeeded:
		if p := f.payout(); a.Fee > p.FeeLimit {
			r.Raise(Incident{Kind: "fee", Subject: p.Key.String(), Account: p.Account, Amount: a.Fee - p.FeeLimit,
				Text: fmt.Sprintf("the node paid a fee of %d msat, and the limit was %d: the rest is the hub's", a.Fee, p.FeeLimit)})
		}
		return r.advance(f, event{kind: evArrived, fee: a.Fee, proof: a.Preimage})
	case Failed:
		return r.advance(f, event{kind: evFailed, reason: a.Reason, asked: asked})
	}
	return r.advance(f, event{kind: evUnderWay})
}

// suspect tells the operator of a payment that the node says is under way, and that is in none of its channels. That is what is left of
// a node that died: it may never say anything else. Nothing is decided here: a payment that has arrived is in no channel either.
func (r *Rails) suspect(f *flight, p *Payout) {
	if r.cfg.Carried == nil || r.now().Sub(p.Changed) < r.cfg.StuckAfter {
		return
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.CallFor)
	defer cancel()
	carried, since, err := r.cfg.Carried(ctx, p.Hash)
	if err != nil || carried || r.now().Sub(since) < r.cfg.StuckAfter {
		return
	}
	r.Raise(Incident{Kind: "stuck", Subject: p.Key.String(), Account: p.Account, Amount: p.Pays, Text: fmt.Sprintf(
		"the node says since %s that payment %s is under way, and none of its channels has it: it stays held until an operator decides whether it was paid",
		since.UTC().Format(time.RFC3339), p.Hash)})
	if f.payout().Status != InTransit { // decided meanwhile
		r.settle("stuck", p.Key.String(), "over")
	}
}

// reason is an error in one of the words of Attempt.Reason, where there is one.
func reason(err error) string {
	switch {
	case errors.Is(err, ErrExpired):
		return "invoice_expired"
	case errors.Is(err, ErrNoRoute):
		return "no_route"
	case errors.Is(err, ErrPaidBefore):
		return reasonPaid
	}
	return err.Error()
}

// report leaves a payout to the operator: see Decide.
func (r *Rails) report(f *flight) {
	p := f.payout()
	r.Raise(Incident{Kind: "foreign", Subject: p.Key.String(), Account: p.Account, Amount: p.Pays,
		Text: p.Reason + ": it stays held until an operator decides whether it was paid"})
}
