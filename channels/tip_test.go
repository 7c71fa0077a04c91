package channels

import (
	"context"
	"testing"
	"time"
)

// height is Config.Tip of the fake chain.
func (c *blockchain) height(context.Context) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.down {
		return 0, ErrDown
	}
	return int64(len(c.blocks)), nil
}

// behindRig is a rig with a credited deposit and a closed batch, whose chain has lost all of its blocks.
func behindRig(t *testing.T) (r *rig, ref Ref, blocks [][]*transaction) {
	r = patient(t, nil)
	r.stop()
	r.cfg.Tip = r.chain.height
	r.start()
	r.chain.give(10_000_000, 10_000_000)
	to := r.account(1_000_000_000)
	address, err := r.NewAddress(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	ref = Ref{r.chain.pay(Output{[]byte(address), 200_000}).id, 0}
	r.chain.mine(3)
	r.deposited(to, ref, DepositCredited)
	q := r.queued(to, 1, 1_000_000, 5_000_000)[0]
	r.Flush()
	r.published(1)
	r.chain.mine(2)
	r.Block()
	p := r.ends(q.Key, Done)
	r.closed(p.Batch)
	r.eventually("the height is noted", func() bool { at, _ := r.mark(tipMark); return at == 5 })
	r.chain.mu.Lock()
	defer r.chain.mu.Unlock()
	blocks, r.chain.blocks = r.chain.blocks, nil
	return r, ref, blocks
}

// looks waits until so many looks at the chain were begun from now on.
func (r *rig) looks(n int) {
	r.t.Helper()
	for range n {
		r.chain.mu.Lock()
		before := r.chain.asked
		r.chain.mu.Unlock()
		r.Block()
		r.eventually("a look at the chain", func() bool { r.chain.mu.Lock(); defer r.chain.mu.Unlock(); return r.chain.asked > before+1 })
	}
}

// TestBehind: a node that has lost its newest blocks and fetches them again undoes nothing, nobody is told of a reorganisation, nothing is
// published and no batch made meanwhile, also after a restart of the hub.
func TestBehind(t *testing.T) {
	r, ref, blocks := behindRig(t)
	d, _, _ := r.deposit(ref)
	waits := r.queued(d.Account, 1, 1_000_000, 5_000_000)[0]
	published := r.chain.published
	r.crash()
	for _, b := range blocks {
		r.Flush()
		r.looks(2)
		if list, _ := r.Incidents(10); len(list) != 0 {
			t.Fatalf("%+v", list)
		}
		r.chain.mu.Lock()
		if len(r.chain.mempool) != 0 || r.chain.published != published {
			t.Errorf("published while the chain was behind")
		}
		r.chain.blocks = append(r.chain.blocks, b)
		r.chain.mu.Unlock()
	}
	r.eventually("it waits for its batch", func() bool { p, _ := r.Payout(waits.Key); return p.Status != Asked })
	r.eventually("it is published", func() bool {
		r.Flush()
		r.chain.mu.Lock()
		defer r.chain.mu.Unlock()
		return len(r.chain.mempool) == 1
	})
	if list, _ := r.Incidents(10); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	if d, _, _ := r.deposit(ref); d.Undone {
		t.Errorf("%+v", d)
	}
}

// TestStaysBehind: a chain that stays lower for long is believed, somebody is told, and what was undone is over when it is back.
func TestStaysBehind(t *testing.T) {
	r, _, blocks := behindRig(t)
	r.looks(2)
	r.clock.forward(r.Rails.cfg.StuckAfter + time.Minute)
	r.incident("chain")
	r.eventually("both are undone", func() bool {
		n := 0
		list, _ := r.Incidents(0)
		for _, i := range list {
			if i.Kind == "reorganised" {
				n++
			}
		}
		return n == 2
	})
	r.chain.mu.Lock()
	r.chain.mempool, r.chain.blocks = nil, blocks
	r.chain.mu.Unlock()
	r.eventually("the incidents are closed by themselves", func() bool { r.Block(); list, _ := r.Incidents(0); return len(list) == 0 })
}
