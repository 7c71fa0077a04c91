package ledger

import "math/bits"

// Msat is the only unit of money inside: 1/1000 satoshi.
type Msat uint64

// MaxMsat is all the bitcoin there can ever be (21 million of 10^8 satoshi). No amount, balance or total exceeds it, so
// the sum of any two fits in 63 bits.
const MaxMsat Msat = 21_000_000 * 100_000_000 * 1000

// PPM is the unit of the hub's fee: parts per million of a price.
const PPM = 1_000_000

// MaxPayees bounds the split of a content's price.
const MaxPayees = 16

// MaxShare bounds one payee's share: 16 of them times MaxMsat then fit in the 128 bits that a split is computed in.
const MaxShare = 1_000_000

// Payee is one receiver of a content's price. Shares are relative: what somebody gets is share over the sum of shares.
type Payee struct {
	Account AccountNo
	Share   uint32 // 1 to MaxShare
}

// FeeOf is the hub's part of a price, rounded down, so that rounding is never to the creator's loss.
func FeeOf(price Msat, ppm uint32) Msat { return mulDiv(price, uint64(ppm), PPM) }

// split divides an amount among payees by largest remainder: each gets the whole part of its share, and the msat left over
// go one each to those with the largest remainders, the earlier payee first among equals. The parts add up to the amount.
func split(amount Msat, payees []Payee, parts *[MaxPayees]Msat) {
	if len(payees) == 1 {
		parts[0] = amount
		return
	}
	var sum uint64
	for _, p := range payees {
		sum += uint64(p.Share)
	}
	var remainders [MaxPayees]uint64
	left := amount
	for i, p := range payees {
		hi, lo := bits.Mul64(uint64(amount), uint64(p.Share))
		quotient, remainder := bits.Div64(hi, lo, sum)
		parts[i], remainders[i] = Msat(quotient), remainder
		left -= parts[i]
	}
	for ; left > 0; left-- { // at most len(payees)-1 times
		best := 0
		for i := range payees {
			if remainders[i] > remainders[best] {
				best = i
			}
		}
		parts[best]++
		remainders[best] = 0
	}
}

// mulDiv is a*b/c rounded down, for b at most c.
func mulDiv(a Msat, b, c uint64) Msat {
	hi, lo := bits.Mul64(uint64(a), b)
	quotient, _ := bits.Div64(hi, lo, c)
	return Msat(quotient)
}
