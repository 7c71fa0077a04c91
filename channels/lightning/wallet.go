package lightning

import (
	"context"
	"errors"
	"fmt"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/walletrpc"

	"github.com/millrace/millrace/channels"
)

const labelAtMost = 500 // bytes, lnd's

// Address is a new one of the wallet.
func (c *Client) Address(ctx context.Context) (string, error) {
	kind := walletrpc.AddressType_WITNESS_PUBKEY_HASH
	if c.cfg.Taproot {
		kind = walletrpc.AddressType_TAPROOT_PUBKEY
	}
	a, err := ask(ctx, c, "making an address", c.wallet.NextAddr, &walletrpc.AddrRequest{Type: kind})
	if err != nil {
		return "", err
	}
	return a.Addr, nil
}

// Publish gives a signed transaction to the network; the node does so again by itself until it is confirmed. It may be called any
// number of times, also when it was confirmed. The label, at most 500 bytes, is for the node's list (Movement).
//
// channels.ErrConflict says that coins of it are spent, or are not there: by another transaction, or since the one that they come
// from is not in the mempool any more. Only the chain says which: that it is lost is only known when another transaction that
// spends one of its inputs is confirmed deeply enough. channels.ErrFee: the mempool wants more for it.
func (c *Client) Publish(ctx context.Context, raw []byte, label string) error {
	const doing = "publishing a transaction"
	tx, err := parse(raw)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", doing, channels.ErrRefused, err)
	}
	if len(label) > labelAtMost {
		return fmt.Errorf("%s: a label of %d bytes: %w", doing, len(label), channels.ErrRefused)
	}
	// The first transaction that lnd publishes over a connection to btcd must not come while that is lost: lnd would hold a lock until
	// btcd answers that btcd's client needs to connect again (BackendVersion and wsReconnectHandler of btcd's rpcclient), and hang
	// until it is started anew. GetInfo waits for btcd, too, but without the lock.
	if _, err := c.Info(ctx); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	done, err := ask(ctx, c, doing, c.wallet.PublishTransaction, &walletrpc.Transaction{TxHex: raw, Label: label})
	if err == nil && done.PublishError != "" {
		err = fmt.Errorf("%s: %s", doing, done.PublishError)
	}
	if errors.Is(err, channels.ErrConflict) {
		// Of a transaction that is confirmed and whose outputs are all spent, bitcoin nodes only know that its coins are spent.
		if p, known := c.Transaction(ctx, channels.Hash(tx.TxHash())); known == nil && p.Confirmations > 0 {
			return nil
		}
	}
	return err
}

// Transaction says where a transaction is that the wallet has part in. channels.ErrNoTransaction: it knows none of this id.
func (c *Client) Transaction(ctx context.Context, id channels.Hash) (channels.Place, error) {
	t, err := ask(ctx, c, "looking a transaction up", c.wallet.GetTransaction, &walletrpc.GetTransactionRequest{Txid: id.TxID()})
	if err != nil {
		return channels.Place{}, err
	}
	p, _, err := c.place(ctx, t)
	return p, err
}

// Coins calls f with every output that pays an address of the wallet, in blocks from a height on and in the mempool, whether it
// was spent meanwhile or not. Change of the wallet's own transactions is among them, at addresses that nobody was given. It
// returns what f returns when that is an error. While it reads, a transaction can move into a block or out of one: what moved is
// found the next time.
func (c *Client) Coins(ctx context.Context, since int64, f func(channels.Coin) error) error {
	return c.eachTransaction(ctx, since, func(t *lnrpc.Transaction, p channels.Place) error {
		id := txid(t.TxHash)
		for _, o := range t.OutputDetails {
			if !o.IsOurAddress {
				continue
			}
			coin := channels.Coin{
				Outpoint: channels.Outpoint{Tx: id, Index: uint32(o.OutputIndex)},
				Address:  o.Address, Amount: channels.Sat(o.Amount), Place: p,
			}
			if err := f(coin); err != nil {
				return err
			}
		}
		return nil
	})
}

// Moved calls f with the id of a transaction of the wallet whenever one comes into the mempool or into a block, until f fails or
// the context ends; it returns that error. It subscribes again by itself, and calls f with a zero id then, since what happened
// meanwhile is not told: Coins finds it.
func (c *Client) Moved(ctx context.Context, f func(channels.Hash) error) error {
	const doing = "following the wallet"
	return c.follow(ctx, doing, func(ctx context.Context, alive func()) error {
		s, err := c.lightning.SubscribeTransactions(ctx, &lnrpc.GetTransactionsRequest{})
		if err == nil {
			if err := f(channels.Hash{}); err != nil {
				return stop{err}
			}
		}
		return drain(ctx, c, doing, alive, s, err, func(t *lnrpc.Transaction) error {
			if err := f(txid(t.TxHash)); err != nil {
				return stop{err}
			}
			return nil
		})
	})
}
