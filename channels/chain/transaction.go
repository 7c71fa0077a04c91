package chain

import (
	"bytes"
	"fmt"

	"github.com/btcsuite/btcd/wire"

	"github.com/millrace/millrace/channels"
)

// Transaction is what is read out of a raw transaction.
type Transaction struct {
	ID          channels.Hash
	Inputs      []channels.Outpoint
	Outputs     []channels.Output
	Weight      int64
	Replaceable bool // it says that it may be replaced (BIP-125)
}

// maxReplaceable is the highest sequence number of an input that allows a replacement (BIP-125).
const maxReplaceable = wire.MaxTxInSequenceNum - 2

// ParseTransaction reads a raw transaction, all of it.
func ParseTransaction(raw []byte) (Transaction, error) {
	tx, err := parse(raw)
	if err != nil {
		return Transaction{}, err
	}
	t := Transaction{ID: channels.Hash(tx.TxHash()), Weight: weightOf(tx), Replaceable: replaceable(tx)}
	for _, in := range tx.TxIn {
		t.Inputs = append(t.Inputs, outpoint(in))
	}
	for _, out := range tx.TxOut {
		t.Outputs = append(t.Outputs, channels.Output{Script: out.PkScript, Amount: channels.Sat(out.Value)})
	}
	return t, nil
}

// VSize is the transaction's size in virtual bytes.
func (t Transaction) VSize() int64 { return VSize(t.Weight) }

func parse(raw []byte) (*wire.MsgTx, error) {
	tx, r := new(wire.MsgTx), bytes.NewReader(raw)
	if err := tx.Deserialize(r); err != nil {
		return nil, fmt.Errorf("reading a transaction: %w", err)
	}
	if r.Len() > 0 {
		return nil, fmt.Errorf("reading a transaction: %d bytes behind it", r.Len())
	}
	if len(tx.TxIn) == 0 || len(tx.TxOut) == 0 {
		return nil, fmt.Errorf("a transaction of %d inputs and %d outputs", len(tx.TxIn), len(tx.TxOut))
	}
	return tx, nil
}

func weightOf(tx *wire.MsgTx) int64 {
	return int64((witnessScale-1)*tx.SerializeSizeStripped() + tx.SerializeSize())
}

func replaceable(tx *wire.MsgTx) bool {
	for _, in := range tx.TxIn {
		if in.Sequence <= maxReplaceable {
			return true
		}
	}
	return false
}

func outpoint(in *wire.TxIn) channels.Outpoint {
	return channels.Outpoint{Tx: channels.Hash(in.PreviousOutPoint.Hash), Index: in.PreviousOutPoint.Index}
}
