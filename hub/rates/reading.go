package rates

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/hub/currency"
)

// Direction is what a source's number means.
type Direction uint8

// The directions. The names are those of the configuration.
const (
	PerBitcoin Direction = iota // currency_per_btc: how many units a bitcoin costs
	Bitcoins                    // btc_per_currency: how many bitcoin a unit costs
	Satoshis                    // sat_per_currency: how many satoshi a unit costs
)

var directions = [...]string{PerBitcoin: "currency_per_btc", Bitcoins: "btc_per_currency", Satoshis: "sat_per_currency"}

// String is the direction's name.
func (d Direction) String() string { return directions[d] }

// UnmarshalText reads a direction's name.
func (d *Direction) UnmarshalText(b []byte) error {
	for i, name := range directions {
		if name == string(b) {
			*d = Direction(i)
			return nil
		}
	}
	return fmt.Errorf("%.40q is none of %s", b, strings.Join(directions[:], ", "))
}

// reading is what a source says about a currency.
type reading struct {
	currency currency.Code
	msat     *big.Rat  // of a million units
	at       time.Time // the source's own time, or else when it was read
}

// What bitcoin and satoshi are in msat, a million times.
const (
	millionBitcoins = 100_000_000_000 * currency.Micros
	millionSatoshis = 1_000 * currency.Micros
)

// numeral is a decimal as JSON writes it, of bounded size: an exponent of ten digits would fill the memory.
var numeral = regexp.MustCompile(`^[0-9]{1,30}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?$`)

// rate reads a number that a source gave, as msat for a million units.
func (d Direction) rate(text string) (*big.Rat, error) {
	if !numeral.MatchString(text) {
		return nil, fmt.Errorf("%.40q is no positive decimal number", text)
	}
	n, ok := new(big.Rat).SetString(text)
	if !ok || n.Sign() <= 0 {
		return nil, fmt.Errorf("%.40q is no positive decimal number", text)
	}
	switch d {
	case PerBitcoin:
		n.Quo(new(big.Rat).SetInt64(millionBitcoins), n)
	case Bitcoins:
		n.Mul(n, new(big.Rat).SetInt64(millionBitcoins))
	case Satoshis:
		n.Mul(n, new(big.Rat).SetInt64(millionSatoshis))
	}
	if msat := nearest(n); msat == 0 || msat > MaxRate {
		return nil, fmt.Errorf("%.40q, as %v, is beyond what there can be", text, d)
	}
	return n, nil
}

// Parse reads a number as a source gives it: msat for a million units, 1 to MaxRate.
func Parse(text string, gives Direction) (uint64, error) {
	n, err := gives.rate(text)
	if err != nil {
		return 0, err
	}
	return nearest(n), nil
}

// PricePerBitcoin is a rate the other way round, for people: how many units a bitcoin costs, to two decimals.
func PricePerBitcoin(msat uint64) string {
	return new(big.Rat).SetFrac(big.NewInt(millionBitcoins), new(big.Int).SetUint64(max(msat, 1))).FloatString(2)
}

// nearest is the whole number next to a positive one, the higher of two; of one that has no place in it, MaxRate+1.
func nearest(n *big.Rat) uint64 {
	twice := new(big.Int).Lsh(n.Num(), 1)
	twice.Add(twice, n.Denom())
	twice.Quo(twice, new(big.Int).Lsh(n.Denom(), 1))
	if !twice.IsUint64() {
		return MaxRate + 1
	}
	return min(twice.Uint64(), MaxRate+1)
}

// parseTime reads seconds or milliseconds since 1970, or RFC 3339.
func parseTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	integer, _, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(integer, 10, 64)
	switch {
	case err != nil || n <= 0:
		return time.Time{}, fmt.Errorf("%.40q is no time: want seconds or milliseconds since 1970, or RFC 3339", text)
	case n >= 100_000_000_000: // in seconds, the year 5138
		return time.UnixMilli(n), nil
	}
	return time.Unix(n, 0), nil
}

// at follows a path such as data.rates.EUR or result.0.price through JSON to a number or a text. A dot within a name is written \. there.
func at(value any, path string) (string, error) {
	for i, name := range steps(path) {
		switch v := value.(type) {
		case map[string]any:
			next, ok := v[name]
			if !ok {
				return "", fmt.Errorf("nothing is at %q: there is no %q", path, name)
			}
			value = next
		case []any:
			n, err := strconv.ParseUint(name, 10, 31)
			if err != nil || n >= uint64(len(v)) {
				return "", fmt.Errorf("nothing is at %q: %q is no place in a list of %d", path, name, len(v))
			}
			value = v[n]
		default:
			return "", fmt.Errorf("nothing is at %q: step %d comes to a single value", path, i)
		}
	}
	switch v := value.(type) {
	case json.Number:
		return v.String(), nil
	case string:
		return v, nil
	}
	return "", fmt.Errorf("what is at %q is no number", path)
}

// steps cuts a path at its dots.
func steps(path string) (all []string) {
	const dot = "\x00"
	for name := range strings.SplitSeq(strings.ReplaceAll(path, `\.`, dot), ".") {
		all = append(all, strings.ReplaceAll(name, dot, "."))
	}
	return all
}
