package generator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/bench/workload"
)

// memory is a payment system in a map, which does what it is told to do wrong.
type memory struct {
	plan *workload.Plan

	mu       sync.Mutex
	balances []int64
	totals   []uint64
	paid     map[[16]byte]bool
	owned    map[[2]int]bool
	n        int // requests
	down     bool

	forget  int // of so many ops that are acknowledged one is not done; 0: none
	twice   int // of so many transfers one is done twice
	steal   int // of so many unlocks that are refused one comes with the secret
	mute    int // of so many requests that are done one is not answered
	busy    int // of so many requests one is told that there is no room
	garbage int // of so many answers one has no outcomes
	pause   time.Duration

	came atomic.Int64 // requests, those that wait among them
	at   int64        // when so many have come
	then func()       // is done. Nil: nothing
	died error

	kept     int64  // the house's part of what was sold
	swap     bool   // works go to another than the one who has paid
	embezzle bool   // the house's part is not kept
	volatile bool   // a restart loses the last transfer
	last     [3]int // of it: from, to, amount
	restarts int
	stall    atomic.Bool
	starts   int
}

func newMemory(p *workload.Plan) *memory {
	m := &memory{plan: p, balances: make([]int64, p.Accounts()), totals: make([]uint64, len(p.Payee)), paid: make(map[[16]byte]bool), owned: make(map[[2]int]bool)}
	for i := range p.Scenario.Population.Payers {
		m.balances[i] = int64(p.Available)
	}
	return m
}

func (m *memory) Name() string { return "memory" }

func (m *memory) Connect(int) (Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return nil, errors.New("nobody is there")
	}
	return &memorySession{memory: m}, nil
}

func (m *memory) Books(context.Context) (*workload.Books, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return nil, errors.New("nobody is there")
	}
	b := &workload.Books{Balances: m.balances, Totals: m.totals, Owned: int64(len(m.owned)), Owners: []workload.Owner{}, Cut: 10, Kept: m.kept}
	for o := range m.owned {
		if other := [2]int{(o[0] + 1) % m.plan.Scenario.Population.Payers, o[1]}; m.swap && !m.owned[other] {
			o = other
		}
		b.Owners = append(b.Owners, workload.Owner{Payer: o[0], Work: o[1]})
	}
	return b, nil
}

// Restart loses what it is told to lose: the last transfer, as one does that answers before it has written.
func (m *memory) Restart(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.restarts++
	if m.volatile {
		m.move(m.last[1], m.last[0], uint64(m.last[2]))
	}
	return nil
}

func (m *memory) Close() error { return nil }

func (m *memory) Kill() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = true
	return nil
}

func (m *memory) Start() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.starts++
	m.down = false
	return nil
}

func (m *memory) Freeze(stopped bool) error {
	m.stall.Store(stopped)
	return nil
}

func (m *memory) Died() error { return m.died }

func (m *memory) Slow(time.Duration) error { return ErrNoFault }

type memorySession struct {
	*memory
	gone atomic.Bool
}

func (s *memorySession) Close() error { return nil }

func (s *memorySession) Abort() { s.gone.Store(true) }

// nth says whether it is the turn of something that happens to one of n.
func (m *memory) nth(n int) bool { return n > 0 && m.n%n == 0 }

func (s *memorySession) Do(r *workload.Request, deadline time.Time) error {
	if s.came.Add(1) == s.at && s.then != nil {
		s.then()
	}
	for s.stall.Load() {
		if time.Now().After(deadline) || s.gone.Load() {
			return errors.New("no answer in time")
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(s.pause)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	switch {
	case s.down:
		return errors.New("nobody is there")
	case s.nth(s.busy):
		return fmt.Errorf("%w: later", ErrBusy)
	}
	for i := range r.Ops {
		r.Outcomes[i] = s.one(r, &r.Ops[i])
		if s.nth(s.forget) && r.Outcomes[i] == workload.Refused {
			r.Outcomes[i] = workload.Done
		}
	}
	switch {
	case s.nth(s.mute):
		return errors.New("hung up")
	case s.nth(s.garbage):
		clear(r.Outcomes)
	}
	return nil
}

func (m *memory) one(r *workload.Request, op *workload.Op) workload.Outcome {
	if m.nth(m.forget) && op.Kind != workload.History {
		return workload.Done
	}
	switch op.Kind {
	case workload.Advance:
		if m.totals[op.Object] >= op.Amount {
			return workload.Repeated
		}
		m.balances[m.plan.Payee[op.Object]] += int64(op.Amount - m.totals[op.Object])
		m.totals[op.Object] = op.Amount
	case workload.Transfer:
		if m.paid[op.ID] {
			return workload.Repeated
		}
		if m.balances[r.Payer] < int64(op.Amount) {
			r.Refusal = "insufficient_funds"
			return workload.Refused
		}
		m.paid[op.ID] = true
		m.last = [3]int{r.Payer, int(op.Object), int(op.Amount)}
		m.move(r.Payer, int(op.Object), op.Amount)
		if m.nth(m.twice) {
			m.move(r.Payer, int(op.Object), op.Amount)
		}
	case workload.Unlock:
		return m.unlock(r, op)
	}
	return workload.Done
}

func (m *memory) unlock(r *workload.Request, op *workload.Op) workload.Outcome {
	if m.owned[[2]int{r.Payer, int(op.Object)}] {
		r.Secret = true
		return workload.Repeated
	}
	if m.balances[r.Payer] < int64(op.Amount) {
		r.Refusal, r.Secret = "insufficient_funds", m.nth(m.steal)
		return workload.Refused
	}
	m.owned[[2]int{r.Payer, int(op.Object)}] = true
	if !m.embezzle {
		m.kept += 10
	}
	m.balances[r.Payer] -= int64(op.Amount)
	m.balances[m.plan.Seller(int(op.Object))] += int64(op.Amount - 10)
	r.Secret = true
	return workload.Done
}

func (m *memory) move(from, to int, amount uint64) {
	m.balances[from] -= int64(amount)
	m.balances[to] += int64(amount)
}
