package api_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/api"
	"github.com/millrace/millrace/ledger"
)

func asNet(err error, target *net.Error) bool { return errors.As(err, target) }

// gate is a log in memory that can be stalled.
type gate struct {
	machine hub.Machine
	blocks  chan []byte
	ended   chan struct{}

	mu       sync.Mutex
	moved    sync.Cond
	stalled  bool
	proposed int // blocks that wait
}

func newGate() *gate {
	g := &gate{blocks: make(chan []byte, ledger.MaxInFlight), ended: make(chan struct{})}
	g.moved.L = &g.mu
	return g
}

func (g *gate) log(h *hub.Hub) hub.Log {
	g.machine = h.Machine()
	go func() {
		defer close(g.ended)
		for index := uint64(1); ; index++ {
			block, ok := <-g.blocks
			if !ok {
				return
			}
			g.mu.Lock()
			for g.stalled {
				g.moved.Wait()
			}
			g.proposed--
			g.mu.Unlock()
			if err := g.machine.Apply(index, block); err != nil {
				h.Fail(err)
			}
		}
	}()
	return g
}

func (g *gate) Propose(block []byte) error {
	g.mu.Lock()
	g.proposed++
	g.moved.Broadcast()
	g.mu.Unlock()
	g.blocks <- block
	return nil
}

func (g *gate) Barrier(context.Context) error { return nil }
func (g *gate) Close() error {
	close(g.blocks)
	<-g.ended
	return nil
}

func (g *gate) set(stalled bool) {
	g.mu.Lock()
	g.stalled = stalled
	g.moved.Broadcast()
	g.mu.Unlock()
}

func (g *gate) shut() { g.set(true) }
func (g *gate) open() { g.set(false) }

// waitProposed waits until a block is on its way.
func (g *gate) waitProposed(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		g.mu.Lock()
		n := g.proposed
		g.mu.Unlock()
		if n > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no block was proposed")
		}
	}
}

// TestOverload: with a log that stalls, the queue fills, and who comes then is told so at once; afterwards all is well.
func TestOverload(t *testing.T) {
	gate := newGate()
	r := setup{log: gate.log}.rig(t)
	a, b := r.user(1_000_000), r.user(0)
	ch, no := a.channel(b, 900_000)
	gate.shut()
	before := r.frozen()
	var wg sync.WaitGroup
	answers := make(chan answer, 64)
	total := uint64(0)
	send := func() {
		ops := make([]payment, hub.MaxBatchOps)
		for i := range ops {
			total++
			ops[i] = payment{kind: 2, target: no, name: ch, amount: total}
		}
		body := asRecords(ops)
		wg.Go(func() {
			if a, err := r.try(ask{method: "POST", path: "/v1/batches", token: a.token, kind: binaryOps, body: body}); err != nil {
				t.Error(err)
			} else {
				answers <- a
			}
		})
	}
	for range 24 { // two blocks of at most three batches are on their way, eight batches wait
		send()
	}
	refused := 0
	for refused < 24-2*3-8 {
		(<-answers).refused(503, "overloaded", "wait").has(object{"retryable": true})
		refused++
	}
	for r.metrics()["millrace_queue_ops"] < hub.DefaultMaxQueueOps {
		send()
		time.Sleep(5 * time.Millisecond)
	}
	start := time.Now()
	got := a.pay(b, 1).refused(503, "overloaded", "wait").has(object{"retryable": true})
	if took := time.Since(start); took > 2*time.Second || got.header.Get("Retry-After") != "1" {
		t.Errorf("after %v, Retry-After %q", took, got.header.Get("Retry-After"))
	}
	r.do(ask{method: "POST", path: "/v1/accounts"}).refused(503, "overloaded", "wait")
	if r.frozen() != before || r.metrics()["millrace_ops_not_taken_total"] < 2 {
		t.Error("an overloaded hub changed its ledger, or did not count what it refused")
	}
	gate.open()
	wg.Wait()
	close(answers)
	for a := range answers {
		if a.status != 200 {
			a.refused(503, "overloaded", "wait")
		}
	}
	a.pay(b, 1).want(200)
}

// TestConnections: a connection too many is told so and closed; when another has ended, there is room again.
func TestConnections(t *testing.T) {
	r := setup{api: api.Config{MaxConnections: 4}}.rig(t)
	const get = "GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n"
	var held []raw
	for range 4 {
		c := r.dial()
		c.write(get)
		c.read("GET", "/healthz").want(200)
		held = append(held, c)
	}
	for range 3 {
		c := r.dial()
		got := c.read("GET", "/healthz").refused(503, "connections_full", "connections")
		if got.header.Get("Retry-After") == "" || !c.closed() {
			t.Errorf("answered with %v, and not closed", got.header)
		}
	}
	held[0].write(get)
	held[0].read("GET", "/healthz").want(200)
	held[1].conn.Close()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c := r.dial()
		c.write(get)
		if got := c.read("GET", "/healthz"); got.status == 200 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a freed connection was not given to anybody")
		}
	}
}
