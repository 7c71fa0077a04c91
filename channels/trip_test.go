package channels

import (
	"context"
	"sync"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// trip ends the process at a call to the world outside: before the world hears of it, or after it has done what was asked. From then on
// the process writes and hears nothing.
type trip struct {
	mu     sync.Mutex
	n, at  int
	before bool
	broken chan struct{}
	memory func() *memory
}

func (t *trip) hit(before bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.broken:
		return false // of an earlier process
	default:
	}
	if before {
		t.n++
	}
	if t.n != t.at || before != t.before {
		return false
	}
	close(t.broken)
	m := t.memory()
	m.mu.Lock()
	m.dead = true
	m.mu.Unlock()
	return true
}

// call makes a call, if the process lives to see it.
func call[T any](t *trip, do func() (T, error)) (T, error) {
	var nothing T
	if t.hit(true) {
		return nothing, errDisk
	}
	v, err := do()
	if t.hit(false) {
		return nothing, errDisk
	}
	return v, err
}

func command(t *trip, do func() error) error {
	_, err := call(t, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

type trippedLedger struct {
	Ledger
	t *trip
}

func (l trippedLedger) Submit(op ledger.Op) (ledger.Applied, error) {
	return call(l.t, func() (ledger.Applied, error) { return l.Ledger.Submit(op) })
}

type trippedPayer struct {
	Payer
	t *trip
}

func (p trippedPayer) Pay(ctx context.Context, x Payment) (Attempt, error) {
	return call(p.t, func() (Attempt, error) { return p.Payer.Pay(ctx, x) })
}

func (p trippedPayer) Track(ctx context.Context, hash Hash) (Attempt, error) {
	return call(p.t, func() (Attempt, error) { return p.Payer.Track(ctx, hash) })
}

type trippedReceiver struct {
	Receiver
	t *trip
}

func (p trippedReceiver) Invoice(ctx context.Context, n NewInvoice) (Invoice, error) {
	return call(p.t, func() (Invoice, error) { return p.Receiver.Invoice(ctx, n) })
}

func (p trippedReceiver) Cancel(ctx context.Context, hash Hash) error {
	return command(p.t, func() error { return p.Receiver.Cancel(ctx, hash) })
}

type trippedWallet struct {
	Wallet
	t *trip
}

func (w trippedWallet) Fund(ctx context.Context, lock Hash, outs []Output, rate FeeRate) (Signed, error) {
	return call(w.t, func() (Signed, error) { return w.Wallet.Fund(ctx, lock, outs, rate) })
}

func (w trippedWallet) Publish(ctx context.Context, raw []byte, label string) error {
	return command(w.t, func() error { return w.Wallet.Publish(ctx, raw, label) })
}

func (w trippedWallet) Release(ctx context.Context, lock Hash, coins []Outpoint) error {
	return command(w.t, func() error { return w.Wallet.Release(ctx, lock, coins) })
}

// TestTrips lets the process end at each call to the ledger, the node and the wallet in turn: once before, and once after it was done.
func TestTrips(t *testing.T) {
	for _, s := range stories() {
		for _, before := range []bool{true, false} {
			t.Run(s.name+map[bool]string{true: "/before", false: "/after"}[before], func(t *testing.T) {
				t.Parallel()
				for at := 1; s.trip(t, at, before); at++ {
				}
			})
		}
	}
}

func (s *story) trip(t *testing.T, at int, before bool) bool {
	r := newRig(t, func(c *Config) { c.Logger = nil })
	state := s.begin(r)
	x := &trip{at: at, before: before, broken: make(chan struct{}), memory: func() *memory { return r.memory }}
	r.stop()
	r.cfg.Ledger, r.cfg.Payer, r.cfg.Receiver, r.cfg.Wallet = trippedLedger{r.book, x}, trippedPayer{r.node, x}, trippedReceiver{r.node, x}, trippedWallet{r.chain, x}
	r.start()
	return s.tell(r, state, x.broken)
}
