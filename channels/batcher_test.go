package channels

import (
	"fmt"
	"testing"
)

// TestFullBatches: what comes one after the other is cut when a transaction is full of it, and what is left over waits for more.
func TestFullBatches(t *testing.T) {
	r := patient(t, func(c *Config) { c.BatchOutputs = 4 })
	for range 3 {
		r.chain.give(10_000_000)
	}
	from := r.account(1_000_000_000)
	waits := func(n int) {
		t.Helper()
		r.eventually(fmt.Sprintf("%d wait for a batch", n), func() bool { return r.Counts().Queue["batch"] == n }, func() any { return r.Batches() })
	}
	came := 0
	more := func(n int) (all []Request) {
		for range n {
			came++
			q := r.request(from, fmt.Sprintf("addr%d", came), 1_000_000, 2_000_000)
			r.withdraw(q)
			all = append(all, q)
		}
		return all
	}
	r.tending.Lock() // as if a look at the chain took long
	all := more(7)
	waits(7)
	r.tending.Unlock()
	r.published(1)
	waits(3)
	all = append(all, more(2)...)
	r.published(2)
	waits(1)
	r.Flush()
	r.published(3)
	waits(0)
	for _, b := range r.Batches()[:2] {
		if len(b.Parts) != 4 {
			t.Errorf("a batch of %d", len(b.Parts))
		}
	}
	r.chain.mine(2)
	r.Block()
	for _, q := range all {
		r.ends(q.Key, Done)
	}
}

// TestFlushNothing: to ask for batches when nothing waits is to ask for none, also where a node does not answer just then.
func TestFlushNothing(t *testing.T) {
	r := patient(t, nil)
	r.chain.give(10_000_000, 10_000_000)
	from := r.account(1_000_000_000)
	r.queued(from, 1, 1_000_000, 5_000_000)
	r.Flush()
	r.published(1)
	r.chain.mu.Lock()
	r.chain.down = true // so that looks end with the first batch
	r.chain.mu.Unlock()
	r.Flush()
	r.eventually("the flag is down", func() bool {
		r.queueing.Lock()
		defer r.queueing.Unlock()
		return !r.Rails.chain.flush
	})
	r.chain.mu.Lock()
	r.chain.down = false
	r.chain.mu.Unlock()
	r.queued(from, 1, 1_000_000, 5_000_000)
	for range 3 { // looks
		r.tendChain()
	}
	if n := len(r.Batches()); n != 1 || r.Counts().Queue["batch"] != 1 {
		t.Errorf("%d batches, and nobody asked for a second", n)
	}
}
