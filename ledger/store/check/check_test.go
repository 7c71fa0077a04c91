package check

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// TestClean: of a folder in which nothing is wrong nothing is found, with and without a transparency log, in several runs of
// its hub.
func TestClean(t *testing.T) {
	for seed := range uint64(6) {
		f := newFolder(t, seed, 1500, seed%2 == 0)
		for range 2 {
			r, all := f.check(t, nil)
			if len(all) > 0 || !r.Clean() || r.Entries != f.seq || r.Compared != f.seq || r.Entries == 0 {
				t.Fatalf("seed %d: %+v\n%s", seed, r, spaces(all))
			}
		}
		if f.notary {
			if r, all := f.check(t, newNotary()); !r.Clean() {
				t.Fatalf("seed %d: %+v\n%s", seed, r, spaces(all))
			}
		}
	}
}

// TestDamagedRows: whatever row of the index is altered, deleted or added, it is found and its keyspace named.
func TestDamagedRows(t *testing.T) {
	whole := newFolder(t, 3, 1500, true)
	if _, all := whole.check(t, nil); len(all) > 0 {
		t.Fatal(spaces(all))
	}
	for space, name := range map[string]string{
		"h": "histories", "i": "ids", "j": "journal", "k": "blocks", "o": "entitlements", "p": "state", "t": "tree",
		"m/watermark": "index", "m/eras": "histories", "m/state": "state",
	} {
		for how, change := range map[string]func(t *testing.T, db *pebble.DB, keys []string, n int){
			"altered": func(t *testing.T, db *pebble.DB, keys []string, n int) {
				key := []byte(keys[n])
				value, closer, err := db.Get(key)
				if err != nil {
					t.Fatal(err)
				}
				value = bytes.Clone(value)
				closer.Close()
				at := n % len(value)
				if len(keys) == 1 { // a row "m/": what comes first may be anything
					at = len(value) - 1
				}
				value[at] ^= 1 << (n % 8)
				set(t, db, key, value)
			},
			"deleted": func(t *testing.T, db *pebble.DB, keys []string, n int) {
				if err := db.Delete([]byte(keys[n]), pebble.Sync); err != nil {
					t.Fatal(err)
				}
			},
			"added": func(t *testing.T, db *pebble.DB, keys []string, n int) {
				value, closer, err := db.Get([]byte(keys[n]))
				if err != nil {
					t.Fatal(err)
				}
				value = bytes.Clone(value)
				closer.Close()
				key := []byte(keys[n])
				key[len(key)-1-n%3]++
				if _, closer, err := db.Get(key); err == nil { // there is one: take a key behind all
					closer.Close()
					key = []byte(keys[len(keys)-1])
					key[len(key)-1]++
				}
				set(t, db, key, value)
			},
		} {
			if how == "added" && len(space) > 1 {
				continue // there is one of each
			}
			for try := range 4 {
				f := whole.clone()
				var key string
				f.pebble(t, "index", func(db *pebble.DB) {
					all := keys(t, db, space)
					n := len(all) * try / 4
					key = all[n]
					change(t, db, all, n)
				})
				_, all := f.check(t, nil)
				leaf := space == "k" && how == "altered" && has(all, "tree") // which stands in the block's row
				if !has(all, name) && !leaf && !(how == "deleted" && space == "m/watermark") {
					t.Errorf("%x is %s, and is not found:\n%s", key, how, spaces(all))
				} else if how == "deleted" && len(space) == 1 && space != "h" && strings.Count(spaces(all), "\n") > 5 {
					t.Errorf("%x is %s, and too much is found:\n%s", key, how, spaces(all))
				}
			}
		}
	}
}

func set(t *testing.T, db *pebble.DB, key, value []byte) {
	t.Helper()
	if err := db.Set(key, value, pebble.Sync); err != nil {
		t.Fatal(err)
	}
}
