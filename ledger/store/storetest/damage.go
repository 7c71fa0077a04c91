// Package storetest has what tests need to damage the files of a data folder, in memory or on a disk.
package storetest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Files are the paths of the files in a folder whose names have an end, such as .sst.
func Files(t testing.TB, fs vfs.FS, dir, end string) (paths []string) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, end) {
			paths = append(paths, fs.PathJoin(dir, name))
		}
	}
	return paths
}

// Flipped is a copy of the bytes with one bit flipped.
func Flipped(b []byte, bit int) []byte {
	bent := bytes.Clone(b)
	bent[bit/8] ^= 1 << (bit % 8)
	return bent
}

// ReadFile reads a whole file.
func ReadFile(t testing.TB, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// WriteFile makes a file of these bytes, durably, in place of the one that may be there.
func WriteFile(t testing.TB, fs vfs.FS, path string, b []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(bytes.Clone(b)) // under the race detector, pebble's memory files spoil what they are given
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}
