package lightning_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/psbt"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lightning"
)

// outputs pay strangers, whose keys nobody has: 330 sat and some more each.
func outputs(t *testing.T, n int) []channels.Output {
	t.Helper()
	outs := make([]channels.Output, n)
	for i := range outs {
		var hash [20]byte
		rand.Read(hash[:])
		a := must(btcutil.NewAddressWitnessPubKeyHash(hash[:], &chaincfg.SimNetParams))(t)
		outs[i] = channels.Output{Script: must(txscript.PayToAddrScript(a))(t), Amount: channels.Sat(1000 + (i*7919)%1000)}
	}
	return outs
}

func lock() (h channels.Hash) {
	rand.Read(h[:])
	return h
}

func transaction(t *testing.T, raw []byte) *wire.MsgTx {
	t.Helper()
	tx := new(wire.MsgTx)
	check(t, tx.Deserialize(bytes.NewReader(raw)))
	return tx
}

func leased(t *testing.T, c *lightning.Client, under channels.Hash) (coins []channels.Outpoint) {
	t.Helper()
	for _, l := range must(c.Leases(within(t)))(t) {
		if l.Lock == under {
			coins = append(coins, l.Coin)
		}
	}
	return coins
}

// TestRegtestBatch: a thousand outputs are paid by one transaction, in their order, however often it is published.
func TestRegtestBatch(t *testing.T) {
	n := shared.Get(t)
	hub := open(t, n.Hub)
	ctx := within(t)
	outs := outputs(t, 1000)
	outs[1] = outs[0] // the same address twice
	before := must(hub.Assets(ctx))(t)
	batch := lock()
	s := must(hub.Fund(ctx, batch, outs, 2500))(t)
	tx := transaction(t, s.Raw)
	sum := channels.Sat(0)
	for i, o := range outs {
		if sum += o.Amount; tx.TxOut[i].Value != int64(o.Amount) || !bytes.Equal(tx.TxOut[i].PkScript, o.Script) {
			t.Fatalf("output %d is %+v", i, tx.TxOut[i])
		}
	}
	if len(tx.TxOut) != 1001 || s.Change != 1000 || channels.Hash(tx.TxHash()) != s.ID || len(s.Inputs) != len(tx.TxIn) {
		t.Fatalf("%d outputs, change at %d, %d inputs", len(tx.TxOut), s.Change, len(s.Inputs))
	}
	for i, in := range tx.TxIn {
		if in.Sequence != wire.MaxTxInSequenceNum-2 || channels.Hash(in.PreviousOutPoint.Hash) != s.Inputs[i].Tx {
			t.Errorf("input %+v", in)
		}
	}
	if want := channels.Sat(s.VSize * 2500 / 1000); s.Fee < want || s.Fee > want+want/50 {
		t.Errorf("a fee of %d for %d virtual bytes", s.Fee, s.VSize)
	}
	if !slices.Equal(leased(t, hub, batch), s.Inputs) {
		t.Errorf("leased %v; spends %v", leased(t, hub, batch), s.Inputs)
	}
	_, err := hub.Transaction(ctx, s.ID)
	is(t, err, channels.ErrNoTransaction)

	for range 2 {
		check(t, hub.Publish(ctx, s.Raw, "batch"))
	}
	if p := must(hub.Transaction(ctx, s.ID))(t); p.Confirmations != 0 {
		t.Errorf("%+v", p)
	}
	must(n.Chain.Mine(ctx, 1))(t)
	eventually(t, "it is confirmed", func() bool { return must(hub.Transaction(ctx, s.ID))(t).Confirmations == 1 })
	check(t, hub.Publish(ctx, s.Raw, "batch"))
	p := must(hub.Transaction(ctx, s.ID))(t)
	if hash := must(n.Chain.Hash(ctx, p.Height))(t); p.Block.TxID() != hash {
		t.Errorf("in block %s instead of %s", p.Block.TxID(), hash)
	}
	if after := must(hub.Assets(ctx))(t); before.Confirmed-after.Confirmed != sum+s.Fee || after.Leased != 0 || after.Unconfirmed != 0 {
		t.Errorf("from %+v to %+v; sent %d for %d", before, after, sum, s.Fee)
	}
	found := count(t, func(f func(channels.Movement) error) error { return hub.Movements(ctx, p.Height, f) }, func(m channels.Movement) bool {
		return m.ID == s.ID && m.Amount == -sum-s.Fee && m.Fee == s.Fee && m.Label == "batch" && m.Place == p
	})
	if found != 1 {
		t.Errorf("in the list %d times", found)
	}
}

// TestRegtestReplace: less change and the same inputs take the place of what is not confirmed.
func TestRegtestReplace(t *testing.T) {
	n := shared.Get(t)
	hub := open(t, n.Hub)
	ctx := within(t)
	batch := lock()
	outs := outputs(t, 3)
	s := must(hub.Fund(ctx, batch, outs, 1000))(t)
	check(t, hub.Publish(ctx, s.Raw, ""))

	p := must(psbt.NewFromRawBytes(bytes.NewReader(s.PSBT), false))(t)
	p.UnsignedTx.TxOut[s.Change].Value -= 5000
	var unsigned bytes.Buffer
	check(t, p.Serialize(&unsigned))
	r := must(hub.Sign(ctx, unsigned.Bytes()))(t)
	if r.ID == s.ID || r.Fee != s.Fee+5000 || r.Change != s.Change || !slices.Equal(r.Inputs, s.Inputs) || r.VSize != s.VSize {
		t.Fatalf("%+v instead of %+v", r, s)
	}
	check(t, hub.Publish(ctx, r.Raw, "bumped"))
	is(t, hub.Publish(ctx, s.Raw, ""), channels.ErrFee) // it would replace what pays more
	if pool := must(n.Chain.Mempool(ctx))(t); !slices.Contains(pool, r.ID.TxID()) || slices.Contains(pool, s.ID.TxID()) {
		t.Errorf("%s took the place of %s: %v", r.ID.TxID(), s.ID.TxID(), pool)
	}
	must(n.Chain.Mine(ctx, 1))(t)
	eventually(t, "it is confirmed", func() bool { return must(hub.Transaction(ctx, r.ID))(t).Confirmations == 1 })
	is(t, hub.Publish(ctx, s.Raw, ""), channels.ErrConflict)
	_, err := hub.Transaction(ctx, s.ID)
	is(t, err, channels.ErrNoTransaction)
	check(t, hub.Publish(ctx, r.Raw, ""))
}

// TestRegtestLeases: coins of a signed batch are nobody else's, over a restart, until they are released or it is done anew.
func TestRegtestLeases(t *testing.T) {
	n := shared.Get(t)
	hub := open(t, n.Hub)
	ctx := within(t)
	one, two := lock(), lock()
	a := must(hub.Fund(ctx, one, outputs(t, 2), 1000))(t)
	b := must(hub.Fund(ctx, two, outputs(t, 2), 1000))(t)
	if slices.ContainsFunc(a.Inputs, func(o channels.Outpoint) bool { return slices.Contains(b.Inputs, o) }) {
		t.Fatal("two batches spend the same coin")
	}
	restart(t, n, n.Hub, n.Hub.Kill)
	var now []channels.Outpoint
	eventually(t, "the leases are there", func() bool { now = leased(t, hub, one); return len(now) > 0 })
	if !slices.Equal(now, a.Inputs) {
		t.Errorf("leased %v; spends %v", now, a.Inputs)
	}
	again := must(hub.Fund(ctx, one, outputs(t, 2), 1000))(t)
	if got := leased(t, hub, one); !slices.Equal(got, again.Inputs) {
		t.Errorf("leased %v; spends %v", got, again.Inputs)
	}
	check(t, hub.Release(ctx, two, nil))
	check(t, hub.Release(ctx, two, b.Inputs))
	if got := leased(t, hub, two); len(got) > 0 {
		t.Errorf("leased %v", got)
	}
	check(t, hub.Publish(ctx, again.Raw, "")) // the leases are of the transaction, which can be published
	must(n.Chain.Mine(ctx, 1))(t)
	eventually(t, "it is confirmed", func() bool { return must(hub.Transaction(ctx, again.ID))(t).Confirmations == 1 })
	if got := leased(t, hub, one); len(got) > 0 {
		t.Errorf("leased %v", got)
	}
}

// TestRegtestFunds: what cannot be paid takes no coins.
func TestRegtestFunds(t *testing.T) {
	n := shared.Get(t)
	hub := open(t, n.Hub)
	ctx := within(t)
	batch := lock()
	assets := must(hub.Assets(ctx))(t)
	out := outputs(t, 1)
	out[0].Amount = assets.Confirmed + 1
	_, err := hub.Fund(ctx, batch, out, 1000)
	is(t, err, channels.ErrFunds)
	if assets.Reserved == 0 {
		t.Error("nothing is reserved")
	}
	out[0].Amount = assets.Confirmed - assets.Reserved + 1
	_, err = hub.Fund(ctx, batch, out, 1000)
	is(t, err, channels.ErrFunds)
	out[0].Amount = assets.Confirmed - assets.Reserved - 100 // which the fee eats up
	_, err = hub.Fund(ctx, batch, out, 1000)
	is(t, err, channels.ErrFunds)
	out[0].Amount = 200
	_, err = hub.Fund(ctx, batch, out, 1000)
	is(t, err, channels.ErrDust)
	_, err = hub.Fund(ctx, batch, outputs(t, 3250), 1000)
	is(t, err, channels.ErrRefused)
	for _, l := range must(hub.Leases(ctx))(t) {
		t.Errorf("%+v is leased", l)
	}
	if now := must(hub.Assets(ctx))(t); now.Confirmed != assets.Confirmed || now.Leased != 0 {
		t.Errorf("from %+v to %+v", assets, now)
	}
}

// TestRegtestCoins: whoever pays an address of ours is found, first in the mempool and then at its height.
func TestRegtestCoins(t *testing.T) {
	n := shared.Get(t)
	for _, taproot := range []bool{false, true} {
		hub := open(t, n.Hub, func(c *lightning.Config) { c.Taproot = taproot })
		ctx := within(t)
		address := must(hub.Address(ctx))(t)
		script(t, address)
		since := must(n.Chain.Height(ctx))(t)
		moved := make(chan channels.Hash, 100)
		follow, stop := context.WithCancel(ctx)
		done := make(chan error)
		go func() {
			done <- hub.Moved(follow, func(h channels.Hash) error { moved <- h; return nil })
		}()
		if first := <-moved; first != (channels.Hash{}) {
			t.Errorf("at first %s", first)
		}
		id := must(n.Payer.Send(ctx, address, 123_456))(t)
		find := func() (found []channels.Coin) {
			check(t, hub.Coins(ctx, since, func(c channels.Coin) error {
				if c.Address == address {
					found = append(found, c)
				}
				return nil
			}))
			return found
		}
		eventually(t, "it is seen", func() bool { return len(find()) == 1 })
		if c := find()[0]; c.Outpoint.Tx.TxID() != id || c.Amount != 123_456 || c.Place != (channels.Place{}) {
			t.Errorf("%+v", c)
		}
		must(n.Chain.Mine(ctx, 1))(t)
		eventually(t, "it is confirmed", func() bool { return len(find()) == 1 && find()[0].Place.Confirmations == 1 })
		if c := find()[0]; c.Outpoint.Tx.TxID() != id || c.Place.Height != since+1 {
			t.Errorf("%+v", c)
		}
		for h := range moved {
			if h.TxID() == id {
				break
			}
		}
		stop()
		is(t, <-done, context.Canceled)
		since += 2 // a height that is not yet
		if got := find(); len(got) > 0 {
			t.Errorf("%+v", got)
		}
	}
}

// TestRegtestBump: an unconfirmed deposit is mined sooner when the node spends it for a higher fee.
func TestRegtestBump(t *testing.T) {
	n := shared.Get(t)
	hub := open(t, n.Hub)
	ctx := within(t)
	address := must(hub.Address(ctx))(t)
	id := must(n.Payer.Send(ctx, address, 500_000))(t)
	var coin channels.Coin
	eventually(t, "it is seen", func() bool {
		check(t, hub.Coins(ctx, must(n.Chain.Height(ctx))(t)+1, func(c channels.Coin) error {
			if c.Address == address {
				coin = c
			}
			return nil
		}))
		return coin.Amount > 0
	})
	check(t, hub.Bump(ctx, coin.Outpoint, 20_000, 50_000))
	eventually(t, "a second transaction is there", func() bool { return len(must(n.Chain.Mempool(ctx))(t)) == 2 })
	must(n.Chain.Mine(ctx, 1))(t)
	eventually(t, "it is confirmed", func() bool { return must(hub.Transaction(ctx, coin.Outpoint.Tx))(t).Confirmations == 1 })
	if coin.Outpoint.Tx.TxID() != id {
		t.Errorf("%+v", coin)
	}
	if err := hub.Bump(ctx, channels.Outpoint{Tx: lock()}, 20_000, 50_000); err == nil {
		t.Error("a coin of nobody was bumped")
	}
}

// TestRegtestBooks: backups, channels, and who the node is.
func TestRegtestBooks(t *testing.T) {
	n := shared.Get(t)
	hub := open(t, n.Hub)
	ctx := within(t)
	var i channels.Node
	eventually(t, "the node is in step with the chain", func() bool { i = must(hub.Info(ctx))(t); return i.Synced })
	if i.Key != n.Hub.Key() || i.Alias != "hub" || i.Network != "simnet" || i.Height == 0 || i.Active != 2 || time.Since(i.BlockTime) > time.Hour {
		t.Errorf("%+v", i)
	}
	lines := must(hub.Lines(ctx))(t)
	a := must(hub.Assets(ctx))(t)
	local := channels.Sat(0)
	for _, l := range lines {
		local += l.Local
		if l.Capacity != 500_000_000 || l.Stage != channels.LineOpen || !l.Active || l.Local+l.Remote+l.Unsettled+l.Tied > l.Capacity || l.Point.Tx == (channels.Hash{}) {
			t.Errorf("%+v", l)
		}
	}
	if len(lines) != 2 || channels.Sat(a.Local/1000)-local > 1 {
		t.Errorf("%+v, %+v", lines, a)
	}
	backup := must(hub.Backup(ctx))(t)
	if points := must(hub.VerifyBackup(ctx, backup))(t); len(points) != 2 || !slices.ContainsFunc(lines, func(l channels.Line) bool { return l.Point == points[0] }) {
		t.Errorf("%v", points)
	}
	if _, err := hub.VerifyBackup(ctx, backup[1:]); err == nil {
		t.Error("a damaged backup is good")
	}
	check(t, func() error {
		err := hub.Backups(ctx, func(b []byte) error {
			_, err := hub.VerifyBackup(ctx, b)
			check(t, err)
			return context.Canceled
		})
		is(t, err, context.Canceled)
		return nil
	}())
}
