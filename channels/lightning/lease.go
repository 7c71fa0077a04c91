package lightning

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/walletrpc"

	"github.com/millrace/millrace/channels"
)

// Release gives back coins that Fund has set aside under a lock: all of them when none are named. Those that are not set aside
// under this lock, or not any more, are left alone.
func (c *Client) Release(ctx context.Context, lock channels.Hash, coins []channels.Outpoint) error {
	leases, err := c.Leases(ctx)
	if err != nil {
		return err
	}
	for _, l := range leases {
		if l.Lock != lock || coins != nil && !slices.Contains(coins, l.Coin) {
			continue
		}
		_, err := ask(ctx, c, "releasing a coin", c.wallet.ReleaseOutput, &walletrpc.ReleaseOutputRequest{
			Id: lock[:], Outpoint: &lnrpc.OutPoint{TxidBytes: l.Coin.Tx[:], OutputIndex: l.Coin.Index},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Leases are all coins that are set aside, also those of others than us.
func (c *Client) Leases(ctx context.Context) ([]channels.Lease, error) {
	list, err := ask(ctx, c, "listing leases", c.wallet.ListLeases, &walletrpc.ListLeasesRequest{})
	if err != nil {
		return nil, err
	}
	leases := make([]channels.Lease, len(list.LockedUtxos))
	for i, u := range list.LockedUtxos {
		if len(u.Id) != len(channels.Hash{}) || u.Outpoint == nil {
			return nil, errors.New("lnd: listing leases: one without a lock or coin")
		}
		coin := channels.Outpoint{Tx: txid(u.Outpoint.TxidStr), Index: u.Outpoint.OutputIndex}
		leases[i] = channels.Lease{Lock: channels.Hash(u.Id), Coin: coin, Amount: channels.Sat(u.Value), Expires: time.Unix(int64(u.Expiration), 0)}
	}
	return leases, nil
}
