// Package slow is a disk whose syncs take longer than they need, for those who want to see what a hub does meanwhile.
package slow

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Disk is one whose syncs can be made slow. Its zero value is as fast as the one below it.
type Disk struct {
	mu    sync.Mutex
	delay time.Duration
	halt  chan struct{} // closed when syncs may end again; nil: they may
}

// Slow makes each sync take so much longer, from now on; negative: none ends until Slow is called again. Zero makes the disk as fast as it was.
func (d *Disk) Slow(each time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.halt != nil {
		close(d.halt)
		d.halt = nil
	}
	if d.delay = max(each, 0); each < 0 {
		d.halt = make(chan struct{})
	}
}

// wait is what a sync takes longer. It waits before the sync: what it makes durable is not, until it has ended.
func (d *Disk) wait() {
	d.mu.Lock()
	delay, halt := d.delay, d.halt
	d.mu.Unlock()
	time.Sleep(delay)
	if halt != nil {
		<-halt
	}
}

// FS is a file system on the disk; nil: the machine's is below it.
func (d *Disk) FS(under vfs.FS) vfs.FS {
	if under == nil {
		under = vfs.Default
	}
	return files{under, d}
}

type files struct {
	vfs.FS
	disk *Disk
}

func (f files) wrap(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return slowFile{file, f.disk}, nil
}

// Create makes a file whose syncs are slow, as those of all files that are written to are.
func (f files) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.wrap(f.FS.Create(name, category))
}

func (f files) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.wrap(f.FS.OpenReadWrite(name, category, opts...))
}

func (f files) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.wrap(f.FS.ReuseForWrite(oldname, newname, category))
}

func (f files) OpenDir(name string) (vfs.File, error) { return f.wrap(f.FS.OpenDir(name)) }

func (f files) Unwrap() vfs.FS { return f.FS }

type slowFile struct {
	vfs.File
	disk *Disk
}

func (f slowFile) Sync() error {
	f.disk.wait()
	return f.File.Sync()
}

func (f slowFile) SyncData() error {
	f.disk.wait()
	return f.File.SyncData()
}

func (f slowFile) SyncTo(length int64) (fullSync bool, err error) {
	f.disk.wait()
	return f.File.SyncTo(length)
}
