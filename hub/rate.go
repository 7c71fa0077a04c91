package hub

import "github.com/millrace/millrace/ledger"

// Quote is what a content costs by the newest rate of its currency, and by which; the rate is zero for a price in msat. Who buys
// within ledger.QuoteLife pays no more, unless the seller has changed the price. The result says why there is no price.
func (h *Hub) Quote(id ledger.ContentID) (price, rate ledger.Msat, r ledger.Result) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.state.Quote(id, max(h.clock(), h.state.Now()))
}

// Rate is the newest rate of a currency, stale or not, and whether there is one.
func (h *Hub) Rate(c ledger.Currency) (ledger.Rate, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.state.Rate(c)
}

// SetRate says what a million units of a currency cost from now on, and until when at most, in seconds since 1970.
func (h *Hub) SetRate(c ledger.Currency, msat ledger.Msat, until uint32) (ledger.Applied, error) {
	return h.submit(ledger.Op{Kind: ledger.OpRate, Amount: msat, Target: until, Version: c.Version()}, nil)
}
