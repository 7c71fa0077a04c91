package chain

import (
	"github.com/btcsuite/btcd/txscript"

	"github.com/millrace/millrace/channels"
)

// DustRate is the rate at which every node of the network, with its standard settings, reckons what is dust: DUST_RELAY_TX_FEE of
// Bitcoin Core, which btcd has, too.
const DustRate channels.FeeRate = 3000

// The virtual bytes of the input that spends an output one day, as Bitcoin Core's GetDustThreshold reckons them: 41 around the
// signature and key, and 107 of these, a quarter of them where they are in the witness.
const (
	spendSize       = 41 + 107
	spendSizeSegwit = 41 + 107/4
)

// Dust is the least amount that an output with this script may have: what it costs at a rate to put it on the chain and to spend it.
// At DustRate it is 546 sat of P2PKH, 540 of P2SH, 294 of P2WPKH, 330 of P2WSH and P2TR. An output that cannot be spent may have
// zero.
func Dust(script []byte, rate channels.FeeRate) channels.Sat {
	if txscript.IsUnspendable(script) {
		return 0
	}
	size := OutputWeight(script)/witnessScale + spendSize
	if txscript.IsWitnessProgram(script) {
		size += spendSizeSegwit - spendSize
	}
	return channels.Sat(size * int64(rate) / 1000) // rounded down, as the nodes do
}
