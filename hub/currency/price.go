package currency

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace/millrace/ledger"
)

// Micros is how many millionths a unit of a currency has: what prices are counted in.
const Micros = 1_000_000

// microDecimals is how many decimals that is.
const microDecimals = 6

// MaxAmount bounds a price in either unit. In a currency it is some two billion times a million: no rate makes more of it than there
// can be bitcoin without being out of range itself.
const MaxAmount = uint64(ledger.MaxMsat)

// ErrPrice is wrapped by every error about a price.
var ErrPrice = errors.New("not a price")

// Price is what a seller asks for, in his own money.
type Price struct {
	Currency Code   // none: Amount is msat
	Amount   uint64 // 1 to MaxAmount: msat, or millionths of one unit of the currency
}

// ParsePrice reads an amount and its unit in either order, with a space or without: "0.05 EUR", "JPY 3", "250000 msat", "25sat".
func ParsePrice(text string) (Price, error) {
	fail := func(why string) (Price, error) {
		return Price{}, fmt.Errorf("%w: %q: %s", ErrPrice, text[:min(len(text), 40)], why)
	}
	digits, unit := halves(text)
	if digits == "" || unit == "" {
		return fail(`want an amount and its unit, such as "0.05 EUR" or "250000 msat"`)
	}
	p, places := Price{}, 0
	switch unit {
	case "msat":
	case "sat":
		places = 3
	default:
		var err error
		if p.Currency, err = Parse(unit); err != nil {
			return fail("want msat, sat or the three letters of a currency")
		}
		places = microDecimals
	}
	var why string
	if p.Amount, why = whole(digits, places); why != "" {
		return fail(why)
	}
	return p, nil
}

// halves cuts a text into its number and the rest.
func halves(text string) (digits, unit string) {
	const numeral = "0123456789."
	text = strings.TrimSpace(text)
	if text == "" {
		return "", ""
	}
	if strings.ContainsRune(numeral, rune(text[0])) {
		unit = strings.TrimLeft(text, numeral)
		return text[:len(text)-len(unit)], strings.TrimSpace(unit)
	}
	unit = strings.TrimRight(text, numeral)
	return text[len(unit):], strings.TrimSpace(unit)
}

// whole reads a decimal as a count of its last place. why is empty if it is one.
func whole(digits string, places int) (n uint64, why string) {
	integer, fraction, point := strings.Cut(digits, ".")
	if integer == "" || point && fraction == "" || strings.Contains(fraction, ".") {
		return 0, "the amount is no decimal number"
	}
	if len(fraction) > places {
		if places == 0 {
			return 0, "msat are whole"
		}
		return 0, fmt.Sprintf("at most %d decimals", places)
	}
	n, err := strconv.ParseUint(integer+fraction+strings.Repeat("0", places-len(fraction)), 10, 64)
	switch {
	case err != nil || n > MaxAmount:
		return 0, "the amount is beyond all there can be"
	case n == 0:
		return 0, "nothing is sold for nothing"
	}
	return n, ""
}

// String is the price as ParsePrice reads it: "EUR 0.05", "JPY 3", "250000 msat". It has no more decimals than it needs, and no fewer than
// the currency's minor unit has.
func (p Price) String() string {
	if p.Currency == (Code{}) {
		return strconv.FormatUint(p.Amount, 10) + " msat"
	}
	least, _ := decimals(p.Currency.String())
	fraction := fmt.Sprintf("%0*d", microDecimals, p.Amount%Micros)
	for len(fraction) > least && fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1]
	}
	text := p.Currency.String() + " " + strconv.FormatUint(p.Amount/Micros, 10)
	if fraction != "" {
		text += "." + fraction
	}
	return text
}
