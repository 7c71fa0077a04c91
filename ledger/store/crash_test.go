package store_test

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
)

// TestMetamorphic: the same blocks with clean stops and crashes anywhere between come to the same ledger as without.
func TestMetamorphic(t *testing.T) {
	for seed := range uint64(12) {
		h, rng := newHistory(100+seed, 600), newRand(seed)
		mem := vfs.NewCrashableMem()
		f := newFolder(t, mem, h.params)
		s, m := f.start()
		for m.index() < uint64(len(h.batches)) {
			h.feed(t, rng, s, m, min(len(h.batches), int(m.index())+1+rng.IntN(40)))
			switch at := m.index(); rng.IntN(3) {
			case 0:
				closeStore(t, s)
				s, m = f.start()
				h.check(t, "after a stop", m, int(at))
			case 1:
				mem = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
				closeStore(t, s)
				f = f.on(mem)
				s, m = f.start()
				h.check(t, "after a crash", m, int(at))
			}
		}
		if m.print() != h.last() {
			t.Errorf("seed %d: another ledger", seed)
		}
		closeStore(t, s)
	}
}

// TestCrashes crashes at any moment, with blocks on their way. What was applied before, and so acknowledged, is there after;
// and what is there is the proposed blocks in their order, up to some block.
func TestCrashes(t *testing.T) {
	until, rounds := time.Now().Add(2*time.Second), 0
	for seed := uint64(0); time.Now().Before(until) && seed < 200; seed++ {
		mem := vfs.NewCrashableMem()
		f := newFolder(t, mem, ledger.DefaultParams())
		var log [][]byte // what is known to be in it, or was proposed by the process that crashed
		for range 4 {
			m := newMachine(f.params)
			var acked atomic.Uint64
			s := f.startWith(m)
			have := int(m.index())
			if have > len(log) {
				t.Fatalf("seed %d: %d blocks of %d that were proposed", seed, have, len(log))
			}
			log = log[:have]
			err := s.Blocks(1, func(i uint64, b []byte) error {
				if !bytes.Equal(b, log[i-1]) {
					t.Errorf("seed %d: block %d is another", seed, i)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			acked.Store(m.index())
			crash := make(chan *vfs.MemFS)
			go func() {
				time.Sleep(time.Duration(newRand(seed).IntN(1500)) * time.Microsecond)
				acked.Store(m.index())
				crash <- mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 30, 100}[seed%3], RNG: newRand(seed)})
			}()
			mem = feedUntil(t, s, m, &log, crash)
			must := acked.Load()
			closeStore(t, s)
			f = f.on(mem)
			left, err := store.Open(f.opts)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			n := uint64(0)
			if err := errors.Join(left.Blocks(1, func(i uint64, _ []byte) error { n = i; return nil }), left.Close()); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if n < must {
				t.Fatalf("seed %d: %d blocks after the crash, %d were acknowledged", seed, n, must)
			}
			rounds++
		}
	}
	t.Logf("%d crashes", rounds)
}

// feedUntil proposes blocks, a few at a time, until the crash has happened.
func feedUntil(t *testing.T, s *store.Store, m *machine, log *[][]byte, crash chan *vfs.MemFS) *vfs.MemFS {
	for n := uint64(len(*log)); ; {
		for range 1 + n%maxFlying {
			b := m.block(opening(n), opening(n+1<<20))
			*log = append(*log, b)
			propose(t, s, b)
			n++
		}
		select {
		case left := <-crash:
			return left
		default:
		}
		barrier(t, s)
	}
}

// TestFailingDisk fails the log's writes and syncs: the process is told to end, nothing more is applied or taken, and what is
// left after it is a log that goes on where the last acknowledged block was, or one that has the failed block, too.
func TestFailingDisk(t *testing.T) {
	for name, kinds := range map[string][]errorfs.OpKind{
		"sync":  {errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo},
		"write": {errorfs.OpFileWrite},
	} {
		t.Run(name, func(t *testing.T) {
			mem, broken := vfs.NewCrashableMem(), atomic.Bool{}
			f := newFolder(t, mem, ledger.DefaultParams())
			disk := f.on(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if broken.Load() && strings.HasSuffix(op.Path, ".log") {
					for _, k := range kinds {
						if op.Kind == k {
							return errorfs.ErrInjected
						}
					}
				}
				return nil
			})))
			s, m := disk.start()
			open(t, s, m, 0, 5)
			before := m.print()
			broken.Store(true)
			propose(t, s, m.block(opening(5)))
			select {
			case err := <-f.fatal:
				if !strings.Contains(err.Error(), "injected") {
					t.Errorf("told %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("nobody was told")
			}
			if err := s.Barrier(t.Context()); err == nil {
				t.Error("Barrier says that the block is applied")
			}
			if err := s.Propose(m.block(opening(6))); err == nil || errors.Is(err, store.ErrClosed) {
				t.Errorf("Propose after the failure: %v", err)
			}
			broken.Store(false) // a disk that comes back changes nothing
			if err := s.Propose(m.block(opening(7))); err == nil {
				t.Error("took a block after the failure")
			}
			if m.print() != before {
				t.Error("the block was applied")
			}
			crashed := mem.CrashClone(vfs.CrashCloneCfg{})
			closed := make(chan error)
			go func() { closed <- s.Close() }()
			select {
			case err := <-closed:
				if err == nil {
					t.Error("Close says that all is well")
				}
			case <-time.After(10 * time.Second):
				t.Fatal("Close hangs")
			}
			for what, fs := range map[string]vfs.FS{"lost": crashed, "kept": mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: newRand(1)})} {
				s, m := f.on(fs).start()
				if n := m.index(); n != 5 && n != 6 {
					t.Errorf("%s: at block %d", what, n)
				}
				if m.index() == 5 && m.print() != before {
					t.Errorf("%s: another ledger", what)
				}
				open(t, s, m, 10, 3)
				closeStore(t, s)
			}
		})
	}
}
