package chain

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/millrace/millrace/channels"
)

// Place says where a transaction is: in the mempool (no confirmations) or in a block of the best chain. It is what btcd knows now: a
// block may go out of the chain again. The error of one that is in neither is channels.ErrNoTransaction.
func (c *Client) Place(ctx context.Context, id channels.Hash) (channels.Place, error) {
	for range 3 { // a block that leaves the chain between the two questions
		p, settled, err := c.place(ctx, id)
		if err != nil || settled {
			return p, err
		}
	}
	return channels.Place{}, fmt.Errorf("looking up transaction %s: the chain changes all the time: %w", id.TxID(), channels.ErrDown)
}

func (c *Client) place(ctx context.Context, id channels.Hash) (p channels.Place, settled bool, err error) {
	var tx struct {
		Block string `json:"blockhash"` // absent: in the mempool
	}
	if err := c.call(ctx, &tx, "getrawtransaction", id.TxID(), 1); err != nil {
		return p, false, fmt.Errorf("looking up transaction %s: %w", id.TxID(), noTransaction(err))
	}
	if tx.Block == "" {
		return p, true, nil
	}
	var header struct {
		Confirmations int64 `json:"confirmations"`
		Height        int64 `json:"height"`
	}
	err = c.call(ctx, &header, "getblockheader", tx.Block, true)
	var refused *rpcError
	if errors.As(err, &refused) {
		return p, false, nil
	}
	if err == nil {
		p.Block, err = parseID(tx.Block)
	}
	if err != nil {
		return channels.Place{}, false, fmt.Errorf("looking up the block of transaction %s: %w", id.TxID(), err)
	}
	p.Confirmations, p.Height = header.Confirmations, header.Height
	return p, true, nil
}

// Raw is a transaction that btcd has in the mempool or in the chain. The error of any other is channels.ErrNoTransaction.
func (c *Client) Raw(ctx context.Context, id channels.Hash) ([]byte, error) {
	var raw hexBytes
	if err := c.call(ctx, &raw, "getrawtransaction", id.TxID(), 0); err != nil {
		return nil, fmt.Errorf("fetching transaction %s: %w", id.TxID(), noTransaction(err))
	}
	return raw, nil
}

// noTransaction tells a transaction that btcd does not know from a btcd that cannot look it up: both have the same code.
func noTransaction(err error) error {
	var refused *rpcError
	if !errors.As(err, &refused) || refused.Code != codeNoInfo {
		return err
	}
	if strings.Contains(refused.Message, "--txindex") {
		return fmt.Errorf("%w; btcd must be started with --txindex: %w", err, channels.ErrDown)
	}
	return fmt.Errorf("%w: %w", err, channels.ErrNoTransaction)
}
