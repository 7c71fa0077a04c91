package index

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// TestCrash: at any moment, with any part of what was not synced lost, the index is whole up to a watermark no earlier than the
// last it told of, and the log brings back the rest.
func TestCrash(t *testing.T) {
	for seed := range uint64(4) {
		l, rng, fs := newLog(t, seed, 400), newRand(seed), vfs.NewCrashableMem()
		var told atomic.Uint64
		o := Options{FS: fs, SegmentEntries: 20, Notary: leafOf, Flushed: func(index, _ uint64) { told.Store(index) }}
		x := openIndex(t, o)
		for i := range l.records {
			x.Append(&l.records[i])
			if rng.IntN(20) > 0 {
				continue
			}
			least := told.Load()
			crashed := o
			crashed.FS = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			crashed.Flushed = nil
			y := openIndex(t, crashed)
			if index, seq := y.Watermark(); index < least {
				t.Errorf("block %d was durable, and after a crash only %d is", least, index)
			} else if n := l.until(index); n > 0 && seq != l.records[n-1].Last() || n == 0 && seq != 0 {
				t.Errorf("after block %d entry %d", index, seq)
			} else if err := l.check(t, y, n); err != nil {
				t.Error(err)
			}
			for k := range i + 1 {
				y.Append(&l.records[k])
			}
			if err := l.check(t, y, i+1); err != nil {
				t.Error(err)
			}
			closeIndex(t, y)
		}
		closeIndex(t, x)
	}
}

// until is the number of blocks up to an index.
func (l *log) until(index uint64) (n int) {
	for n < len(l.records) && l.records[n].Index <= index {
		n++
	}
	return n
}

// TestNoRoom: on a full disk the index goes on answering, and when there is room again nothing is missing.
func TestNoRoom(t *testing.T) {
	l, fs := newLog(t, 3, 600), vfs.NewMem()
	var full atomic.Bool
	var refused sync.Map // what was tried on the full disk
	o := Options{SegmentEntries: 1 << 20, Notary: leafOf, FS: errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpLink:
			if full.Load() {
				refused.Store(op.Kind, true)
				return syscall.ENOSPC
			}
		}
		return nil
	}))}
	x := openIndex(t, o)
	third := len(l.records) / 3
	for i := range l.records[:third] {
		x.Append(&l.records[i])
	}
	if err := x.Wait(t.Context(), l.records[third-1].Index); err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	for i := third; i < 2*third; i++ {
		x.Append(&l.records[i])
	}
	waited := make(chan error)
	go func() { waited <- x.Wait(t.Context(), l.records[2*third-1].Index) }()
	for {
		if _, ok := refused.Load(errorfs.OpCreate); ok {
			break
		}
	}
	if err := l.check(t, x, 2*third); err != nil {
		t.Errorf("while the disk is full: %v", err)
	}
	full.Store(false)
	if err := <-waited; err != nil {
		t.Error(err)
	}
	full.Store(true)
	for i := 2 * third; i < len(l.records); i++ {
		x.Append(&l.records[i])
	}
	if err := x.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("closing without room: %v", err)
	}
	full.Store(false)
	x = openIndex(t, o)
	if index, _ := x.Watermark(); index != l.records[2*third-1].Index {
		t.Errorf("watermark %d", index)
	}
	if names, err := fs.List("index/" + building); err != nil || len(names) > 0 {
		t.Errorf("left of what was being built: %q, %v", names, err)
	}
	for i := range l.records {
		x.Append(&l.records[i])
	}
	if err := l.check(t, x, len(l.records)); err != nil {
		t.Error(err)
	}
	closeIndex(t, x)
}

// TestFailures: each step of a flush fails, lost or done and reported lost. The index says so, and after a restart everything is
// there again.
func TestFailures(t *testing.T) {
	l := newLog(t, 5, 200)
	boom := errors.New("the disk has gone")
	kinds := map[errorfs.OpKind]int{}
	for nth, seen := 0, true; seen; nth++ {
		fs := vfs.NewCrashableMem()
		var armed atomic.Bool
		var count atomic.Int64
		seen = false
		var mu sync.Mutex
		o := Options{SegmentEntries: 40, Notary: leafOf, Fatal: func(error) {}}
		o.FS = errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if !armed.Load() || op.Kind.ReadOrWrite() != errorfs.OpIsWrite || strings.Contains(op.Path, ".log") {
				return nil
			}
			if count.Add(1)-1 == int64(nth) {
				mu.Lock()
				defer mu.Unlock()
				seen = true
				kinds[op.Kind]++
				return boom
			}
			return nil
		}))
		x := openIndex(t, o)
		armed.Store(true)
		for i := range l.records {
			x.Append(&l.records[i])
		}
		err := x.Wait(t.Context(), l.records[len(l.records)-1].Index)
		armed.Store(false)
		if cerr := x.Close(); err == nil {
			err = cerr
		}
		mu.Lock()
		if seen && err != nil && !errors.Is(err, boom) && !strings.Contains(err.Error(), boom.Error()) {
			t.Errorf("failure %d: %v", nth, err)
		}
		if !seen && err != nil {
			t.Errorf("without a failure: %v", err)
		}
		mu.Unlock()
		o.FS = fs.CrashClone(vfs.CrashCloneCfg{})
		y := openIndex(t, o)
		for i := range l.records {
			y.Append(&l.records[i])
		}
		if err := l.check(t, y, len(l.records)); err != nil {
			t.Errorf("after failure %d: %v", nth, err)
		}
		closeIndex(t, y)
	}
	if kinds[errorfs.OpCreate] == 0 || kinds[errorfs.OpFileWrite] == 0 || kinds[errorfs.OpFileSync] == 0 || kinds[errorfs.OpLink] == 0 {
		t.Errorf("failures of %v", kinds)
	}
}
