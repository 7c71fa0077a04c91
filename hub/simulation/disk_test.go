package simulation

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// step is one call of the file system.
type step struct {
	kind, path string
	writes     bool // it changes what is on the disk, or makes it durable
}

// syncFolder is the kind of step that makes names durable.
const syncFolder = "sync folder"

// verdict is what becomes of a step.
type verdict int

const (
	goes verdict = iota
	lost         // nothing is done, and it is reported as failed
	done         // it is done, and reported as failed
)

// disk is a file system in memory whose steps can be watched, and fail. What a power cut leaves of it can be had at any moment.
type disk struct {
	vfs.FS
	mem *vfs.MemFS

	cloning sync.RWMutex // held for writing by power, for reading by what a step does: MemFS waits for itself when it links meanwhile

	mu    sync.Mutex
	watch func(step) verdict // called before each step; nil: all go
}

func newDisk(mem *vfs.MemFS) *disk { return &disk{FS: mem, mem: mem} }

// power is what is left when the power fails: all that was synced, and about so many percent of the rest.
func (d *disk) power(percent int, rng *rand.Rand) *vfs.MemFS {
	d.cloning.Lock()
	defer d.cloning.Unlock()
	return d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
}

func (d *disk) watched(f func(step) verdict) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watch = f
}

func (d *disk) step(kind, path string, writes bool, f func() error) error {
	d.mu.Lock()
	watch := d.watch
	d.mu.Unlock()
	v := goes
	if watch != nil {
		v = watch(step{kind, path, writes})
	}
	if v == lost {
		return failed(kind, path)
	}
	d.cloning.RLock()
	err := f()
	d.cloning.RUnlock()
	if err == nil && v == done {
		return failed(kind, path)
	}
	return err
}

func failed(kind, path string) error { return fmt.Errorf("%s %s: %w", kind, path, syscall.EIO) }

// file is step for what opens one.
func (d *disk) file(kind, path string, writes bool, f func() (vfs.File, error)) (vfs.File, error) {
	var opened vfs.File
	err := d.step(kind, path, writes, func() (err error) {
		opened, err = f()
		return err
	})
	if err == nil {
		return &diskFile{opened, d, path}, nil
	}
	if opened != nil {
		_ = opened.Close()
	}
	return nil, err
}

func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file("create", name, true, func() (vfs.File, error) { return d.FS.Create(name, c) })
}

func (d *disk) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.file("open", name, false, func() (vfs.File, error) { return d.FS.Open(name, opts...) })
}

func (d *disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.file("open", name, true, func() (vfs.File, error) { return d.FS.OpenReadWrite(name, c, opts...) })
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.file("open", name, false, func() (vfs.File, error) { return d.FS.OpenDir(name) })
	if err != nil {
		return nil, err
	}
	return folderFile{f.(*diskFile)}, nil
}

func (d *disk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file("reuse", from, true, func() (vfs.File, error) { return d.FS.ReuseForWrite(from, to, c) })
}

func (d *disk) Link(from, to string) error {
	return d.step("link", from, true, func() error { return d.FS.Link(from, to) })
}

func (d *disk) Remove(name string) error {
	return d.step("remove", name, true, func() error { return d.FS.Remove(name) })
}

func (d *disk) RemoveAll(name string) error {
	return d.step("remove all", name, true, func() error { return d.FS.RemoveAll(name) })
}

func (d *disk) Rename(from, to string) error {
	return d.step("rename", from, true, func() error { return d.FS.Rename(from, to) })
}

func (d *disk) MkdirAll(dir string, mode os.FileMode) error {
	return d.step("mkdir", dir, true, func() error { return d.FS.MkdirAll(dir, mode) })
}

func (d *disk) Lock(name string) (io.Closer, error) {
	var lock io.Closer
	err := d.step("lock", name, false, func() (err error) {
		lock, err = d.FS.Lock(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return lock, nil
}

func (d *disk) List(dir string) (names []string, err error) {
	err = d.step("list", dir, false, func() (err error) {
		names, err = d.FS.List(dir)
		return err
	})
	return names, err
}

func (d *disk) Stat(name string) (info vfs.FileInfo, err error) {
	err = d.step("stat", name, false, func() (err error) {
		info, err = d.FS.Stat(name)
		return err
	})
	return info, err
}

func (d *disk) Unwrap() vfs.FS { return d.FS }

// diskFile is an open file of a disk.
type diskFile struct {
	vfs.File
	disk *disk
	path string
}

// folderFile is an open folder.
type folderFile struct{ *diskFile }

func (f folderFile) Sync() error { return f.disk.step(syncFolder, f.path, true, f.File.Sync) }

func (f *diskFile) count(kind string, writes bool, do func() (int, error)) (n int, err error) {
	err = f.disk.step(kind, f.path, writes, func() (err error) {
		n, err = do()
		return err
	})
	if err != nil && err != io.EOF {
		n = 0
	}
	return n, err
}

func (f *diskFile) Read(p []byte) (int, error) {
	return f.count("read", false, func() (int, error) { return f.File.Read(p) })
}

func (f *diskFile) ReadAt(p []byte, at int64) (int, error) {
	return f.count("read", false, func() (int, error) { return f.File.ReadAt(p, at) })
}

func (f *diskFile) Write(p []byte) (int, error) {
	return f.count("write", true, func() (int, error) { return f.File.Write(p) })
}

func (f *diskFile) WriteAt(p []byte, at int64) (int, error) {
	return f.count("write", true, func() (int, error) { return f.File.WriteAt(p, at) })
}

func (f *diskFile) Sync() error { return f.disk.step("sync", f.path, true, f.File.Sync) }

func (f *diskFile) SyncData() error { return f.disk.step("sync", f.path, true, f.File.SyncData) }

func (f *diskFile) SyncTo(n int64) (full bool, err error) {
	err = f.disk.step("sync", f.path, true, func() (err error) {
		full, err = f.File.SyncTo(n)
		return err
	})
	return full && err == nil, err
}

func (f *diskFile) Close() error { return f.disk.step("close", f.path, true, f.File.Close) }
