package channels_test

import (
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/deploy/regtest/network"
	"github.com/millrace/millrace/deploy/regtest/networktest"
	"github.com/millrace/millrace/ledger"
)

// bills are payouts to invoices of the publisher's, of which every other one is cancelled, so that they fail.
func (r *real) bills(no ledger.AccountNo, n int) (good, bad []channels.Request) {
	r.t.Helper()
	for i := range n {
		text := r.bill(1_000_000)
		q := r.request(no, text, 0, 1000)
		if i%2 == 0 {
			good = append(good, q)
			continue
		}
		inv, err := r.lightning.Decode(text)
		r.must(err)
		r.must(r.net.Publisher.Cancel(r.ctx, inv.Hash))
		bad = append(bad, q)
	}
	return good, bad
}

func (r *real) begin(all ...channels.Request) {
	r.t.Helper()
	for _, q := range all {
		_, err := r.Withdraw(r.ctx, q)
		r.must(err)
	}
}

func (r *real) ends(all []channels.Request, want channels.Status) {
	r.t.Helper()
	for _, q := range all {
		p, err := r.Wait(r.ctx, q.Key)
		r.must(err)
		if p.Status != want {
			r.t.Errorf("%s, %s; want %s", p.Status, p.Reason, want)
		}
	}
}

// agrees waits until the node has gained what the ledger says.
func (r *real) agrees(before channels.Assets) {
	r.t.Helper()
	r.eventually("the node has gained what the ledger says", func() bool {
		after, err := r.lightning.Assets(r.ctx)
		return err == nil && int64(after.Local+after.Pending)-int64(before.Local+before.Pending) == r.outside(ledger.Lightning)
	})
}

// TestRegtestLate: an lnd that answers late, or not at all until the hub has been started anew, pays nobody twice.
func TestRegtestLate(t *testing.T) {
	r := newReal(t, networktest.Start(t), nil)
	proxy, err := network.NewProxy(r.place.NodeAddress)
	r.must(err)
	t.Cleanup(func() { r.must(proxy.Close()) })
	r.must(r.realHub.Close())
	r.place.NodeAddress = proxy.Address()
	impatient := func(c *channels.Config) { c.SlotFor, c.CallFor, c.Quiet = time.Second, time.Second, 3*time.Second }
	r.open(impatient)
	before, err := r.lightning.Assets(r.ctx)
	r.must(err)
	from := r.newAccount()
	r.deposit(from, 100_000_000)
	good, bad := r.bills(from, 20)
	for _, q := range append(good, bad...) {
		inv, err := r.lightning.Decode(q.To)
		r.must(err)
		_, err = r.lightning.Track(r.ctx, inv.Hash)
		if err == nil {
			t.Fatal("known before it was sent")
		}
	}
	half := len(good) / 2
	r.begin(good[:half]...)
	r.begin(bad[:half]...)
	proxy.Hold()
	r.begin(good[half:]...)
	r.begin(bad[half:]...)
	time.Sleep(1500 * time.Millisecond)
	r.must(r.realHub.Close()) // what is under way is given up, and nobody knows how it ended
	r.open(impatient)
	time.Sleep(1500 * time.Millisecond)
	proxy.Let()
	r.ends(good, channels.Done)
	r.ends(bad, channels.Voided)
	if got := r.has(from); got != 100_000_000-10_000_000 {
		t.Errorf("%d left", got)
	}
	r.agrees(before)
}

// endsOrIsStuck decides for the operator about payments that lnd lost when it was killed, and says forever that they are under way: their
// payee has not got them. It returns how many ended as they should.
func (r *real) endsOrIsStuck(all []channels.Request, want channels.Status) (n int) {
	r.t.Helper()
	for _, q := range all {
		var p channels.Payout
		r.eventually("it has an end, or an operator is told", func() bool {
			var err error
			p, err = r.Payout(q.Key)
			r.must(err)
			list, err := r.Incidents(0)
			r.must(err)
			return p.Status.Over() || slices.ContainsFunc(list, func(i channels.Incident) bool { return i.Kind == "stuck" && i.Subject == q.Key.String() })
		})
		if p.Status == want {
			n++
			continue
		}
		if p.Status.Over() {
			r.t.Errorf("%s, %s; want %s", p.Status, p.Reason, want)
			continue
		}
		_, err := r.Decide(q.Key, false, "the payee has not got it")
		r.must(err)
		r.ends([]channels.Request{q}, channels.Voided)
		inv, err := r.net.Publisher.RPC().LookupInvoice(r.ctx, &lnrpc.PaymentHash{RHash: p.Hash[:]})
		r.must(err)
		if inv.State == lnrpc.Invoice_SETTLED {
			r.t.Error("stuck, and paid")
		}
	}
	r.t.Logf("%d of %d are %s", n, len(all), want)
	return n
}

// TestRegtestNodeKill kills the hub's lnd in the middle of payments, also of one that its payee holds.
func TestRegtestNodeKill(t *testing.T) {
	r := newReal(t, networktest.Start(t), nil)
	before, err := r.lightning.Assets(r.ctx)
	r.must(err)
	from := r.newAccount()
	r.deposit(from, 100_000_000)
	var preimage [32]byte
	_, _ = rand.Read(preimage[:])
	hash := sha256.Sum256(preimage[:])
	text, err := r.net.Publisher.Hold(r.ctx, hash, 5_000_000)
	r.must(err)
	held := r.request(from, text, 0, 1000)
	r.begin(held)
	r.must(r.net.Publisher.Held(r.ctx, hash))
	good, bad := r.bills(from, 30)
	r.begin(good...)
	r.begin(bad...)
	time.Sleep(150 * time.Millisecond)
	r.must(r.net.Hub.Kill())
	inside := r.newAccount()
	if p := r.pay(r.request(from, inside.String(), 1_000_000, 0)); p.Status != channels.Done {
		t.Errorf("inside, without a node: %s, %s", p.Status, p.Reason)
	}
	r.must(r.net.Hub.Start(r.ctx))
	r.must(r.net.Ready(r.ctx))
	paid := r.endsOrIsStuck(good, channels.Done)
	r.endsOrIsStuck(bad, channels.Voided)
	if p, _ := r.Payout(held.Key); p.Status != channels.InTransit {
		t.Errorf("held by its payee, and %s", p.Status)
	}
	if list, _ := r.Incidents(0); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	r.must(r.net.Publisher.Settle(r.ctx, preimage))
	r.ends([]channels.Request{held}, channels.Done)
	r.deposit(from, 1_000_000)
	if got, want := r.has(from), 100_000_000-5_000_000-ledger.Msat(paid)*1_000_000; got != want {
		t.Errorf("%d left, want %d", got, want)
	}
	r.agrees(before)
}

// TestRegtestChainKill kills btcd, or lets it hang, in the middle of a batch.
func TestRegtestChainKill(t *testing.T) {
	r := newReal(t, networktest.Start(t), func(c *channels.Config) { c.CallFor = 3 * time.Second })
	before := r.confirmed()
	from := r.newAccount()
	r.depositCoin(from, 100_000_000)
	var all []channels.Request
	batch := func() {
		for i := range 5 {
			all = append(all, r.request(from, r.creator(len(all)+i), 1_000_000, 10_000_000))
		}
		r.begin(all[len(all)-5:]...)
		r.eventually("they wait", func() bool { return r.Counts().Queue["batch"] == 5 })
	}
	batch()
	r.must(r.net.Chain.Pause())
	r.Flush()
	time.Sleep(time.Second)
	r.must(r.net.Chain.Resume())
	r.eventually("one is published", func() bool { ids, _ := r.net.Chain.Mempool(r.ctx); return len(ids) == 1 })
	r.must(r.net.Chain.Kill(r.ctx)) // its mempool is lost
	batch()
	r.Flush()
	time.Sleep(500 * time.Millisecond)
	r.must(r.net.Chain.Start(r.ctx))
	r.eventually("both are published", func() bool { ids, _ := r.net.Chain.Mempool(r.ctx); return len(ids) == 2 })
	r.mine(2)
	r.ends(all, channels.Done)
	r.eventually("the wallet has what the ledger says", func() bool {
		return int64(r.confirmed()-before)*1000 == r.outside(ledger.Chain)
	})
}
