package channels

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
)

// dust has the wallet spend so many inputs that a transaction costs that much more than its outputs do.
func (c *blockchain) dust(more Sat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inputs = more
}

// TestHubFee: a batch that would cost the hub more than it may is not published; an operator hears of it, its coins are free, its payouts
// wait, and are paid when fees are lower. Those whose limits suffice are paid meanwhile.
func TestHubFee(t *testing.T) {
	r := patient(t, func(c *Config) { c.HubFee = 1000 })
	r.chain.give(10_000_000, 10_000_000)
	from := r.account(1_000_000_000)
	income, _ := r.book.Account(ledger.Fees)
	poor := r.queued(from, 5, 1_000_000, 1_000_000)
	rich := r.queued(r.account(1_000_000_000), 1, 1_000_000, 50_000_000)[0]
	r.chain.dust(20_000)
	r.Flush()
	if i := r.incident("fees"); i.Subject != waitsForFees || i.Amount <= 1_000_000 {
		t.Errorf("%+v", i)
	}
	r.published(1)
	if n := len(r.Batches()[0].Parts); n != 1 {
		t.Errorf("a batch of %d", n)
	}
	r.chain.mu.Lock()
	if len(r.chain.leased) != 1 { // the one that is spent
		t.Errorf("%d coins are set aside", len(r.chain.leased))
	}
	r.chain.mu.Unlock()
	r.eventually("the others wait for the next", func() bool { return r.Counts().Queue["batch"] == 5 })
	r.crash()
	r.eventually("they wait for the next after a restart", func() bool { return r.Counts().Queue["batch"] == 5 })
	r.incident("fees")
	r.chain.mine(2)
	r.Block()
	r.ends(rich.Key, Done)
	r.has(ledger.Fees, income.Available, 0)
	if _, err := r.Cancel(poor[0].Key, "changed my mind"); err != nil {
		t.Error(err)
	}
	r.Flush() // in vain
	r.eventually("it was met again", func() bool { list, _ := r.Incidents(0); return len(list) == 1 })
	r.chain.dust(0)
	r.eventually("they are paid, and the incident is closed by itself", func() bool {
		r.Flush()
		r.chain.mine(1)
		r.Block()
		list, _ := r.Incidents(0)
		p, _ := r.Payout(poor[4].Key)
		return len(list) == 0 && p.Status == Done
	})
}

// TestHubFeeLate: payouts that wait for lower fees longer than they may fail, and with them ends the incident.
func TestHubFeeLate(t *testing.T) {
	r := patient(t, func(c *Config) { c.HubFee = -1 })
	r.chain.give(10_000_000)
	from := r.account(1_000_000_000)
	q := r.queued(from, 3, 1_000_000, 1_000_000)
	r.chain.dust(1_000_000)
	r.Flush()
	r.incident("fees")
	r.clock.forward(73 * time.Hour)
	r.eventually("they fail", func() bool {
		r.Flush()
		p, _ := r.Payout(q[0].Key)
		return p.Status == Voided && p.Reason == reasonLate
	})
	for i := range q {
		r.ends(q[i].Key, Voided)
	}
	r.eventually("the incident is closed by itself", func() bool {
		r.clock.forward(2 * time.Hour)
		r.Block()
		list, _ := r.Incidents(0)
		return len(list) == 0
	})
	r.has(from, 1_000_000_000, 0)
}

// TestHubFeeFull: full batches are not made again and again while they are too dear.
func TestHubFeeFull(t *testing.T) {
	r := patient(t, func(c *Config) { c.HubFee, c.BatchOutputs = 1000, 3 })
	r.chain.give(10_000_000)
	r.chain.dust(1_000_000)
	from := r.account(1_000_000_000)
	for i := range 3 {
		r.withdraw(r.request(from, fmt.Sprintf("addr%d", i), 1_000_000, 1_000_000))
	}
	r.incident("fees")
	r.eventually("they wait", func() bool { return r.Counts().Queue["batch"] == 3 })
	funded := func() int { r.chain.mu.Lock(); defer r.chain.mu.Unlock(); return r.chain.funded }
	before := funded()
	for range 5 {
		r.tendChain()
	}
	if n := funded(); n != before {
		t.Errorf("funded %d times more", n-before)
	}
	r.clock.forward(61 * time.Minute)
	r.eventually("it is tried again", func() bool { r.Block(); return funded() > before })
}

// TestHubFeeBump: by itself a batch pays more only as far as the hub may pay; an operator who names a rate is not bound.
func TestHubFeeBump(t *testing.T) {
	r := patient(t, func(c *Config) { c.BumpAfter, c.HubFee = time.Hour, 1000 })
	r.chain.give(10_000_000)
	from := r.account(1_000_000_000)
	all := r.queued(from, 3, 1_000_000, 900_000)
	r.Flush()
	r.published(1)
	r.chain.mu.Lock()
	r.chain.rate = 200_000
	r.chain.mu.Unlock()
	r.clock.forward(61 * time.Minute)
	r.Block()
	r.eventually("it is bumped", func() bool { return len(r.Batches()[0].Tries) == 2 })
	b := r.Batches()[0]
	if rest := b.beyond(b.last().Fee); rest == 0 || rest > 1_000_000 {
		t.Errorf("the hub pays %d of %d sat", rest, b.last().Fee)
	}
	r.clock.forward(61 * time.Minute)
	r.Block()
	if i := r.incident("fees"); i.Subject != b.ID.String() {
		t.Errorf("%+v", i)
	}
	if n := len(r.Batches()[0].Tries); n != 2 {
		t.Errorf("%d transactions", n)
	}
	if err := r.Bump(b.ID, 200_000); err != nil {
		t.Errorf("an operator names a rate: %v", err)
	}
	r.chain.mine(2)
	r.Block()
	for _, q := range all {
		r.ends(q.Key, Done)
	}
	if b = r.closed(b.ID); b.Rest <= 1_000_000 {
		t.Errorf("the hub paid %d", b.Rest)
	}
	if list, _ := r.Incidents(0); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// TestDearest: the highest fee is the highest.
func TestDearest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		b := Batch{Parts: make([]Part, 1+rng.IntN(50))}
		for i := range b.Parts {
			b.Parts[i] = Part{Weight: 120 + rng.Int64N(60), Limit: ledger.Msat(rng.Uint64N(10_000_000))}
		}
		most := ledger.Msat(rng.Uint64N(100_000_000))
		if fee := b.dearest(most); b.beyond(fee) > most || b.beyond(fee+1) <= most {
			t.Fatalf("of %d sat the hub pays %d, of one more %d; at most %d", fee, b.beyond(fee), b.beyond(fee+1), most)
		}
	}
}
