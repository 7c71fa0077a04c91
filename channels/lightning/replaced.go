package lightning

import (
	"context"

	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/millrace/millrace/channels"
)

// waiting are the wallet's transactions that are in no block.
func (c *Client) waiting(ctx context.Context) ([]*lnrpc.Transaction, error) {
	list, err := ask(ctx, c, "listing transactions", c.lightning.GetTransactions, &lnrpc.GetTransactionsRequest{StartHeight: -1, EndHeight: -1})
	if err != nil {
		return nil, err
	}
	return list.Transactions, nil
}

// replaced are those transactions of the wallet's own that were replaced by others that pay more. lnd keeps them, and counts their change
// beside that of the others, until one of them is confirmed. Of those that spend the same coin it is the one with the highest fee that
// nodes keep (BIP 125). Only of the wallet's own transactions lnd knows the fee: of others none is called replaced.
func replaced(waiting []*lnrpc.Transaction) map[string]bool {
	best := make(map[string]*lnrpc.Transaction) // by the coin that is spent
	for _, t := range waiting {
		for _, in := range t.PreviousOutpoints {
			if b := best[in.Outpoint]; b == nil || t.TotalFees > b.TotalFees {
				best[in.Outpoint] = t
			}
		}
	}
	gone := make(map[string]bool)
	for _, t := range waiting {
		for _, in := range t.PreviousOutpoints {
			if t.TotalFees > 0 && best[in.Outpoint].TotalFees > t.TotalFees {
				gone[t.TxHash] = true
			}
		}
	}
	return gone
}

// correct takes out of what lnd says that the wallet holds what is in it twice as long as transactions are not confirmed: change of those
// that were replaced, and coins that are set aside and spent.
func (c *Client) correct(ctx context.Context, a *channels.Assets) error {
	waiting, err := c.waiting(ctx)
	if err != nil {
		return err
	}
	spent := make(map[channels.Outpoint]bool)
	gone := replaced(waiting)
	for _, t := range waiting {
		for _, in := range t.PreviousOutpoints {
			spent[outpoint(in.Outpoint)] = true
		}
		for _, out := range t.OutputDetails {
			if out.IsOurAddress && gone[t.TxHash] {
				a.Unconfirmed -= channels.Sat(out.Amount)
			}
		}
	}
	if a.Leased == 0 {
		return nil
	}
	leases, err := c.Leases(ctx)
	if err != nil {
		return err
	}
	a.Leased = 0
	for _, l := range leases {
		if !spent[l.Coin] {
			a.Leased += l.Amount
		}
	}
	return nil
}
