package lightning

import (
	"context"
	"fmt"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/walletrpc"

	"github.com/millrace/millrace/channels"
)

// Bump has the node spend an unconfirmed coin of its own, back to itself and at once, so that whoever mines that also mines the
// transaction that the coin comes from (CPFP). The rate is that of the new transaction alone, in whole satoshis per virtual
// byte, rounded up: it must pay for the other one, too. When it is not mined the node pays more, up to a budget; both are
// about what is sent now, so that calling it again with more bumps again. It is not about our own batches, which are replaced.
func (c *Client) Bump(ctx context.Context, coin channels.Outpoint, rate channels.FeeRate, budget channels.Sat) error {
	if rate <= 0 || rate > rateAtMost || budget <= 0 {
		return fmt.Errorf("bumping by a rate of %d and a budget of %d: %w", rate, budget, channels.ErrRefused)
	}
	_, err := ask(ctx, c, "bumping a fee", c.wallet.BumpFee, &walletrpc.BumpFeeRequest{
		Outpoint:    &lnrpc.OutPoint{TxidBytes: coin.Tx[:], OutputIndex: coin.Index},
		SatPerVbyte: uint64((rate + 999) / 1000), Budget: uint64(budget), Immediate: true,
	})
	return err
}
