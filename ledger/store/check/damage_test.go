package check

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"path"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/storetest"
)

// TestFlippedBits: a bit that flips anywhere in a table of either database is found, also where no reader comes by.
func TestFlippedBits(t *testing.T) {
	whole, rng := newFolder(t, 5, 800, true), rand.New(rand.NewPCG(1, 2))
	for _, database := range []string{"index", "ledger"} {
		tables := storetest.Files(t, whole.fs, path.Join(dir, database), ".sst")
		for _, file := range tables {
			f := whole.clone()
			b := storetest.ReadFile(t, f.fs, file)
			bit := rng.IntN(8 * len(b))
			storetest.WriteFile(t, f.fs, file, storetest.Flipped(b, bit))
			_, all, err := f.tryCheck(t, nil)
			if err != nil && (database == "index" || !errors.Is(err, store.ErrCorrupt) && !pebble.IsCorruptionError(err)) {
				t.Fatalf("bit %d of %s: %v", bit, file, err)
			}
			if err == nil && len(all) == 0 {
				t.Errorf("bit %d of %d of %s is not found", bit, 8*len(b), file)
			}
		}
		if len(tables) == 0 {
			t.Errorf("%s has no tables", database)
		}
	}
}

// TestDamagedLog: a block that is damaged, missing, another's or lost at the end is found, and not blamed on the index.
func TestDamagedLog(t *testing.T) {
	whole := newFolder(t, 9, 1000, true)
	other := newFolder(t, 8, 1000, false)
	var strange []byte
	other.pebble(t, "ledger", func(db *pebble.DB) { strange = value(t, db, keys(t, db, "b")[10]) })
	for name, change := range map[string]func(db *pebble.DB, keys []string, n int){
		"flipped": func(db *pebble.DB, keys []string, n int) {
			b := value(t, db, keys[n])
			b[len(b)/2] ^= 4
			set(t, db, []byte(keys[n]), b)
		},
		"missing": func(db *pebble.DB, keys []string, n int) {
			if err := db.Delete([]byte(keys[n]), pebble.Sync); err != nil {
				t.Fatal(err)
			}
		},
		"another's": func(db *pebble.DB, keys []string, n int) { set(t, db, []byte(keys[n]), strange) },
		"twice":     func(db *pebble.DB, keys []string, n int) { set(t, db, []byte(keys[n]), value(t, db, keys[n-1])) },
	} {
		for _, share := range []int{2, 4, 8, 0} { // of 8
			f := whole.clone()
			var block uint64
			f.pebble(t, "ledger", func(db *pebble.DB) {
				all := keys(t, db, "b")
				n := max(1, len(all)*share/8)
				if share == 0 || n == len(all) {
					n = len(all) - 1
				}
				block = binary.BigEndian.Uint64([]byte(all[n][1:]))
				change(db, all, n)
			})
			r, all := f.check(t, nil)
			if blamed := has(all, "log") && r.Blocks < block; !blamed && name != "twice" || len(all) == 0 { // a repeat may do nothing
				t.Errorf("block %d %s: %+v\n%s", block, name, r, spaces(all))
			}
		}
	}
}

func value(t *testing.T, db *pebble.DB, key string) []byte {
	t.Helper()
	v, closer, err := db.Get([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	return bytes.Clone(v)
}
