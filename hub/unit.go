package hub

import (
	"fmt"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// Meter is what a content that is sold by units asks for.
type Meter struct {
	Seller       ledger.AccountNo
	Price        ledger.Msat   // of one unit, now; zero: there is none
	Unpriced     ledger.Result // why there is no price; Undecided: there is one
	PriceVersion uint32
	Units, Free  uint32
	Hours        uint32 // for which a unit is bought; zero: for ever
}

// Meter reads what a content asks for by the unit, and whether it does.
func (h *Hub) Meter(id ledger.ContentID) (Meter, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	c, ok := h.state.Content(id)
	if !ok || c.Terms.Units == 0 {
		return Meter{}, false
	}
	m := Meter{Seller: c.Seller, PriceVersion: c.PriceVersion, Units: c.Terms.Units, Free: c.Terms.FreeUnits, Hours: c.Terms.Hours}
	m.Price, _, m.Unpriced = h.state.Quote(id, max(h.clock(), h.state.Now()))
	return m, true
}

// registerTerms puts a work on sale by units, or at a price in a currency: two entries, the registration at a price that nobody can pay, and the terms. A hub
// that ends between them sells the work to nobody, and the same offer again completes it; the other way round the whole would have
// been on sale at the price of a unit.
func (h *Hub) registerTerms(op ledger.Op, r *ledger.Registration, t ledger.Terms) (ledger.Applied, error) {
	price := op.Amount
	if t.FreeUnits > t.Units || price == 0 || price > ledger.MaxMsat {
		return ledger.Applied{}, fmt.Errorf("%w: the header says that the work is sold by %d units: want no more free ones, and a price", ErrOffer, t.Units)
	}
	op.Amount = ledger.MaxMsat
	a, err := h.submit(op, ledger.AppendRegistration(nil, r))
	if err != nil || !a.Result().OK() {
		return a, err
	}
	if c, _ := h.Content(op.ID); c.PriceVersion > 1 { // it was completed before, and what has become of the terms since is the seller's
		return a, nil
	}
	set, err := h.SetTerms(op.Actor, op.ID, 1, price, t)
	if err != nil || !set.Result().OK() {
		return set, err
	}
	return a, nil
}

// UnitPurchase asks to unlock one unit of a content that is sold by units.
type UnitPurchase struct {
	Buyer        ledger.AccountNo
	Content      ledger.ContentID
	Unit         uint32      // from 0
	PriceVersion uint32      // as quoted; zero: any
	Max          ledger.Msat // the most that the buyer pays; zero: the price of the version named
}

// UnlockUnit buys a unit for the buyer, or finds that he owns it or that it is free, and releases its key. It is as Unlock: the
// key is only set when the outcome is OK.
func (h *Hub) UnlockUnit(b *Batch, p UnitPurchase) (ledger.Applied, seal.UnitKey, error) {
	b.Reset()
	b.Ops = append(b.Ops, ledger.Op{
		Kind: ledger.OpUnlockUnit, Actor: p.Buyer, Target: p.Unit, ID: p.Content, Version: p.PriceVersion, Amount: p.Max,
	})
	if err := h.Submit(b); err != nil {
		return ledger.Applied{}, seal.UnitKey{}, err
	}
	if !b.Out[0].Result().OK() {
		return b.Out[0], seal.UnitKey{}, nil
	}
	key, err := h.ReleaseUnit(b.Out[0])
	return b.Out[0], key, err
}

// FreeUnit releases the key of a unit that is free for everybody; found is false for any other.
func (h *Hub) FreeUnit(b *Batch, id ledger.ContentID, unit uint32) (key seal.UnitKey, found bool, err error) {
	m, ok := h.Meter(id)
	if !ok || unit >= m.Free {
		return key, false, nil
	}
	// Whoever sells a work owns its units, so this says the same as for anybody who asks, and never takes money.
	a, key, err := h.UnlockUnit(b, UnitPurchase{Buyer: m.Seller, Content: id, Unit: unit, Max: 1})
	return key, err == nil && a.Result().OK(), err
}
