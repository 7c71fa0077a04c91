package channels

import (
	"errors"
	"sync"
	"testing"
	"time"
)

// restore has rails begin on records as they were once, and the world as it is.
func (r *rig) restore(backup *memory) {
	r.t.Helper()
	r.stop()
	if err := MarkRestored(backup, r.clock.now(), "20260101"); err != nil {
		r.t.Fatal(err)
	}
	r.memory = backup
	r.start()
}

// mayGo is a gate that lets out what was named.
type mayGo struct {
	mu  sync.Mutex
	all bool
	key map[Key]bool
}

func (g *mayGo) let(keys ...Key) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = len(keys) == 0
	g.key = make(map[Key]bool)
	for _, k := range keys {
		g.key[k] = true
	}
}

func (g *mayGo) gate(p Payout) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all || p.Status == Asked || g.key[p.Key] {
		return nil
	}
	return errors.New("not yet")
}

// TestRestored: of four payouts that a backup holds as not sent, two were sent after it. Nothing is sent again, not even what comes too late
// meanwhile is given back, until an operator has decided about those and resumed; then the others are sent.
func TestRestored(t *testing.T) {
	g := new(mayGo)
	r := patient(t, func(c *Config) { c.Gate = g.gate })
	from := r.account(1_000_000_000)
	var lightning [2]Request
	var hashes [2]Hash
	for i := range lightning {
		var text string
		text, hashes[i] = r.node.foreign(1000, behaviour{})
		lightning[i] = r.request(from, text, 0, 0)
		r.withdraw(lightning[i])
	}
	coins := r.queued(from, 2, 50_000_000, 5_000_000)
	r.chain.give(1_000_000, 1_000_000)
	var scripts [2][]byte
	for i, q := range coins {
		r.ends(q.Key, Held)
		r.ends(lightning[i].Key, Held)
		p, err := r.Payout(q.Key)
		if err != nil {
			t.Fatal(err)
		}
		scripts[i] = p.Script
	}
	backup := r.memory.clone()

	r.book.mu.Lock()
	r.book.down = true // what the ledger does after the backup is lost, too
	r.book.mu.Unlock()
	g.let(lightning[0].Key, coins[0].Key)
	r.Wake()
	r.Flush()
	r.ends(lightning[0].Key, Paid)
	r.published(1)
	r.stop()
	r.chain.mine(1)
	r.book.mu.Lock()
	r.book.down = false
	r.book.mu.Unlock()

	g.let()
	r.restore(backup)
	if p, paused := r.Paused(); !paused || !p.Restored {
		t.Fatalf("not paused: %+v", p)
	}
	r.incident("restored")
	r.incident("foreign")
	waits := func(q Request) {
		t.Helper()
		r.eventually("it waits for the pause to end", func() bool {
			r.Flush()
			p, err := r.Payout(q.Key)
			return err == nil && p.Status == Held && p.Reason != ""
		}, func() any { p, _ := r.Payout(q.Key); return shown(p) })
	}
	for _, q := range []Request{lightning[0], lightning[1], coins[0], coins[1]} {
		waits(q)
	}
	if p, _ := r.Payout(lightning[0].Key); !p.Foreign {
		t.Error("the node knows it, and nobody says so:", shown(p))
	}
	if _, err := r.Decide(lightning[1].Key, false, "no"); !errors.Is(err, ErrDecided) {
		t.Error("what was never sent is cancelled, not decided:", err)
	}
	for _, q := range []Request{lightning[0], coins[0]} {
		if _, err := r.Decide(q.Key, true, "the node says so"); err != nil {
			t.Fatal(err)
		}
		r.ends(q.Key, Done)
	}
	r.crash()
	if _, paused := r.Paused(); !paused {
		t.Fatal("a pause does not outlive the process")
	}
	waits(lightning[1])
	waits(coins[1])
	if err := r.Resume("looked at"); err != nil {
		t.Fatal(err)
	}
	r.ends(lightning[1].Key, Done)
	r.eventually("the other is published", func() bool {
		r.Flush()
		r.chain.mine(1)
		_, times := r.chain.paidTo(scripts[1])
		return times == 1
	})
	r.chain.mine(5)
	r.ends(coins[1].Key, Done)
	for i := range scripts {
		if _, times := r.chain.paidTo(scripts[i]); times != 1 {
			t.Errorf("an address was paid %d times", times)
		}
		if got := r.node.paid[hashes[i]]; got != 1 {
			t.Errorf("a hash was paid %d times", got)
		}
	}
	if list, err := r.Incidents(0); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestRestoredLate: a payout that the node knows is not given back since it comes too late, after the pause neither.
func TestRestoredLate(t *testing.T) {
	g := new(mayGo)
	r := newRig(t, func(c *Config) { c.Gate = g.gate })
	from := r.account(10_000)
	text, hash := r.node.foreign(1000, behaviour{})
	unsent, _ := r.node.foreign(1000, behaviour{})
	q, other := r.request(from, text, 0, 0), r.request(from, unsent, 0, 0)
	r.withdraw(q)
	r.withdraw(other)
	r.ends(q.Key, Held)
	r.ends(other.Key, Held)
	backup := r.memory.clone()
	r.stop()
	r.node.begin(Payment{Hash: hash}, behaviour{})
	r.clock.forward(1000 * time.Hour)
	r.restore(backup)
	r.incident("foreign")
	r.has(from, 8000, 2000)
	if err := r.Resume("in haste"); err != nil {
		t.Fatal(err)
	}
	r.ends(other.Key, Voided)
	r.crash()
	r.incident("foreign")
	if p, _ := r.Payout(q.Key); p.Status != Held || !p.Foreign {
		t.Error(shown(p))
	}
	r.has(from, 9000, 1000)
}

// TestRestoredUnsigned: what was handed over, and the node has not heard of, is not sent in a pause; a batch without a signature is undone.
func TestRestoredUnsigned(t *testing.T) {
	r := patient(t, nil)
	from := r.account(1_000_000_000)
	text, hash := r.node.foreign(1000, behaviour{late: time.Hour})
	sent := r.request(from, text, 0, 0)
	r.withdraw(sent)
	r.ends(sent.Key, InTransit)
	r.chain.give(1_000_000)
	coin := r.queued(from, 1, 50_000_000, 5_000_000)[0]
	r.chain.mu.Lock()
	r.chain.fundErr = func([]Output) error { return ErrDown }
	r.chain.mu.Unlock()
	r.Flush()
	r.ends(coin.Key, InTransit)
	backup := r.memory.clone()
	r.stop()
	r.chain.mu.Lock()
	r.chain.fundErr = nil
	r.chain.mu.Unlock()
	r.node.mu.Lock()
	r.node.behave[hash] = behaviour{}
	r.node.mu.Unlock()
	r.restore(backup)
	r.ends(coin.Key, Held)
	if list := r.Batches(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	r.eventually("the node was asked some times", func() bool {
		return r.underway(sent.Key, func(f *flight) bool { return f.tries > 3 })
	})
	if r.node.paid[hash] != 0 {
		t.Error("it was sent in the pause")
	}
	if err := r.Resume("looked at"); err != nil {
		t.Fatal(err)
	}
	r.ends(sent.Key, Done)
	if r.node.paid[hash] != 1 {
		t.Error("it was paid", r.node.paid[hash])
	}
}

// underway asks something about a payout under way.
func (r *rig) underway(key Key, yes func(*flight) bool) bool {
	r.mu.Lock()
	f := r.flights[key]
	r.mu.Unlock()
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return yes(f)
}

// TestPause: an operator's pause holds back what was not sent, and what is inside; nothing else.
func TestPause(t *testing.T) {
	r := newRig(t, nil)
	from, to := r.account(10_000), r.account(0)
	if p, err := r.Pause("looking at the node"); err != nil || p.Restored {
		t.Fatal(p, err)
	}
	if p, err := r.Pause("again"); err != nil || p.Reason != "looking at the node" {
		t.Error(p, err)
	}
	text, _ := r.node.foreign(1000, behaviour{})
	for _, q := range []Request{r.request(from, text, 0, 0), r.request(from, to.String(), 1000, 0)} {
		r.withdraw(q)
		p := r.ends(q.Key, Held)
		if _, err := r.Decide(p.Key, true, "as if"); !errors.Is(err, ErrDecided) {
			t.Error(err)
		}
		defer r.ends(q.Key, Done)
	}
	r.has(from, 8000, 2000)
	if err := errors.Join(r.Resume("done"), r.Resume("again")); err != nil {
		t.Fatal(err)
	}
}
