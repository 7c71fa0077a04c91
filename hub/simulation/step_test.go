package simulation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/keyring"
)

// faultVar, when set, is the one step to fail: see TestEachStepFails.
const faultVar = "MILLRACE_TEST_STEP"

// TestEachStepFails has the disk fail at one step of a hub's life, from opening to closing: the step is lost, or it is done and
// reported lost. The hub may die of it or go on; in any case what it acknowledged is there at the next start, on
// what a killed process or a power cut leaves, nothing is there twice, and the index is whole. In the time that a test has, steps
// are taken at random; with MILLRACE_TEST_SECONDS of minutes, all are.
func TestEachStepFails(t *testing.T) {
	ring := newRing(t)
	works := sealWorks(ring, 3)
	seed, until := number(t, seedVar, 1), time.Now().Add(time.Duration(number(t, secondsVar, 8))*time.Second)
	total, err := countSteps(seed, ring, works)
	if err != nil {
		t.Fatal(err)
	}
	order := rand.New(rand.NewPCG(seed, 4)).Perm(2 * total)
	if one := number(t, faultVar, 0); one > 0 {
		order = []int{int(one - 1)}
	}
	tried, died, kinds := 0, 0, map[string]int{}
	for _, n := range order {
		if (tried >= 10 || len(order) == 1) && time.Now().After(until) {
			break
		}
		f := &fault{at: n / 2, verdict: []verdict{lost, done}[n%2]}
		w, err := newWorld(seed, ring, works)
		if err == nil {
			err = w.failing(f)
		}
		if err != nil {
			t.Fatalf("seed %d, step %d of %d, %s %s: %v\nagain: %s=%d %s=%d go test -run '^TestEachStepFails$' ./hub/simulation",
				seed, n+1, 2*total, f.met.kind, f.met.path, err, seedVar, seed, faultVar, n+1)
		}
		tried++
		kinds[f.met.kind]++
		if f.died {
			died++
		}
	}
	t.Logf("%d of %d failures tried: of %d the hub died; by kind %v", tried, 2*total, died, kinds)
	if died == 0 {
		t.Error("nothing came of any failure")
	}
}

// fault is a failure of one step. The process dies of it at once where pebble may panic, which would end the test: when a folder
// cannot be synced, and while it opens, since an Open that fails lets go of what its own compactions still use.
type fault struct {
	at      int // counted from zero
	verdict verdict
	life    *life

	mu   sync.Mutex
	n    int
	met  step
	died bool
	open atomic.Bool // the hub has been opened
}

func (f *fault) watch(s step) verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	if f.n != f.at+1 {
		return goes
	}
	f.met = s
	switch {
	case s.kind == syncFolder || !f.open.Load():
		f.life.crash(f.life.onEnd)
		return goes
	case !s.writes:
		return lost
	}
	return f.verdict
}

// countSteps is how many steps a life has.
func countSteps(seed uint64, ring *keyring.Ring, works []hub.Offer) (int, error) {
	w, err := newWorld(seed, ring, works)
	f := &fault{at: -1}
	if err == nil {
		err = w.failing(f)
	}
	return f.n, err
}

// failing is a life in which one step fails, between two in which none does.
func (w *world) failing(f *fault) error {
	w.segmentEntries, w.checkpoint = 20, 2000
	if err := w.live(false); err != nil {
		return fmt.Errorf("before: %w", err)
	}
	d := newDisk(w.mem)
	l := newLife(w.setup, d)
	percent, dice := pick(w.rng, 0, 100, w.rng.IntN(101)), rand.New(rand.NewPCG(w.rng.Uint64(), 2))
	l.onEnd = func() *vfs.MemFS { return d.power(percent, dice) }
	f.life = l
	d.watched(f.watch)
	err := within("opening", l.open)
	f.open.Store(true)
	if err == nil {
		err = w.unwell(l)
		l.abandon(l.close)
	}
	f.died = l.over()
	d.watched(nil)
	l.crash(l.onEnd)
	if errors.Is(err, errWrong) || err != nil && f.at < 0 {
		return err
	}
	w.mem = l.left
	for _, f := range w.followers {
		f.restart()
	}
	if err := w.live(false); err != nil {
		return fmt.Errorf("afterwards: %w", err)
	}
	return nil
}

// unwell is what happens while a hub is there whose disk may fail: some get an error instead of an answer, but no wrong one.
func (w *world) unwell(l *life) error {
	l.begin()
	for range 3 {
		w.tick()
		if err := within("a burst", func() error { return w.burst(l) }); errors.Is(err, errWrong) {
			return err
		}
	}
	return nil
}
