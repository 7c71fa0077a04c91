package channels

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/ledger"
)

// What a batch costs beyond the fee limits of its payouts the hub pays out of its income, up to Policy.HubFee. That is checked where it is
// decided: before a transaction is published for the first time, and before one that pays more. An operator who names a rate (Bump) has
// decided otherwise.

// waitsForFees names the incident that batches are not built since they would cost the hub too much.
const waitsForFees = "wallet"

// beyond is what the hub would pay of a fee.
func (b *Batch) beyond(fee Sat) ledger.Msat {
	return share(slices.Clone(b.Parts), ledger.Msat(fee)*msatPerSat)
}

// dearest is the highest fee of which the hub would pay no more than that.
func (b *Batch) dearest(most ledger.Msat) Sat {
	low, high := Sat(0), Sat(1<<41) // more coins than there are in one wallet
	for low < high {
		if middle := low + (high-low+1)/2; b.beyond(middle) <= most {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}

// maxDear bounds how often a look leaves out payouts for their limits before the others wait too.
const maxDear = 8

// tooDear undoes a batch whose transaction, which nobody has seen, would cost the hub too much: the wallet has many small coins for it, or
// fees have risen since. Payouts whose limits suffice for their part are a batch without the others, which wait for lower fees: as long
// as they may, see Payout.Deadline.
func (r *Rails) tooDear(b *Batch, fee Sat) {
	if err := r.release(b); err != nil { // the batch stays as it is: the next look makes it anew, and Fund lets go of what its lock holds
		r.failed(err)
		r.warn("a batch is too dear, and its coins are still set aside", "batch", b.ID.String(), "err", err)
		return
	}
	r.chain.dear++
	r.chain.calm = r.now().Add(r.cfg.BatchEvery)
	r.Raise(Incident{Kind: "fees", Subject: waitsForFees, Amount: b.beyond(fee), Text: fmt.Sprintf(
		"a batch of %d payouts would cost the hub %d msat beyond their fee limits, and it may cost it %d: they wait for lower fees",
		len(b.Parts), b.beyond(fee), r.cfg.hubFee())})
	var weight int64
	for i := range b.Parts {
		weight += b.Parts[i].Weight
	}
	suffices := make(map[Key]bool)
	for i := range b.Parts {
		p := &b.Parts[i]
		suffices[p.Key] = mulDiv(ledger.Msat(fee)*msatPerSat, uint64(p.Weight), uint64(weight))+1 <= p.Limit
	}
	rate := b.Rate
	flights, actions := r.dissolve(b, event{kind: evLeft, reason: reasonFee})
	var rich []*flight
	for i, f := range flights {
		if suffices[f.key] && r.chain.dear < maxDear {
			rich = append(rich, f)
		} else {
			r.dispatch(f, actions[i])
		}
	}
	if len(rich) == 0 {
		return
	}
	if b := r.join(rich, rate); b != nil {
		r.tend(b)
	}
}

// affords ends the incident that batches wait for lower fees.
func (r *Rails) affords(note string) { r.settle("fees", waitsForFees, note) }

// bumpBySelf has a batch pay the present rate, and at least a quarter more than it does: as far as what the hub may pay of it suffices.
func (r *Rails) bumpBySelf(b *Batch, rate FeeRate) {
	last := b.last()
	least := rateOf(last) * 5 / 4
	most := FeeRate(int64(b.dearest(r.cfg.hubFee())) * 1000 / max(1, last.VSize))
	if most >= least {
		_ = r.bump(b, min(max(rate, least), most), false)
		return
	}
	b.Signed = r.stamp() // not at once again
	r.Raise(Incident{Kind: "fees", Subject: b.ID.String(), Amount: b.beyond(last.Fee), Text: fmt.Sprintf(
		"a batch that is not confirmed would have to pay %d sat per 1,000 virtual bytes, and of that the hub more than %d msat: it waits for lower "+
			"fees, or for an operator who names a rate", max(rate, least), r.cfg.hubFee())})
}
