package ledgertest

import (
	"encoding/binary"
	"math/big"
	"strings"

	"github.com/millrace/millrace/ledger"
)

// minute is for how long a quote stands.
const minute = 60_000

// rate: of a currency as many are kept as were current within a minute, but no more than eight.
func (m *Model) rate(r *ruling, op ledger.Op) {
	code := ledger.Currency{byte(op.Version), byte(op.Version >> 8), byte(op.Version >> 16)}
	r.when(op.Version>>24 != 0 || strings.Trim(string(code[:]), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "", ledger.OpMalformed)
	r.when(uint64(op.Target)*1000 <= m.Now, ledger.ExpiryInvalid)
	all := m.rates[code]
	n := len(all)
	r.when(n >= 8 && all[n-7].Since+minute >= m.Now, ledger.RateEarly)
	if n > 0 && all[n-1].Msat == op.Amount && all[n-1].Until == op.Target {
		r.repeat = &Outcome{}
	}
	r.effect = func() Outcome {
		m.rates[code] = append(all, ledger.Rate{Msat: op.Amount, Since: m.Now, Until: op.Target})
		return Outcome{}
	}
}

// lowest is the lowest rate of a currency within the last minute, or zero.
func (m *Model) lowest(code ledger.Currency) (low ledger.Msat) {
	all := m.rates[code]
	if len(all) == 0 || uint64(all[len(all)-1].Until)*1000 <= m.Now {
		return 0
	}
	for i, r := range all {
		if i+1 < len(all) && min(all[i+1].Since, uint64(r.Until)*1000)+minute < m.Now { // no longer current
			continue
		}
		if low == 0 || r.Msat < low {
			low = r.Msat
		}
	}
	return low
}

// priceOf is what a content costs now, or why nobody can say.
func (m *Model) priceOf(c *content) (ledger.Msat, ledger.Result) {
	if c.terms.Currency == (ledger.Currency{}) {
		return c.price, ledger.Undecided
	}
	rate := m.lowest(c.terms.Currency)
	if rate == 0 {
		return 0, ledger.RateStale
	}
	trillion := big.NewInt(1_000_000_000_000)
	x := new(big.Int).SetUint64(uint64(c.price))
	x.Mul(x, new(big.Int).SetUint64(uint64(rate)))
	x.Add(x, trillion).Sub(x, big.NewInt(1)).Quo(x, trillion)
	if !x.IsUint64() || x.Uint64() > maxMsat {
		return 0, ledger.PriceOutOfRange
	}
	return ledger.Msat(x.Uint64()), ledger.Undecided
}

// onSale has the faults of whoever wants to buy, and says what it costs him.
func (m *Model) onSale(r *ruling, op ledger.Op, c *content, no uint32) ledger.Msat {
	r.when(c.retired, ledger.ContentRetired)
	r.when(c.terms.Ends != 0 && uint64(c.terms.Ends)*1000 <= m.Now, ledger.SaleEnded)
	t := m.tally(no)
	r.when(c.terms.Copies != 0 && t.Sold-t.Refunded >= c.terms.Copies, ledger.SoldOut)
	r.when(op.Version != 0 && op.Version != c.version, ledger.PriceChanged)
	price, fault := m.priceOf(c)
	r.when(fault != ledger.Undecided, fault)
	if fault == ledger.Undecided {
		named := op.Amount != 0 || c.terms.Currency != (ledger.Currency{})
		r.when(named && op.Amount < price, ledger.PriceTooHigh)
	}
	return price
}

// terms: the seller says by what a content is sold from now on.
func (m *Model) terms(r *ruling, op ledger.Op, detail []byte) {
	t, ok := parseTerms(detail)
	if !ok {
		r.when(true, ledger.OpMalformed)
		return
	}
	no := m.numberOf(op.ID)
	if no < 0 {
		r.when(true, ledger.ContentUnknown)
		return
	}
	c := m.contents[no]
	r.when(op.Actor != c.seller, ledger.NotPermitted)
	r.when(c.retired, ledger.ContentRetired)
	r.when(op.Version != c.version, ledger.PriceChanged)
	r.when(t.Refund != 0 || t.Hours != 0 || t.FreeUnits > t.Units || t.Units > 0 && t.Copies > 0, ledger.TermsInvalid)
	if op.Version > 0 && uint64(c.version) == uint64(op.Version)+1 && c.price == op.Amount && c.terms == t {
		r.repeat = &Outcome{Object: c.version}
	}
	r.effect = func() Outcome {
		c.terms, c.price = t, op.Amount
		c.version++
		return Outcome{Object: c.version}
	}
}

// parseTerms reads what Terms documents.
func parseTerms(b []byte) (t ledger.Terms, ok bool) {
	if len(b) != 27 {
		return t, false
	}
	copy(t.Currency[:], b)
	at := func(i int) uint32 { return binary.LittleEndian.Uint32(b[3+4*i:]) }
	t.Copies, t.Ends, t.Refund, t.Hours, t.Units, t.FreeUnits = at(0), at(1), at(2), at(3), at(4), at(5)
	letters := strings.Trim(string(t.Currency[:]), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
	return t, letters || t.Currency == ledger.Currency{}
}
