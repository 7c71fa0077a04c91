package ledger

import "math/bits"

// QuoteLife is for how long a quote in a currency stands, in milliseconds: whoever was told a price by the newest rate pays no
// more than that within it. So the price is by the lowest of the rates that were current within the last QuoteLife.
const QuoteLife = 60_000

// keptRates is how many rates of a currency are kept. A new one that would push out one that still counts comes too early.
const keptRates = 8

// Currency is an ISO 4217 code in capital letters. Zero stands for msat.
type Currency [3]byte

// Version is the currency as the version field of a rate op.
func (c Currency) Version() uint32 { return uint32(c[0]) | uint32(c[1])<<8 | uint32(c[2])<<16 }

// CurrencyOf is the inverse. It may not be Valid.
func CurrencyOf(version uint32) Currency {
	return Currency{byte(version), byte(version >> 8), byte(version >> 16)}
}

// Valid says whether it is three capital letters, and String is empty for what is not.
func (c Currency) Valid() bool {
	for _, l := range c {
		if l < 'A' || l > 'Z' {
			return false
		}
	}
	return true
}

func (c Currency) String() string {
	if !c.Valid() {
		return ""
	}
	return string(c[:])
}

// Rate is what a currency costs, from a time until another rate comes or it is too old.
type Rate struct {
	Msat  Msat   // for a million units
	Since uint64 // milliseconds since 1970
	Until uint32 // seconds since 1970: from then on nobody buys by it
}

// rates are the newest of one currency. The row is 200 bytes.
type rates struct {
	currency Currency
	n        uint8
	kept     [keptRates]Rate // the first n, the newest last
}

func (r *rates) newest() *Rate {
	if r.n == 0 {
		return nil
	}
	return &r.kept[r.n-1]
}

// lowest is the smallest rate that was current within QuoteLife before now, or zero if there is none to buy by.
func (r *rates) lowest(now uint64) Msat {
	newest := r.newest()
	if newest == nil || now >= uint64(newest.Until)*1000 {
		return 0
	}
	low := newest.Msat
	for i := int(r.n) - 1; i > 0 && r.kept[i].Since+QuoteLife >= now; i-- { // the one before was current, too, but for one gone stale
		if before := &r.kept[i-1]; uint64(before.Until)*1000+QuoteLife >= now {
			low = min(low, before.Msat)
		}
	}
	return low
}

// Rate is the newest of a currency, stale or not, and whether there is one.
func (s *State) Rate(c Currency) (Rate, bool) {
	no, ok := s.ratesOf[c]
	if !ok || s.rates.at(no).n == 0 {
		return Rate{}, false
	}
	return *s.rates.at(no).newest(), true
}

// Quote is what a content costs by the newest rate, and by which; the rate is zero for a price in msat. Within QuoteLife nobody
// pays more, but for a new price version. The result is that of an unlock if the content cannot be bought for want of a price.
func (s *State) Quote(id ContentID, now uint64) (price, rate Msat, r Result) {
	_, c := s.content(id)
	if c == nil {
		return 0, 0, ContentUnknown
	}
	if c.rates == 0 {
		return c.Price, 0, Undecided
	}
	row := s.rates.at(c.rates)
	if row.lowest(now) == 0 {
		return 0, 0, RateStale
	}
	rate = row.newest().Msat
	price, ok := inMsat(c.Price, rate)
	if !ok {
		return 0, rate, PriceOutOfRange
	}
	return price, rate, Undecided
}

// price is what a content costs now, and by which rate; zero for a price in msat.
func (s *State) price(c *Content, now uint64) (price, rate Msat, r Result) {
	if c.rates == 0 {
		return c.Price, 0, Undecided
	}
	if rate = s.rates.at(c.rates).lowest(now); rate == 0 {
		return 0, 0, RateStale
	}
	price, ok := inMsat(c.Price, rate)
	if !ok {
		return 0, 0, PriceOutOfRange
	}
	return price, rate, Undecided
}

// inMsat is a price in millionths of a currency's unit by a rate for a million units, rounded up: not for nothing.
func inMsat(micros, rate Msat) (price Msat, ok bool) {
	const million2 = 1_000_000 * 1_000_000
	hi, lo := bits.Mul64(uint64(micros), uint64(rate))
	lo, carry := bits.Add64(lo, million2-1, 0)
	hi += carry
	if hi >= million2 {
		return 0, false
	}
	quotient, _ := bits.Div64(hi, lo, million2)
	return Msat(quotient), Msat(quotient) <= MaxMsat
}

// checkRate is the hub's own op.
func (s *State) checkRate(op *Op, now uint64) Applied {
	currency := CurrencyOf(op.Version)
	if !currency.Valid() || currency.Version() != op.Version {
		return refuse(OpMalformed)
	}
	if r := checkAmount(op.Amount); r != Undecided {
		return refuse(r)
	}
	no, known := s.ratesOf[currency]
	if known {
		if newest := s.rates.at(no).newest(); newest != nil && newest.Msat == op.Amount && newest.Until == op.Target {
			return Applied{result: Repeated}
		}
	}
	if uint64(op.Target)*1000 <= now {
		return refuse(ExpiryInvalid)
	}
	if known {
		if row := s.rates.at(no); row.n == keptRates && row.kept[1].Since+QuoteLife >= now {
			return refuse(RateEarly)
		}
	}
	return Applied{}
}

func (s *State) rate(op *Op) Applied {
	currency := CurrencyOf(op.Version)
	row := s.rates.edit(s.currency(currency))
	if row.n == keptRates {
		copy(row.kept[:], row.kept[1:])
		row.n--
	}
	row.kept[row.n] = Rate{Msat: op.Amount, Since: s.now, Until: op.Target}
	row.n++
	s.leg(Leg{Kind: op.Kind, Move: MoveRate, From: Market, Object: op.Version, Amount: op.Amount})
	return s.entry(0, 0)
}

// currency is the row of a currency's rates, which is made if there is none.
func (s *State) currency(c Currency) uint32 {
	no, ok := s.ratesOf[c]
	if !ok {
		var row *rates
		no, row = s.rates.add()
		row.currency = c
		s.ratesOf[c] = no
	}
	return no
}
