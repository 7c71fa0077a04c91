package chain

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil/psbt"
	"github.com/btcsuite/btcd/wire"

	"github.com/millrace/millrace/channels"
)

// Replace makes of a transaction that was signed one that pays a higher rate: the same inputs, the same outputs, less change (BIP-125).
// Nobody but the wallet gets less. What it returns is not signed yet: the wallet signs its PSBT, which gives it an ID and its bytes, and
// takes a virtual byte off VSize for a short signature. At most one of the two can ever be confirmed: they spend the same coins.
//
// The new fee is the greater of what the rate asks for and of what the old one paid and, for its own size, RelayRate on top. Change
// that would become dust is left out, and goes into the fee. The error is channels.ErrFunds when the change cannot pay: then a child
// can (CPFP, which the wallet does). It is channels.ErrFee when the rate is no higher than the one paid.
func Replace(old channels.Signed, rate channels.FeeRate) (channels.Signed, error) {
	r, err := readReplaced(old)
	if err != nil {
		return channels.Signed{}, fmt.Errorf("replacing transaction %s: %w", old.ID.TxID(), err)
	}
	if paid := Rate(r.fee, r.vsize); rate <= paid {
		return channels.Signed{}, fmt.Errorf("replacing transaction %s at %d sat per 1,000 vbyte: it pays %d: %w",
			old.ID.TxID(), rate, paid, channels.ErrFee)
	}
	if old.Change < 0 {
		return channels.Signed{}, fmt.Errorf("replacing transaction %s: it has no change: %w", old.ID.TxID(), channels.ErrFunds)
	}
	change := r.packet.UnsignedTx.TxOut[old.Change]
	out := channels.Signed{Inputs: old.Inputs, Change: old.Change, VSize: VSize(r.weight)}
	out.Fee = r.needed(out.VSize, rate)
	left := channels.Sat(change.Value) + r.fee - out.Fee
	if least := Dust(change.PkScript, DustRate); left >= least {
		change.Value = int64(left)
	} else {
		r.drop(old.Change)
		out.Change, out.VSize = -1, VSize(r.weight)
		out.Fee = r.fee + channels.Sat(change.Value)
		if needed := r.needed(out.VSize, rate); out.Fee < needed {
			return channels.Signed{}, fmt.Errorf("replacing transaction %s: a fee of %d sat is needed, and all of the change makes %d: %w",
				old.ID.TxID(), needed, out.Fee, channels.ErrFunds)
		}
	}
	var b bytes.Buffer
	if err := r.packet.Serialize(&b); err != nil {
		return channels.Signed{}, fmt.Errorf("replacing transaction %s: %w", old.ID.TxID(), err)
	}
	out.PSBT = b.Bytes()
	return out, nil
}

// replaced is the transaction that is being replaced.
type replaced struct {
	packet *psbt.Packet
	fee    channels.Sat // of the old one
	vsize  int64        // of the old one
	weight int64        // of the new one, with the longest signatures there can be
}

// readReplaced reads a signed transaction, and checks that its parts are of the same: what is signed next is worth as much.
func readReplaced(old channels.Signed) (*replaced, error) {
	tx, err := parse(old.Raw)
	if err != nil {
		return nil, err
	}
	p, err := psbt.NewFromRawBytes(bytes.NewReader(old.PSBT), false)
	if err != nil {
		return nil, fmt.Errorf("reading its PSBT: %w", err)
	}
	u := p.UnsignedTx
	same := len(u.TxIn) == len(tx.TxIn) && len(u.TxOut) == len(tx.TxOut) && len(old.Inputs) == len(tx.TxIn) &&
		u.LockTime == tx.LockTime && u.Version == tx.Version && channels.Hash(tx.TxHash()) == old.ID
	for i := 0; same && i < len(u.TxIn); i++ {
		same = u.TxIn[i].PreviousOutPoint == tx.TxIn[i].PreviousOutPoint && u.TxIn[i].Sequence == tx.TxIn[i].Sequence &&
			outpoint(tx.TxIn[i]) == old.Inputs[i]
	}
	for i := 0; same && i < len(u.TxOut); i++ {
		same = psbt.TxOutsEqual(u.TxOut[i], tx.TxOut[i])
	}
	if !same || old.Change >= len(tx.TxOut) || old.Change == 0 && len(tx.TxOut) == 1 {
		return nil, errors.New("its record, its PSBT and its bytes are not of the same transaction")
	}
	if !replaceable(tx) {
		return nil, errors.New("it does not allow to be replaced (BIP-125)")
	}
	in, err := psbt.SumUtxoInputValues(p)
	if err != nil {
		return nil, fmt.Errorf("adding up what it spends: %w", err)
	}
	for _, out := range tx.TxOut {
		in -= out.Value
	}
	if channels.Sat(in) != old.Fee || in < 0 {
		return nil, fmt.Errorf("it pays %d sat by its PSBT, and %d by its record", in, old.Fee)
	}
	weight := weightOf(tx)
	return &replaced{packet: p, fee: old.Fee, vsize: VSize(weight), weight: weight + longerSignatures(tx)}, nil
}

// needed is the fee of a replacement of so many virtual bytes at a rate (BIP-125, rules 3 and 4).
func (r *replaced) needed(vsize int64, rate channels.FeeRate) channels.Sat {
	return max(Fee(vsize, rate), r.fee+Fee(vsize, RelayRate))
}

// drop leaves an output out.
func (r *replaced) drop(index int) {
	u, count := r.packet.UnsignedTx, len(r.packet.UnsignedTx.TxOut)
	r.weight -= OutputWeight(u.TxOut[index].PkScript)
	r.weight -= Overhead(len(u.TxIn), count) - Overhead(len(u.TxIn), count-1)
	u.TxOut = append(u.TxOut[:index:index], u.TxOut[index+1:]...)
	r.packet.Outputs = append(r.packet.Outputs[:index:index], r.packet.Outputs[index+1:]...)
}

// longerSignatures is by how much a transaction can become heavier when it is signed anew: an ECDSA signature has 72 bytes at most, and
// one or two less by chance.
func longerSignatures(tx *wire.MsgTx) (weight int64) {
	const longest, sequenceTag = 72, 0x30
	for _, in := range tx.TxIn {
		for _, item := range in.Witness {
			if len(item) > longest/2 && len(item) < longest && item[0] == sequenceTag {
				weight += int64(longest - len(item))
			}
		}
	}
	return weight
}
