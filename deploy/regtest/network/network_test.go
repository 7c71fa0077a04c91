package network_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/millrace/millrace/deploy/regtest/network"
	"github.com/millrace/millrace/deploy/regtest/networktest"
)

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

var shared networktest.Shared

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestRegtestPay(t *testing.T) {
	n := shared.Get(t)
	for _, from := range []*network.Lightning{n.Payer, n.Hub, n.Publisher} {
		for _, to := range []*network.Lightning{n.Payer, n.Hub, n.Publisher} {
			if from != to {
				paid := pay(t, from, to)
				if over := from != n.Hub && to != n.Hub; over != (paid.Fee > 0) {
					t.Errorf("%s to %s: a fee of %d msat", from.Name, to.Name, paid.Fee)
				}
			}
		}
	}
	ctx := within(t)
	preimage, hash := secret(t)
	if paid, err := n.Payer.Keysend(ctx, n.Hub.Key(), preimage, 2000, map[uint64][]byte{70_001: []byte("words")}); err != nil || paid.Amount != 2000 {
		t.Errorf("keysend: %+v, %v", paid, err)
	}
	got, err := n.Hub.RPC().LookupInvoice(ctx, &lnrpc.PaymentHash{RHash: hash[:]})
	if err != nil || got.AmtPaidMsat != 2000 || len(got.Htlcs) != 1 || string(got.Htlcs[0].CustomRecords[70_001]) != "words" {
		t.Errorf("keysend came as %v, %v", got, err)
	}
	if _, err := n.Payer.Pay(ctx, "lnsb1nothing", 0); err == nil {
		t.Error("paid what is no invoice")
	}
}

// TestRegtestKilled: a payment that is held goes on where it was when the nodes are killed meanwhile, on both sides.
func TestRegtestKilled(t *testing.T) {
	n, ctx := shared.Get(t), within(t)
	preimage, hash := secret(t)
	invoice, err := n.Publisher.Hold(ctx, hash, 5000)
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() {
		_, err := n.Hub.Pay(ctx, invoice, 0)
		answer <- err
	}()
	if err := n.Publisher.Held(ctx, hash); err != nil {
		t.Fatal(err)
	}
	for _, l := range []*network.Lightning{n.Hub, n.Publisher} {
		if err := l.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := l.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-answer; err == nil {
		t.Error("the stream of a killed node ended well")
	}
	if err := n.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n.Publisher.Settle(ctx, preimage); err != nil {
		t.Fatal(err)
	}
	paid, err := n.Hub.Track(ctx, hash)
	if err != nil || paid.Amount != 5000 {
		t.Errorf("after the kill: %+v, %v", paid, err)
	}
	pay(t, n.Payer, n.Publisher)
}

func TestRegtestPaused(t *testing.T) {
	n := shared.Get(t)
	if err := n.Hub.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := n.Hub.Invoice(ctx, 1, ""); err == nil {
		t.Error("a paused node answers")
	}
	if err := n.Hub.Resume(); err != nil {
		t.Fatal(err)
	}
	pay(t, n.Payer, n.Hub)
}

func TestRegtestChain(t *testing.T) {
	n, ctx := shared.Get(t), within(t)
	address, err := n.Publisher.NewAddress(ctx)
	if err != nil {
		t.Fatal(err)
	}
	before, err := n.Publisher.Coins(ctx)
	if err != nil {
		t.Fatal(err)
	}
	id, err := n.Hub.Send(ctx, address, 70_000)
	if err != nil {
		t.Fatal(err)
	}
	wait(t, "it is in the mempool", func() bool { c, err := n.Chain.Confirmations(ctx, id); return err == nil && c == 0 })
	if _, err := n.Chain.Mine(ctx, 3); err != nil {
		t.Fatal(err)
	}
	if c, err := n.Chain.Confirmations(ctx, id); err != nil || c != 3 {
		t.Errorf("%d confirmations, %v", c, err)
	}
	wait(t, "the publisher has it", func() bool { coins, err := n.Publisher.Coins(ctx); return err == nil && coins == before+70_000 })
	if _, err := n.Chain.Confirmations(ctx, strings.Repeat("00", 32)); err == nil {
		t.Error("confirmations of nothing")
	}
}

// TestRegtestReorg: a payment that has a block loses it by a fork of depth two, and gets another; and one loses its coins to another
// that is in the fork.
func TestRegtestReorg(t *testing.T) {
	n, ctx := networktest.Start(t), within(t)
	address, err := n.Hub.NewAddress(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := n.Chain.Send(ctx, network.Payment{Address: address, Amount: 123_456})
	if err != nil {
		t.Fatal(err)
	}
	id := tx.TxHash().String()
	mine(t, n, 1)
	seen(t, n, id, 1)
	fork(t, n, 1)
	unmined(t, n, id)
	seen(t, n, id, 0)

	mine(t, n, 2)
	seen(t, n, id, 2)
	fork(t, n, 2)
	unmined(t, n, id) // but not for lnd's wallet: see the README
	mine(t, n, 1)
	seen(t, n, id, 1)

	double := tx.Copy()
	double.TxOut = double.TxOut[1:] // only the change
	if err := n.Chain.Sign(ctx, double); err != nil {
		t.Fatal(err)
	}
	fork(t, n, 1, double)
	if c, err := n.Chain.Confirmations(ctx, double.TxHash().String()); err != nil || c != 2 {
		t.Errorf("what is in the fork has %d confirmations, %v", c, err)
	}
	if c, err := n.Chain.Confirmations(ctx, id); err == nil {
		t.Errorf("its coins are spent, and it has %d confirmations", c)
	}
	pay(t, n.Payer, n.Publisher)
}

func mine(t *testing.T, n *network.Network, blocks int) {
	t.Helper()
	if _, err := n.Chain.Mine(t.Context(), blocks); err != nil {
		t.Fatal(err)
	}
}

// fork replaces blocks, and waits until all nodes have followed.
func fork(t *testing.T, n *network.Network, depth int, txs ...*wire.MsgTx) {
	t.Helper()
	ctx := within(t)
	if err := n.Chain.Reorg(ctx, depth, txs...); err != nil {
		t.Fatal(err)
	}
	if err := n.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

// unmined: btcd has a transaction in the mempool again.
func unmined(t *testing.T, n *network.Network, id string) {
	t.Helper()
	if c, err := n.Chain.Confirmations(t.Context(), id); err != nil || c != 0 {
		t.Errorf("%d confirmations, %v", c, err)
	}
	if pool, err := n.Chain.Mempool(t.Context()); err != nil || len(pool) != 1 || pool[0] != id {
		t.Errorf("in the mempool: %v, %v", pool, err)
	}
}

// seen waits until the hub says how many confirmations a transaction has.
func seen(t *testing.T, n *network.Network, id string, confirmations int32) {
	t.Helper()
	wait(t, "the hub sees the confirmations", func() bool {
		list, err := n.Hub.RPC().GetTransactions(t.Context(), &lnrpc.GetTransactionsRequest{EndHeight: -1})
		if err != nil {
			return false
		}
		for _, tx := range list.Transactions {
			if tx.TxHash == id && tx.NumConfirmations == confirmations {
				return true
			}
		}
		return false
	})
}

// TestRegtestAgain: btcd is killed, and then the whole network is ended and started again in its folder.
func TestRegtestAgain(t *testing.T) {
	n, ctx := networktest.Start(t), within(t)
	if _, err := n.Chain.Mine(ctx, 7); err != nil {
		t.Fatal(err)
	}
	height, err := n.Chain.Height(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Chain.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n.Chain.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if again, err := n.Chain.Height(ctx); err != nil || again != height {
		t.Errorf("height %d, %v after %d", again, err, height)
	}
	if err := n.Chain.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := n.Chain.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	pay(t, n.Payer, n.Publisher)
	key := n.Hub.Key()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := network.Start(ctx, network.Config{Dir: filepath.Dir(filepath.Dir(n.Chain.CertFile()))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	if now, err := again.Chain.Height(ctx); err != nil || now <= height || again.Hub.Key() != key {
		t.Errorf("height %d, %v after %d; the hub is %s and was %s", now, err, height, again.Hub.Key(), key)
	}
	pay(t, again.Payer, again.Publisher)
}

// TestRegtestAdd: a fourth node behind the publisher, so that what the hub pays it costs a fee.
func TestRegtestAdd(t *testing.T) {
	n, ctx := networktest.Start(t), within(t)
	far, err := n.Add(ctx, "far")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Open(ctx, n.Publisher, far); err != nil {
		t.Fatal(err)
	}
	if err := n.Ready(ctx, n.Hub, far); err != nil {
		t.Fatal(err)
	}
	if paid := pay(t, n.Hub, far); paid.Fee == 0 {
		t.Errorf("over the publisher for nothing: %+v", paid)
	}
}

func pay(t *testing.T, from, to *network.Lightning) network.Paid {
	t.Helper()
	ctx := within(t)
	invoice, err := to.Invoice(ctx, 1_000_000, "a test")
	if err != nil {
		t.Fatal(err)
	}
	paid, err := from.Pay(ctx, invoice, 0)
	if err != nil || paid.Amount != 1_000_000 {
		t.Fatalf("%s to %s: %+v, %v", from.Name, to.Name, paid, err)
	}
	return paid
}

func secret(t *testing.T) (preimage, hash [32]byte) {
	t.Helper()
	if _, err := rand.Read(preimage[:]); err != nil {
		t.Fatal(err)
	}
	return preimage, sha256.Sum256(preimage[:])
}

func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
