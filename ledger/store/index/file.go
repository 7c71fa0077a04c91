package index

import (
	"errors"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// writeBytes are written at once: pebble's own buffer is of one small block, and the calls cost more than the writing.
	writeBytes = 1 << 20
	// bytesPerSync hands tables to the disk while they are written, so that the log's own syncs do not find all of it waiting.
	bytesPerSync = 512 << 10
	// directAlign suits the blocks of any disk.
	directAlign = 4 << 10
)

// tableFile is what pebble writes a table to: an objstorage.Writable. What is not read again soon goes past the page cache, whose
// keeping costs the machine more than the writing: at millions of entries a second it would take a tenth of two cores, and
// push out what others want to find there.
type tableFile struct {
	file   vfs.File
	buf    []byte // begins at a multiple of directAlign in memory, as in the file
	direct bool
}

// newTableFile takes a file that was just made. Soon says that the table is read again before long.
func newTableFile(f vfs.File, soon bool) *tableFile {
	t := &tableFile{buf: aligned(writeBytes)[:0]}
	if t.direct = !soon && setDirect(f, true); !t.direct {
		f = vfs.NewSyncingFile(f, vfs.SyncingFileOptions{BytesPerSync: bytesPerSync})
	}
	t.file = f
	return t
}

// aligned makes n bytes that begin at a multiple of directAlign.
func aligned(n int) []byte {
	b := make([]byte, n+directAlign)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % directAlign
	return b[skip:][:n:n]
}

func (t *tableFile) Write(p []byte) error {
	for len(p) > 0 {
		n := copy(t.buf[len(t.buf):cap(t.buf)], p)
		t.buf, p = t.buf[:len(t.buf)+n], p[n:]
		if len(t.buf) < cap(t.buf) {
			return nil
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	return nil
}

// flush writes what was gathered. A file system may let a file go past the page cache and then not take its writes so: what is
// left goes through it.
func (t *tableFile) flush() error {
	n, err := t.file.Write(t.buf)
	if t.direct && err != nil && refusesDirect(err) {
		t.direct = setDirect(t.file, false)
		_, err = t.file.Write(t.buf[n:])
	}
	t.buf = t.buf[:0]
	return err
}

// Finish makes the file durable. Its end fits no block of the disk, and goes through the page cache.
func (t *tableFile) Finish() error {
	if t.direct {
		t.direct = setDirect(t.file, false)
	}
	err := t.flush()
	if err == nil {
		err = t.file.Sync()
	}
	return errors.Join(err, t.file.Close())
}

// Abort leaves the file to be removed: see build.discard.
func (t *tableFile) Abort() { _ = t.file.Close() }
