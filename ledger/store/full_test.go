package store_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
	"github.com/millrace/millrace/ledger/store"
)

// TestOpenWithoutRoom: a log that was left to be flushed, on a disk that is full by now, is one error, at once. Left to itself
// pebble tries again for ever. With room again, everything is there.
func TestOpenWithoutRoom(t *testing.T) {
	mem, full := vfs.NewCrashableMem(), atomic.Bool{}
	f := newFolder(t, mem, ledger.DefaultParams())
	s, m := f.start()
	open(t, s, m, 0, 5)
	left := mem.CrashClone(vfs.CrashCloneCfg{}) // blocks in the log alone, and no snapshot
	disk := f.on(errorfs.Wrap(left, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") {
			return syscall.ENOSPC
		}
		return nil
	})))
	full.Store(true)
	said := make(chan error, 1)
	go func() {
		_, err := store.Open(disk.opts)
		said <- err
	}()
	select {
	case err := <-said:
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Open says %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Open does not come back")
	}
	again, n := f.on(left.CrashClone(vfs.CrashCloneCfg{})).start()
	if n.print() != m.print() {
		t.Error("with room again the ledger is another")
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestFullDisk: a store on a disk that is as good as full takes no blocks, finishes those that it has, reads on, and takes blocks
// again when there is room.
func TestFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	f := newFolder(t, mem, ledger.DefaultParams())
	leave := func(free uint64) { mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: free, TotalBytes: 1 << 40}) }
	leave(1 << 39)
	hold := make(chan struct{})
	m := newMachine(f.params)
	m.before = func(index uint64, _ []byte) {
		if index == 6 {
			<-hold
		}
	}
	s := f.startWith(m)
	open(t, s, m, 0, 5)
	propose(t, s, m.block(opening(5)))
	leave(1 << 20)
	until(t, "refused", func() bool { _, full := s.Space(); return full })
	wantErr(t, "Propose", s.Propose(m.block(opening(6))), store.ErrNoSpace)
	close(hold)
	barrier(t, s)
	if free, _ := s.Space(); m.index() != 6 || free != 1<<20 {
		t.Errorf("at block %d with %d bytes free", m.index(), free)
	}
	n := 0
	if err := s.Blocks(1, func(uint64, []byte) error { n++; return nil }); err != nil || n != 6 {
		t.Errorf("%d blocks, %v", n, err)
	}
	leave(1 << 38)
	until(t, "taken again", func() bool { _, full := s.Space(); return !full })
	open(t, s, m, 7, 3)
	closeStore(t, s)
}

func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

// TestFlushWithoutRoom: tables that find no room are tried again, and the log neither ends nor loses a block.
func TestFlushWithoutRoom(t *testing.T) {
	mem, full, tried := vfs.NewCrashableMem(), atomic.Bool{}, atomic.Int32{}
	f := newFolder(t, mem, ledger.DefaultParams())
	disk := f.on(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".sst") {
			tried.Add(1)
			return syscall.ENOSPC
		}
		return nil
	})))
	s, m := disk.start()
	full.Store(true)
	var steps []ledgertest.Step
	for i := range uint64(15_000) { // of which all but the first block's are repeats, and large all the same
		steps = append(steps, opening(i))
	}
	for tried.Load() < 2 { // until pebble has a table to write, more than once
		err := s.Propose(m.block(steps...))
		switch {
		case err == nil:
			barrier(t, s)
		case errors.Is(err, store.ErrNoSpace):
			time.Sleep(time.Millisecond)
		default:
			t.Fatal(err)
		}
	}
	if n := tried.Load(); n > 100 {
		t.Errorf("tried %d times", n)
	}
	full.Store(false)
	until(t, "there is room", func() bool { _, full := s.Space(); return !full })
	open(t, s, m, 50_000_000, 3)
	select {
	case err := <-f.fatal:
		t.Errorf("told to end: %v", err)
	default:
	}
	want := m.print()
	left := mem.CrashClone(vfs.CrashCloneCfg{})
	closeStore(t, s)
	s, again := f.on(left).start()
	if again.print() != want {
		t.Error("another ledger")
	}
	closeStore(t, s)
}

// TestLogWithoutRoom: the write-ahead log itself meets a full disk, and gets the ballast's room.
func TestLogWithoutRoom(t *testing.T) {
	mem, full, met := vfs.NewCrashableMem(), atomic.Bool{}, atomic.Int32{}
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 40, TotalBytes: 1 << 41})
	f := newFolder(t, mem, ledger.DefaultParams())
	exists := func() bool { _, err := mem.Stat(f.path("BALLAST")); return err == nil }
	s, m := f.on(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".log") && exists() {
			met.Add(1)
			return syscall.ENOSPC
		}
		return nil
	}))).start()
	until(t, "there is a ballast", exists)
	open(t, s, m, 0, 5)
	full.Store(true)
	open(t, s, m, 5, 1)
	full.Store(false)
	if met.Load() == 0 {
		t.Error("the log did not meet the full disk")
	}
	until(t, "there is room", func() bool { _, full := s.Space(); return !full && exists() })
	open(t, s, m, 6, 3)
	select {
	case err := <-f.fatal:
		t.Errorf("told to end: %v", err)
	default:
	}
	closeStore(t, s)
}
