package lightning

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil/psbt"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnrpc/walletrpc"

	"github.com/millrace/millrace/channels"
)

// psbtAtMost bounds a PSBT, in bytes: a transaction of sizeAtMost, and the transactions that its coins come from.
const psbtAtMost = 32 << 20

// Sign signs a PSBT that says of each input what it spends, all coins of the wallet, such as the one in a Signed with less
// change: a replacement. It leases nothing: the coins are those of what it replaces.
func (c *Client) Sign(ctx context.Context, unsigned []byte) (channels.Signed, error) {
	const doing = "signing a transaction"
	if len(unsigned) > psbtAtMost {
		return channels.Signed{}, fmt.Errorf("%s: a PSBT of %d bytes: %w", doing, len(unsigned), channels.ErrRefused)
	}
	p, err := psbt.NewFromRawBytes(bytes.NewReader(unsigned), false)
	if err != nil {
		return channels.Signed{}, fmt.Errorf("%s: %w: %w", doing, channels.ErrRefused, err)
	}
	s, err := describe(p)
	if err != nil {
		return channels.Signed{}, fmt.Errorf("%s: %w: %w", doing, channels.ErrRefused, err)
	}
	final, err := ask(ctx, c, doing, c.wallet.FinalizePsbt, &walletrpc.FinalizePsbtRequest{FundedPsbt: unsigned})
	if err != nil {
		return channels.Signed{}, err
	}
	tx, err := parse(final.RawFinalTx)
	if err != nil {
		return channels.Signed{}, fmt.Errorf("%s: what lnd gave back: %w", doing, err)
	}
	if id := channels.Hash(tx.TxHash()); id != s.ID {
		return channels.Signed{}, fmt.Errorf("%s: lnd signed %s instead of %s", doing, id.TxID(), s.ID.TxID())
	}
	s.Raw = final.RawFinalTx
	s.VSize = (int64(tx.SerializeSizeStripped())*3 + int64(tx.SerializeSize()) + 3) / 4 // BIP 141
	return s, nil
}

// describe says of a PSBT all but what its signatures add.
func describe(p *psbt.Packet) (s channels.Signed, err error) {
	s.ID, s.Change = channels.Hash(p.UnsignedTx.TxHash()), -1
	for i, in := range p.UnsignedTx.TxIn {
		spent := p.Inputs[i].WitnessUtxo
		if spent == nil {
			return s, fmt.Errorf("input %d does not say what it spends", i)
		}
		// The whole transaction that a coin comes from is for wallets that do not have it. lnd has it; a batch's has 30 kB and more.
		p.Inputs[i].NonWitnessUtxo = nil
		s.Fee += channels.Sat(spent.Value)
		s.Inputs = append(s.Inputs, channels.Outpoint{Tx: channels.Hash(in.PreviousOutPoint.Hash), Index: in.PreviousOutPoint.Index})
	}
	for i, out := range p.UnsignedTx.TxOut {
		s.Fee -= channels.Sat(out.Value)
		if d := p.Outputs[i]; len(d.Bip32Derivation)+len(d.TaprootBip32Derivation) > 0 { // lnd says so of its own change alone
			s.Change = i
		}
	}
	if s.Fee < 0 {
		return s, errors.New("it spends more than its inputs have")
	}
	s.PSBT, err = serialize(p)
	return s, err
}

func serialize(p *psbt.Packet) ([]byte, error) {
	var b bytes.Buffer
	if err := p.Serialize(&b); err != nil {
		return nil, fmt.Errorf("writing a PSBT: %w", err)
	}
	return b.Bytes(), nil
}

func parse(raw []byte) (*wire.MsgTx, error) {
	tx, r := new(wire.MsgTx), bytes.NewReader(raw)
	if err := tx.Deserialize(r); err != nil {
		return nil, fmt.Errorf("reading a transaction: %w", err)
	}
	if r.Len() > 0 {
		return nil, fmt.Errorf("reading a transaction: %d bytes too many", r.Len())
	}
	return tx, nil
}
