package channels

import (
	"context"
	"errors"
	"fmt"
)

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
	case err == nil && b.beyond(s.Fee) > r.cfg.hubFee():
		r.tooDear(b, s.Fee)
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
	flights, actions := r.dissolve(b, event{kind: evLeft, reason: reasonCoins})
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
