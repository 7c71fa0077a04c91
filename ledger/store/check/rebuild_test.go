package check

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/millrace/millrace/ledger/store/index"
	"github.com/millrace/millrace/ledger/store/rebuild"
)

// rebuild makes the folder's index anew, with something between it and the file system.
func (f *folder) rebuild(t *testing.T, fs vfs.FS) {
	t.Helper()
	log := f.open(t)
	o := f.index()
	o.FS = fs
	r, err := rebuild.Index(t.Context(), log, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Entries != f.seq {
		t.Errorf("%+v, and there are %d entries", r, f.seq)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

// content is what an index says, however its rows are cut.
func (f *folder) content(t *testing.T) string {
	t.Helper()
	var s strings.Builder
	rows, err := index.OpenRows(f.index())
	if err != nil {
		t.Fatal(err)
	}
	w, err := rows.Watermark()
	fmt.Fprintln(&s, w, err)
	journal, err := rows.Journal()
	if err != nil {
		t.Fatal(err)
	}
	for c, err := journal.Next(); c != nil; c, err = journal.Next() {
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.Entries {
			fmt.Fprintln(&s, c.Entries[i])
		}
	}
	var postings []string
	sheets, err := rows.Sheets()
	if err != nil {
		t.Fatal(err)
	}
	for c, err := sheets.Next(); c != nil; c, err = sheets.Next() {
		if err != nil {
			t.Fatal(err)
		}
		for _, strip := range c.Strips {
			for _, p := range strip.Postings {
				postings = append(postings, fmt.Sprintf("%v %d %d %d", strip.Channel, strip.No, p.Seq, p.Change))
			}
		}
	}
	slices.Sort(postings)
	fmt.Fprintln(&s, strings.Join(postings, "\n"))
	for _, err := range []error{journal.Close(), sheets.Close(), rows.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f.pebble(t, "index", func(db *pebble.DB) {
		for _, space := range []string{"i", "k", "o", "p", "t"} {
			for _, key := range keys(t, db, space) {
				fmt.Fprintf(&s, "%x %x\n", key, value(t, db, key))
			}
		}
	})
	return s.String()
}

// TestRebuild: a damaged index is made anew, and is what it was.
func TestRebuild(t *testing.T) {
	for seed := range uint64(3) {
		f := newFolder(t, 20+seed, 1200, true)
		f.rebuild(t, f.fs) // ids are dropped now and then, and at a rebuild: now both have dropped the same
		want := f.content(t)
		f.pebble(t, "index", func(db *pebble.DB) {
			for _, space := range []string{"i", "j", "h"} {
				all := keys(t, db, space)
				if len(all) == 0 { // ids that are all too old
					continue
				}
				b := value(t, db, all[len(all)/2])
				b[0] ^= 1
				set(t, db, []byte(all[len(all)/2]), b)
			}
		})
		if _, all := f.check(t, nil); len(all) == 0 {
			t.Fatal("the damage is not found")
		}
		f.rebuild(t, f.fs)
		if got := f.content(t); got != want {
			t.Errorf("seed %d: the index is not what it was", seed)
		}
		if _, all := f.check(t, newNotary()); len(all) > 0 {
			t.Errorf("seed %d: %s", seed, spaces(all))
		}
		names, err := f.fs.List(dir)
		if err != nil || slices.ContainsFunc(names, func(s string) bool { return strings.HasPrefix(s, "index.") }) {
			t.Errorf("%v, %v", names, err)
		}
	}
}

// TestRebuildCrash: at whatever point a rebuild ends, there is the old index, the new one or none, and the next makes it.
func TestRebuildCrash(t *testing.T) {
	f, rng := newFolder(t, 30, 600, true), rand.New(rand.NewPCG(3, 4))
	before := f.content(t)
	var mu sync.Mutex
	var crashed []*folder
	f.rebuild(t, errorfs.Wrap(f.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if often := op.Kind == errorfs.OpRename || op.Kind == errorfs.OpRemoveAll || strings.HasSuffix(op.Path, ".sst"); often || rng.IntN(60) == 0 {
			c := *f
			c.fs = f.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			crashed = append(crashed, &c)
		}
		return nil
	})))
	rng.Shuffle(len(crashed), func(i, j int) { crashed[i], crashed[j] = crashed[j], crashed[i] })
	olds, none := 0, 0
	for _, c := range crashed[:min(len(crashed), 12)] {
		if _, err := c.fs.Stat(path.Join(indexDir)); err != nil {
			none++
		} else {
			if _, all := c.check(t, newNotary()); len(all) > 0 {
				t.Fatal(spaces(all))
			}
			if bytes.Equal([]byte(c.content(t)), []byte(before)) {
				olds++
			}
		}
	}
	if len(crashed) < 20 || olds == 0 {
		t.Errorf("%d crashes, of which %d left the old index and %d none", len(crashed), olds, none)
	}
	last := crashed[len(crashed)-1]
	last.rebuild(t, last.fs)
	if _, all := last.check(t, newNotary()); len(all) > 0 {
		t.Error(spaces(all))
	}
}
