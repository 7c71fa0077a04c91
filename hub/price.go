package hub

import (
	"math/bits"
	"time"

	"github.com/millrace/millrace/hub/currency"
	"github.com/millrace/millrace/ledger"
)

// Rate is a currency's newest rate.
type Rate struct {
	Currency currency.Code
	ledger.Rate
	Stale bool // nobody buys by it any more
}

// Quote is a price that holds for a while.
type Quote struct {
	Content ledger.Content
	Price   ledger.Msat
	Rate    ledger.Msat // by which it was made, for a million units of the currency; zero: the price is in msat
	Expires time.Time
}

// Rates are those of all currencies that have one, in the order of their letters.
func (h *Hub) Rates() (all []Rate) {
	now := h.now()
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, code := range currency.All() {
		if r, ok := h.state.Rate(ledger.Currency(code)); ok {
			all = append(all, Rate{Currency: code, Rate: r, Stale: now >= uint64(r.Until)*1000})
		}
	}
	return all
}

// now is the time that the next block will have, or nearly.
func (h *Hub) now() uint64 { return uint64(h.Latest().UnixMilli()) }

// Quoted is Quote with how long it holds: a minute at most. A content that is off sale has none.
func (h *Hub) Quoted(id ledger.ContentID) (Quote, ledger.Result) {
	now := h.now()
	h.mu.RLock()
	defer h.mu.RUnlock()
	price, rate, result := h.state.Quote(id, now)
	q := Quote{Price: price, Rate: rate, Expires: time.UnixMilli(int64(now + ledger.QuoteLife))}
	q.Content, _ = h.state.Content(id)
	if result == ledger.Undecided && q.Content.Status != ledger.Open {
		return q, ledger.ContentRetired
	}
	if rate != 0 {
		newest, _ := h.state.Rate(q.Content.Terms.Currency)
		if until := time.Unix(int64(newest.Until), 0); until.Before(q.Expires) {
			q.Expires = until
		}
	}
	return q, result
}

// priceable says why nothing can be sold at a price, or Undecided: in a currency that the hub never had a rate of, or one that comes to
// more than there is bitcoin by the newest.
func (h *Hub) priceable(p currency.Price) ledger.Result {
	if p.Currency == (currency.Code{}) {
		return ledger.Undecided
	}
	rate, ok := h.Rate(ledger.Currency(p.Currency))
	if !ok {
		return ledger.RateStale
	}
	const million2 = currency.Micros * currency.Micros
	if hi, lo := bits.Mul64(p.Amount, uint64(rate.Msat)); hi >= million2 {
		return ledger.PriceOutOfRange
	} else if msat, _ := bits.Div64(hi, lo, million2); msat >= uint64(ledger.MaxMsat) { // rounding up could take it there
		return ledger.PriceOutOfRange
	}
	return ledger.Undecided
}

// Reprice replaces the price of a version, in whatever money it was, by another in whatever money.
func (h *Hub) Reprice(seller ledger.AccountNo, id ledger.ContentID, price currency.Price, version uint32) (ledger.Applied, ledger.Result, error) {
	if r := h.priceable(price); r != ledger.Undecided {
		return ledger.Applied{}, r, nil
	}
	if c, ok := h.Content(id); ok && c.Terms.Currency != ledger.Currency(price.Currency) {
		c.Terms.Currency = ledger.Currency(price.Currency) // who changes the terms meanwhile makes another version: then it is refused
		a, err := h.SetTerms(seller, id, version, ledger.Msat(price.Amount), c.Terms)
		return a, a.Result(), err
	}
	a, err := h.submit(ledger.Op{Kind: ledger.OpReprice, Actor: seller, ID: id, Amount: ledger.Msat(price.Amount), Version: version}, nil)
	return a, a.Result(), err
}
