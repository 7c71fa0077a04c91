package index

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// pieces are bytes that differ everywhere, and a writer of them in pieces such as pebble's.
func pieces(t *testing.T, f *tableFile, size int) []byte {
	t.Helper()
	all := make([]byte, size)
	source := rand.NewChaCha8([32]byte{byte(size)})
	if _, err := source.Read(all); err != nil {
		t.Fatal(err)
	}
	for rest := all; len(rest) > 0; {
		n := min(len(rest), 1+rand.New(source).IntN(40_000))
		if err := f.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	return all
}

func newFile(t *testing.T) (string, vfs.File) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "1.sst")
	f, err := vfs.Default.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	return path, f
}

func TestTableFile(t *testing.T) {
	for _, size := range []int{0, 1, 4095, 4096, 4097, writeBytes - 1, writeBytes, writeBytes + 1, 2 * writeBytes, 3*writeBytes + 777} {
		for _, soon := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/%v", size, soon), func(t *testing.T) {
				path, file := newFile(t)
				f := newTableFile(file, soon)
				if soon && f.direct {
					t.Fatal("what is read again soon goes past the page cache")
				}
				want := pieces(t, f, size)
				if err := f.Finish(); err != nil {
					t.Fatal(err)
				}
				if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%d bytes, %v: not the %d that were written", len(got), err, len(want))
				}
			})
		}
	}
}

// refusing takes some bytes of the second write, and then none as long as the file goes past the page cache.
type refusing struct {
	vfs.File
	takes  int
	writes int
}

func (r *refusing) Write(p []byte) (int, error) {
	flags, err := unix.FcntlInt(r.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return 0, err
	}
	if r.writes++; r.writes < 2 || flags&unix.O_DIRECT == 0 {
		return r.File.Write(p)
	}
	n, err := r.File.Write(p[:r.takes])
	if err != nil {
		return n, err
	}
	return n, unix.EINVAL
}

// TestTableFileRefused: what a file system does not take past the page cache is written through it, once.
func TestTableFileRefused(t *testing.T) {
	for _, takes := range []int{0, directAlign, writeBytes / 2} {
		path, file := newFile(t)
		f := newTableFile(&refusing{File: file, takes: takes}, false)
		if !f.direct {
			t.Skip("the file system of temporary files has no direct writes")
		}
		want := pieces(t, f, 3*writeBytes+777)
		if f.direct {
			t.Fatal("it was refused, and goes on past the page cache")
		}
		if err := f.Finish(); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes taken: %d bytes, %v: not the %d that were written", takes, len(got), err, len(want))
		}
	}
}
