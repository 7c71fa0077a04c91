package channels

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/millrace/millrace/ledger"
)

// Batch is a transaction that pays many payouts at once, from when it is decided who is in it until it is buried in the chain. It is a record.
//
// Its identity is its inputs, which are the same in all that was ever signed for it: so at most one of these can be confirmed, and
// whichever it is closes the batch.
//
//	cut         the batch and its payouts are written as belonging together, in one write. What the wallet has set aside under the batch's
//	            lock, if anything, was never signed for anybody: it is released, and the transaction made anew
//	signed      a whole signed transaction is written. Only now is it published, and again whenever it is not to be seen; one that pays
//	            more is written beside it before it is published
//	confirmed   one of them is deep enough, and that, with who pays what of its fee, is written. Payouts are captured, what is left of the
//	            fee is the hub's
//	closed      all that is done. It is looked at until it is buried
type Batch struct {
	ID      ID          `json:"id"`
	Status  BatchStatus `json:"status"`
	Parts   []Part      `json:"parts"`
	Rate    FeeRate     `json:"rate"`
	Tries   []Signed    `json:"tries,omitempty"` // all spend the same coins; the last was made last
	Winner  int         `json:"winner"`          // of Tries, once one is confirmed
	Rest    ledger.Msat `json:"rest,omitempty"`  // of the fee, which the hub pays
	Debit   ID          `json:"debit,omitzero"`  // of the op by which it does
	Debited bool        `json:"debited,omitempty"`
	Made    time.Time   `json:"made"`
	Signed  time.Time   `json:"signed,omitzero"` // when the last of Tries was made
	Changed time.Time   `json:"changed"`

	delivered bool // its payouts know that they are paid
	lost      bool // another transaction, which is deep in the chain, spends a coin of it, or there is no such coin any more
	buried    bool // not to be looked at any more
}

// BatchStatus is how far a batch has come.
type BatchStatus string

const (
	BatchCut       BatchStatus = "cut"
	BatchSigned    BatchStatus = "signed"
	BatchConfirmed BatchStatus = "confirmed"
	BatchClosed    BatchStatus = "closed"
)

// Part is a payout in a batch.
type Part struct {
	Key
	Amount Sat         `json:"amount"`
	Weight int64       `json:"weight"` // of its output
	Limit  ledger.Msat `json:"limit"`  // of its part of the fee
	Fee    ledger.Msat `json:"fee"`    // its part, once the batch is confirmed

	record int // bytes that the payout's record takes at most, until the batch is cut
}

// maxBatchRecords bounds, in bytes, the records of the payouts of a batch, which are written at once whenever it takes a step: half of
// MaxWrite. The other half is for the batch itself, whose transactions take some 5 MiB, and for what the step adds to each.
const maxBatchRecords = MaxWrite / 2

const maxTries = 12

// lock is the name under which the wallet sets coins aside for a batch.
func (b *Batch) lock() Hash { return sha256.Sum256(append([]byte("millrace batch\x00"), b.ID[:]...)) }

// last is the transaction that was made last.
func (b *Batch) last() *Signed { return &b.Tries[len(b.Tries)-1] }

// rows are the batch's record, and its place among those that are looked at.
func (b *Batch) rows() ([]Row, error) {
	row, err := rowOf(rowKey(keyBatch, b.ID[:]), b)
	place := Row{Key: rowKey(keyBatching, b.ID[:]), Value: []byte{}}
	if b.buried {
		place.Value = nil
	}
	return []Row{row, place}, err
}

// The weight of what every transaction has beside the outputs that it is made for: header and counts, one input of P2WPKH with the longest
// signature, and change to P2TR (BIP-141). More inputs are the wallet's affair.
const overheadWeight = 4*(4+4+1+3) + 2 + (4*41 + 108) + 4*43

// maxVSize is what nodes pass on (MAX_STANDARD_TX_WEIGHT), with some room.
const maxVSize = 99_500

// outputWeight is that of an output with a script.
func outputWeight(script []byte) int64 {
	count := 1
	if len(script) >= 0xfd {
		count = 3
	}
	return 4 * int64(8+count+len(script))
}

// feeOf is what some weight costs at a rate, rounded up to a satoshi.
func feeOf(weight int64, rate FeeRate) ledger.Msat {
	vsize := (weight + 3) / 4
	return ledger.Msat((vsize*int64(rate)+999)/1000) * msatPerSat
}

// outputFee is what an output costs by itself: the least that a payout can cost.
func outputFee(script []byte, rate FeeRate) ledger.Msat { return feeOf(outputWeight(script), rate) }

// aloneFee is what a payout costs that has a transaction of its own: the most that it can cost at a rate.
func aloneFee(script []byte, rate FeeRate) ledger.Msat {
	return feeOf(outputWeight(script)+overheadWeight, rate)
}

// affordable keeps those parts whose share of a common fee is within their limits; the more there are, the less is each one's.
func affordable(parts []Part, rate FeeRate) (in, out []Part) {
	in = slices.Clone(parts)
	for {
		var weight int64
		for _, p := range in {
			weight += p.Weight
		}
		kept := in[:0]
		before := len(in)
		total := feeOf(weight+overheadWeight, rate)
		for _, p := range in {
			if share := mulDiv(total, uint64(p.Weight), uint64(weight)) + 1; share <= p.Limit {
				kept = append(kept, p)
			} else {
				out = append(out, p)
			}
		}
		if in = kept; len(in) == before || len(in) == 0 {
			return in, out
		}
	}
}

// cut divides parts, in their order, into batches of at most so many outputs and so much weight, whose payouts can be written at once.
func cut(parts []Part, outputs int, weight int64) (batches [][]Part) {
	var sum int64
	records := 0
	for start, i := 0, 0; i < len(parts); i++ {
		sum += parts[i].Weight
		records += parts[i].record
		if i+1 == len(parts) || i+1-start == outputs || sum+parts[i+1].Weight > weight || records+parts[i+1].record > maxBatchRecords {
			batches = append(batches, parts[start:i+1])
			start, sum, records = i+1, 0, 0
		}
	}
	return batches
}

// share divides a fee among parts by their weight, by largest remainder, each at most its limit, and returns what is left for the hub.
func share(parts []Part, fee ledger.Msat) (rest ledger.Msat) {
	var weight uint64
	for i := range parts {
		weight += uint64(parts[i].Weight)
	}
	if weight == 0 {
		return fee
	}
	type remainder struct {
		part int
		size uint64
	}
	remainders := make([]remainder, len(parts))
	left := fee
	for i := range parts {
		hi, lo := bits.Mul64(uint64(fee), uint64(parts[i].Weight))
		quotient, size := bits.Div64(hi, lo, weight)
		parts[i].Fee, remainders[i] = ledger.Msat(quotient), remainder{i, size}
		left -= parts[i].Fee
	}
	slices.SortStableFunc(remainders, func(a, b remainder) int { return cmp.Compare(b.size, a.size) })
	for i := range left { // fewer than there are parts
		parts[remainders[i].part].Fee++
	}
	for i := range parts {
		if over := parts[i].Fee - min(parts[i].Fee, parts[i].Limit); over > 0 {
			parts[i].Fee -= over
			rest += over
		}
	}
	return rest
}

// mulDiv is a*b/c rounded down, for b at most c.
func mulDiv(a ledger.Msat, b, c uint64) ledger.Msat {
	if c == 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(a), b)
	quotient, _ := bits.Div64(hi, lo, c)
	return ledger.Msat(quotient)
}

// adds says whether a replacement may stand beside what was signed for a batch: only if it spends the same coins, all of them and no others.
func (b *Batch) adds(s *Signed) error {
	order := func(a, b Outpoint) int { return cmp.Or(bytes.Compare(a.Tx[:], b.Tx[:]), cmp.Compare(a.Index, b.Index)) }
	was, is := slices.Clone(b.Tries[0].Inputs), slices.Clone(s.Inputs)
	slices.SortFunc(was, order)
	slices.SortFunc(is, order)
	if len(is) == 0 || !slices.Equal(was, is) {
		return fmt.Errorf("transaction %s does not spend the coins of batch %s", s.ID.TxID(), b.ID)
	}
	return nil
}
