package network

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
)

// faucetFee is of every transaction that the faucet makes: some 10 satoshis per virtual byte of a few dozen outputs.
const faucetFee = 20_000

// minerKey is to whom blocks pay. It is always the same, so that a network that is started again has the coins of before.
type minerKey struct {
	private *btcec.PrivateKey
	address btcutil.Address
	script  []byte
}

func newMinerKey(params *chaincfg.Params) (*minerKey, error) {
	seed := sha256.Sum256([]byte("millrace simnet miner"))
	private, public := btcec.PrivKeyFromBytes(seed[:])
	address, err := btcutil.NewAddressWitnessPubKeyHash(btcutil.Hash160(public.SerializeCompressed()), params)
	if err != nil {
		return nil, fmt.Errorf("the miner's address: %w", err)
	}
	script, err := txscript.PayToAddrScript(address)
	if err != nil {
		return nil, fmt.Errorf("the miner's address: %w", err)
	}
	return &minerKey{private: private, address: address, script: script}, nil
}

// Payment is an output that the faucet pays.
type Payment struct {
	Address string
	Amount  int64 // satoshis
}

// Send pays addresses out of what was mined, by one transaction that goes to the mempool, and returns it.
func (b *Bitcoin) Send(ctx context.Context, payments ...Payment) (*wire.MsgTx, error) {
	tx, err := b.Spend(ctx, payments...)
	if err != nil {
		return nil, err
	}
	return tx, b.Publish(ctx, tx)
}

// Publish hands a transaction to btcd.
func (b *Bitcoin) Publish(ctx context.Context, tx *wire.MsgTx) error {
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	return b.Call(ctx, nil, "sendrawtransaction", hex.EncodeToString(raw.Bytes()))
}

// Spend makes the transaction of Send and keeps it back, as for a block of Reorg. No two of them spend the same coins.
func (b *Bitcoin) Spend(ctx context.Context, payments ...Payment) (*wire.MsgTx, error) {
	tx := wire.NewMsgTx(2)
	left := int64(-faucetFee)
	for _, p := range payments {
		address, err := btcutil.DecodeAddress(p.Address, b.params)
		if err != nil {
			return nil, fmt.Errorf("paying %s: %w", p.Address, err)
		}
		script, err := txscript.PayToAddrScript(address)
		if err != nil {
			return nil, fmt.Errorf("paying %s: %w", p.Address, err)
		}
		tx.AddTxOut(wire.NewTxOut(p.Amount, script))
		left -= p.Amount
	}
	coins := txscript.NewMultiPrevOutFetcher(nil)
	for left < 0 {
		point, coin, err := b.coinbase(ctx)
		if err != nil {
			return nil, err
		}
		coins.AddPrevOut(point, coin)
		tx.AddTxIn(wire.NewTxIn(&point, nil, nil))
		left += coin.Value
	}
	if left >= 1000 { // below that it is dust, and a fee
		tx.AddTxOut(wire.NewTxOut(left, b.key.script))
	}
	return tx, b.sign(tx, coins)
}

// Sign signs anew a transaction of Spend that was changed.
func (b *Bitcoin) Sign(ctx context.Context, tx *wire.MsgTx) error {
	coins := txscript.NewMultiPrevOutFetcher(nil)
	for _, in := range tx.TxIn {
		point := in.PreviousOutPoint
		var text string
		if err := b.Call(ctx, &text, "getrawtransaction", point.Hash.String(), 0); err != nil {
			return err
		}
		raw, err := hex.DecodeString(text)
		if err != nil {
			return fmt.Errorf("transaction %s: %w", point.Hash, err)
		}
		var from wire.MsgTx
		if err := from.Deserialize(bytes.NewReader(raw)); err != nil {
			return fmt.Errorf("transaction %s: %w", point.Hash, err)
		}
		coins.AddPrevOut(point, from.TxOut[point.Index])
	}
	return b.sign(tx, coins)
}

func (b *Bitcoin) sign(tx *wire.MsgTx, coins txscript.PrevOutputFetcher) error {
	hashes := txscript.NewTxSigHashes(tx, coins)
	for i, in := range tx.TxIn {
		coin := coins.FetchPrevOutput(in.PreviousOutPoint)
		witness, err := txscript.WitnessSignature(tx, hashes, i, coin.Value, coin.PkScript, txscript.SigHashAll, b.key.private, true)
		if err != nil {
			return fmt.Errorf("signing for the faucet: %w", err)
		}
		in.Witness = witness
	}
	return nil
}

// coinbase is a coin that the faucet has not used: the reward of the oldest block whose reward is unspent.
func (b *Bitcoin) coinbase(ctx context.Context) (point wire.OutPoint, coin *wire.TxOut, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rpc
	for {
		height := b.faucet
		var best int64
		if err := r.call(ctx, &best, "getblockcount"); err != nil {
			return point, nil, err
		}
		if height+int64(b.params.CoinbaseMaturity) > best {
			return point, nil, fmt.Errorf("the faucet is empty: mine %d blocks", height+int64(b.params.CoinbaseMaturity)-best)
		}
		b.faucet++
		tx, err := r.reward(ctx, height)
		if err != nil {
			return point, nil, err
		}
		point = wire.OutPoint{Hash: tx.TxHash()}
		var unspent *struct{}
		if err := r.call(ctx, &unspent, "gettxout", point.Hash.String(), 0, true); err != nil {
			return point, nil, err
		}
		if unspent != nil && bytes.Equal(tx.TxOut[0].PkScript, b.key.script) {
			return point, tx.TxOut[0], nil
		}
	}
}

// reward is the first transaction of a block.
func (r *rpc) reward(ctx context.Context, height int64) (*wire.MsgTx, error) {
	var hash, text string
	if err := r.call(ctx, &hash, "getblockhash", height); err != nil {
		return nil, err
	}
	if err := r.call(ctx, &text, "getblock", hash, 0); err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", height, err)
	}
	var block wire.MsgBlock
	if err := block.Deserialize(bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("block %d: %w", height, err)
	}
	return block.Transactions[0], nil
}

// fund pays a node's wallet some coins.
func (b *Bitcoin) fund(ctx context.Context, l *Lightning, coins int, each int64) error {
	address, err := l.NewAddress(ctx)
	if err != nil {
		return err
	}
	payments := make([]Payment, coins)
	for i := range payments {
		payments[i] = Payment{Address: address, Amount: each}
	}
	_, err = b.Send(ctx, payments...)
	return err
}
