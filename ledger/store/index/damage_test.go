package index

import (
	"bytes"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger"
)

// TestDamage flips bits in every table. Whoever reads is told, and gets nothing wrong.
func TestDamage(t *testing.T) {
	l, fs := newLog(t, 4, 300), vfs.NewCrashableMem()
	o := Options{Dir: "index", FS: fs, SegmentEntries: 60, Notary: leafOf}
	x := openIndex(t, o)
	for i := range l.records {
		x.Append(&l.records[i])
	}
	closeIndex(t, x)
	names, err := fs.List("index")
	if err != nil {
		t.Fatal(err)
	}
	rng, tables, found := newRand(1), 0, 0
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		tables++
		whole := readFile(t, fs, path.Join("index", name))
		for range 6 {
			bit := rng.IntN(8 * len(whole))
			bent := bytes.Clone(whole)
			bent[bit/8] ^= 1 << (bit % 8)
			damaged := o
			damaged.FS = fs.CrashClone(vfs.CrashCloneCfg{})
			writeFile(t, damaged.FS, path.Join("index", name), bent)
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
	if tables < 10 || found < tables*3 { // what is found not at all are names and statistics that nobody reads here
		t.Errorf("%d flipped bits were found in %d tables", found, tables)
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

func readFile(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
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

func writeFile(t *testing.T, fs vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestOtherLog: what does not follow the index is not appended.
func TestOtherLog(t *testing.T) {
	l, other := newLog(t, 1, 100), newLog(t, 2, 100)
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
