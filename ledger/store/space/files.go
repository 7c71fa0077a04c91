package space

import (
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// retryAfter is how long a table waits for room before it is tried again all the same: pebble itself would try without end,
// thousands of times a second.
const retryAfter = time.Second

// files is the file system as pebble gets it.
type files struct {
	vfs.FS // with the ballast behind what must not fail
	guard  *Guard
}

// FS is the guard's file system with the guard around it, for pebble.
func (g *Guard) FS() vfs.FS {
	return files{vfs.OnDiskFull(g.cfg.FS, g.drop), g}
}

// Create: a table goes without the ballast. There can be gigabytes of them, they would eat it all, and each is tried again.
// Only while a log is being opened, when nothing is tried again, they get it, too.
func (f files) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !isTable(name) || !f.guard.Watching() {
		return f.FS.Create(name, category)
	}
	f.guard.wait()
	file, err := f.guard.cfg.FS.Create(name, category)
	if err != nil {
		f.guard.saw(err)
		return nil, err
	}
	return table{file, f.guard}, nil
}

func (f files) Unwrap() vfs.FS { return f.FS }

func isTable(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob")
}

// wait returns when there is room, or after a second.
func (g *Guard) wait() {
	g.mu.Lock()
	spent, room := g.spent, g.room
	g.mu.Unlock()
	if !spent {
		return
	}
	timer := time.NewTimer(retryAfter)
	defer timer.Stop()
	select {
	case <-room:
	case <-timer.C:
	case <-g.stop:
	}
}

func (g *Guard) saw(err error) {
	if IsFull(err) {
		g.ranOut()
	}
}

// table is a file of which the guard hears when it does not fit.
type table struct {
	vfs.File
	guard *Guard
}

func (t table) Write(p []byte) (int, error) {
	n, err := t.File.Write(p)
	if err != nil {
		t.guard.saw(err)
	}
	return n, err
}

func (t table) Sync() error {
	err := t.File.Sync()
	if err != nil {
		t.guard.saw(err)
	}
	return err
}

func (t table) SyncData() error {
	err := t.File.SyncData()
	if err != nil {
		t.guard.saw(err)
	}
	return err
}
