package simulation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/hub/keyring"
)

// What can be asked for in the environment, for longer runs and for one that failed: see make test-faults.
const (
	seedVar    = "MILLRACE_TEST_SEED"    // where the seeds begin; 1 when not set
	secondsVar = "MILLRACE_TEST_SECONDS" // how long a test goes on with new seeds; 8 when not set
)

func number(t *testing.T, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func newRing(t *testing.T) *keyring.Ring {
	ring, err := keyring.Create(filepath.Join(t.TempDir(), "keys"), keyring.KEK{1}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// TestSimulation lives through many lives of hubs, with clients who send again what was not answered, a clock that jumps, crashes
// at any write, and followers. After each start everything that anybody was told is held against the log, and the log against a model.
func TestSimulation(t *testing.T) {
	ring := newRing(t)
	works := sealWorks(ring, 6)
	seed, until := number(t, seedVar, 1), time.Now().Add(time.Duration(number(t, secondsVar, 8))*time.Second)
	seeds, lives, crashes, early, acks, repeats, restored := 0, 0, 0, 0, 0, 0, 0
	for ; seeds < 3 || time.Now().Before(until); seed++ {
		w, err := newWorld(seed, ring, works)
		if err == nil {
			err = w.run()
		}
		if err != nil {
			t.Fatalf("seed %d, life %d: %v\nagain: %s=%d %s=0 go test -run '^TestSimulation$' ./hub/simulation", seed, w.counts.lives, err, seedVar, seed, secondsVar)
		}
		seeds++
		lives += w.counts.lives
		crashes += w.counts.crashes
		early += w.counts.early
		acks += w.counts.acks
		repeats += w.counts.repeats
		restored += w.counts.restored
	}
	t.Logf("%d seeds: %d lives, %d crashes, %d of them during a start; %d outcomes kept, %d asked for again; %d checkpoints",
		seeds, lives, crashes, early, acks, repeats, restored)
	if crashes == 0 || acks == 0 || repeats == 0 {
		t.Error("too little happened to say anything")
	}
}

// run is a handful of lives, and a last one in which everybody gets an answer.
func (w *world) run() error {
	for range 3 + w.rng.IntN(6) {
		if err := w.live(w.rng.IntN(4) > 0); err != nil {
			return err
		}
	}
	return w.live(false)
}

// live is one life of the hub: it ends in a crash at some write, or else in a stop, behind which the power fails.
func (w *world) live(crashing bool) error {
	w.counts.lives++
	d := newDisk(w.mem)
	l := newLife(w.setup, d)
	percent, dice := pick(w.rng, 0, 0, 100, w.rng.IntN(101)), rand.New(rand.NewPCG(w.rng.Uint64(), 2))
	power := func() *vfs.MemFS { return d.power(percent, dice) }
	var writes atomic.Int64
	after := int64(1 + w.rng.IntN(pick(w.rng, 60, 400, 2000, 6000))) // so many writes
	if crashing {
		d.watched(func(s step) verdict {
			if s.writes && writes.Add(1) == after {
				l.crash(power)
			}
			return goes
		})
	}
	if err := within("opening", l.open); err != nil {
		if !l.over() {
			return fmt.Errorf("opening: %w", err)
		}
	} else {
		err := w.during(l)
		cerr := within("closing", l.close)
		switch {
		case err != nil:
			return err
		case !l.over() && cerr != nil:
			return fmt.Errorf("closing: %w", cerr)
		}
	}
	if err := l.word(); err != nil {
		return fmt.Errorf("the hub died: %w", err)
	}
	if l.over() {
		w.counts.crashes++
	}
	d.watched(nil)
	l.crash(power)
	w.mem = l.left
	for _, f := range w.followers {
		f.restart()
	}
	return nil
}

// during is what happens while a hub is there.
func (w *world) during(l *life) error {
	err := w.steady(l, func() error { return errors.Join(w.whole(l), w.restored(l)) })
	l.begin()
	if err != nil {
		return err
	}
	if l.over() {
		w.counts.early++
		return nil
	}
	if err := errors.Join(w.steady(l, func() error { return w.shown(l) }), w.repeats(l)); err != nil {
		return err
	}
	for range 1 + w.rng.IntN(4) {
		w.tick()
		if err := within("a burst", func() error { return w.burst(l) }); err != nil || l.over() {
			return err
		}
		if err := w.steady(l, func() error { return w.caughtUp(l) }); err != nil {
			return err
		}
	}
	return w.steady(l, func() error { return errors.Join(w.whole(l), w.shown(l)) })
}

// steady checks something against all that is in the log. The hub itself may close channels whose time has run out; then what is
// checked is another ledger by now, and is checked again.
func (w *world) steady(l *life, check func() error) error {
	for {
		if err := w.quiet(l); err != nil {
			return err
		}
		err := check()
		if err == nil {
			return nil
		}
		if err := l.settled(); err != nil {
			return err
		}
		if l.applied.Load() == uint64(len(w.audit.blocks)) {
			return err
		}
	}
}

// whole: the ledger adds up, and the index has what it should have.
func (w *world) whole(l *life) error {
	return errors.Join(w.audit.balanced(), w.audit.checkIndex(l.index, w.rng, w.idKeep))
}

// caughtUp: the followers hear of everything.
func (w *world) caughtUp(l *life) error {
	for _, f := range w.followers {
		if err := f.next(l, 1<<30); err != nil {
			return err
		}
		if f.at != w.audit.seq() && !l.over() {
			return fmt.Errorf("a follower is at %d of %d entries", f.at, w.audit.seq())
		}
	}
	return nil
}
