package chain

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/millrace/millrace/channels"
)

// Publish hands a signed transaction to the network. It may be done again at any time: one that is in the mempool or in the chain
// already is a success. The errors:
//
//	channels.ErrConflict        its coins were spent by another transaction, in the mempool or in the chain: perhaps by one that it
//	                            replaced, or that replaced it. Spender tells by which
//	channels.ErrFee             it pays too little, for the mempool or for what it would replace
//	channels.ErrDust            an output is dust
//	channels.ErrNoTransaction   btcd does not know a transaction whose output it spends: that is to be published first (btcd forgets
//	                            its mempool when it is restarted)
//	channels.ErrRefused         anything else that btcd holds against it
//	channels.ErrDown            the outcome is not known
func (c *Client) Publish(ctx context.Context, raw []byte) error {
	tx, err := ParseTransaction(raw)
	if err != nil {
		return fmt.Errorf("publishing: %w: %w", err, channels.ErrRefused)
	}
	if err := c.send(ctx, raw, tx); err != nil {
		return fmt.Errorf("publishing transaction %s: %w", tx.ID.TxID(), err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, raw []byte, tx Transaction) error {
	var id string
	err := c.call(ctx, &id, "sendrawtransaction", hex.EncodeToString(raw))
	var refused *rpcError
	if !errors.As(err, &refused) {
		return err
	}
	kind := refusal(refused)
	if kind == nil {
		return nil
	}
	// Of one that is in the chain, and whose outputs are all spent, btcd says that its inputs are missing.
	if kind == channels.ErrConflict || kind == channels.ErrNoTransaction {
		if _, err := c.Place(ctx, tx.ID); err == nil || !errors.Is(err, channels.ErrNoTransaction) {
			return err
		}
	}
	if kind == channels.ErrNoTransaction {
		if kind, err = c.missing(ctx, tx); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: %w", refused, kind)
}

// missing says why an input is missing: it was spent in the chain, or was never seen. btcd says the same of both.
func (c *Client) missing(ctx context.Context, tx Transaction) (kind, err error) {
	for _, coin := range tx.Inputs {
		if there, err := c.unspent(ctx, coin); err != nil || there {
			if err != nil {
				return nil, err
			}
			continue
		}
		_, err := c.Place(ctx, coin.Tx)
		if errors.Is(err, channels.ErrNoTransaction) {
			return channels.ErrNoTransaction, nil
		}
		return channels.ErrConflict, err
	}
	return channels.ErrDown, nil // it came meanwhile: try again
}

// refusals are the texts in which btcd refuses a transaction, in lower case, and what they mean; nil: it has it. The first that is found
// counts. See btcd's mempool and rpcclient.BtcdErrMap.
var refusals = []struct {
	text string
	kind error
}{
	{"already have transaction", nil},
	{"transaction already exists", nil},
	{"insufficient fee rate", channels.ErrFee},
	{"insufficient absolute fee", channels.ErrFee},
	{"insufficient priority", channels.ErrFee},
	{"under the required amount", channels.ErrFee},
	{"rate limiter due to low fees", channels.ErrFee},
	{"payment is dust", channels.ErrDust},
	{"output already spent", channels.ErrConflict},
	{"replacement transaction evicts", channels.ErrConflict},
	{"replacement transaction spends", channels.ErrConflict},
	{"orphan transaction", channels.ErrNoTransaction},
	{"either does not exist or has already been spent", channels.ErrNoTransaction},
}

func refusal(e *rpcError) error {
	text := strings.ToLower(e.Message)
	for _, r := range refusals {
		if strings.Contains(text, r.text) {
			return r.kind
		}
	}
	switch e.Code {
	case codeInChain:
		return nil
	case codeRejected, codeVerify, codeDecode:
		return channels.ErrRefused
	default:
		return channels.ErrDown
	}
}
