package settle

import (
	"errors"
	"strconv"
	"strings"

	"github.com/millrace/millrace/ledger"
)

// unit is how many decimals of a currency unit there are down to the millisatoshi.
type unit int

const (
	inMsat unit = 0
	inSat  unit = 3
	inBTC  unit = 11
)

// maxAmount bounds the text of an amount: all the bitcoin there can be, with more decimals than there are.
const maxAmount = 40

var errAmount = errors.New("not an amount: want digits, and decimals behind a point, down to the millisatoshi, and more than zero")

// parseAmount reads a decimal exactly: no sign, no exponent, no separators of thousands. Zeros behind the last decimal there is are allowed.
func parseAmount(text string, u unit) (ledger.Msat, error) {
	whole, fraction, point := strings.Cut(text, ".")
	if len(text) > maxAmount || whole == "" || point && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, errAmount
	}
	if extra := len(fraction) - int(u); extra > 0 {
		if strings.Trim(fraction[u:], "0") != "" {
			return 0, errAmount
		}
		fraction = fraction[:u]
	}
	n, err := strconv.ParseUint(whole+fraction+strings.Repeat("0", int(u)-len(fraction)), 10, 64)
	if err != nil || n == 0 || ledger.Msat(n) > ledger.MaxMsat {
		return 0, errAmount
	}
	return ledger.Msat(n), nil
}

// inSats is an amount in satoshis, exactly: with up to three decimals, none where there need be none.
func inSats(amount ledger.Msat) string {
	s := strconv.FormatUint(uint64(amount/satoshi), 10)
	if rest := uint64(amount % satoshi); rest != 0 {
		s += "." + strings.TrimRight(strconv.FormatUint(satoshi+rest, 10)[1:], "0")
	}
	return s
}
