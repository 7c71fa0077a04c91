package store

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FuzzMark: whatever stands in the watermark's file, it is refused as damaged, or what it says is one of two whole slots.
func FuzzMark(f *testing.F) {
	first, second := mark{7, 1}.encode(), mark{8, 2}.encode()
	file := make([]byte, markFile)
	copy(file, first[:])
	copy(file[markStride:], second[:])
	f.Add(file)
	f.Add(first[:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := vfs.NewMem()
		w, err := fs.Create(markName, vfs.WriteCategoryUnspecified)
		if err == nil {
			_, err = w.Write(append([]byte{}, b...))
			err = errors.Join(err, w.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := openMark(fs, "")
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%x: %v", b, err)
			}
			return
		}
		want := got.found.encode()
		b = append(b, make([]byte, markFile)...)
		if string(b[:markSlot]) != string(want[:]) && string(b[markStride:markStride+markSlot]) != string(want[:]) {
			if slot, ok := decodeMark(b[:markSlot]); !ok || slot != got.found {
				if slot, ok := decodeMark(b[markStride:]); !ok || slot != got.found {
					t.Errorf("%x says %+v", b, got.found)
				}
			}
		}
		if err := got.file.Close(); err != nil {
			t.Error(err)
		}
	})
}
