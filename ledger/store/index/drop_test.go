package index

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// TestDropBesideDamage: old ids are dropped while tables cannot be read. Whatever comes of it, the ids that are to stay stay.
func TestDropBesideDamage(t *testing.T) {
	const keep = 60_000
	l := newLog(t, 11, 600)
	now := l.records[len(l.records)-1].Time
	for nth, seen := int64(0), true; seen; nth++ {
		var armed atomic.Bool
		var reads atomic.Int64
		mem := vfs.NewMem()
		o := Options{SegmentEntries: 100, IDKeep: keep, CacheSize: 1, FS: errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFileReadAt && strings.HasSuffix(op.Path, ".sst") && armed.Load() && reads.Add(1)-1 == nth {
				return errors.New("the disk cannot read")
			}
			return nil
		}))}
		x := openIndex(t, Options{FS: mem, SegmentEntries: o.SegmentEntries, IDKeep: keep})
		for i := range l.records {
			x.Append(&l.records[i])
		}
		closeIndex(t, x)
		o.Fatal = func(error) {}
		x = openIndex(t, o)
		armed.Store(true)
		x.expire(now)
		armed.Store(false)
		seen = reads.Load() > nth
		_ = x.Close()
		x = openIndex(t, Options{FS: mem, IDKeep: keep})
		for _, m := range l.ids {
			if got, ok, err := x.ID(m.ID, m.Actor); err != nil || now-min(now, m.ID.Millis()) < keep && (!ok || got != m) {
				t.Errorf("read %d: of %+v the index says %v, %+v, %v", nth, m, ok, got, err)
			}
		}
		closeIndex(t, x)
		if nth > 50 {
			t.Fatal("there is no end to what is read")
		}
	}
}
