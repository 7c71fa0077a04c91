package space_test

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger/store/space"
)

const mib = 1 << 20

// small is a file system in memory with so much room, all told, of which so much is free. It counts what lies in it, and has no
// room for more than fits.
type small struct {
	vfs.FS
	mu    sync.Mutex
	total int64
	used  int64 // by others
	sizes map[string]int64
	deny  bool // the usage cannot be asked for
}

func newSmall(t *testing.T, total int64) *small {
	s := &small{FS: vfs.NewMem(), total: total, sizes: map[string]int64{}}
	for _, dir := range []string{"/data", "/wal"} {
		if err := s.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *small) free() int64 {
	left := s.total - s.used
	for _, n := range s.sizes {
		left -= n
	}
	return left
}

// leave has others use all but so much.
func (s *small) leave(free int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used += s.free() - free
}

func (s *small) GetDiskUsage(string) (vfs.DiskUsage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deny {
		return vfs.DiskUsage{}, vfs.ErrUnsupported
	}
	return vfs.DiskUsage{TotalBytes: uint64(s.total), AvailBytes: uint64(max(0, s.free()))}, nil
}

func (s *small) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.Create(name, c)
	return smallFile{f, s, name}, err
}

func (s *small) Remove(name string) error {
	s.mu.Lock()
	delete(s.sizes, name)
	s.mu.Unlock()
	return s.FS.Remove(name)
}

func (s *small) take(name string, n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free() < int64(n) {
		return &os.PathError{Op: "write", Path: name, Err: syscall.ENOSPC}
	}
	s.sizes[name] += int64(n)
	return nil
}

type smallFile struct {
	vfs.File
	fs   *small
	name string
}

func (f smallFile) Write(p []byte) (int, error) {
	if err := f.fs.take(f.name, len(p)); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f smallFile) Preallocate(_, n int64) error { return f.fs.take(f.name, int(n)) }

func newGuard(t *testing.T, s *small, dirs ...string) *space.Guard {
	g := space.New(space.Config{FS: s, Dirs: dirs, Every: time.Millisecond, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	g.Watch()
	t.Cleanup(g.Close)
	return g
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

func (s *small) has(name string) bool {
	_, err := s.Stat(name)
	return err == nil
}

// TestReserve: the guard says so before the disk is full, and that there is room only when there is some to spare.
func TestReserve(t *testing.T) {
	for name, c := range map[string]struct{ total, reserve int64 }{
		"large": {100 << 30, 64 * mib},
		"small": {200 * mib, 20 * mib},
	} {
		s := newSmall(t, c.total)
		g := newGuard(t, s, "/data", "/wal")
		eventually(t, "there are ballasts", func() bool { return s.has("/data/BALLAST") && s.has("/wal/BALLAST") })
		if g.Full() {
			t.Errorf("%s: full", name)
		}
		s.leave(c.reserve - 1)
		eventually(t, "it is full", g.Full)
		s.leave(c.reserve + c.reserve/4)
		time.Sleep(20 * time.Millisecond)
		if !g.Full() {
			t.Errorf("%s: it flutters", name)
		}
		s.leave(c.reserve + c.reserve/2)
		eventually(t, "there is room", func() bool { return !g.Full() })
		if free := g.Free(); free != c.reserve+c.reserve/2 {
			t.Errorf("%s: %d bytes free", name, free)
		}
	}
}

// TestFullFromTheStart: a guard knows before the log is opened, and spares the room for a ballast until there is enough.
func TestFullFromTheStart(t *testing.T) {
	s := newSmall(t, 200*mib)
	s.leave(10 * mib)
	g := newGuard(t, s, "/data")
	if !g.Full() {
		t.Error("not full")
	}
	s.leave(31 * mib)
	time.Sleep(20 * time.Millisecond)
	if !g.Full() || s.has("/data/BALLAST") {
		t.Error("there is room, or a ballast")
	}
	s.leave(36 * mib)
	eventually(t, "there is room", func() bool { return !g.Full() })
	if !s.has("/data/BALLAST") || g.Free() < 30*mib {
		t.Errorf("no ballast, or %d bytes free", g.Free())
	}
}

// TestBallast: on a full disk the log gets the ballast's room, and tables do not.
func TestBallast(t *testing.T) {
	s := newSmall(t, 200*mib)
	g := newGuard(t, s, "/data")
	eventually(t, "there is a ballast", func() bool { return s.has("/data/BALLAST") })
	fs := g.FS()
	wal, err := fs.Create("/data/000001.log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	table, err := fs.Create("/data/000002.sst", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	s.leave(0)
	if _, err := table.Write(make([]byte, mib)); !space.IsFull(err) {
		t.Errorf("a table: %v", err)
	}
	if !g.Full() || !s.has("/data/BALLAST") {
		t.Error("not full, or the table had the ballast")
	}
	if n, err := wal.Write(make([]byte, mib)); n != mib || err != nil {
		t.Errorf("the log: %d, %v", n, err)
	}
	if s.has("/data/BALLAST") || !g.Full() {
		t.Error("the ballast is there still, or there is room")
	}
	if _, err := wal.Write(make([]byte, 100*mib)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("more than the ballast: %v", err)
	}
	began := time.Now()
	if _, err := fs.Create("/data/000003.sst", vfs.WriteCategoryUnspecified); err != nil {
		t.Errorf("the next table: %v", err)
	}
	if took := time.Since(began); took < 500*time.Millisecond {
		t.Errorf("tried again after %v", took)
	}
	s.leave(100 * mib)
	eventually(t, "there is room", func() bool { return !g.Full() })
	if !s.has("/data/BALLAST") {
		t.Error("the ballast is not back")
	}
	if _, err := table.Write(make([]byte, mib)); err != nil {
		t.Error(err)
	}
}

// TestUsageNotKnown: then a write that fails is what tells, and it is tried again after a while.
func TestUsageNotKnown(t *testing.T) {
	s := newSmall(t, 200*mib)
	s.deny = true
	g := newGuard(t, s, "/data")
	if g.Full() || g.Free() != -1 {
		t.Errorf("full: %v, %d bytes free", g.Full(), g.Free())
	}
	s.leave(0)
	f, err := g.FS().Create("/data/000001.log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("x")); !space.IsFull(err) || !g.Full() {
		t.Errorf("%v, full: %v", err, g.Full())
	}
	eventually(t, "it is tried again", func() bool { return !g.Full() })
}

// TestBallastLeft: what an earlier process left is taken over, unless that process did not finish it.
func TestBallastLeft(t *testing.T) {
	s := newSmall(t, 200*mib)
	f, err := s.Create("/data/BALLAST", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	s.leave(0)
	g := newGuard(t, s, "/data")
	log, err := g.FS().Create("/data/000001.log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Write([]byte("x")); !space.IsFull(err) {
		t.Errorf("room from an empty ballast: %v", err)
	}
	s.leave(5 * mib)
	if _, err := f.Write(make([]byte, 5*mib)); err != nil {
		t.Fatal(err)
	}
	g = newGuard(t, s, "/data")
	if log, err = g.FS().Create("/data/000002.log", vfs.WriteCategoryUnspecified); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Write(make([]byte, 4*mib)); err != nil {
		t.Error(err)
	}
}
