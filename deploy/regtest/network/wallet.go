package network

import (
	"context"
	"fmt"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/millrace/millrace/deploy/regtest/process"
)

// NewAddress is a fresh one of the node's wallet.
func (l *Lightning) NewAddress(ctx context.Context) (string, error) {
	a, err := l.RPC().NewAddress(ctx, &lnrpc.NewAddressRequest{Type: lnrpc.AddressType_WITNESS_PUBKEY_HASH})
	if err != nil {
		return "", fmt.Errorf("%s: a new address: %w", l.Name, err)
	}
	return a.Address, nil
}

// Coins is what the wallet has on-chain, in satoshis, whether it is confirmed or not.
func (l *Lightning) Coins(ctx context.Context) (int64, error) {
	b, err := l.RPC().WalletBalance(ctx, &lnrpc.WalletBalanceRequest{})
	if err != nil {
		return 0, fmt.Errorf("%s: the wallet's balance: %w", l.Name, err)
	}
	return b.TotalBalance, nil
}

// Send pays an address on-chain, at two satoshis per virtual byte, and returns the transaction's id.
func (l *Lightning) Send(ctx context.Context, address string, sat int64) (id string, err error) {
	r, err := l.RPC().SendCoins(ctx, &lnrpc.SendCoinsRequest{Addr: address, Amount: sat, SatPerVbyte: 2})
	if err != nil {
		return "", fmt.Errorf("%s: paying %s: %w", l.Name, address, err)
	}
	return r.Txid, nil
}

// confirmed says whether all that the wallet has is.
func (l *Lightning) confirmed(ctx context.Context) (bool, error) {
	b, err := l.RPC().WalletBalance(ctx, &lnrpc.WalletBalanceRequest{})
	if err != nil {
		return false, err
	}
	if b.ConfirmedBalance == 0 || b.UnconfirmedBalance != 0 {
		return false, fmt.Errorf("%d sat are confirmed and %d not", b.ConfirmedBalance, b.UnconfirmedBalance)
	}
	return true, nil
}

// sees waits until the node is where the chain is.
func (l *Lightning) sees(ctx context.Context) error {
	return process.Until(ctx, l.Name+" has followed the chain", func(ctx context.Context) (bool, error) {
		height, err := l.chain.Height(ctx)
		if err != nil {
			return false, err
		}
		hash, err := l.chain.Hash(ctx, height)
		if err != nil {
			return false, err
		}
		info, err := l.RPC().GetInfo(ctx, &lnrpc.GetInfoRequest{})
		if err != nil {
			return false, err
		}
		if info.BlockHash != hash {
			return false, fmt.Errorf("it is at %d, the chain at %d", info.BlockHeight, height)
		}
		return info.SyncedToChain, nil
	})
}
