package hub

import (
	"fmt"

	"github.com/millrace/millrace/ledger"
)

// SetTerms says by what a content is sold from now on. It replaces the price of a version, and makes the next.
func (h *Hub) SetTerms(seller ledger.AccountNo, id ledger.ContentID, version uint32, price ledger.Msat, t ledger.Terms) (ledger.Applied, error) {
	op := ledger.Op{Kind: ledger.OpTerms, Actor: seller, ID: id, Version: version, Amount: price}
	return h.submit(op, ledger.AppendTerms(nil, &t))
}

// SetSplit says who shares a content's price from now on.
func (h *Hub) SetSplit(seller ledger.AccountNo, id ledger.ContentID, payees []ledger.Payee) (ledger.Applied, error) {
	if len(payees) > ledger.MaxPayees {
		return ledger.Applied{}, fmt.Errorf("%w: at most %d payees", ErrOffer, ledger.MaxPayees)
	}
	return h.submit(ledger.Op{Kind: ledger.OpSplit, Actor: seller, ID: id}, ledger.AppendPayees(nil, payees))
}

// Splits lists who got what share of a content from when, the first split first.
func (h *Hub) Splits(id ledger.ContentID) []ledger.Split {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.state.Splits(id)
}

// Tally is what a content has come to, and whether it exists.
func (h *Hub) Tally(id ledger.ContentID) (ledger.Tally, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.state.Tally(id)
}
