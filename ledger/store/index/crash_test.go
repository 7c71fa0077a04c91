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

// TestFailures: each step of a flush and a checkpoint fails, lost or done and reported lost. The index says so, and after a
// restart everything is there again.
func TestFailures(t *testing.T) {
	l := newLog(t, 5, 120)
	for _, late := range []bool{false, true} {
		kinds := map[errorfs.OpKind]int{}
		for nth := int64(0); ; nth++ {
			kind, failed := l.fail(t, nth, late)
			if !failed {
				break
			}
			kinds[kind]++
		}
		if kinds[errorfs.OpCreate] == 0 || kinds[errorfs.OpFileWrite] == 0 || kinds[errorfs.OpFileSync] == 0 || kinds[errorfs.OpLink] == 0 {
			t.Errorf("failures of %v, late: %v", kinds, late)
		}
	}
}

// fail lets the n-th write of a hub's life fail, and says of which kind it was; false if there are fewer.
func (l *log) fail(t *testing.T, nth int64, late bool) (kind errorfs.OpKind, failed bool) {
	t.Helper()
	fs, boom := vfs.NewCrashableMem(), errors.New("the disk has gone")
	var armed atomic.Bool
	var count, hit atomic.Int64
	hit.Store(-1)
	verdict := func(kind errorfs.OpKind) error {
		if !armed.Load() || count.Add(1)-1 != nth {
			return nil
		}
		hit.Store(int64(kind))
		return boom
	}
	o := Options{SegmentEntries: 60, Notary: leafOf, Fatal: func(error) {}}
	if o.FS = (&lateFS{fs, verdict}); !late {
		o.FS = errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
				return nil
			}
			return verdict(op.Kind)
		}))
	}
	m := l.start(t, o)
	armed.Store(true)
	m.run(l, len(l.records)/2)
	m.x.Checkpoint(m.state.Checkpoint())
	m.run(l, len(l.records))
	err := m.x.Wait(t.Context(), m.state.Index())
	if cerr := m.x.Close(); err == nil {
		err = cerr
	}
	if kind, failed = errorfs.OpKind(hit.Load()), hit.Load() >= 0; failed && err != nil && !strings.Contains(err.Error(), boom.Error()) || !failed && err != nil {
		t.Errorf("failure %d, of kind %d: %v", nth, kind, err)
	}
	for _, left := range []*vfs.MemFS{fs, fs.CrashClone(vfs.CrashCloneCfg{})} {
		o.FS = left.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: newRand(1)}) // a broken pebble keeps its lock
		m := l.start(t, o)
		m.run(l, len(l.records))
		if err := l.check(t, m.x, len(l.records)); err != nil {
			t.Errorf("after failure %d, late %v: %v", nth, late, err)
		}
		closeIndex(t, m.x)
	}
	return kind, failed
}

// lateFS does what it is asked, and then may say that it failed.
type lateFS struct {
	vfs.FS
	verdict func(errorfs.OpKind) error
}

func (f *lateFS) Link(from, to string) error {
	return errors.Join(f.FS.Link(from, to), f.verdict(errorfs.OpLink))
}

func (f *lateFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, category)
	if lost := f.verdict(errorfs.OpCreate); err == nil && lost != nil {
		return nil, errors.Join(lost, file.Close())
	}
	return lateFile{file, f.verdict}, err
}

type lateFile struct {
	vfs.File
	verdict func(errorfs.OpKind) error
}

func (f lateFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, errors.Join(err, f.verdict(errorfs.OpFileWrite))
}

func (f lateFile) Sync() error {
	return errors.Join(f.File.Sync(), f.verdict(errorfs.OpFileSync))
}

func (f lateFile) SyncData() error {
	return errors.Join(f.File.SyncData(), f.verdict(errorfs.OpFileSync))
}
