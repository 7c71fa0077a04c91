package index

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestRoundTrip: whatever lies in memory, in tables, or was reopened in between, the index says what the log says.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(6) {
		l, rng, fs := newLog(t, seed, 500), newRand(seed), vfs.NewMem()
		o := Options{FS: fs, SegmentEntries: []int{1, 7, 100, 256, 300, 1 << 20}[seed], Notary: leafOf}
		x := openIndex(t, o)
		for i := range l.records {
			x.Append(&l.records[i])
			switch rng.IntN(100) {
			case 0:
				closeIndex(t, x)
				x = openIndex(t, o)
				if index, seq := x.Watermark(); index != l.records[i].Index || seq != l.records[i].Last() {
					t.Fatalf("watermark %d, %d after closing with block %d", index, seq, l.records[i].Index)
				}
			case 1, 2:
				if err := x.Wait(t.Context(), l.records[i].Index); err != nil {
					t.Fatal(err)
				}
			case 3:
				if err := l.check(t, x, i+1); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 2 {
			if err := l.check(t, x, len(l.records)); err != nil {
				t.Fatal(err)
			}
			closeIndex(t, x)
			x = openIndex(t, o)
		}
		closeIndex(t, x)
	}
}
