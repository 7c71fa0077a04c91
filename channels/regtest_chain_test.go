package channels_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/deploy/regtest/networktest"
	"github.com/millrace/millrace/ledger"
)

// creator is an address that nobody else has.
func (r *real) creator(n int) string {
	r.t.Helper()
	hash := [20]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(time.Now().UnixNano()), byte(time.Now().UnixNano() >> 8), 1, 2}
	a, err := btcutil.NewAddressWitnessPubKeyHash(hash[:], &chaincfg.SimNetParams)
	r.must(err)
	return a.EncodeAddress()
}

// confirmed is what the wallet has, once the chain is quiet.
func (r *real) confirmed() channels.Sat {
	r.t.Helper()
	a, err := r.lightning.Assets(r.ctx)
	r.must(err)
	return a.Confirmed + a.Unconfirmed + a.Leased
}

// TestRegtestThousand: a thousand creators are paid by one transaction, and the books say what the wallet has, to the satoshi.
func TestRegtestThousand(t *testing.T) {
	r := newReal(t, networktest.Start(t), nil)
	before := r.confirmed()
	publisher := r.newAccount()
	r.depositCoin(publisher, 500_000_000)
	var all []channels.Request
	limit := make(chan struct{}, 64)
	failed := make(chan error, 1000)
	began := time.Now()
	for i := range 1000 {
		q := r.request(publisher, r.creator(i), ledger.Msat(1000*(10_000+i)), 2_000_000)
		all = append(all, q)
		limit <- struct{}{}
		go func() {
			_, err := r.Withdraw(r.ctx, q)
			failed <- err
			<-limit
		}()
	}
	for range all {
		r.must(<-failed)
	}
	t.Logf("a thousand asked for and held in %v", time.Since(began))
	r.eventually("they wait", func() bool { return r.Counts().Queue["batch"] == 1000 })
	began = time.Now()
	r.Flush()
	r.eventually("it is published", func() bool {
		ids, err := r.net.Chain.Mempool(r.ctx)
		r.must(err)
		return len(ids) == 1
	})
	t.Logf("built and published in %v", time.Since(began))
	r.mine(1)
	r.mine(1)
	began = time.Now()
	var paid ledger.Msat
	for _, q := range all {
		p, err := r.Wait(r.ctx, q.Key)
		r.must(err)
		if p.Status != channels.Done || p.Fee > p.FeeLimit || p.Fee == 0 {
			t.Fatalf("%s, %s, fee %d", p.Status, p.Reason, p.Fee)
		}
		paid += p.Pays + p.Fee
	}
	t.Logf("captured in %v", time.Since(began))
	if got := r.has(publisher); got != 500_000_000_000-paid {
		t.Errorf("%d left, want %d", got, 500_000_000_000-paid)
	}
	if got := r.outside(ledger.Chain); got != int64(500_000_000_000-paid) {
		t.Errorf("the ledger says %d", got)
	}
	r.eventually("the wallet has what the ledger says", func() bool {
		return int64(r.confirmed()-before)*1000 == r.outside(ledger.Chain)
	})
}

// TestRegtestBatches: more than fits into one transaction is several; fees that rise are paid by a bump, whichever is confirmed.
func TestRegtestBatches(t *testing.T) {
	r := newReal(t, networktest.Start(t), func(c *channels.Config) { c.BatchOutputs, c.BatchEvery = 30, time.Hour })
	payer := r.newAccount()
	r.depositCoin(payer, 100_000_000)
	feed, err := r.hub.Book().Submit(ledger.Op{Kind: ledger.OpTransfer, Actor: payer, Target: uint32(ledger.Fees), Amount: 1_000_000_000, ID: r.hub.Book().NewID()})
	r.must(err)
	if !feed.Result().OK() {
		t.Fatal(feed.Result())
	}
	before := r.confirmed()
	owed := r.outside(ledger.Chain)
	var all []channels.Request
	for i := range 70 {
		q := r.request(payer, r.creator(i), 5_000_000, 500_000)
		_, err := r.Withdraw(r.ctx, q)
		r.must(err)
		all = append(all, q)
	}
	if _, err := r.Withdraw(r.ctx, r.request(payer, r.creator(0), 293_000, 10_000_000)); !errors.Is(err, channels.ErrDust) {
		t.Errorf("dust: %v", err)
	}
	if _, err := r.Withdraw(r.ctx, r.request(payer, r.creator(0), 5_000_000, 1000)); !errors.Is(err, channels.ErrLimit) {
		t.Errorf("a limit below the least: %v", err)
	}
	r.Flush()
	r.eventually("three transactions are published", func() bool {
		ids, err := r.net.Chain.Mempool(r.ctx)
		r.must(err)
		return len(ids) == 3
	})
	for _, b := range r.Batches() {
		r.must(r.Bump(b.ID, 60_000))
		if err := r.Bump(b.ID, 1000); !errors.Is(err, channels.ErrFee) {
			t.Errorf("bumped to less: %v", err)
		}
	}
	r.must(r.restart())
	r.eventually("three are left", func() bool {
		ids, err := r.net.Chain.Mempool(r.ctx)
		r.must(err)
		return len(ids) == 3
	})
	r.must(r.net.Chain.Stop()) // it forgets its mempool
	r.must(r.net.Chain.Start(r.ctx))
	r.eventually("they are published again, as they were replaced", func() bool { // lnd may have published what they replaced before
		ids, err := r.net.Chain.Mempool(r.ctx)
		r.must(err)
		return len(ids) == 3 && !slices.ContainsFunc(r.Batches(), func(b channels.Batch) bool {
			return !slices.Contains(ids, b.Tries[len(b.Tries)-1].ID.TxID())
		})
	})
	r.mine(2)
	var fees, limits ledger.Msat
	for _, q := range all {
		p, err := r.Wait(r.ctx, q.Key)
		r.must(err)
		if p.Status != channels.Done || p.Fee > p.FeeLimit {
			t.Fatalf("%s, %s, fee %d", p.Status, p.Reason, p.Fee)
		}
		fees += p.Fee
		limits += p.FeeLimit
	}
	r.eventually("the batches are closed", func() bool {
		for _, b := range r.Batches() {
			if b.Status != channels.BatchClosed {
				return false
			}
		}
		return true
	})
	var rest ledger.Msat
	for _, b := range r.Batches() {
		rest += b.Rest
		if len(b.Tries) != 2 || b.Winner != 1 {
			t.Errorf("%d tries, the winner is %d", len(b.Tries), b.Winner)
		}
	}
	if rest == 0 || fees != limits {
		t.Errorf("fees of %d within %d, and %d of the hub's", fees, limits, rest)
	}
	r.eventually("the wallet has what the ledger says", func() bool {
		return int64(r.confirmed()-before)*1000 == r.outside(ledger.Chain)-owed
	})
}

// restart ends the rails and the hub as if by a crash, but for what the operating system would free, and starts them again.
func (r *real) restart() error {
	if err := r.realHub.Close(); err != nil {
		return err
	}
	r.open(func(c *channels.Config) { c.BatchOutputs, c.BatchEvery = 30, time.Hour })
	return nil
}

// TestRegtestReorg: a fork of depth two un-pends what was pending, is an incident after a credit, and takes nothing back; a batch that
// it undoes is confirmed again, also when it was closed.
func TestRegtestReorg(t *testing.T) {
	r := newReal(t, networktest.Start(t), nil)
	to := r.newAccount()
	address, err := r.NewAddress(r.ctx, to)
	r.must(err)
	small := r.coinTo(address, 500_000)
	large := r.coinTo(address, 5_000_000)
	r.mine(2)
	r.credited(to, small)
	r.eventually("the large one has two confirmations", func() bool { d, _ := r.Deposit(to, large); return d.Has == 2 })
	r.must(r.net.Chain.Reorg(r.ctx, 2))
	r.eventually("the large one is pending again", func() bool {
		d, _ := r.Deposit(to, large)
		return d.Has == 0 && (d.Status == channels.DepositPending || d.Status == channels.DepositGone)
	})
	r.eventually("an incident", func() bool {
		list, _ := r.Incidents(0)
		return len(list) == 1 && list[0].Kind == "reorganised" && list[0].Subject == small.String()
	})
	if got := r.has(to); got != 500_000_000 {
		t.Errorf("%d: taken back, or credited", got)
	}
	r.mine(3)
	r.credited(to, large)
	r.eventually("the incident is over", func() bool { list, _ := r.Incidents(0); return len(list) == 0 })

	q := r.request(to, r.creator(1), 1_000_000, 10_000_000)
	_, err = r.Withdraw(r.ctx, q)
	r.must(err)
	r.Flush()
	r.eventually("it is published", func() bool { ids, _ := r.net.Chain.Mempool(r.ctx); return len(ids) == 1 })
	r.mine(1)
	r.eventually("it is confirmed once", func() bool {
		p, err := r.chain.Place(r.ctx, r.Batches()[0].Tries[0].ID)
		return err == nil && p.Confirmations == 1
	})
	r.must(r.net.Chain.Reorg(r.ctx, 1))
	time.Sleep(300 * time.Millisecond)
	if p, _ := r.Payout(q.Key); p.Status != channels.InTransit {
		t.Errorf("undone, and %s", p.Status)
	}
	r.eventually("it is in the mempool again", func() bool { ids, _ := r.net.Chain.Mempool(r.ctx); return len(ids) == 1 })
	r.mine(2)
	p, err := r.Wait(r.ctx, q.Key)
	r.must(err)
	if want := ledger.Msat(5_500_000_000) - p.Pays - p.Fee; p.Status != channels.Done || r.has(to) != want {
		t.Errorf("%s: %d left, want %d", p.Status, r.has(to), want)
	}

	batch, has := r.Batches()[0].ID.String(), r.has(to)
	r.must(r.net.Chain.Reorg(r.ctx, 2))
	r.eventually("an incident", func() bool {
		list, _ := r.Incidents(0)
		return slices.ContainsFunc(list, func(i channels.Incident) bool { return i.Kind == "reorganised" && i.Subject == batch })
	})
	r.eventually("it is in the mempool once more", func() bool { ids, _ := r.net.Chain.Mempool(r.ctx); return len(ids) == 1 })
	r.mine(2)
	r.eventually("the incident is over", func() bool { list, _ := r.Incidents(0); return len(list) == 0 })
	if p, err := r.Payout(q.Key); err != nil || p.Status != channels.Done || r.has(to) != has {
		t.Errorf("%s, and %d left of %d", p.Status, r.has(to), has)
	}
}
