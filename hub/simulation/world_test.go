package simulation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
)

// world is everything outside of the hub, which lives through all its lives: the disk, the clock, the clients and those who
// follow. What happens in it comes from one seed.
type world struct {
	setup
	rng       *rand.Rand
	mem       *vfs.MemFS
	params    ledger.Params
	works     []hub.Offer
	byID      map[ledger.ContentID]hub.Offer
	audit     *auditor
	clients   []*client
	followers []*follower
	past      []ledger.Op
	counts    struct{ lives, crashes, early, restored, acks, repeats int }
}

// client sends what it was about to send until it has an answer.
type client struct {
	todo []action
	acks []ack // the new ones
	old  []ack // those found in the log
}

func newWorld(seed uint64, ring *keyring.Ring, works []hub.Offer) (*world, error) {
	rng := rand.New(rand.NewPCG(seed, 0x5157))
	w := &world{rng: rng, mem: vfs.NewCrashableMem(), works: works, byID: make(map[ledger.ContentID]hub.Offer)}
	w.params = ledger.Params{FeePPM: pick[uint32](rng, 0, 25_000, 333_333), IDWindow: pick[uint64](rng, 1000, 60_000, 3_600_000),
		IDAhead: pick[uint64](rng, 0, 500, 30_000)}
	w.setup = setup{ring: ring, clock: new(atomic.Uint64), segmentEntries: pick(rng, 1, 20, 100, 256, 600),
		checkpoint: pick[int64](rng, 1, 2000, 10_000, 1<<40), idKeep: w.params.IDWindow}
	w.clock.Store(1_760_000_000_000 + rng.Uint64N(1e9))
	for i := range works {
		w.byID[workID(i)] = works[i]
	}
	w.audit = newAuditor(w.params, ring)
	for range 1 + rng.IntN(5) {
		w.clients = append(w.clients, &client{})
	}
	w.followers = []*follower{{every: 1}, {every: 37}}
	return w, store.Init(store.Options{Dir: folder, FS: newDisk(w.mem)}, w.params)
}

// tick moves the clock: mostly a little, seldom far, seldom back.
func (w *world) tick() {
	switch n := w.rng.IntN(20); {
	case n < 15:
		w.clock.Add(w.rng.Uint64N(300))
	case n < 17:
		w.clock.Add(w.rng.Uint64N(120_000))
	case n == 17:
		w.clock.Add(w.params.IDWindow + w.rng.Uint64N(1000))
	case n == 18:
		w.clock.Add(-w.rng.Uint64N(5000))
	}
}

// burst has every client act at once, with the followers reading beside them.
func (w *world) burst(l *life) error {
	errs := make(chan error, len(w.clients)+len(w.followers))
	stop := make(chan struct{})
	var acting, following sync.WaitGroup
	for _, c := range w.clients {
		p := &planner{rng: rand.New(rand.NewPCG(w.rng.Uint64(), 1)), state: w.audit.state, now: w.clock.Load(), works: w.works, past: w.past}
		for range p.rng.IntN(8) {
			c.todo = append(c.todo, p.action())
		}
		for _, a := range c.todo {
			w.past = append(w.past, a.ops...)
		}
		acting.Go(func() { c.act(l, w.byID, errs) })
	}
	for _, f := range w.followers {
		following.Go(func() {
			if err := f.follow(l, stop); err != nil {
				errs <- err
			}
		})
	}
	acting.Wait()
	close(stop)
	following.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// act does what is to do, until the hub's end.
func (c *client) act(l *life, works map[ledger.ContentID]hub.Offer, errs chan<- error) {
	for len(c.todo) > 0 {
		acks, err := l.do(c.todo[0], works)
		heard := l.said(func() {
			if err == nil {
				c.acks = append(c.acks, acks...)
			}
		})
		if !heard {
			return
		}
		if err != nil {
			errs <- fmt.Errorf("a living hub says %w", err)
			return
		}
		c.todo = c.todo[1:]
	}
}

// quiet follows the log to its end and holds everything against it that anybody knows. Nobody may be acting.
func (w *world) quiet(l *life) error {
	if err := l.settled(); err != nil {
		return err
	}
	if err := w.audit.follow(l.store, l.applied.Load()); err != nil {
		return fmt.Errorf("the log: %w", err)
	}
	for _, c := range w.clients {
		for _, a := range c.acks {
			if err := w.kept(a); err != nil {
				return err
			}
			w.counts.acks++
		}
		c.old, c.acks = append(c.old, c.acks...), nil
	}
	for _, f := range w.followers {
		if err := f.check(w.audit); err != nil {
			return err
		}
	}
	return nil
}

// kept: what was acknowledged stands in the log, at its place.
func (w *world) kept(a ack) error {
	if !a.out.Result.OK() || a.out.Seq == 0 {
		return nil
	}
	if a.out.Seq > w.audit.seq() {
		return fmt.Errorf("%v was acknowledged as %+v, and there are %d entries", a.op, a.out, w.audit.seq())
	}
	f := w.audit.facts[a.out.Seq-1]
	first := f.out
	first.Result = a.out.Result
	mine := f.op == a.op || a.op.Kind == ledger.OpUnlock && f.op.ID == a.op.ID && f.op.Actor == a.op.Actor
	if a.op.Kind == ledger.OpRegister && a.out.Result == ledger.Repeated {
		first.Amount = a.out.Amount
	}
	if !mine || first != a.out {
		return fmt.Errorf("%v %+v was acknowledged as %+v, and entry %d is %+v of %+v", a.op.Kind, a.op, a.out, a.out.Seq, f.out, f.op)
	}
	return nil
}

// repeats sends again what was acknowledged, some of it from long ago: nothing is done twice, and who asks again is told the same.
func (w *world) repeats(l *life) error {
	for _, c := range w.clients {
		for range min(len(c.old), 60) {
			a := c.old[len(c.old)-1-min(w.rng.IntN(len(c.old)), w.rng.IntN(len(c.old)))]
			if a.out.Result.OK() {
				if err := w.repeat(l, a); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (w *world) repeat(l *life, a ack) error {
	again, detail := action{ops: []ledger.Op{a.op}}, []byte(nil)
	switch a.op.Kind {
	case ledger.OpUnlock:
		again = action{buy: &hub.Purchase{Buyer: a.op.Actor, Content: a.op.ID, PriceVersion: a.op.Version, Max: a.op.Amount}}
	case ledger.OpRegister:
		return nil // its payees are in the log alone; the model has compared them
	}
	for try := 0; ; try++ {
		acks, err := l.do(again, w.byID)
		if l.over() {
			return nil
		}
		if err != nil {
			return err
		}
		got, want := acks[0].out, w.audit.expect(w.clock.Load(), a.op, detail)
		if want.Result == ledger.Done {
			return fmt.Errorf("%v %+v was acknowledged as %+v, and is not known any more", a.op.Kind, a.op, a.out)
		}
		w.counts.repeats++
		if got == want {
			return w.kept(ack{a.op, got})
		}
		if err := w.quiet(l); err != nil { // a channel may have expired meanwhile
			return err
		}
		if try > 0 {
			return fmt.Errorf("%v %+v, acknowledged as %+v, is now %+v, want %+v", a.op.Kind, a.op, a.out, got, want)
		}
	}
}

// restored: the newest checkpoint, with the rest of the log behind it, is the same ledger. No other checkpoint may come meanwhile:
// it would let go of ids that a replay from this one asks for.
func (w *world) restored(l *life) error {
	at, _ := l.index.Covered()
	if at == 0 {
		return nil
	}
	r, err := l.index.ReadState()
	if err != nil {
		return err
	}
	s, err := ledger.Restore(r, ledger.Seed{5, 6})
	err = errors.Join(err, r.Close())
	if err != nil {
		return err
	}
	if s.Index() != at {
		return wrong("a checkpoint of block %d under the name of block %d", s.Index(), at)
	}
	s.Attach(l.index)
	err = l.store.Blocks(at+1, func(index uint64, block []byte) error {
		_, err := s.Apply(index, block, nil)
		return err
	})
	if err != nil {
		return err
	}
	if s.Digest() != w.audit.state.Digest() || s.Head() != w.audit.state.Head() {
		return wrong("the checkpoint of block %d leads to another ledger", at)
	}
	w.counts.restored++
	return nil
}

// shown: what the hub shows of accounts, channels and contents is what they are.
func (w *world) shown(l *life) error {
	s := w.audit.state
	for no := ledger.AccountNo(1); uint64(no) < uint64(ledger.FirstAccount)+s.Counts().Accounts; no++ {
		want, ok := s.Account(no)
		if got, has := l.hub.Account(no); got != want || has != ok {
			return wrong("account %v: %+v, not %+v", no, got, want)
		}
	}
	for no := range s.Counts().Channels {
		want, _ := s.Channel(ledger.ChannelNo(no + 1))
		if got, _ := l.hub.Channel(ledger.ChannelNo(no + 1)); got != want {
			return wrong("channel %d: %+v, not %+v", no+1, got, want)
		}
	}
	for i := range w.works {
		want, ok := s.Content(workID(i))
		if got, has := l.hub.Content(workID(i)); has != ok || got.Price != want.Price || got.Seller != want.Seller || got.Wrapped != want.Wrapped {
			return wrong("content %v: %+v, not %+v", workID(i), got, want)
		}
	}
	return nil
}
