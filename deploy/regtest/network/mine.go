package network

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/mining"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
)

// mineAtOnce is how many blocks btcd is asked for in one call.
const mineAtOnce = 500

// Mine makes blocks with what is in the mempool, and returns the hash of the last.
func (b *Bitcoin) Mine(ctx context.Context, blocks int) (hash string, err error) {
	for blocks > 0 {
		var hashes []string
		if err := b.Call(ctx, &hashes, "generate", min(blocks, mineAtOnce)); err != nil {
			return "", err
		}
		if len(hashes) == 0 {
			return "", errors.New("btcd mined nothing")
		}
		blocks, hash = blocks-len(hashes), hashes[len(hashes)-1]
	}
	return hash, nil
}

// Reorg replaces the newest blocks by a fork that is longer by one: what depth says are undone, depth+1 are new. The first of
// the new ones holds txs, which may conflict with what is undone, and the others hold nothing. What was undone and can still be
// mined is in the mempool again.
func (b *Bitcoin) Reorg(ctx context.Context, depth int, txs ...*wire.MsgTx) error {
	height, err := b.Height(ctx)
	if err != nil {
		return err
	}
	at := height - int64(depth)
	if depth < 1 || at < 1 {
		return fmt.Errorf("a fork of depth %d in a chain of %d blocks", depth, height)
	}
	base, err := b.block(ctx, at)
	if err != nil {
		return err
	}
	parent := base.Header
	for i := range depth + 1 {
		if i > 0 {
			txs = nil
		}
		block, err := b.forge(&parent, at+int64(i)+1, txs)
		if err != nil {
			return err
		}
		if err := b.submit(ctx, block); err != nil {
			return err
		}
		parent = block.Header
	}
	tip, err := b.Hash(ctx, height+1)
	if err != nil {
		return fmt.Errorf("btcd did not follow the fork: %w", err)
	}
	if want := parent.BlockHash().String(); tip != want {
		return fmt.Errorf("btcd is at %s instead of the fork's %s", tip, want)
	}
	return nil
}

// forge makes a block upon another.
func (b *Bitcoin) forge(parent *wire.BlockHeader, height int64, txs []*wire.MsgTx) (*wire.MsgBlock, error) {
	script, err := txscript.NewScriptBuilder().AddInt64(height).AddInt64(rand.Int64()).Script()
	if err != nil {
		return nil, fmt.Errorf("making block %d: %w", height, err)
	}
	coinbase := wire.NewMsgTx(wire.TxVersion)
	coinbase.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&chainhash.Hash{}, wire.MaxPrevOutIndex), script, nil))
	coinbase.AddTxOut(wire.NewTxOut(blockchain.CalcBlockSubsidy(int32(height), b.params), b.key.script))
	all := []*btcutil.Tx{btcutil.NewTx(coinbase)}
	for _, tx := range txs {
		all = append(all, btcutil.NewTx(tx))
	}
	if len(txs) > 0 {
		mining.AddWitnessCommitment(all[0], all)
		all[0] = btcutil.NewTx(coinbase) // the other has remembered the hash
	}
	// A parent is at most some minutes ahead of the clock, where many blocks were mined at once; the median of eleven is behind it.
	at := time.Unix(max(parent.Timestamp.Unix()+1, time.Now().Unix()), 0)
	block := &wire.MsgBlock{Header: wire.BlockHeader{
		Version: parent.Version, PrevBlock: parent.BlockHash(), MerkleRoot: blockchain.CalcMerkleRoot(all, false),
		Timestamp: at, Bits: parent.Bits,
	}}
	for _, tx := range all {
		if err := block.AddTransaction(tx.MsgTx()); err != nil {
			return nil, fmt.Errorf("making block %d: %w", height, err)
		}
	}
	target := blockchain.CompactToBig(block.Header.Bits)
	for { // on simnet every other nonce will do
		hash := block.Header.BlockHash()
		if blockchain.HashToBig(&hash).Cmp(target) <= 0 {
			return block, nil
		}
		block.Header.Nonce++
	}
}

// all reads the whole chain but the first block.
func (b *Bitcoin) all(ctx context.Context) (blocks [][]byte, err error) {
	height, err := b.Height(ctx)
	if err != nil {
		return nil, err
	}
	for h := int64(1); h <= height; h++ {
		raw, err := b.raw(ctx, h)
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, raw)
	}
	return blocks, nil
}

// restore gives btcd those blocks that it lost when it was killed.
func (b *Bitcoin) restore(ctx context.Context) error {
	b.mu.Lock()
	blocks := b.blocks
	b.blocks = nil
	b.mu.Unlock()
	if blocks == nil {
		return nil
	}
	height, err := b.Height(ctx)
	if err != nil {
		return err
	}
	for _, raw := range blocks[min(int(height), len(blocks)):] {
		var block wire.MsgBlock
		if err := block.Deserialize(bytes.NewReader(raw)); err != nil {
			return fmt.Errorf("a block that btcd had: %w", err)
		}
		if err := b.submit(ctx, &block); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bitcoin) submit(ctx context.Context, block *wire.MsgBlock) error {
	var raw bytes.Buffer
	if err := block.Serialize(&raw); err != nil {
		return fmt.Errorf("submitting a block: %w", err)
	}
	var refused *string
	if err := b.Call(ctx, &refused, "submitblock", hex.EncodeToString(raw.Bytes())); err != nil {
		return err
	}
	if refused != nil {
		return fmt.Errorf("submitting a block: %s", *refused)
	}
	return nil
}

func (b *Bitcoin) block(ctx context.Context, height int64) (*wire.MsgBlock, error) {
	raw, err := b.raw(ctx, height)
	if err != nil {
		return nil, err
	}
	block := new(wire.MsgBlock)
	if err := block.Deserialize(bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("block %d: %w", height, err)
	}
	return block, nil
}

func (b *Bitcoin) raw(ctx context.Context, height int64) ([]byte, error) {
	hash, err := b.Hash(ctx, height)
	if err != nil {
		return nil, err
	}
	var text string
	if err := b.Call(ctx, &text, "getblock", hash, 0); err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", height, err)
	}
	return raw, nil
}
