package channels_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/audit"
	"github.com/millrace/millrace/deploy/regtest/network"
	"github.com/millrace/millrace/deploy/regtest/networktest"
	"github.com/millrace/millrace/ledger"
)

// audited is a hub whose books are compared, and whose payouts wait while they do not agree.
type audited struct {
	*real
	auditor atomic.Pointer[audit.Auditor]
}

func newAudited(t *testing.T) *audited {
	a := new(audited)
	a.real = newReal(t, networktest.Start(t), a.gated)
	a.openAuditor()
	return a
}

func (a *audited) gated(c *channels.Config) {
	c.Gate = func(channels.Payout) error {
		if auditor := a.auditor.Load(); auditor != nil {
			return auditor.Stopped()
		}
		return nil
	}
}

func (a *audited) openAuditor() {
	a.t.Helper()
	auditor, err := audit.New(audit.Config{Store: a.records, Ledger: a.hub.Book(), Node: a.lightning, History: a.lightning, Records: a.Rails, Archive: a.Rails, Alarms: a.Rails,
		Late: 4 * time.Second, Changed: a.Wake})
	a.must(err)
	a.auditor.Store(auditor)
}

// check compares the books, which must differ in just these.
func (a *audited) check(what string, full bool, kinds ...audit.Kind) audit.Report {
	a.t.Helper()
	r, err := a.auditor.Load().Check(a.ctx, full)
	a.must(err)
	if len(r.Mismatches) != len(kinds) || !r.Steady && len(kinds) == 0 {
		a.t.Fatalf("%s: %+v, steady %v, %+v", what, r.Mismatches, r.Steady, r.Sheet)
	}
	for i, k := range kinds {
		if r.Mismatches[i].Kind != k {
			a.t.Fatalf("%s: %+v", what, r.Mismatches)
		}
	}
	if stopped := a.auditor.Load().Stopped(); (stopped != nil) != (len(kinds) > 0) {
		a.t.Fatalf("%s: %v", what, stopped)
	}
	a.t.Logf("%s: %d ms, held %d, owed %d, ratio %.3f", what, r.Millis, r.Sheet.Held, r.Sheet.Owed, r.Sheet.Ratio)
	return r
}

func (a *audited) explain(id, ref, reason string, amount int64) {
	a.t.Helper()
	_, err := a.auditor.Load().Adjust(audit.Adjustment{ID: id, Amount: amount, Ref: ref, Reason: reason, By: "operator"})
	a.must(err)
}

// TestRegtestAudit: the node's books, the records and the ledger agree to the msat whatever goes through the hub, and at every point of it;
// what goes past the hub is found, and stops payouts until it is explained.
func TestRegtestAudit(t *testing.T) {
	a := newAudited(t)
	opening := a.check("opened", true)
	if opening.Sheet.Capital != opening.Sheet.Held || opening.Sheet.Tied == 0 {
		t.Errorf("%+v", opening.Sheet)
	}
	reader, other := a.newAccount(), a.newAccount()
	a.deposit(reader, 50_000_123)
	a.check("a deposit", false)
	for _, q := range []channels.Request{
		a.request(reader, a.bill(3_000_001), 0, 1000), a.request(reader, a.net.Publisher.Key(), 2_000_007, 1000), a.request(reader, other.String(), 1_000_000, 0),
	} {
		if p := a.pay(q); p.Status != channels.Done {
			t.Fatalf("%s, %s", p.Status, p.Reason)
		}
	}
	mine, err := a.NewInvoice(a.ctx, other, channels.NewInvoice{Amount: 500_000})
	a.must(err)
	if p := a.pay(a.request(reader, mine.Invoice, 0, 0)); p.Rail != channels.Internal {
		t.Errorf("%s", p.Rail)
	}
	_, err = a.net.Payer.Keysend(a.ctx, a.net.Hub.Key(), [32]byte{1, 2, 3}, 4242, nil) // for nobody
	a.must(err)
	r := a.check("payouts, and money that nobody owns", true)
	if r.Sheet.Uncredited != 4242 || r.Sheet.Owed != 50_000_123-3_000_001-2_000_007 {
		t.Errorf("%+v", r.Sheet)
	}
	a.audited(reader)
	a.forwarded()
	a.must(a.realHub.Close())
	a.open(a.gated)
	a.openAuditor()
	a.check("after a restart", true)
}

// audited: coins come and go on-chain.
func (a *audited) audited(reader ledger.AccountNo) {
	a.t.Helper()
	address, err := a.NewAddress(a.ctx, reader)
	a.must(err)
	began := time.Now()
	ref := a.coinTo(address, 5_000_000)
	a.eventually("the deposit is pending", func() bool {
		d, err := a.Deposit(reader, ref)
		return err == nil && d.Status == channels.DepositPending
	})
	a.t.Logf("noticed after %v", time.Since(began))
	r := a.check("coins in the mempool", false)
	if r.Sheet.Uncredited != 5_000_000_000+4242 {
		a.t.Errorf("%+v", r.Sheet)
	}
	a.mine(1)
	a.check("coins with one confirmation", false)
	a.mine(2)
	a.credited(reader, ref)
	a.check("coins credited", true)
	var all []channels.Request
	for n := range 5 {
		q := a.request(reader, a.creator(n), 20_000_000, 10_000_000)
		_, err := a.Withdraw(a.ctx, q)
		a.must(err)
		all = append(all, q)
	}
	a.check("a batch that waits", false)
	a.Flush()
	a.eventually("it is published", func() bool { ids, _ := a.net.Chain.Mempool(a.ctx); return len(ids) == 1 })
	if r := a.check("a batch in the mempool", true); r.Sheet.Uncaptured <= 5*20_000_000 {
		a.t.Errorf("%+v", r.Sheet)
	}
	a.must(a.Bump(a.Batches()[0].ID, 30_000))
	a.check("a batch that was bumped", true)
	a.mine(1)
	a.check("a batch with one confirmation", false)
	a.mine(1)
	for _, q := range all {
		if p, err := a.Wait(a.ctx, q.Key); err != nil || p.Status != channels.Done {
			a.t.Fatalf("%s, %v", p.Status, err)
		}
	}
	if r := a.check("a batch that is paid", true); r.Sheet.Uncaptured != 0 {
		a.t.Errorf("%+v", r.Sheet)
	}
	a.mine(110)
	a.check("all is buried", true)
}

// forwarded: the node earns by a payment of others.
func (a *audited) forwarded() {
	a.t.Helper()
	_, err := a.net.Payer.Pay(a.ctx, a.bill(7_000_000), 0)
	a.must(err)
	a.eventually("the node has written down what it earned", func() bool { // lnd does so every 15 s
		f, err := a.lightning.Forwards(a.ctx, time.Now().Add(-time.Hour), time.Now().Add(time.Minute))
		return err == nil && f.Fees > 0
	})
	if r := a.check("a payment of others", false); r.Sheet.Earned == 0 {
		a.t.Errorf("%+v", r.Sheet)
	}
}

// TestRegtestPastTheHub: what the operator does with the node by himself.
func TestRegtestPastTheHub(t *testing.T) {
	a := newAudited(t)
	a.check("opened", false)
	reader := a.newAccount()
	a.deposit(reader, 50_000_000)
	a.check("a deposit", false)

	paid, err := a.net.Hub.Pay(a.ctx, a.bill(1_234_567), 0)
	a.must(err)
	r := a.check("a payment by lncli", false, audit.KindPayment)
	if m := r.Mismatches[0]; m.Amount != ledger.Msat(paid.Amount+paid.Fee) || r.Sheet.Unexplained != -paid.Amount-paid.Fee {
		t.Errorf("%+v, paid %+v; %+v", m, paid, r.Sheet)
	}
	list, err := a.Incidents(0)
	a.must(err)
	if len(list) != 1 || list[0].Kind != "audit" {
		t.Errorf("%+v", list)
	}
	q := a.request(reader, a.bill(1_000_000), 0, 1000)
	short, cancel := context.WithTimeout(a.ctx, 200*time.Millisecond)
	_, err = a.Withdraw(short, q)
	a.must(err)
	cancel()
	a.check("and it stays", true, audit.KindPayment)
	if p, err := a.Payout(q.Key); err != nil || p.Status.Over() || p.Status == channels.InTransit {
		t.Errorf("a payout while they are stopped: %s, %v", p.Status, err)
	}
	a.deposit(reader, 1_000_000) // deposits go on
	a.explain("lncli", r.Mismatches[0].Subject, "a test of the channel", -paid.Amount-paid.Fee)
	a.check("explained", true)
	if p, err := a.Wait(a.ctx, q.Key); err != nil || p.Status != channels.Done {
		t.Errorf("it goes on: %s, %v", p.Status, err)
	}
	a.check("and paid", true)

	address, err := a.net.Hub.NewAddress(a.ctx)
	a.must(err)
	ref := a.coinTo(address, 300_000_000)
	r = a.check("coins brought in", false) // by whomever: they stop nothing
	if len(r.Surplus) != 1 || r.Surplus[0].Subject != ref.Hash.TxID() || r.Sheet.Unexplained != 300_000_000_000 {
		t.Errorf("%+v, %+v", r.Surplus, r.Sheet)
	}
	a.explain("capital", ref.Hash.TxID(), "brought in", 300_000_000_000)
	a.check("explained", false)
	a.mine(1)
	a.check("confirmed", false)

	far, err := a.net.Add(a.ctx, "far")
	a.must(err)
	a.check("a node more", false)
	a.must(a.net.Open(a.ctx, a.net.Hub, far))
	r = a.check("a channel opened", false, audit.KindTotal)
	if r.Sheet.Difference != -network.ChannelPush*1000 || r.Sheet.Costs == 0 {
		t.Errorf("it gave %d sat away, and %+v", network.ChannelPush, r.Sheet)
	}
	a.explain("push", "", "given to the other side of a channel", -network.ChannelPush*1000)
	a.check("explained", true)
	if _, err := a.net.Hub.Send(a.ctx, a.creator(1), 12_345); err != nil {
		t.Fatal(err)
	}
	r = a.check("coins taken out", false, audit.KindMovement)
	a.explain("taken", r.Mismatches[0].Subject, "taken out", r.Sheet.Unexplained)
	a.check("explained", true)

	a.must(a.net.Hub.Kill())
	if _, err := a.auditor.Load().Check(a.ctx, false); !errors.Is(err, channels.ErrDown) {
		t.Errorf("without the node: %v", err)
	}
	a.must(a.net.Hub.Start(a.ctx))
	a.must(a.net.Ready(a.ctx))
	a.check("the node is back", true)
}

// TestRegtestBackup: the node's channel backup is kept, and one that it made when it got another channel.
func TestRegtestBackup(t *testing.T) {
	r := newReal(t, networktest.Start(t), nil)
	k := &audit.Keeper{Dir: filepath.Join(t.TempDir(), "scb"), Node: r.lightning}
	ctx, cancel := context.WithCancel(r.ctx)
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	has := func(channels int) {
		t.Helper()
		r.eventually("the backup is of all channels", func() bool {
			path, err := k.Newest()
			if err != nil {
				return false
			}
			text, err := os.ReadFile(path)
			r.must(err)
			points, err := r.lightning.VerifyBackup(r.ctx, text)
			return err == nil && len(points) == channels
		})
	}
	has(2)
	far, err := r.net.Add(r.ctx, "far")
	r.must(err)
	r.must(r.net.Open(r.ctx, r.net.Hub, far))
	has(3)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
