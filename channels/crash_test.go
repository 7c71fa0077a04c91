package channels

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
)

// story is something that goes on between a client, the rails and the world, through as many restarts as it takes.
type story struct {
	name  string
	begin func(r *rig) any          // what the world and the client are like before; it writes nothing to records
	goOn  func(r *rig, s any) error // what the client does, again after each restart, until it returns nil
	world func(r *rig)              // what goes on meanwhile; may be nil
	check func(r *rig, s any)
}

// TestCrashes lets the process end at each write to its records in turn: once before it is durable, once after, but without knowing.
func TestCrashes(t *testing.T) {
	for _, s := range slices.Concat(stories(), nobodys(), cancelled()) {
		for _, lost := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%v", s.name, map[bool]string{true: "lost", false: "done"}[lost]), func(t *testing.T) {
				t.Parallel()
				for at := 1; ; at++ {
					if !s.run(t, at, lost) {
						t.Logf("%d crashes", at-1)
						if at < 4 {
							t.Error("hardly anything was written")
						}
						return
					}
				}
			})
		}
	}
}

// run tells a story with a crash at a write. False: it came to its end before.
func (s *story) run(t *testing.T, at int, lost bool) (crashed bool) {
	r := newRig(t, func(c *Config) { c.Logger = nil })
	state := s.begin(r)
	var once sync.Once
	broken := make(chan struct{})
	r.memory.mu.Lock()
	base := r.memory.n
	r.memory.fail = func(n int) bool {
		if n != base+at {
			return false
		}
		once.Do(func() { close(broken) })
		if !lost { // it is durable, and nobody is told
			r.memory.deaf = true
		}
		return lost
	}
	r.memory.mu.Unlock()
	return s.tell(r, state, broken)
}

// tell tells a story to its end, with a restart when something is broken. False: nothing was.
func (s *story) tell(r *rig, state any, broken <-chan struct{}) (crashed bool) {
	t := r.t
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if s.world != nil {
			s.world(r)
		}
		err := s.goOn(r, state)
		select {
		case <-broken:
			if !crashed {
				crashed = true
				r.crash()
				continue
			}
		default:
		}
		if err == nil {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("no end: %v", err)
		}
	}
	s.check(r, state)
	r.stop()
	if err := r.book.state.Audit(); err != nil {
		t.Error(err)
	}
	return crashed
}

var errNotYet = errors.New("not yet")

// pays is the state of a story in which somebody pays.
type pays struct {
	from, to ledger.AccountNo
	q        Request
	hash     Hash
	script   []byte
}

func (s *pays) ask(r *rig, want Status) error {
	p, err := r.Withdraw(r.t.Context(), s.q)
	if err != nil {
		return err
	}
	if p.Status != want {
		return fmt.Errorf("%w: %s", errNotYet, p.Status)
	}
	return nil
}

func stories() []story {
	paying := func(behaviour behaviour) func(r *rig) any {
		return func(r *rig) any {
			s := &pays{from: r.account(100_000)}
			var text string
			text, s.hash = r.node.foreign(50_000, behaviour)
			s.q = r.request(s.from, text, 0, 500)
			return s
		}
	}
	return []story{
		{"internal", func(r *rig) any {
			s := &pays{from: r.account(100_000), to: r.account(0)}
			s.q = r.request(s.from, s.to.String(), 60_000, 0)
			return s
		}, func(r *rig, s any) error { return s.(*pays).ask(r, Done) }, nil, func(r *rig, s any) {
			r.has(s.(*pays).from, 40_000, 0)
			r.has(s.(*pays).to, 60_000, 0)
		}},
		{"lightning", paying(behaviour{fee: 100}), func(r *rig, s any) error { return s.(*pays).ask(r, Done) }, nil, func(r *rig, s any) {
			r.has(s.(*pays).from, 49_900, 0)
			r.paidOnce(s.(*pays).hash)
		}},
		{"lightning, slow and lost", paying(behaviour{fee: 100, lost: 2, take: 20 * time.Millisecond}), func(r *rig, s any) error { return s.(*pays).ask(r, Done) }, nil, func(r *rig, s any) {
			r.has(s.(*pays).from, 49_900, 0)
			r.paidOnce(s.(*pays).hash)
		}},
		{"lightning, failing", paying(behaviour{fail: "no_route"}), func(r *rig, s any) error { return s.(*pays).ask(r, Voided) }, nil, func(r *rig, s any) {
			r.has(s.(*pays).from, 100_000, 0)
		}},
		{"an invoice of our own", func(r *rig) any {
			return &pays{from: r.account(100_000), to: r.account(0)}
		}, func(r *rig, state any) error {
			s := state.(*pays)
			if s.q.To == "" {
				d, err := r.NewInvoice(r.t.Context(), s.to, NewInvoice{Amount: 60_000})
				if err != nil {
					return err
				}
				s.q, s.hash = r.request(s.from, d.Invoice, 0, 0), d.Hash
			}
			return s.ask(r, Done)
		}, nil, func(r *rig, state any) {
			s := state.(*pays)
			r.has(s.from, 40_000, 0)
			r.has(s.to, 60_000, 0)
			if r.node.settle(s.hash, 60_000, nil) {
				r.t.Error("it can be paid once more")
			}
			if d, err := r.Deposit(s.to, Ref{s.hash, noOutput}); err != nil || d.Status != DepositCredited || d.Amount != 60_000 {
				r.t.Errorf("%+v, %v", d, err)
			}
		}},
		{"on-chain", func(r *rig) any {
			r.chain.give(1_000_000, 1_000_000)
			s := &pays{from: r.account(100_000_000)}
			s.q = r.request(s.from, "addrsomebody", 50_000_000, 10_000_000)
			s.script, _ = fakeScript(s.q.To)
			return s
		}, func(r *rig, s any) error { return s.(*pays).ask(r, Done) }, func(r *rig) { r.chain.mine(1) }, func(r *rig, s any) {
			p, err := r.Payout(s.(*pays).q.Key)
			if err != nil {
				r.t.Fatal(err)
			}
			r.has(s.(*pays).from, 50_000_000-int64(p.Fee), 0)
			if got, times := r.chain.paidTo(s.(*pays).script); got != 50_000 || times != 1 {
				r.t.Errorf("paid %d in %d outputs", got, times)
			}
		}},
		{"lightning deposit", func(r *rig) any {
			return &pays{to: r.account(0)}
		}, func(r *rig, state any) error {
			s := state.(*pays)
			if s.hash == (Hash{}) {
				d, err := r.NewInvoice(r.t.Context(), s.to, NewInvoice{Amount: 60_000})
				if err != nil {
					return err
				}
				s.hash = d.Hash
				r.node.settle(s.hash, 61_000, nil)
			}
			return r.isCredited(s.to, Ref{s.hash, noOutput})
		}, nil, func(r *rig, s any) { r.has(s.(*pays).to, 61_000, 0) }},
		{"on-chain deposit", func(r *rig) any {
			return &pays{to: r.account(0)}
		}, func(r *rig, state any) error {
			s := state.(*pays)
			if s.hash == (Hash{}) {
				address, err := r.NewAddress(r.t.Context(), s.to)
				if err != nil {
					return err
				}
				s.hash = r.chain.pay(Output{[]byte(address), 200_000}).id
			}
			return r.isCredited(s.to, Ref{s.hash, 0})
		}, func(r *rig) { r.chain.mine(1) }, func(r *rig, s any) { r.has(s.(*pays).to, 200_000_000, 0) }},
	}
}

func (r *rig) paidOnce(hash Hash) {
	r.t.Helper()
	r.node.mu.Lock()
	defer r.node.mu.Unlock()
	if n := r.node.paid[hash]; n != 1 {
		r.t.Errorf("paid %d times", n)
	}
}

func (r *rig) isCredited(no ledger.AccountNo, ref Ref) error {
	d, err := r.Deposit(no, ref)
	if err == nil && d.Status != DepositCredited {
		err = fmt.Errorf("%w: %s", errNotYet, d.Status)
	}
	return err
}
