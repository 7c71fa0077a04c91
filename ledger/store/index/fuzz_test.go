package index

import (
	"bytes"
	"errors"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// FuzzRows: whatever the bytes of a row are, reading it is an error that says so, or gives what is written the same again.
func FuzzRows(f *testing.F) {
	w := watermark{index: 9, seq: 300, blocks: 9, leaves: 9, head: [32]byte{1, 2, 3}}
	f.Add(byte(0), w.encode())
	block := blockRow{index: 7, number: 6, first: 200, entries: 3, time: 1_760_000_000_000, head: [32]byte{5}, leaf: []byte("a leaf")}
	f.Add(byte(1), block.append(nil))
	f.Add(byte(2), []byte{5, 0, 0, 100, 3, 1, 20})
	f.Add(byte(3), []byte{1, 2, 3, 4, 5, 6, 7, 8, 44, 16})
	f.Fuzz(func(t *testing.T, row byte, b []byte) {
		var err error
		switch row % 4 {
		case 0:
			var got watermark
			if got, err = decodeWatermark(b); err == nil && !bytes.Equal(got.encode(), b) {
				t.Errorf("%x became %x", b, got.encode())
			}
		case 1:
			var got, again blockRow
			if got, err = decodeBlock(blockKey(7), b); err == nil { // a number may have been written longer than it has to be
				again, err = decodeBlock(blockKey(7), got.append(nil))
				if err != nil || again.head != got.head || again.first != got.first || !bytes.Equal(again.leaf, got.leaf) {
					t.Errorf("%+v became %+v, %v", got, again, err)
				}
			}
		case 2:
			var got eras
			if got, err = decodeEras(b); err == nil {
				next := uint64(1)
				for _, e := range got.list {
					if e.no >= got.next || e.first != next || e.last < e.first {
						t.Errorf("%x: era %+v of %+v", b, e, got)
					}
					next = e.last + 1
				}
			}
		case 3:
			var m ledger.Remembered
			decodeRemembered(b, &m)
		}
		if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrFormat) {
			t.Errorf("%x: %v", b, err)
		}
	})
}
