package store_test

import (
	"encoding/hex"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/storetest"
)

// TestGoldenFolder pins what lies on the disk: another program's, or this one's in ten years.
func TestGoldenFolder(t *testing.T) {
	params := ledger.DefaultParams()
	params.FeePPM = 25_000
	f := newFolder(t, vfs.NewMem(), params)
	s, m := f.start()
	open(t, s, m, 1, 2)
	closeStore(t, s)

	if got := string(storetest.ReadFile(t, f.fs(), f.path("FORMAT"))); got != "millrace data format 2\n" {
		t.Errorf("FORMAT %q", got)
	}
	var keys []string
	values := map[string]string{}
	edit(t, f, func(db *pebble.DB) error {
		it, err := db.NewIter(nil)
		if err != nil {
			return err
		}
		for ok := it.First(); ok; ok = it.Next() {
			keys = append(keys, hex.EncodeToString(it.Key()))
			values[string(it.Key())] = hex.EncodeToString(it.Value())
		}
		return it.Close()
	})
	want := []string{"620000000000000001", "620000000000000002", "6d2f706172616d73"} // "b" and the index, big-endian; "m/params"
	if !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
	if got := values["m/params"]; got != "a8610000005c2605000000003075000000000000" {
		t.Errorf("params %s", got)
	}
	const block1 = "4d52423101000000"
	if got := values["b\x00\x00\x00\x00\x00\x00\x00\x01"]; len(got) != 2*(ledger.HeaderSize+17) || got[:len(block1)] != block1 {
		t.Errorf("block 1: %s", got)
	}
}
