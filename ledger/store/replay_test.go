package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/storetest"
)

// TestDurableBeforeApply has the machine crash inside each Apply: the block is in what is left, although all that was not
// synced is lost.
func TestDurableBeforeApply(t *testing.T) {
	mem := vfs.NewCrashableMem()
	f := newFolder(t, mem, ledger.DefaultParams())
	m := newMachine(f.params)
	m.before = func(index uint64, block []byte) {
		left, err := store.Open(f.on(mem.CrashClone(vfs.CrashCloneCfg{})).opts)
		if err != nil {
			t.Error(err)
			return
		}
		found := false
		err = left.Blocks(index, func(i uint64, b []byte) error {
			found = found || i == index && bytes.Equal(b, block)
			return nil
		})
		if err := errors.Join(err, left.Close()); err != nil || !found {
			t.Errorf("block %d is being applied and not durable: %v", index, err)
		}
	}
	s := f.startWith(m)
	open(t, s, m, 0, 10)
	for range 10 {
		for range maxFlying {
			propose(t, s, m.block(opening(uint64(m.number)+100)))
		}
		barrier(t, s)
	}
	closeStore(t, s)
	for i, index := range m.applied() {
		if index != uint64(i+1) {
			t.Fatalf("block %d was applied as number %d", index, i+1)
		}
	}
}

func TestRestart(t *testing.T) {
	for name, fs := range map[string]vfs.FS{"disk": nil, "memory": vfs.NewMem()} {
		t.Run(name, func(t *testing.T) {
			h, rng := newHistory(3, 500), newRand(3)
			f := newFolder(t, fs, h.params)
			for at := 0; at < len(h.batches); {
				at = min(at+1+rng.IntN(60), len(h.batches))
				s, m := f.start()
				h.feed(t, rng, s, m, at)
				h.check(t, "before a restart", m, at)
				closeStore(t, s)
			}
			s, m := f.start()
			h.check(t, "at the end", m, len(h.batches))
			if len(m.restored) != 0 || len(m.applied()) != len(h.batches) {
				t.Errorf("restored %d, replayed %d of %d blocks", m.restored, len(m.applied()), len(h.batches))
			}
			closeStore(t, s)
		})
	}
}

// grown is a folder with a history that was stopped cleanly a few times, and then crashed.
func grown(t *testing.T) (f *folder, mem *vfs.MemFS, h *history) {
	mem, h = vfs.NewCrashableMem(), newHistory(9, 400)
	f = newFolder(t, mem, h.params)
	for _, at := range []int{len(h.batches) / 4, len(h.batches) / 2, len(h.batches) - 10} {
		s, m := f.start()
		h.feed(t, newRand(1), s, m, at)
		closeStore(t, s)
	}
	s, m := f.start()
	h.feed(t, newRand(1), s, m, len(h.batches))
	mem = mem.CrashClone(vfs.CrashCloneCfg{})
	closeStore(t, s)
	return f.on(mem), mem, h
}

func key(index uint64) []byte { return binary.BigEndian.AppendUint64([]byte("b"), index) }

// TestDamagedLog: whatever is wrong with the log, Start says ErrCorrupt, and nothing is applied beyond it.
func TestDamagedLog(t *testing.T) {
	f, mem, h := grown(t)
	n := uint64(len(h.batches))
	db := func(change func(db *pebble.DB) error) func(*testing.T, *folder) {
		return func(t *testing.T, f *folder) { edit(t, f, change) }
	}
	bent := func(index uint64, bend func([]byte) []byte) func(*testing.T, *folder) {
		return db(func(db *pebble.DB) error {
			v, closer, err := db.Get(key(index))
			if err != nil {
				return err
			}
			defer closer.Close()
			return db.Set(key(index), bend(bytes.Clone(v)), pebble.Sync)
		})
	}
	type damage struct {
		name  string
		bend  func(*testing.T, *folder)
		until uint64 // the last block applied
	}
	cases := []damage{
		{"first missing", db(func(db *pebble.DB) error { return db.Delete(key(1), pebble.Sync) }), 0},
		{"one missing", db(func(db *pebble.DB) error { return db.Delete(key(7), pebble.Sync) }), 6},
		{"long key", db(func(db *pebble.DB) error { return db.Set(append(key(9), 0), []byte("x"), pebble.Sync) }), 9},
		{"empty block", bent(5, func([]byte) []byte { return nil }), 4},
		{"cut block", bent(5, func(b []byte) []byte { return b[:len(b)-1] }), 4},
		{"longer block", bent(5, func(b []byte) []byte { return append(b, 0) }), 4},
		{"another's block", bent(5, func([]byte) []byte { return foreign() }), 4},
		{"twice the same", db(func(db *pebble.DB) error {
			v, closer, err := db.Get(key(n))
			if err != nil {
				return err
			}
			defer closer.Close()
			return db.Set(key(n+ledger.MaxInFlight+2), v, pebble.Sync)
		}), n},
	}
	rng := newRand(4)
	for range 24 {
		index, bit := 1+rng.Uint64N(n), rng.Uint64()
		cases = append(cases, damage{fmt.Sprintf("bit %d of block %d", bit, index), bent(index, func(b []byte) []byte {
			b[bit/8%uint64(len(b))] ^= 1 << (bit % 8)
			return b
		}), index - 1})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := f.on(mem.CrashClone(vfs.CrashCloneCfg{}))
			f.t = t
			c.bend(t, f)
			m := newMachine(f.params)
			wantErr(t, "Start", f.startFails(m), store.ErrCorrupt)
			h.check(t, "after the failure", m, int(c.until))
		})
	}
}

// foreign is a whole block, but of another ledger.
func foreign() []byte {
	m := newMachine(ledger.DefaultParams())
	if err := m.Apply(1, m.block(opening(1))); err != nil {
		panic(err)
	}
	return m.block(opening(2))
}

// TestLagWhileStarting: a scrape during a long replay finds numbers that make sense.
func TestLagWhileStarting(t *testing.T) {
	f, _, h := grown(t)
	s, err := store.Open(f.opts)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(f.params)
	m.before = func(uint64, []byte) {
		done := make(chan struct{})
		go func() { // as a scrape does
			defer close(done)
			if watermark, snapshot := s.Lag(); watermark != 0 || snapshot != 0 {
				t.Errorf("lags %d and %d before the log has started", watermark, snapshot)
			}
		}()
		<-done
	}
	if err := s.Start(t.Context(), m, nil); err != nil {
		t.Fatal(err)
	}
	if watermark, checkpoint := s.Lag(); watermark != 0 || checkpoint != uint64(len(h.batches)) {
		t.Errorf("lags %d and %d after %d blocks", watermark, checkpoint, len(h.batches))
	}
	closeStore(t, s)
}

// TestDamagedFiles flips bits in pebble's own files. Nothing wrong is ever applied, nobody's goroutine ends without a word,
// and nothing is missed in silence but, without a checkpoint behind it, what lies in the last 32 KiB of pebble's WAL: there
// pebble cannot tell a record that has rotted from one that a crash cut short.
func TestDamagedFiles(t *testing.T) {
	f, mem, h := grown(t)
	for _, kind := range []string{".log", ".sst", ".blob"} {
		base := f.on(mem.CrashClone(vfs.CrashCloneCfg{}))
		if kind != ".log" {
			edit(t, base, func(*pebble.DB) error { return nil }) // which flushes
		}
		rng, refused := newRand(5), 0
		for _, path := range storetest.Files(t, base.fs(), base.path("ledger"), kind) {
			b := storetest.ReadFile(t, base.fs(), path)
			for range 30 {
				if len(b) == 0 {
					break
				}
				bit := rng.IntN(8 * len(b))
				f := base.on(base.fs().(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
				storetest.WriteFile(t, f.fs(), path, storetest.Flipped(b, bit))
				if startsWhole(t, f, h, kind == ".log", fmt.Sprintf("bit %d of %s with %d bytes", bit, path, len(b))) {
					continue
				}
				refused++
			}
		}
		if refused == 0 && kind != ".blob" {
			t.Errorf("%s: no flipped bit was found", kind)
		}
	}
}

func startsWhole(t *testing.T, f *folder, h *history, mayEnd bool, what string) bool {
	m := newMachine(f.params)
	s, err := store.Open(f.opts)
	if err == nil {
		err = s.Start(context.Background(), m, nil)
		// Pebble reads tables in the background, too, and may have found the damage only after the replay.
		if cerr := s.Close(); err == nil && cerr != nil && !errors.Is(cerr, store.ErrCorrupt) {
			t.Errorf("%s: closing: %v", what, cerr)
		}
	}
	if err != nil {
		if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
		return false
	}
	if mayEnd {
		h.check(t, what, m, int(m.index()))
		return m.index() == uint64(len(h.batches))
	}
	h.check(t, what, m, len(h.batches))
	return true
}

// TestDamagedWAL: what has rotted in the middle of a long WAL is found.
func TestDamagedWAL(t *testing.T) {
	mem := vfs.NewCrashableMem()
	f := newFolder(t, mem, ledger.DefaultParams())
	s, m := f.start()
	for n := range uint64(12) {
		var steps []ledgertest.Step
		for i := range uint64(1000) {
			steps = append(steps, opening(n*1000+i))
		}
		propose(t, s, m.block(steps...))
		barrier(t, s)
	}
	mem = mem.CrashClone(vfs.CrashCloneCfg{})
	closeStore(t, s)
	f = f.on(mem)
	for _, path := range storetest.Files(t, f.fs(), f.path("ledger"), ".log") {
		b := storetest.ReadFile(t, f.fs(), path)
		b[len(b)/3] ^= 4
		storetest.WriteFile(t, f.fs(), path, b)
	}
	wantErr(t, "Start", f.startFails(newMachine(f.params)), store.ErrCorrupt)
}

func TestStartIsInterrupted(t *testing.T) {
	f := newFolder(t, vfs.NewMem(), ledger.DefaultParams())
	s, m := f.start()
	open(t, s, m, 0, 5)
	closeStore(t, s)
	s, err := store.Open(f.opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m = newMachine(f.params)
	m.before = func(index uint64, _ []byte) {
		if index == 3 {
			cancel()
		}
	}
	wantErr(t, "Start", s.Start(ctx, m, nil), context.Canceled)
	wantErr(t, "Propose after it", s.Propose(nil), store.ErrClosed)
	closeStore(t, s)
	s, m = f.start()
	if m.index() != 5 {
		t.Errorf("at %d", m.index())
	}
	closeStore(t, s)
}
