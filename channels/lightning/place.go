package lightning

import (
	"context"
	"fmt"
	"sync"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/chainrpc"
	"github.com/lightningnetwork/lnd/lnrpc/walletrpc"

	"github.com/millrace/millrace/channels"
)

// lnd's wallet does not follow every reorganisation. Of two blocks that are undone at once it takes back only the upper one: what was
// in the lower one stays confirmed in its books, with a count that grows, and when it is confirmed anew it is there twice (btcwallet
// v0.16.19, disconnectBlock: it forgets the lower block's hash while it handles the upper one). So a block that the wallet names is
// looked for in the chain, before anything is believed of it.

const (
	blocksAtOnce  = 1000   // whose transactions are asked for in one call
	unconfirmed   = -1     // the height after the newest block, for lnd
	deep          = 144    // blocks, a day: what lies below is not undone any more
	blocksAtMost  = 50_000 // that are remembered, 40 bytes each and the map's own
	nobodysHeight = 0      // of the first block, which has no transaction of a wallet
)

// blocks remembers the chain's blocks that are deep.
type blocks struct {
	mu   sync.Mutex
	deep map[int64]channels.Hash
}

// at is the block at a height.
func (c *Client) blockAt(ctx context.Context, height, tip int64) (channels.Hash, error) {
	b := &c.blocks
	b.mu.Lock()
	hash, ok := b.deep[height]
	b.mu.Unlock()
	if ok {
		return hash, nil
	}
	found, err := ask(ctx, c, "asking for a block", c.chain.GetBlockHash, &chainrpc.GetBlockHashRequest{BlockHeight: height})
	if err != nil {
		return hash, err
	}
	if copy(hash[:], found.BlockHash) != len(hash) {
		return hash, fmt.Errorf("lnd: the hash of block %d has %d bytes", height, len(found.BlockHash))
	}
	if height <= tip-deep {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.deep == nil || len(b.deep) >= blocksAtMost {
			b.deep = map[int64]channels.Hash{}
		}
		b.deep[height] = hash
	}
	return hash, nil
}

// place is where a transaction of the wallet's books is. One that is in a block that is not in the chain has no place, and is stale.
func (c *Client) place(ctx context.Context, t *lnrpc.Transaction) (p channels.Place, stale bool, err error) {
	if t.NumConfirmations <= 0 || t.BlockHeight <= nobodysHeight {
		return p, false, nil
	}
	p = channels.Place{Confirmations: int64(t.NumConfirmations), Height: int64(t.BlockHeight), Block: txid(t.BlockHash)}
	hash, err := c.blockAt(ctx, p.Height, p.Height+p.Confirmations-1)
	if err != nil {
		return channels.Place{}, false, err
	}
	if hash != p.Block {
		return channels.Place{}, true, nil
	}
	return p, false, nil
}

// eachTransaction calls f with the wallet's transactions from a height on, some blocks at a time, and then those that are in none.
// Each comes once, with its place.
func (c *Client) eachTransaction(ctx context.Context, since int64, f func(*lnrpc.Transaction, channels.Place) error) error {
	i, err := c.Info(ctx)
	if err != nil {
		return err
	}
	for from := max(since, 0); ; from += blocksAtOnce {
		end := from + blocksAtOnce - 1
		if end >= i.Height { // and blocks that come meanwhile
			end = unconfirmed
		}
		list, err := ask(ctx, c, "listing transactions", c.lightning.GetTransactions,
			&lnrpc.GetTransactionsRequest{StartHeight: int32(from), EndHeight: int32(end)})
		if err != nil {
			return err
		}
		for _, t := range list.Transactions {
			if err := c.handPlaced(ctx, t, f); err != nil {
				return err
			}
		}
		if end == unconfirmed {
			return nil
		}
	}
}

func (c *Client) handPlaced(ctx context.Context, t *lnrpc.Transaction, f func(*lnrpc.Transaction, channels.Place) error) error {
	p, stale, err := c.place(ctx, t)
	if err != nil {
		return err
	}
	if stale {
		newest, err := ask(ctx, c, "looking a transaction up", c.wallet.GetTransaction, &walletrpc.GetTransactionRequest{Txid: t.TxHash})
		if err != nil {
			return err
		}
		if newest.BlockHash != t.BlockHash {
			return nil // it is in the books once more, and comes by itself
		}
	}
	return f(t, p)
}
