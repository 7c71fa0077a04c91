package index

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/storetest"
)

// TestDamage flips bits in every table. Whoever reads is told, and gets nothing wrong.
func TestDamage(t *testing.T) {
	l, fs := newLog(t, 4, 500), vfs.NewCrashableMem()
	o := Options{Dir: "index", FS: fs, SegmentEntries: 40, Notary: leafOf}
	x := openIndex(t, o)
	for i := range l.records {
		x.Append(&l.records[i])
	}
	closeIndex(t, x)
	rng, found := newRand(1), 0
	tables := storetest.Files(t, fs, "index", ".sst")
	for _, name := range tables {
		whole := storetest.ReadFile(t, fs, name)
		for range 6 {
			bit := rng.IntN(8 * len(whole))
			damaged := o
			damaged.FS = fs.CrashClone(vfs.CrashCloneCfg{})
			storetest.WriteFile(t, damaged.FS, name, storetest.Flipped(whole, bit))
			damaged.Fatal = func(err error) { // pebble looks at tables by itself
				if !errors.Is(err, ErrCorrupt) {
					t.Errorf("bit %d of %s: fatal: %v", bit, name, err)
				}
			}
			err := l.readAll(t, damaged)
			if err != nil && !errors.Is(err, ErrCorrupt) {
				t.Errorf("bit %d of %s: %v", bit, name, err)
			}
			if err != nil {
				found++
			}
		}
	}
	if len(tables) < 10 || found < len(tables)*3 { // what is found not at all are names and statistics that nobody reads here
		t.Errorf("%d flipped bits were found in %d tables", found, len(tables))
	}
}

// readAll opens an index and reads everything that it has.
func (l *log) readAll(t *testing.T, o Options) error {
	x, err := Open(o)
	if err != nil {
		return err
	}
	err = l.check(t, x, len(l.records))
	if cerr := x.Close(); err == nil {
		err = cerr
	}
	return err
}

// TestOtherLog: what does not follow the index is not appended.
func TestOtherLog(t *testing.T) {
	l, other := newLog(t, 1, 200), newLog(t, 2, 100)
	middle := len(l.records) / 2
	for what, r := range map[string]*ledger.Record{
		"the same block, another head": {Index: l.records[middle-1].Index, First: 1},
		"a gap":                        &l.records[middle+5],
		"another log's":                {Index: l.records[middle-1].Index + 1, First: other.records[0].First, Head: other.records[0].Head},
	} {
		var fatal error
		o := Options{FS: vfs.NewMem(), Fatal: func(err error) { fatal = err }}
		x := openIndex(t, o)
		for i := range middle {
			x.Append(&l.records[i])
		}
		x.Append(r)
		if !errors.Is(fatal, ErrCorrupt) {
			t.Errorf("%s: %v", what, fatal)
		}
		if err := x.Close(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: closing: %v", what, err)
		}
	}
}

// TestOtherFormat: what another version made, or this one without a notary, is not opened.
func TestOtherFormat(t *testing.T) {
	l, fs := newLog(t, 1, 100), vfs.NewMem()
	x := openIndex(t, Options{FS: fs})
	for i := range l.records {
		x.Append(&l.records[i])
	}
	closeIndex(t, x)
	if _, err := Open(Options{Dir: "index", FS: fs, Notary: leafOf}); !errors.Is(err, ErrFormat) {
		t.Errorf("with a notary that came too late: %v", err)
	}
	x = openIndex(t, Options{FS: fs})
	b := x.newBuild()
	w := x.durable.encode()
	w[0]++
	b.meta[watermarkKey] = w
	if err := b.publish(); err != nil {
		t.Fatal(err)
	}
	closeIndex(t, x)
	if _, err := Open(Options{Dir: "index", FS: fs}); !errors.Is(err, ErrFormat) {
		t.Errorf("of another version: %v", err)
	}
}
