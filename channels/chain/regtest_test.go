package chain_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/chain"
	"github.com/millrace/millrace/deploy/regtest/network"
	"github.com/millrace/millrace/deploy/regtest/networktest"
)

var shared networktest.Shared

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

// node is the client of a real btcd, and a wallet with coins on its chain.
type node struct {
	*chain.Client
	*wallet
	ctx context.Context
	btc *network.Bitcoin
}

func newNode(t *testing.T, seed string) *node {
	n := shared.Get(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	cert, err := os.ReadFile(n.Chain.CertFile())
	if err != nil {
		t.Fatal(err)
	}
	c, err := chain.New(chain.Config{Network: simnet(t), Address: n.Chain.Address(), User: n.Chain.User(), Password: n.Chain.Password(), Cert: cert,
		Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &node{Client: c, wallet: newWallet(t, seed), ctx: ctx, btc: n.Chain}
}

// coin gets the wallet a confirmed one.
func (n *node) coin(kind chain.Spend, sat int64) coin {
	n.t.Helper()
	tx, err := n.btc.Send(n.ctx, network.Payment{Address: n.address(kind), Amount: sat})
	n.must(err)
	n.mine(1)
	return coin{kind: kind, point: wire.OutPoint{Hash: tx.TxHash()}, value: sat}
}

// spend makes a transaction of a coin that pays somebody, with change.
func (n *node) spend(c coin, fee int64) channels.Signed {
	n.t.Helper()
	to := newWallet(n.t, "somebody")
	return n.pay([]coin{c}, []*wire.TxOut{
		wire.NewTxOut(c.value/2, to.script(chain.P2WPKH)), wire.NewTxOut(c.value-c.value/2-fee, n.script(chain.P2TR)),
	}, 1)
}

func (n *node) mine(blocks int) {
	n.t.Helper()
	_, err := n.btc.Mine(n.ctx, blocks)
	n.must(err)
}

// confirmed says how many confirmations a transaction has; -1: btcd does not know it.
func (n *node) confirmed(id channels.Hash) int64 {
	n.t.Helper()
	p, err := n.Place(n.ctx, id)
	if errors.Is(err, channels.ErrNoTransaction) {
		return -1
	}
	n.must(err)
	if p.Confirmations > 0 {
		at, err := n.BlockHash(n.ctx, p.Height)
		n.must(err)
		if at != p.Block {
			n.t.Fatalf("%s is in block %s, and at its height is %s", id.TxID(), p.Block.TxID(), at.TxID())
		}
	}
	return p.Confirmations
}

func TestRegtestPublish(t *testing.T) {
	n := newNode(t, "publish")
	n.must(n.Check(n.ctx))
	kinds := []chain.Spend{chain.P2WPKH, chain.P2TR, chain.Nested, chain.P2PKH}
	var coins []coin
	for _, kind := range kinds { // what btcd takes is a transaction as we weigh it
		coins = append(coins, n.coin(kind, 100_000))
	}
	var outs []*wire.TxOut
	for _, kind := range kinds {
		script := n.script(kind)
		outs = append(outs, wire.NewTxOut(int64(chain.Dust(script, chain.DustRate)), script))
	}
	tx := n.pay(coins, append(outs, wire.NewTxOut(300_000, n.script(chain.P2TR))), 4)
	if got := n.confirmed(tx.ID); got != -1 {
		t.Fatalf("unknown: %d", got)
	}
	for range 3 {
		n.must(n.Publish(n.ctx, tx.Raw))
	}
	if got := n.confirmed(tx.ID); got != 0 {
		t.Errorf("in the mempool: %d", got)
	}
	if raw, err := n.Raw(n.ctx, tx.ID); err != nil || !bytes.Equal(raw, tx.Raw) {
		t.Errorf("in the mempool: %x, %v", raw, err)
	}
	for blocks := range int64(3) {
		n.mine(1)
		if got := n.confirmed(tx.ID); got != blocks+1 {
			t.Errorf("after %d blocks: %d", blocks+1, got)
		}
		n.must(n.Publish(n.ctx, tx.Raw))
	}
	tip, err := n.Tip(n.ctx)
	n.must(err)
	if at, err := n.BlockHash(n.ctx, tip.Height); err != nil || at != tip.Hash || time.Since(tip.Time) > 3*time.Hour {
		t.Errorf("%+v: %v, %v", tip, at, err)
	}
	if _, err := n.BlockHash(n.ctx, tip.Height+1); !errors.Is(err, channels.ErrNoBlock) {
		t.Errorf("above the last block: %v", err)
	}
	if rate, err := n.FeeRate(n.ctx, 6); err != nil || rate < chain.RelayRate || rate > 500_000 {
		t.Errorf("a fee rate of %d, %v", rate, err)
	}
}

func TestRegtestSpentAll(t *testing.T) {
	n := newNode(t, "spent all")
	first := n.pay([]coin{n.coin(chain.P2TR, 100_000)}, []*wire.TxOut{wire.NewTxOut(90_000, n.script(chain.P2TR))}, -1)
	second := n.pay([]coin{{chain.P2TR, wire.OutPoint{Hash: [32]byte(first.ID)}, 90_000}}, []*wire.TxOut{wire.NewTxOut(80_000, n.script(chain.P2TR))}, -1)
	if err := n.Publish(n.ctx, second.Raw); !errors.Is(err, channels.ErrNoTransaction) || errors.Is(err, channels.ErrConflict) {
		t.Errorf("a child before its parent: %v", err)
	}
	n.must(n.Publish(n.ctx, first.Raw))
	n.must(n.Publish(n.ctx, second.Raw))
	n.mine(1)
	n.must(n.Publish(n.ctx, first.Raw)) // all of its outputs are spent: btcd says that its inputs are missing
	n.must(n.Publish(n.ctx, second.Raw))
	n.mine(1)
	n.must(n.Publish(n.ctx, first.Raw))
}

func TestRegtestRefused(t *testing.T) {
	n := newNode(t, "refused")
	c := n.coin(chain.P2TR, 100_000)
	script := n.script(chain.P2TR)
	dust := n.pay([]coin{c}, []*wire.TxOut{wire.NewTxOut(int64(chain.Dust(script, chain.DustRate))-1, script), wire.NewTxOut(90_000, script)}, 1)
	if err := n.Publish(n.ctx, dust.Raw); !errors.Is(err, channels.ErrDust) {
		t.Errorf("a satoshi below the limit: %v", err)
	}
	cheap := n.pay([]coin{c}, []*wire.TxOut{wire.NewTxOut(99_999, script)}, 0)
	if err := n.Publish(n.ctx, cheap.Raw); !errors.Is(err, channels.ErrFee) {
		t.Errorf("one satoshi of fee: %v", err)
	}
	bad := n.spend(c, 1000)
	bad.Raw[len(bad.Raw)-10] ^= 1 // in the signature
	if err := n.Publish(n.ctx, bad.Raw); !errors.Is(err, channels.ErrRefused) {
		t.Errorf("a bad signature: %v", err)
	}
	var outs []*wire.TxOut
	for range 2400 { // 103,200 vbyte
		outs = append(outs, wire.NewTxOut(330, script))
	}
	large := n.pay([]coin{n.coin(chain.P2TR, 10_000_000)}, outs, -1)
	if weight := chain.Weight([]chain.Spend{chain.P2TR}, scripts(outs)...); weight <= chain.MaxWeight {
		t.Errorf("%d is not too heavy", weight)
	}
	if err := n.Publish(n.ctx, large.Raw); !errors.Is(err, channels.ErrRefused) {
		t.Errorf("too large: %v", err)
	}
	for chain.Weight([]chain.Spend{chain.P2TR}, scripts(outs)...) > chain.MaxWeight {
		outs = outs[1:]
	}
	n.must(n.Publish(n.ctx, n.pay([]coin{n.coin(chain.P2TR, 10_000_000)}, outs, -1).Raw)) // as many as are allowed
	n.mine(1)
}

func scripts(outs []*wire.TxOut) (all [][]byte) {
	for _, o := range outs {
		all = append(all, o.PkScript)
	}
	return all
}

func TestRegtestConflict(t *testing.T) {
	n := newNode(t, "conflict")
	c := n.coin(chain.P2WPKH, 200_000)
	tip, err := n.Tip(n.ctx)
	n.must(err)
	point := channels.Outpoint{Tx: channels.Hash(c.point.Hash)}
	if _, found, err := n.Spender(n.ctx, point, 0); err != nil || found {
		t.Errorf("unspent: %v, %v", found, err)
	}
	ours := n.spend(c, 1000)
	theirs := n.pay([]coin{c}, []*wire.TxOut{wire.NewTxOut(100_000, newWallet(t, "thief").script(chain.P2TR))}, -1) // at a huge fee
	n.must(n.Publish(n.ctx, theirs.Raw))
	if err := n.Publish(n.ctx, ours.Raw); !errors.Is(err, channels.ErrFee) {
		t.Errorf("a conflict in the mempool, which could be replaced: %v", err)
	}
	spender := func(where string) {
		if id, found, err := n.Spender(n.ctx, point, tip.Height); err != nil || !found || id != theirs.ID {
			t.Errorf("spent in %s: %v, %v, %v", where, id.TxID(), found, err)
		}
	}
	spender("the mempool")
	n.mine(3)
	spender("the chain")
	if err := n.Publish(n.ctx, ours.Raw); !errors.Is(err, channels.ErrConflict) {
		t.Errorf("a conflict in the chain: %v", err)
	}
	if got := n.confirmed(ours.ID); got != -1 {
		t.Errorf("ours has %d confirmations", got)
	}
	if _, _, err := n.Spender(n.ctx, channels.Outpoint{Tx: channels.Hash{1, 2, 3}}, 0); !errors.Is(err, channels.ErrNoTransaction) {
		t.Errorf("a coin that there is not: %v", err)
	}
	if _, found, err := n.Spender(n.ctx, point, tip.Height+3); err == nil {
		t.Errorf("spent before the blocks that may be read: %v", found)
	}
}

// TestRegtestReplace: btcd takes replacements as often as there is change, and the last one is confirmed.
func TestRegtestReplace(t *testing.T) {
	n := newNode(t, "replace")
	for _, kind := range []chain.Spend{chain.P2WPKH, chain.P2TR, chain.Nested} {
		c := n.coin(kind, 40_000)
		s := n.spend(c, 200)
		n.must(n.Publish(n.ctx, s.Raw))
		all := []channels.Signed{s}
		for s.Change >= 0 {
			next, err := chain.Replace(s, chain.Rate(s.Fee, s.VSize)+1) // the least that there is
			if errors.Is(err, channels.ErrFunds) {
				break
			}
			if len(all)%10 == 0 {
				next, err = chain.Replace(s, 2*chain.Rate(s.Fee, s.VSize))
			}
			if errors.Is(err, channels.ErrFunds) {
				break
			}
			n.must(err)
			s = n.sign(next.PSBT, next.Change)
			n.must(n.Publish(n.ctx, s.Raw))
			all = append(all, s)
		}
		if len(all) < 12 {
			t.Errorf("%d replacements", len(all))
		}
		for _, o := range all[:len(all)-1] {
			if got := n.confirmed(o.ID); got != -1 {
				t.Errorf("a replaced one has %d confirmations", got)
			}
			if err := n.Publish(n.ctx, o.Raw); !errors.Is(err, channels.ErrFee) {
				t.Errorf("the replaced one again: %v", err)
			}
		}
		n.mine(1)
		if got := n.confirmed(s.ID); got != 1 {
			t.Errorf("the last one has %d confirmations", got)
		}
		if err := n.Publish(n.ctx, all[0].Raw); !errors.Is(err, channels.ErrConflict) {
			t.Errorf("the first one after the last: %v", err)
		}
		if id, found, err := n.Spender(n.ctx, s.Inputs[0], 0); err != nil || !found || id != s.ID {
			t.Errorf("spent by %s, %v, %v", id.TxID(), found, err)
		}
	}
}

// TestRegtestReorg: two blocks go, the transactions in them are waiting again or were spent otherwise, and who watches notices.
func TestRegtestReorg(t *testing.T) {
	n := newNode(t, "reorg")
	keeps, loses := n.spend(n.coin(chain.P2TR, 100_000), 1000), n.spend(n.coin(chain.P2TR, 100_000), 1000)
	n.must(n.Publish(n.ctx, keeps.Raw))
	n.must(n.Publish(n.ctx, loses.Raw))
	watch, stop := context.WithCancel(n.ctx)
	defer stop()
	seen := make(chan chain.Block, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- n.Blocks(watch, 5*time.Millisecond, func(b chain.Block) error { seen <- b; return nil })
	}()
	n.mine(2)
	before, err := n.Place(n.ctx, keeps.ID)
	n.must(err)
	if before.Confirmations != 2 || n.confirmed(loses.ID) != 2 {
		t.Fatalf("%+v", before)
	}
	var coins []coin
	for _, in := range loses.Inputs {
		coins = append(coins, coin{chain.P2TR, wire.OutPoint{Hash: [32]byte(in.Tx), Index: in.Index}, 100_000})
	}
	thief := n.pay(coins, []*wire.TxOut{wire.NewTxOut(50_000, newWallet(t, "thief").script(chain.P2TR))}, -1)
	var conflict wire.MsgTx
	n.must(conflict.Deserialize(bytes.NewReader(thief.Raw)))
	n.must(n.btc.Reorg(n.ctx, 2, &conflict))

	if at, err := n.BlockHash(n.ctx, before.Height); err != nil || at == before.Block {
		t.Errorf("the block at %d is still %s, %v", before.Height, at.TxID(), err)
	}
	if got := n.confirmed(keeps.ID); got != 0 {
		t.Errorf("the one whose coins are there has %d confirmations", got)
	}
	if got := n.confirmed(loses.ID); got != -1 {
		t.Errorf("the one whose coins are gone has %d confirmations", got)
	}
	if err := n.Publish(n.ctx, loses.Raw); !errors.Is(err, channels.ErrConflict) {
		t.Errorf("it again: %v", err)
	}
	n.must(n.Publish(n.ctx, keeps.Raw))
	n.mine(1)
	if n.confirmed(keeps.ID) != 1 || n.confirmed(thief.ID) != 4 {
		t.Errorf("after another block: %d and %d", n.confirmed(keeps.ID), n.confirmed(thief.ID))
	}
	tip, err := n.Tip(n.ctx)
	n.must(err)
	for b := range seen {
		if b.Hash == tip.Hash && b.Height == tip.Height {
			break
		}
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestRegtestRestart: while btcd is gone, or hangs, that is said; when it is back it is found, and what it forgot is published again.
func TestRegtestRestart(t *testing.T) {
	n := newNode(t, "restart")
	tx := n.spend(n.coin(chain.P2TR, 100_000), 1000)
	n.must(n.Publish(n.ctx, tx.Raw))
	seen := make(chan chain.Block, 100)
	watch, stop := context.WithCancel(n.ctx)
	defer stop()
	go n.Blocks(watch, 5*time.Millisecond, func(b chain.Block) error { seen <- b; return nil }) //nolint:errcheck // it ends with the context
	n.must(n.btc.Pause())
	short, cancel := context.WithTimeout(n.ctx, 100*time.Millisecond)
	if _, err := n.Tip(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it hangs: %v", err)
	}
	cancel()
	n.must(n.btc.Resume())
	if got := n.confirmed(tx.ID); got != 0 {
		t.Errorf("it goes on: %d", got)
	}
	n.must(n.btc.Kill(n.ctx))
	if _, err := n.Place(n.ctx, tx.ID); !errors.Is(err, channels.ErrDown) {
		t.Errorf("killed: %v", err)
	}
	if err := n.Publish(n.ctx, tx.Raw); !errors.Is(err, channels.ErrDown) {
		t.Errorf("killed: %v", err)
	}
	if _, err := n.FeeRate(n.ctx, 6); !errors.Is(err, channels.ErrDown) {
		t.Errorf("killed: %v", err)
	}
	n.must(n.btc.Start(n.ctx))
	n.must(n.Check(n.ctx))
	if got := n.confirmed(tx.ID); got != -1 {
		t.Errorf("btcd has remembered its mempool: %d", got)
	}
	n.must(n.Publish(n.ctx, tx.Raw))
	n.mine(1)
	if got := n.confirmed(tx.ID); got != 1 {
		t.Errorf("published again: %d", got)
	}
	tip, err := n.Tip(n.ctx)
	n.must(err)
	for b := range seen {
		if b == tip {
			break
		}
	}
}
