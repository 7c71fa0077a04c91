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
