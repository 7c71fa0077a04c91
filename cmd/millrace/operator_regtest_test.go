package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/walletrpc"

	"github.com/millrace/millrace/deploy/regtest/network"
	"github.com/millrace/millrace/deploy/regtest/networktest"
)

// operated is a hub over a real network whose operator looks after it by the verbs, each exchange of which is held against the document.
type operated struct {
	*money
	t            *testing.T
	reader, file string
}

// do runs a verb as the operator.
func (o *operated) do(args ...string) map[string]any {
	o.t.Helper()
	return ok(o.t, append(args, "--hub", o.url, "--token-file", o.operator)...)
}

// withdraw asks for a withdrawal to an address of the publisher's, and returns its command.
func (o *operated) withdraw() []string {
	o.t.Helper()
	home, err := o.n.Publisher.NewAddress(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	verb := []string{"withdraw", "--hub", o.url, "--token-file", o.file, "--to", home, "--amount-msat", "50000000", "--max-fee-msat", "20000000"}
	return append(verb, "--id", ok(o.t, verb...)["id"].(string))
}

// batch is the newest one.
func (o *operated) batch() map[string]any {
	o.t.Helper()
	all := o.do("payouts", "batches")["batches"].([]any)
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1].(map[string]any)
}

// flushed waits until a batch other than one is in the mempool, and nothing else is.
func (o *operated) flushed(other any) map[string]any {
	o.t.Helper()
	until(o.t, "a batch is published", func() bool {
		o.do("payouts", "flush")
		return o.batch() != nil && o.batch()["batch"] != other && o.inMempool(o.batch())
	})
	return o.batch()
}

// inMempool says whether the newest transaction of a batch is there, alone.
func (o *operated) inMempool(batch map[string]any) bool {
	o.t.Helper()
	ids, err := o.n.Chain.Mempool(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	tries := batch["txids"].([]any)
	return len(ids) == 1 && len(tries) > 0 && ids[0] == tries[len(tries)-1]
}

// confirmed mines what a withdrawal needs, until it is done.
func (o *operated) confirmed(verb []string) {
	o.t.Helper()
	o.mine(o.t, 3)
	until(o.t, "the withdrawal is done", func() bool {
		o.do("payouts", "flush") // it has the hub look at the chain now
		r := millrace(o.t, nil, nil, append(verb, "--wait", "1s", "--json")...)
		return r.code == 0 && object(o.t, r.out)["status"] == "done"
	})
}

// TestRegtestOperator: fees rise, and the operator has a batch pay more; the coins of another are spent past the hub, and he gives it up and
// explains what has happened to the books.
func TestRegtestOperator(t *testing.T) {
	n := networktest.Start(t)
	dir := filepath.Join(t.TempDir(), "data")
	ok(t, "init", "--data", dir)
	var cut atomic.Bool // whether transactions do not get through to lnd
	lnd, err := n.Hub.Switchboard(func(_ context.Context, method string, m network.Moment) error {
		if cut.Load() && method == "PublishTransaction" {
			return errors.New("cut")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lnd.Close() })
	had := holdings(t, n.Hub)
	direct, _ := process(t, dir, append(connected(n), "--batch-every", "1h", "--lnd-address", lnd.Address())...)
	url, checker := strict(t, direct)
	o := &operated{t: t, money: &money{served: served{url: url, dir: dir, operator: filepath.Join(dir, "operator.token")}, n: n}}
	o.do("reconcile", "run") // opens the books
	o.reader, o.file = o.account(t, "")
	d := ok(t, "deposit", "invoice", "--hub", url, "--token-file", o.file, "--amount-msat", "500000000")
	if _, err := n.Payer.Pay(t.Context(), d["invoice"].(string), 0); err != nil {
		t.Fatal(err)
	}
	until(t, "the deposit is credited", func() bool { return o.balance(t, o.file) == "500000000" })

	first := o.withdraw()
	batch := o.flushed(nil)
	id := batch["batch"].(string)
	bumped := o.do("payouts", "bump", id, "--sat-per-kvb", "40000")
	if tries := bumped["txids"].([]any); len(tries) != 2 || bumped["batch"] != id {
		t.Errorf("%v", bumped)
	}
	until(t, "the dearer transaction has taken the place of the other", func() bool { return o.inMempool(bumped) })
	fails(t, exitRefused, "", "payouts", "bump", id, "--sat-per-kvb", "1000", "--hub", url, "--token-file", o.operator)
	o.confirmed(first)

	cut.Store(true)
	second := o.withdraw()
	until(t, "the next batch is signed", func() bool {
		o.do("payouts", "flush")
		return o.batch()["batch"] != id && o.batch()["status"] == "signed"
	})
	lost := o.batch()["batch"].(string)
	fails(t, exitRefused, "", "payouts", "abandon", lost, "--hub", url, "--token-file", o.operator)
	spent, out := o.spendPast()
	o.mine(t, 3)
	cut.Store(false)
	until(t, "the operator is told", func() bool {
		o.do("payouts", "flush")
		return slices.ContainsFunc(o.do("payouts", "incidents")["incidents"].([]any), func(i any) bool {
			return i.(map[string]any)["kind"] == "conflict" && i.(map[string]any)["subject"] == lost
		})
	})
	until(t, "the batch is given up", func() bool { // the incident may be told before the batch is marked, or the node just be back
		return millrace(t, nil, nil, "payouts", "abandon", lost, "--hub", url, "--token-file", o.operator).code == 0
	})
	o.do("reconcile", "adjust", "coins-moved", "--out-msat", fmt.Sprint(out), "--ref", spent, "--reason", "the operator moved coins")
	o.flushed(lost)
	o.confirmed(second)

	o.agree(t, int64(had)-out)
	if r := o.do("reconcile", "show"); r["full"] != true || r["due_msat"] == json.Number("0") {
		t.Errorf("%v", r)
	}
	for _, op := range []string{ // what hub/api's tests cannot see a success of, without nodes
		"POST /v1/rails/batches/{batch}/bump", "POST /v1/rails/batches/{batch}/abandon", "POST /v1/rails/flush",
		"GET /v1/rails/reconciliation", "POST /v1/rails/reconciliation", "POST /v1/rails/adjustments",
	} {
		if !slices.Contains(checker.Seen(), op) {
			t.Errorf("no success of %s", op)
		}
	}
}

// spendPast has the node spend the coins that are set aside for a batch, and returns the transaction and what the node has less since.
func (o *operated) spendPast() (id string, out int64) {
	o.t.Helper()
	ctx, wallet := o.t.Context(), walletrpc.NewWalletKitClient(o.n.Hub.Conn())
	had := holdings(o.t, o.n.Hub)
	leases, err := wallet.ListLeases(ctx, &walletrpc.ListLeasesRequest{})
	if err != nil || len(leases.LockedUtxos) == 0 {
		o.t.Fatal(leases, err)
	}
	var coins []*lnrpc.OutPoint
	for _, l := range leases.LockedUtxos {
		if _, err := wallet.ReleaseOutput(ctx, &walletrpc.ReleaseOutputRequest{Id: l.Id, Outpoint: l.Outpoint}); err != nil {
			o.t.Fatal(err)
		}
		coins = append(coins, l.Outpoint)
	}
	to, err := o.n.Payer.NewAddress(ctx)
	if err != nil {
		o.t.Fatal(err)
	}
	sent, err := o.n.Hub.RPC().SendCoins(ctx, &lnrpc.SendCoinsRequest{Addr: to, Amount: 20_000, SatPerVbyte: 2, Outpoints: coins})
	if err != nil {
		o.t.Fatal(err)
	}
	until(o.t, "it is in the mempool", func() bool {
		ids, err := o.n.Chain.Mempool(ctx)
		return err == nil && slices.Contains(ids, sent.Txid)
	})
	return sent.Txid, int64(had - holdings(o.t, o.n.Hub))
}
