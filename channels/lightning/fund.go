package lightning

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcutil/psbt"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/walletrpc"

	"github.com/millrace/millrace/channels"
)

const (
	replaceable   = wire.MaxTxInSequenceNum - 2 // BIP 125: an unconfirmed one may be replaced by one that pays more
	outputsAtMost = 3300                        // some more than fit into sizeAtMost
	sizeAtMost    = 100_000                     // virtual bytes of a transaction that bitcoin nodes pass on
	leastRate     = 253                         // satoshis per 1000 weight units that every node passes on
	rateAtMost    = channels.FeeRate(10_000_000)
	changeAtLeast = 1000 // satoshis, more than what is dust: less goes to the fee
)

// Fund chooses confirmed coins of the wallet that pay outputs, signs, and sets the coins aside under a lock, which is the
// caller's name for the batch. Outputs keep their order, and change comes last. What an earlier Fund of the same lock has set aside
// is released first. The coins stay set aside until they are spent, released, or Config.Lease is over.
//
// What the node must keep to bump the fees of channels that close is left in the wallet: channels.ErrFunds. Other refusals:
// channels.ErrDust, and channels.ErrRefused for what no bitcoin node would pass on.
func (c *Client) Fund(ctx context.Context, lock channels.Hash, outs []channels.Output, rate channels.FeeRate) (channels.Signed, error) {
	c.funding.Lock()
	defer c.funding.Unlock()
	s, err := c.fund(ctx, lock, outs, rate)
	if err != nil {
		// Nobody will publish it, but whether lnd has leased coins for it may not be known: so by its lock.
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.Timeout)
		defer cancel()
		if undone := c.Release(tidy, lock, nil); undone != nil && !down(err) {
			err = errors.Join(err, undone)
		}
		return channels.Signed{}, fmt.Errorf("funding a transaction of %d outputs: %w", len(outs), err)
	}
	return s, nil
}

func (c *Client) fund(ctx context.Context, lock channels.Hash, outs []channels.Output, rate channels.FeeRate) (channels.Signed, error) {
	if rate <= 0 || rate > rateAtMost {
		return channels.Signed{}, fmt.Errorf("a fee rate of %d: %w", rate, channels.ErrRefused)
	}
	template, sum, err := template(outs)
	if err != nil {
		return channels.Signed{}, err
	}
	if err := c.Release(ctx, lock, nil); err != nil {
		return channels.Signed{}, err
	}
	if err := c.spare(ctx, sum); err != nil {
		return channels.Signed{}, err
	}
	request := &walletrpc.FundPsbtRequest{
		Template:     &walletrpc.FundPsbtRequest_Psbt{Psbt: template},
		Fees:         &walletrpc.FundPsbtRequest_SatPerKw{SatPerKw: perWeight(rate)},
		CustomLockId: lock[:], LockExpirationSeconds: uint64(c.cfg.Lease / time.Second),
		MinConfs: 1, // one that is not confirmed may yet be replaced by another, and this with it
	}
	if c.cfg.Taproot {
		request.ChangeType = walletrpc.ChangeAddressType_CHANGE_ADDRESS_TYPE_P2TR
	}
	funded, err := ask(ctx, c, "choosing coins", c.wallet.FundPsbt, request)
	if err != nil {
		return channels.Signed{}, err
	}
	unsigned, change, err := arrange(funded.FundedPsbt, int(funded.ChangeOutputIndex), outs)
	if err != nil {
		return channels.Signed{}, err
	}
	s, err := c.Sign(ctx, unsigned)
	if err != nil {
		return channels.Signed{}, err
	}
	if err := sound(s, rate); err != nil {
		return channels.Signed{}, err
	}
	return s, c.spare(ctx, -change) // the coins that it spends do not count any more
}

// spare refuses what would leave less in the wallet than the node must keep, which lnd itself does only for its own payments.
func (c *Client) spare(ctx context.Context, spend channels.Sat) error {
	b, err := ask(ctx, c, "asking for the wallet's balance", c.lightning.WalletBalance, &lnrpc.WalletBalanceRequest{})
	if err != nil {
		return err
	}
	if left := channels.Sat(b.TotalBalance) - spend; left < channels.Sat(b.ReservedBalanceAnchorChan) {
		return fmt.Errorf("%d sat would be left of %d, %d must be: %w", left, b.TotalBalance, b.ReservedBalanceAnchorChan, channels.ErrFunds)
	}
	return nil
}

// template is a PSBT of outputs alone, for lnd to put coins to.
func template(outs []channels.Output) (text []byte, sum channels.Sat, err error) {
	if len(outs) == 0 || len(outs) > outputsAtMost {
		return nil, 0, fmt.Errorf("%d outputs in a transaction: %w", len(outs), channels.ErrRefused)
	}
	for _, o := range outs {
		if o.Amount <= 0 || o.Amount > channels.Sat(amountAtMost/1000) || len(o.Script) == 0 {
			return nil, 0, fmt.Errorf("an output of %d sat to %d bytes of script: %w", o.Amount, len(o.Script), channels.ErrRefused)
		}
		sum += o.Amount
	}
	p, err := psbt.New(nil, wireOutputs(outs), 2, 0, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("making a PSBT: %w", err)
	}
	text, err = serialize(p)
	return text, sum, err
}

func wireOutputs(outs []channels.Output) []*wire.TxOut {
	list := make([]*wire.TxOut, len(outs))
	for i, o := range outs {
		list[i] = wire.NewTxOut(int64(o.Amount), o.Script)
	}
	return list
}

// arrange takes lnd's coins and change, and nothing else: the outputs are those that were asked for, in their order. lnd's own
// inputs say that the transaction must not be replaced; these say that it may.
func arrange(funded []byte, change int, outs []channels.Output) (unsigned []byte, back channels.Sat, err error) {
	p, err := psbt.NewFromRawBytes(bytes.NewReader(funded), false)
	if err != nil {
		return nil, 0, fmt.Errorf("reading lnd's PSBT: %w", err)
	}
	tx := p.UnsignedTx
	want := len(outs)
	if change >= 0 {
		want++
	}
	if len(tx.TxOut) != want || change >= want || len(tx.TxIn) == 0 || len(tx.TxIn) != len(p.Inputs) {
		return nil, 0, fmt.Errorf("lnd's PSBT has %d inputs and %d outputs, change at %d; %d were asked for", len(tx.TxIn), len(tx.TxOut), change, len(outs))
	}
	for _, in := range tx.TxIn {
		in.Sequence = replaceable
	}
	arranged, details := wireOutputs(outs), make([]psbt.POutput, len(outs), want)
	if change >= 0 {
		back = channels.Sat(tx.TxOut[change].Value)
		arranged, details = append(arranged, tx.TxOut[change]), append(details, p.Outputs[change])
	}
	tx.TxOut, p.Outputs = arranged, details
	unsigned, err = serialize(p)
	return unsigned, back, err
}

// sound refuses a transaction of another size or fee than it should have: that much trust in another program's arithmetic would
// be too much.
func sound(s channels.Signed, rate channels.FeeRate) error {
	if s.VSize > sizeAtMost {
		return fmt.Errorf("a transaction of %d virtual bytes: %w", s.VSize, channels.ErrRefused)
	}
	asked := channels.Sat((s.VSize*int64(max(rate, leastRate*4)) + 999) / 1000)
	if slack := asked/20 + changeAtLeast; s.Fee > asked+slack || s.Fee < asked-slack {
		return fmt.Errorf("lnd takes a fee of %d sat for %d virtual bytes, at a rate of %d", s.Fee, s.VSize, rate)
	}
	return nil
}

func perWeight(rate channels.FeeRate) uint64 { return uint64(max((rate+3)/4, leastRate)) }
