// Package currency knows the currencies of ISO 4217, and reads and writes prices in them as people do. A price is whole: msat, or
// millionths of one unit of a currency. There are no floats.
package currency

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Code is a currency by its three letters in ISO 4217. The zero value is none: money as it is inside, in msat.
type Code [3]byte

// ErrUnknown is wrapped by every error about letters that are no currency.
var ErrUnknown = errors.New("not a currency of ISO 4217")

// codes are those in force by ISO 4217 as amended in 2026, by the decimals that are written at least (its minor unit). The metals and
// the special drawing right have none. Left out are the codes for tests, for no currency, and of bond markets.
var codes = [...]struct {
	decimals int
	letters  string
}{
	{2, "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU " +
		"CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES " +
		"KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR " +
		"NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP " +
		"TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG"},
	{0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF XAG XAU XDR XPD XPT"},
	{3, "BHD IQD JOD KWD LYD OMR TND"},
	{4, "CLF UYW"},
}

// Parse reads three capital letters.
func Parse(text string) (Code, error) {
	if _, ok := decimals(text); !ok {
		return Code{}, fmt.Errorf("%w: %q", ErrUnknown, text[:min(len(text), 16)])
	}
	return Code([]byte(text)), nil
}

// All are the currencies, in the order of their letters.
func All() (all []Code) {
	for _, row := range codes {
		for letters := range strings.FieldsSeq(row.letters) {
			all = append(all, Code([]byte(letters)))
		}
	}
	slices.SortFunc(all, func(a, b Code) int { return bytes.Compare(a[:], b[:]) })
	return all
}

// String is the letters; of no currency, it is empty.
func (c Code) String() string {
	if c == (Code{}) {
		return ""
	}
	return string(c[:])
}

// MarshalText writes the letters.
func (c Code) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what Parse does.
func (c *Code) UnmarshalText(b []byte) (err error) {
	*c, err = Parse(string(b))
	return err
}

// decimals says how many decimals an amount has at least, and whether the letters are a currency at all.
func decimals(text string) (int, bool) {
	if len(text) != 3 || strings.Contains(text, " ") {
		return 0, false
	}
	for _, row := range codes {
		if strings.Contains(row.letters, text) { // a space follows every code: three letters can only be a whole one
			return row.decimals, true
		}
	}
	return 0, false
}
