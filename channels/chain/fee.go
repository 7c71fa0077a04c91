package chain

import (
	"context"
	"errors"
	"fmt"
)

// maxTarget is as many blocks ahead as btcd guesses (estimateFeeDepth).
const maxTarget = 25

// FeeRate is what a transaction pays to be in one of the next so many blocks, as btcd guesses from what it saw: Config.Fallback while it
// saw too little, and never below Config.Floor or above Config.Ceiling. More blocks than 25 count as 25.
func (c *Client) FeeRate(ctx context.Context, blocks int) (FeeRate, error) {
	var bitcoins float64 // per 1,000 virtual bytes
	err := c.call(ctx, &bitcoins, "estimatefee", max(1, min(blocks, maxTarget)))
	var refused *rpcError
	if err != nil && !errors.As(err, &refused) {
		return 0, fmt.Errorf("asking for the fee rate: %w", err)
	}
	return c.rate(bitcoins, err == nil), nil
}

// rate makes a rate of btcd's answer, whatever that is.
func (c *Client) rate(bitcoins float64, known bool) FeeRate {
	const satoshis = 1e8
	rate := c.cfg.Ceiling
	switch sat := bitcoins * satoshis; {
	case !known || !(sat > 0): // -1 where it cannot tell; also not a number
		rate = c.cfg.Fallback
	case sat < float64(c.cfg.Ceiling):
		rate = FeeRate(sat)
	}
	return min(max(rate, c.cfg.Floor), c.cfg.Ceiling)
}
