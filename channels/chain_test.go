package channels

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
)

// patient is a rig whose batches are cut when a test says so, and pays fees out of income.
func patient(t *testing.T, change func(*Config)) *rig {
	r := newRig(t, func(c *Config) {
		c.BatchEvery = time.Hour
		if change != nil {
			change(c)
		}
	})
	r.fund(ledger.Fees, 1_000_000_000)
	return r
}

// queued asks for payouts to addresses of their own, and waits until they wait for a batch.
func (r *rig) queued(from ledger.AccountNo, n int, amount, limit ledger.Msat) []Request {
	r.t.Helper()
	before := r.Counts().Queue["batch"]
	var all []Request
	for i := range n {
		q := r.request(from, fmt.Sprintf("addr%v%d", from, i), amount, limit)
		r.withdraw(q)
		all = append(all, q)
	}
	r.eventually("they wait for a batch", func() bool { return r.Counts().Queue["batch"] == before+n })
	return all
}

// published waits until so many transactions are in the mempool.
func (r *rig) published(n int) {
	r.t.Helper()
	r.eventually(fmt.Sprintf("%d transactions in the mempool", n), func() bool {
		r.chain.mu.Lock()
		defer r.chain.mu.Unlock()
		return len(r.chain.mempool) == n
	}, func() any { return r.Batches() })
}

func (r *rig) closed(id ID) Batch {
	r.t.Helper()
	var b Batch
	r.eventually("the batch is closed", func() bool {
		var err error
		if b, err = r.Batch(id); err != nil {
			r.t.Fatal(err)
		}
		return b.Status == BatchClosed
	}, func() any { return b })
	return b
}

// TestBatch: many payouts are one transaction, and the fee is shared to the msat.
func TestBatch(t *testing.T) {
	r := patient(t, nil)
	r.chain.give(10_000_000)
	from := r.account(1_000_000_000)
	all := r.queued(from, 50, 1_000_000, 10_000_000)
	poor := r.queued(from, 1, 1_000_000, 350_000)[0] // a transaction of its own would be above its limit
	r.has(from, 1_000_000_000-50*11_000_000-1_350_000, 50*11_000_000+1_350_000)
	r.Flush()
	r.published(1)
	if p := r.withdraw(poor); p.Status != InTransit || p.Tx != (Hash{}) {
		t.Errorf("%s", shown(p))
	}
	r.chain.mine(1)
	r.Block()
	time.Sleep(20 * time.Millisecond)
	if p := r.withdraw(poor); p.Status != InTransit {
		t.Errorf("after one block of two: %s", shown(p))
	}
	r.chain.mine(1)
	r.Block()
	var fees ledger.Msat
	var batch ID
	for _, q := range append(all, poor) {
		p := r.ends(q.Key, Done)
		fees += p.Fee
		batch = p.Batch
		if p.Tx == (Hash{}) || p.Fee > p.FeeLimit {
			t.Errorf("%s", shown(p))
		}
	}
	b := r.closed(batch)
	if len(b.Parts) != 51 || b.Rest != 0 || ledger.Msat(b.Tries[0].Fee)*1000 != fees {
		t.Errorf("fees of %d for %d, rest %d", fees, b.Tries[0].Fee, b.Rest)
	}
	r.has(from, int64(1_000_000_000-51*1_000_000-fees), 0)
	r.has(ledger.Chain, int64(51*1_000_000+fees), 0)
	r.chain.mine(buried)
	r.Block()
	r.eventually("the batch is buried", func() bool { return len(r.Batches()) == 0 })
}

// TestTooDear: a payout whose limit does not suffice waits, holds up none, and fails when its time is over.
func TestTooDear(t *testing.T) {
	r := patient(t, nil)
	r.chain.give(10_000_000)
	r.chain.rate = 1000
	from := r.account(1_000_000_000)
	if _, err := r.Withdraw(t.Context(), r.request(from, "addrx", 1_000_000, 30_000)); !errors.Is(err, ErrLimit) {
		t.Errorf("a limit below the least: %v", err)
	}
	if _, err := r.Withdraw(t.Context(), r.request(from, "addrx", 329_000, 3_000_000)); !errors.Is(err, ErrDust) {
		t.Errorf("dust: %v", err)
	}
	if _, err := r.Withdraw(t.Context(), r.request(from, "mainx", 329_000, 3_000_000)); !errors.Is(err, ErrNetwork) {
		t.Errorf("another network: %v", err)
	}
	if _, err := r.Withdraw(t.Context(), r.request(from, "addrx", 1_000_001, 3_000_000)); !errors.Is(err, ErrAmount) {
		t.Errorf("a part of a satoshi: %v", err)
	}
	cheap := r.queued(from, 1, 1_000_000, 32_000)[0]
	rich := r.queued(from, 1, 1_000_000, 5_000_000)[0]
	r.chain.mu.Lock()
	r.chain.rate = 20_000
	r.chain.mu.Unlock()
	time.Sleep(2 * r.cfg.Poll)
	r.Flush()
	r.published(1)
	r.chain.mine(2)
	r.Block()
	r.ends(rich.Key, Done)
	if p, _ := r.Payout(cheap.Key); p.Status != Held || p.Reason != "fee_above_limit" {
		t.Errorf("%s", shown(p))
	}
	r.clock.forward(73 * time.Hour)
	r.Flush()
	if p := r.ends(cheap.Key, Voided); p.Reason != reasonLate {
		t.Errorf("%s", shown(p))
	}
}

// TestBump: what is not confirmed pays more, and whichever is confirmed closes the batch; the hub pays what is above the limits.
func TestBump(t *testing.T) {
	for _, old := range []bool{false, true} {
		t.Run(fmt.Sprintf("old one confirmed: %v", old), func(t *testing.T) {
			r := patient(t, nil)
			r.chain.give(10_000_000)
			from := r.account(1_000_000_000)
			all := r.queued(from, 3, 1_000_000, 900_000)
			r.Flush()
			r.published(1)
			b := r.Batches()[0]
			if err := r.Bump(b.ID, 1); !errors.Is(err, ErrFee) {
				t.Errorf("a lower rate: %v", err)
			}
			for _, rate := range []FeeRate{20_000, 40_000} {
				if err := r.Bump(b.ID, rate); err != nil {
					t.Fatal(err)
				}
			}
			r.crash()
			b = r.Batches()[0]
			if len(b.Tries) != 3 || b.Tries[2].ID == b.Tries[0].ID || !slices.Equal(b.Tries[0].Inputs, b.Tries[2].Inputs) {
				t.Fatalf("%+v", b)
			}
			winner := 2
			if old {
				winner = 0
				r.chain.mu.Lock()
				r.chain.mempool = []*transaction{r.chain.signed[string(b.Tries[0].Raw)]} // as a miner may have it
				r.chain.mu.Unlock()
			}
			r.chain.mine(2)
			r.Block()
			var fees ledger.Msat
			for _, q := range all {
				p := r.ends(q.Key, Done)
				fees += p.Fee
				if p.Tx != b.Tries[winner].ID || p.Fee > p.FeeLimit {
					t.Errorf("%s", shown(p))
				}
			}
			b = r.closed(b.ID)
			paid := ledger.Msat(b.Tries[winner].Fee) * 1000
			if b.Winner != winner || fees+b.Rest != paid || (b.Rest > 0) == old {
				t.Errorf("fees of %d and %d for %d", fees, b.Rest, paid)
			}
			r.has(ledger.Chain, int64(3*1_000_000+paid), 0)
			r.has(ledger.Fees, int64(1_000_000_000-b.Rest), 0)
		})
	}
}

// TestBumpBySelf: after some time without a confirmation a batch pays more by itself.
func TestBumpBySelf(t *testing.T) {
	r := patient(t, func(c *Config) { c.BumpAfter = time.Hour })
	r.chain.give(10_000_000)
	from := r.account(1_000_000_000)
	r.queued(from, 3, 1_000_000, 900_000)
	r.Flush()
	r.published(1)
	r.clock.forward(61 * time.Minute)
	r.Block()
	r.eventually("it is bumped", func() bool { return len(r.Batches()[0].Tries) == 2 })
	r.clock.forward(59 * time.Minute)
	r.Block()
	time.Sleep(3 * r.cfg.Poll)
	if n := len(r.Batches()[0].Tries); n != 2 {
		t.Errorf("bumped %d times", n-1)
	}
}

// TestDearMempool: a batch that the mempool wants more for, or has thrown out, pays more by itself too.
func TestDearMempool(t *testing.T) {
	r := patient(t, func(c *Config) { c.BumpAfter = time.Hour })
	r.chain.give(10_000_000)
	from := r.account(1_000_000_000)
	q := r.queued(from, 1, 1_000_000, 5_000_000)[0]
	r.Flush()
	r.published(1)
	r.chain.mu.Lock()
	r.chain.floor, r.chain.rate, r.chain.mempool = r.chain.mempool[0].Fee+1, 20_000, nil
	r.chain.mu.Unlock()
	r.Block()
	r.incident("publish")
	r.clock.forward(61 * time.Minute)
	r.Block()
	r.published(1)
	r.chain.mine(2)
	r.Block()
	r.ends(q.Key, Done)
}

// TestPoorHub: where the hub's income does not suffice for its part of a fee, an operator hears of it, and it is paid when there is more.
func TestPoorHub(t *testing.T) {
	r := newRig(t, func(c *Config) { c.BatchEvery = time.Hour })
	r.chain.give(10_000_000)
	from := r.account(1_000_000_000)
	q := r.queued(from, 1, 1_000_000, 2_000_000)[0]
	r.Flush()
	r.published(1)
	id := r.Batches()[0].ID
	if err := r.Bump(id, 100_000); err != nil {
		t.Fatal(err)
	}
	r.chain.mine(2)
	r.ends(q.Key, Done)
	r.incident("fees")
	r.crash()
	r.fund(ledger.Fees, 100_000_000)
	b := r.closed(id)
	r.has(ledger.Fees, int64(100_000_000-b.Rest), 0)
	if list, _ := r.Incidents(1); len(list) != 1 || list[0].Closed.IsZero() {
		t.Errorf("%+v", list)
	}
}

// TestBadOutput: one that the wallet cannot pay fails, and the others are paid.
func TestBadOutput(t *testing.T) {
	r := patient(t, nil)
	r.chain.give(10_000_000, 10_000_000, 10_000_000, 10_000_000, 10_000_000, 10_000_000)
	from := r.account(1_000_000_000)
	all := r.queued(from, 20, 1_000_000, 10_000_000)
	bad, _ := r.Payout(all[13].Key)
	r.chain.mu.Lock()
	r.chain.fundErr = func(outs []Output) error {
		for _, o := range outs {
			if string(o.Script) == string(bad.Script) {
				return fmt.Errorf("%w: %w", ErrRefused, errBad)
			}
		}
		return nil
	}
	r.chain.mu.Unlock()
	r.Flush()
	r.ends(bad.Key, Voided)
	r.chain.mine(2)
	for i, q := range all {
		if i == 13 {
			continue
		}
		r.eventually("it is paid", func() bool { r.chain.mine(1); r.Block(); p, _ := r.Payout(q.Key); return p.Status == Done })
	}
	a, _ := r.book.Account(from)
	if a.Held != 0 {
		t.Errorf("%d held", a.Held)
	}
}

// TestCoins: what the wallet can pay is paid, in order; the rest waits until there are coins, and one that is too large holds up none.
func TestCoins(t *testing.T) {
	r := patient(t, nil)
	r.chain.give(10_000)
	from := r.account(1_000_000_000)
	large := r.queued(from, 1, 50_000_000, 5_000_000)[0]
	all := r.queued(from, 12, 1_000_000, 5_000_000)
	r.Flush()
	r.incident("funds")
	r.published(1)
	if n := len(r.Batches()[0].Parts); n < 2 || n > 6 {
		t.Errorf("%d payouts out of 10,000 sat", n)
	}
	r.chain.mine(2)
	r.Block()
	r.ends(all[0].Key, Done)
	r.chain.give(100_000)
	r.Flush()
	r.published(1)
	r.chain.mine(2)
	r.Block()
	r.ends(large.Key, Done)
	for _, q := range all {
		r.ends(q.Key, Done)
	}
}

// TestConflict: a batch whose coins somebody else spends is held until an operator gives it up; then it is paid by another.
func TestConflict(t *testing.T) {
	r := patient(t, nil)
	r.chain.give(10_000_000, 10_000_000)
	from := r.account(1_000_000_000)
	q := r.queued(from, 1, 1_000_000, 5_000_000)[0]
	r.Flush()
	r.published(1)
	b := r.Batches()[0]
	if err := r.Abandon(b.ID); !errors.Is(err, ErrDecided) {
		t.Errorf("given up without a reason: %v", err)
	}
	r.chain.mu.Lock()
	thief := &transaction{Inputs: b.Tries[0].Inputs, Fee: 1}
	thief.seal()
	r.chain.mempool = []*transaction{thief}
	r.chain.mu.Unlock()
	r.chain.mine(2)
	r.Block()
	if i := r.incident("conflict"); i.Subject != b.ID.String() || i.Amount != 1_000_000 {
		t.Errorf("%+v", i)
	}
	if p, _ := r.Payout(q.Key); p.Status != InTransit {
		t.Errorf("%s", shown(p))
	}
	if err := r.Abandon(b.ID); err != nil {
		t.Fatal(err)
	}
	r.eventually("it waits again", func() bool { return r.Counts().Queue["batch"] == 1 })
	r.Flush()
	r.published(1)
	r.chain.mine(2)
	r.Block()
	r.ends(q.Key, Done)
}

// TestStranded: a batch of coins that a reorganisation has taken away is told of, and goes on when they are back, or is given up.
func TestStranded(t *testing.T) {
	for _, back := range []bool{true, false} {
		t.Run(fmt.Sprintf("they come back: %v", back), func(t *testing.T) {
			r := patient(t, nil)
			r.chain.give(10_000_000)
			from := r.account(1_000_000_000)
			q := r.queued(from, 1, 1_000_000, 5_000_000)[0]
			r.Flush()
			r.published(1)
			b := r.Batches()[0]
			r.chain.mu.Lock()
			r.chain.mempool, r.chain.gone = nil, map[Outpoint]bool{b.Tries[0].Inputs[0]: true}
			r.chain.mu.Unlock()
			r.Block()
			r.incident("conflict")
			if p, _ := r.Payout(q.Key); p.Status != InTransit {
				t.Errorf("%s", shown(p))
			}
			if back {
				r.chain.mu.Lock()
				r.chain.gone = nil
				r.chain.mu.Unlock()
				r.Block()
				r.published(1)
				r.eventually("the incident is closed by itself", func() bool { list, _ := r.Incidents(0); return len(list) == 0 })
				if err := r.Abandon(b.ID); !errors.Is(err, ErrDecided) {
					t.Errorf("given up though it is published: %v", err)
				}
			} else {
				r.chain.mu.Lock()
				delete(r.chain.coins, b.Tries[0].Inputs[0])
				r.chain.mu.Unlock()
				r.chain.give(10_000_000)
				r.eventually("it can be given up", func() bool { return r.Abandon(b.ID) == nil })
				r.eventually("it waits again", func() bool { return r.Counts().Queue["batch"] == 1 })
				r.Flush()
				r.published(1)
			}
			r.chain.mine(2)
			r.Block()
			r.ends(q.Key, Done)
		})
	}
}

// TestReorganised: a transaction that is out of the chain again is published again; after it was counted, somebody is told.
func TestReorganised(t *testing.T) {
	r := patient(t, nil)
	r.chain.give(10_000_000)
	from := r.account(1_000_000_000)
	q := r.queued(from, 1, 1_000_000, 5_000_000)[0]
	r.Flush()
	r.published(1)
	b := r.Batches()[0]
	r.chain.mine(1)
	r.Block()
	r.chain.undo(1, true)
	r.Block()
	r.published(1) // again
	r.chain.mine(2)
	r.Block()
	p := r.ends(q.Key, Done)
	r.closed(b.ID)
	r.chain.undo(2, true)
	r.Block()
	r.incident("reorganised")
	r.published(1)
	r.chain.mine(1)
	r.Block()
	r.eventually("the incident is closed by itself", func() bool { list, _ := r.Incidents(0); return len(list) == 0 })
	if again, _ := r.Payout(q.Key); again.Status != Done || again.Tx != p.Tx {
		t.Errorf("%+v", again)
	}
	r.has(ledger.Chain, int64(1_000_000+p.Fee), 0)
}

// TestCancel: what was not sent can be taken back; what was cannot.
func TestCancel(t *testing.T) {
	r := patient(t, nil)
	r.chain.give(10_000_000)
	from := r.account(10_000_000)
	q := r.queued(from, 2, 1_000_000, 2_000_000)
	if _, err := r.Cancel(q[0].Key, "changed my mind"); err != nil {
		t.Fatal(err)
	}
	r.ends(q[0].Key, Voided)
	r.Flush()
	r.published(1)
	if _, err := r.Cancel(q[1].Key, "too late"); !errors.Is(err, ErrInTransit) {
		t.Errorf("%v", err)
	}
	if n := len(r.Batches()[0].Parts); n != 1 {
		t.Errorf("%d payouts in the batch", n)
	}
}

// TestShare: shares add up, follow the weights, and respect limits.
func TestShare(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		parts := make([]Part, 1+rng.IntN(50))
		var weight int64
		for i := range parts {
			parts[i] = Part{Weight: 120 + rng.Int64N(60), Limit: ledger.MaxMsat}
			weight += parts[i].Weight
		}
		fee := ledger.Msat(rng.Uint64N(1_000_000_000))
		var sum ledger.Msat
		rest := share(parts, fee)
		for i := range parts {
			exact := float64(fee) * float64(parts[i].Weight) / float64(weight)
			if d := float64(parts[i].Fee) - exact; d < -1.001 || d > 1.001 {
				t.Fatalf("%d of an exact %f", parts[i].Fee, exact)
			}
			sum += parts[i].Fee
		}
		if sum != fee || rest != 0 {
			t.Fatalf("%d and %d of %d", sum, rest, fee)
		}
		parts[0].Limit = parts[0].Fee / 2
		want := parts[0].Fee - parts[0].Limit
		if rest := share(parts, fee); rest != want {
			t.Fatalf("rest %d, want %d", rest, want)
		}
	}
}

// TestCut: batches are full, in order, and within bounds.
func TestCut(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		parts := make([]Part, rng.IntN(300))
		for i := range parts {
			parts[i] = Part{Amount: Sat(i), Weight: 100 + rng.Int64N(100)}
		}
		next := Sat(0)
		for i, b := range cut(parts, 40, 5000) {
			var weight int64
			for _, p := range b {
				if p.Amount != next {
					t.Fatal("out of order")
				}
				next++
				weight += p.Weight
			}
			if len(b) == 0 || len(b) > 40 || weight > 5000 {
				t.Fatalf("batch %d: %d outputs of weight %d", i, len(b), weight)
			}
			if int(next) < len(parts) && len(b) < 40 && weight+parts[next].Weight <= 5000 {
				t.Fatalf("batch %d is not full", i)
			}
		}
		if int(next) != len(parts) {
			t.Fatalf("%d of %d", next, len(parts))
		}
	}
}
