package channels

import (
	"context"
	"errors"
)

// An invoice of the hub's own node is paid inside: no coin moves. Its steps, so that nobody pays it twice:
//
//	1. the money of who pays is held
//	2. the invoice's deposit and the payout are written as belonging together, in one write: the deposit is taken, the payout sent
//	3. the node cancels the invoice: from then on nobody can pay it. It does that as often as it is asked. If somebody has paid it meanwhile
//	   the node says so, and the payout fails
//	4. the held money is captured to the account of the deposit
//	5. deposit and payout are written as done, in one write

// clearOurs is step 2.
func (r *Rails) clearOurs(f *flight) action {
	p := f.payout()
	if act, ok := r.admit(f, &p); !ok {
		return act
	}
	defer r.hashes.lock(p.Hash)()
	d, found, err := r.deposit(Ref{Hash: p.Hash, Output: noOutput})
	switch {
	case err != nil:
		return r.advance(f, event{kind: evWaits, reason: err.Error()})
	case !found || d.Status != DepositOpen || d.Taken != (Key{}) && d.Taken != p.Key:
		return r.advance(f, event{kind: evRefused, reason: reasonPaid})
	}
	d.Taken = p.Key
	rows, err := r.depositRows(&d)
	if err != nil {
		return r.advance(f, event{kind: evWaits, reason: err.Error()})
	}
	return r.advance(f, event{kind: evCleared}, rows...)
}

// sendOurs is step 3.
func (r *Rails) sendOurs(f *flight) action {
	p := f.payout()
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.CallFor)
	defer cancel()
	receipt, settled, err := r.cfg.Receiver.Lookup(ctx, p.Hash)
	if err == nil && !settled {
		if err = r.cfg.Receiver.Cancel(ctx, p.Hash); err != nil {
			var again error
			if receipt, settled, again = r.cfg.Receiver.Lookup(ctx, p.Hash); again != nil {
				settled = false
			}
		}
	}
	switch {
	case settled:
		return r.advance(f, event{kind: evFailed, reason: reasonPaid})
	case errors.Is(err, ErrUnknownPayment): // the node has forgotten it: nobody can pay it
	case err != nil:
		return r.advance(f, event{kind: evLost, reason: err.Error()})
	}
	return r.advance(f, event{kind: evArrived, proof: receipt.Preimage})
}

// endOurs is step 5, or what a failure leaves: the invoice belongs to nobody again. The rows are to be written with the payout's last step. Paid: an
// invoice that waited for its payment does so no more.
func (r *Rails) endOurs(p *Payout, done bool) (rows []Row, paid bool, err error) {
	d, found, err := r.deposit(Ref{Hash: p.Hash, Output: noOutput})
	if err != nil || !found || d.Taken != p.Key {
		return nil, false, err
	}
	if !done {
		d.Taken = Key{}
	} else {
		paid = d.Status == DepositOpen
		now := r.stamp()
		d.Status, d.Amount, d.Proof, d.Came, d.Changed = DepositCredited, p.Pays, p.Proof, now, now
	}
	rows, err = r.depositRows(&d)
	return rows, paid, err
}
