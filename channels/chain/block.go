package chain

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/channels"
)

// Block is one of the best chain.
type Block struct {
	Height int64
	Hash   channels.Hash
	Time   time.Time // as its miner says: up to two hours off
}

// Tip is the last block of the best chain.
func (c *Client) Tip(ctx context.Context) (Block, error) {
	var hash string
	if err := c.call(ctx, &hash, "getbestblockhash"); err != nil {
		return Block{}, fmt.Errorf("looking up the chain's last block: %w", err)
	}
	var header struct {
		Height int64 `json:"height"`
		Time   int64 `json:"time"`
	}
	if err := c.call(ctx, &header, "getblockheader", hash, true); err != nil {
		return Block{}, fmt.Errorf("looking up the chain's last block: %w", down(err))
	}
	id, err := parseID(hash)
	return Block{Height: header.Height, Hash: id, Time: time.Unix(header.Time, 0)}, err
}

// BlockHash is the hash of the block that is at a height now: who compares it with what it was has noticed a reorganisation. The error
// above the last block is channels.ErrNoBlock.
func (c *Client) BlockHash(ctx context.Context, height int64) (channels.Hash, error) {
	var hash string
	err := c.call(ctx, &hash, "getblockhash", height)
	var refused *rpcError
	if errors.As(err, &refused) && refused.Code == codeOutOfRange {
		err = fmt.Errorf("%w: %w", err, channels.ErrNoBlock)
	}
	if err != nil {
		return channels.Hash{}, fmt.Errorf("looking up the block at height %d: %w", height, err)
	}
	return parseID(hash)
}

// Blocks calls f with the last block, and again whenever it is another one, until the context ends or f returns an error, which it
// returns. It asks every so often (zero: each second); blocks between two questions are passed over. While btcd does not answer it
// asks less often, down to twice a minute.
func (c *Client) Blocks(ctx context.Context, every time.Duration, f func(Block) error) error {
	if every <= 0 {
		every = time.Second
	}
	const slowest = 30 * time.Second
	var last channels.Hash
	wait := every
	for {
		tip, err := c.Tip(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			wait = max(every, min(2*wait, slowest))
		default:
			wait = every
			if tip.Hash != last {
				if err := f(tip); err != nil {
					return err
				}
				last = tip.Hash
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// down is for what btcd cannot refuse while it is well.
func down(err error) error {
	var refused *rpcError
	if errors.As(err, &refused) {
		return fmt.Errorf("%w: %w", err, channels.ErrDown)
	}
	return err
}

// hexBytes are bytes that btcd answers in hex.
type hexBytes []byte

func (b *hexBytes) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	raw, err := hex.DecodeString(s)
	*b = raw
	return err
}
