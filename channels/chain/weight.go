package chain

import (
	"fmt"

	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/millrace/millrace/channels"
)

const (
	// MaxWeight is what the nodes of the network pass on: 100,000 virtual bytes (MAX_STANDARD_TX_WEIGHT).
	MaxWeight = 400_000
	// RelayRate is the least that the nodes take, and what a replacement pays on top of what it replaces, for its own size.
	RelayRate channels.FeeRate = 1000

	witnessScale = 4 // a byte outside of the witness weighs as many (BIP-141)
)

// Spend is the way in which a coin is spent, which says what its input weighs.
type Spend uint8

const (
	P2WPKH Spend = 1
	P2TR   Spend = 2 // by the key
	Nested Spend = 3 // P2WPKH within P2SH
	P2PKH  Spend = 4
)

// The weight of an input is 4 for each of the 41 bytes around the signature (the coin, the length of a script, the sequence number),
// for each of its script, and 1 for each of its witness. A signature has at most 72 bytes (with a low S, as all wallets make them),
// a key 33, and a Schnorr signature 64.
var spendWeights = [...]int64{
	P2WPKH: 4*41 + 1 + 1 + 72 + 1 + 33,
	P2TR:   4*41 + 1 + 1 + 64,
	Nested: 4*(41+23) + 1 + 1 + 72 + 1 + 33,
	P2PKH:  4*(41+1+72+1+33) + 1, // with a witness of nothing, which it has beside inputs that have one
}

// SpendOf is the way in which the coins of a wallet are spent that have this script: one of P2SH is taken for Nested.
func SpendOf(script []byte) (Spend, error) {
	switch class := txscript.GetScriptClass(script); class {
	case txscript.WitnessV0PubKeyHashTy:
		return P2WPKH, nil
	case txscript.WitnessV1TaprootTy:
		return P2TR, nil
	case txscript.ScriptHashTy:
		return Nested, nil
	case txscript.PubKeyHashTy:
		return P2PKH, nil
	default:
		return 0, fmt.Errorf("no wallet of ours has coins of kind %s", class)
	}
}

// Weight is the most that an input of this kind weighs.
func (s Spend) Weight() int64 { return spendWeights[s] }

// OutputWeight is what an output with this script weighs.
func OutputWeight(script []byte) int64 {
	return witnessScale * int64(8+wire.VarIntSerializeSize(uint64(len(script)))+len(script))
}

// Overhead is what a segwit transaction weighs without its inputs and outputs, of which it has these many: version, lock time, the
// two counts, and the mark of the witness.
func Overhead(inputs, outputs int) int64 {
	counts := wire.VarIntSerializeSize(uint64(inputs)) + wire.VarIntSerializeSize(uint64(outputs))
	return witnessScale*int64(4+4+counts) + 2
}

// Weight is the most that a transaction of these inputs and outputs weighs once it is signed.
func Weight(inputs []Spend, scripts ...[]byte) int64 {
	sum := Overhead(len(inputs), len(scripts))
	for _, s := range inputs {
		sum += s.Weight()
	}
	for _, s := range scripts {
		sum += OutputWeight(s)
	}
	return sum
}

// VSize is a weight in virtual bytes, rounded up.
func VSize(weight int64) int64 { return (weight + witnessScale - 1) / witnessScale }

// Fee is what so many virtual bytes cost, rounded up.
func Fee(vsize int64, rate channels.FeeRate) channels.Sat {
	return channels.Sat((vsize*int64(rate) + 999) / 1000)
}

// Rate is what was paid for so many virtual bytes, rounded down, as the nodes do.
func Rate(fee channels.Sat, vsize int64) channels.FeeRate {
	if vsize <= 0 {
		return 0
	}
	return channels.FeeRate(int64(fee) * 1000 / vsize)
}
