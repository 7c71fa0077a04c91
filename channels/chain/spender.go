package chain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/wire"

	"github.com/millrace/millrace/channels"
)

// maxScan bounds the blocks that Spender reads: four weeks of them.
const maxScan = 4032

// Spender is the transaction that spends a coin: in the mempool, or in a block at or above a height. False: nobody does yet. The error
// of a coin that btcd has never seen is channels.ErrNoTransaction. A coin that was spent in the chain has blocks read from the last one
// back until its spender is found; that no more than maxScan are read is an error, too.
//
// It answers why a transaction was refused with channels.ErrConflict. A spender in the mempool may still be replaced itself; one in
// the chain counts as soon as it is deep enough (Place).
func (c *Client) Spender(ctx context.Context, coin channels.Outpoint, since int64) (channels.Hash, bool, error) {
	id, found, err := c.spender(ctx, coin, since)
	if err != nil {
		err = fmt.Errorf("looking for the spender of %s:%d: %w", coin.Tx.TxID(), coin.Index, err)
	}
	return id, found, err
}

func (c *Client) spender(ctx context.Context, coin channels.Outpoint, since int64) (channels.Hash, bool, error) {
	type output struct {
		Tx    string `json:"txid"`
		Index uint32 `json:"vout"`
	}
	var spends []struct {
		By string `json:"spendingtxid"`
	}
	if err := c.call(ctx, &spends, "gettxspendingprevout", []output{{coin.Tx.TxID(), coin.Index}}); err != nil {
		return channels.Hash{}, false, down(err)
	}
	if len(spends) == 1 && spends[0].By != "" {
		id, err := parseID(spends[0].By)
		return id, err == nil, err
	}
	if there, err := c.unspent(ctx, coin); err != nil || there {
		return channels.Hash{}, false, err
	}
	at, err := c.Place(ctx, coin.Tx)
	if err != nil {
		return channels.Hash{}, false, err
	}
	tip, err := c.Tip(ctx)
	if err != nil {
		return channels.Hash{}, false, err
	}
	for height := tip.Height; height >= max(since, at.Height); height-- {
		if tip.Height-height >= maxScan {
			return channels.Hash{}, false, fmt.Errorf("it was spent more than %d blocks ago", maxScan)
		}
		if id, found, err := c.spentIn(ctx, coin, height); err != nil || found {
			return id, found, err
		}
	}
	return channels.Hash{}, false, fmt.Errorf("it was spent below height %d", max(since, at.Height))
}

// unspent says whether a coin is there: not spent in the chain, and seen in it or in the mempool.
func (c *Client) unspent(ctx context.Context, coin channels.Outpoint) (bool, error) {
	var out json.RawMessage
	if err := c.call(ctx, &out, "gettxout", coin.Tx.TxID(), coin.Index, true); err != nil {
		return false, down(err)
	}
	return !bytes.Equal(out, []byte("null")), nil
}

// spentIn looks for the spender in the block at a height.
func (c *Client) spentIn(ctx context.Context, coin channels.Outpoint, height int64) (channels.Hash, bool, error) {
	hash, err := c.BlockHash(ctx, height)
	if err != nil {
		return channels.Hash{}, false, err
	}
	var raw hexBytes
	if err := c.call(ctx, &raw, "getblock", hash.TxID(), 0); err != nil {
		return channels.Hash{}, false, down(err)
	}
	var block wire.MsgBlock
	if err := block.Deserialize(bytes.NewReader(raw)); err != nil {
		return channels.Hash{}, false, fmt.Errorf("reading block %s: %w", hash.TxID(), errors.Join(err, channels.ErrDown))
	}
	for _, tx := range block.Transactions {
		for _, in := range tx.TxIn {
			if outpoint(in) == coin {
				return channels.Hash(tx.TxHash()), true, nil
			}
		}
	}
	return channels.Hash{}, false, nil
}
