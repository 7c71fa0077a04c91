package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/storetest"
)

// killed is a folder as a killed process leaves it, with all that it had written, and what its ledger then was. A part of the
// log has been flushed into tables, the rest is in the write-ahead log alone.
func killed(t *testing.T) (*folder, *vfs.MemFS, print, uint64) {
	mem := vfs.NewCrashableMem()
	f := newFolder(t, mem, ledger.DefaultParams())
	s, m := f.start()
	many := func(n uint64) []byte {
		var steps []ledgertest.Step
		for i := range uint64(200) {
			steps = append(steps, opening(n*1000+i))
		}
		return m.block(steps...)
	}
	for n := range uint64(10) {
		propose(t, s, many(n))
		barrier(t, s)
	}
	closeStore(t, s)
	s, m = f.start()
	for n := range uint64(12) {
		propose(t, s, many(100+n))
		barrier(t, s)
	}
	open(t, s, m, 900_000, 3)
	left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: newRand(1)})
	p, n := m.print(), m.index()
	closeStore(t, s)
	return f.on(left), left, p, n
}

// copyOf is the folder with one file changed.
func copyOf(t *testing.T, f *folder, mem *vfs.MemFS, path string, data []byte) *folder {
	c := f.on(mem.CrashClone(vfs.CrashCloneCfg{}))
	c.t = t
	storetest.WriteFile(t, c.fs(), path, data)
	return c
}

// logs are the paths of the write-ahead logs that hold anything.
func logs(t *testing.T, f *folder) (paths []string) {
	for _, path := range storetest.Files(t, f.fs(), f.path("ledger"), ".log") {
		if len(storetest.ReadFile(t, f.fs(), path)) > 0 {
			paths = append(paths, path)
		}
	}
	return paths
}

// TestLostEnd cuts the write-ahead log of a killed process anywhere, and spoils it there: what was acknowledged and is not
// there any more is missed, by number.
func TestLostEnd(t *testing.T) {
	f, mem, want, end := killed(t)
	rng, refused := newRand(3), 0
	for _, path := range logs(t, f) {
		whole := storetest.ReadFile(t, f.fs(), path)
		for i := range 60 {
			at := rng.IntN(len(whole))
			if i < 10 { // the very end, which nothing in pebble watches
				at = len(whole) - 1 - i*7
			}
			for what, data := range map[string][]byte{"cut": whole[:at], "spoilt": spoil(whole, at)} {
				c := copyOf(t, f, mem, path, data)
				m := newMachine(c.params)
				s, err := store.Open(c.opts)
				if err == nil {
					err = s.Start(context.Background(), m, nil)
					if cerr := s.Close(); err == nil && cerr != nil {
						t.Errorf("%s at %d: closing: %v", what, at, cerr)
					}
				}
				switch {
				case err == nil && m.print() != want:
					t.Errorf("%s at %d of %d: started at block %d of %d", what, at, len(whole), m.index(), end)
				case err != nil && !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrFormat):
					t.Errorf("%s at %d: %v", what, at, err)
				case err != nil:
					refused++
				}
				if err != nil && strings.Contains(err.Error(), "made durable") {
					if says := fmt.Sprintf("blocks %d to %d", m.index()+1, end); !strings.Contains(err.Error(), says) {
						t.Errorf("%s at %d: want %q in: %v", what, at, says, err)
					}
				}
			}
		}
	}
	if refused < 60 {
		t.Errorf("refused %d times", refused)
	}
}

func spoil(whole []byte, at int) []byte {
	b := bytes.Clone(whole)
	b[at] ^= 0x10
	return b
}

// TestWithoutWatermark: the watermark is one more witness, and where there is none the log is taken as it is.
func TestWithoutWatermark(t *testing.T) {
	f, _, want, _ := killed(t)
	path := f.path("WATERMARK")
	if err := f.fs().Remove(path); err != nil {
		t.Fatal(err)
	}
	s, m := f.start()
	if m.print() != want {
		t.Error("another ledger")
	}
	open(t, s, m, 950_000, 2)
	closeStore(t, s)
	if b := storetest.ReadFile(t, f.fs(), path); len(b) != 1024 {
		t.Errorf("%d bytes", len(b))
	}
	f, mem, want, end := killed(t)
	whole := storetest.ReadFile(t, f.fs(), path)
	for name, c := range map[string]struct {
		bend   func(b []byte) []byte
		starts bool
	}{
		"first slot bent":  {func(b []byte) []byte { b[8] ^= 1; return b }, true},
		"second slot bent": {func(b []byte) []byte { b[512+8] ^= 1; return b }, true},
		"both bent":        {func(b []byte) []byte { b[8] ^= 1; b[512+63] ^= 1; return b }, false},
		"cut":              {func(b []byte) []byte { return b[:3] }, false},
		"one slot alone":   {func(b []byte) []byte { return b[:64] }, true},
	} {
		bent := copyOf(t, f, mem, path, c.bend(bytes.Clone(whole)))
		if !c.starts {
			wantErr(t, name, bent.startFails(newMachine(f.params)), store.ErrCorrupt)
			continue
		}
		s, m := bent.start()
		if m.print() != want || m.index() != end {
			t.Errorf("%s: another ledger", name)
		}
		open(t, s, m, 950_000, 2)
		closeStore(t, s)
		s, m = bent.start()
		if m.index() != end+2 {
			t.Errorf("%s: at %d", name, m.index())
		}
		closeStore(t, s)
	}
}

// TestOthersWatermark: one from another folder, or from a later time, is found out.
func TestOthersWatermark(t *testing.T) {
	mem := vfs.NewCrashableMem()
	f := newFolder(t, mem, ledger.DefaultParams())
	s, m := f.start()
	open(t, s, m, 0, 5)
	early := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: newRand(1)})
	open(t, s, m, 5, 5)
	closeStore(t, s)
	later := storetest.ReadFile(t, mem, f.path("WATERMARK"))
	err := copyOf(t, f, early, f.path("WATERMARK"), later).startFails(newMachine(f.params))
	wantErr(t, "from later", err, store.ErrCorrupt)
	if !strings.Contains(fmt.Sprint(err), "blocks 6 to 10") {
		t.Errorf("says %v", err)
	}
	other := newFolder(t, vfs.NewCrashableMem(), ledger.DefaultParams())
	s, m = other.start()
	open(t, s, m, 100, 7)
	closeStore(t, s)
	theirs := storetest.ReadFile(t, other.fs(), other.path("WATERMARK"))
	wantErr(t, "another's", copyOf(t, f, mem, f.path("WATERMARK"), theirs).startFails(newMachine(f.params)), store.ErrCorrupt)
}

// TestFlippedBit flips a bit in each file of the folder, a few times. It is found, by an error when the folder is opened,
// replayed or read through; or it does not matter, and what is served is what was written.
func TestFlippedBit(t *testing.T) {
	f, mem, want, _ := killed(t)
	stopped := f.on(mem.CrashClone(vfs.CrashCloneCfg{}))
	s, _ := stopped.start()
	closeStore(t, s)
	whole := blocksOf(t, stopped)
	for name, f := range map[string]*folder{"killed": f, "stopped": stopped} {
		base, rng, kinds := f.fs().(*vfs.MemFS), newRand(8), map[string]int{}
		for _, path := range files(t, base, f.opts.Dir) {
			data := storetest.ReadFile(t, base, path)
			if len(data) == 0 || base.PathBase(path) == "LOCK" {
				continue
			}
			bits := []int{0, 8*len(data) - 1}
			for range 12 {
				bits = append(bits, rng.IntN(8*len(data)))
			}
			for _, bit := range bits {
				if err := serves(copyOf(t, f, base, path, storetest.Flipped(data, bit)), want, whole); err != nil {
					t.Errorf("%s: bit %d of %s with %d bytes: %v", name, bit, path, len(data), err)
				}
				kinds[strings.TrimLeft(base.PathBase(path), "0123456789")]++
			}
		}
		for _, kind := range []string{".sst", "FORMAT", "WATERMARK"} {
			if kinds[kind] == 0 {
				t.Errorf("%s: no %s was bent, only %v", name, kind, kinds)
			}
		}
	}
}

// serves is an error if a folder serves anything but what was written to it.
func serves(f *folder, want print, whole [][]byte) error {
	s, err := store.Open(f.opts)
	if err != nil {
		return nil
	}
	defer s.Close()
	m := newMachine(f.params)
	if err := s.Start(context.Background(), m, nil); err != nil {
		return nil
	}
	if s.Params() != f.params {
		return fmt.Errorf("serves the params %+v", s.Params())
	}
	if m.print() != want {
		return fmt.Errorf("serves another ledger, as of block %d", m.index())
	}
	n := 0
	err = s.Blocks(1, func(index uint64, block []byte) error {
		if n++; !bytes.Equal(block, whole[index-1]) {
			return os.ErrInvalid
		}
		return nil
	})
	if errors.Is(err, os.ErrInvalid) || err == nil && n != len(whole) {
		return fmt.Errorf("serves other blocks")
	}
	return nil
}

func blocksOf(t *testing.T, f *folder) (all [][]byte) {
	s, _ := f.on(f.fs().(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})).start()
	err := s.Blocks(1, func(_ uint64, b []byte) error { all = append(all, bytes.Clone(b)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	return all
}

// files lists all files below a folder.
func files(t *testing.T, fs vfs.FS, dir string) (paths []string) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			paths = append(paths, files(t, fs, path)...)
		} else {
			paths = append(paths, path)
		}
	}
	return paths
}
