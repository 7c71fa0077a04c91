package index

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger"
)

var rewrite = flag.Bool("rewrite", false, "make new golden files")

// TestGolden pins the rows of every keyspace that this program writes, but for the parts of the state, which package ledger
// pins. With -rewrite a change is in the diff, and wants another version.
func TestGolden(t *testing.T) {
	id := ledger.NewOpID(1_760_000_000_000, [10]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	transfer := ledger.Op{Kind: ledger.OpTransfer, Actor: 17, Target: 18, Amount: 1000, ID: id}
	block := append(make([]byte, ledger.HeaderSize), ledger.AppendOp(nil, &transfer, nil)...)
	x := openIndex(t, Options{FS: vfs.NewMem(), Notary: func(r *ledger.Record) []byte { return []byte{0xab, byte(r.Index)} }})
	x.Append(&ledger.Record{Index: 1, Time: 1_760_000_000_000, First: 1, Entries: 2, Block: block, Head: [32]byte{1}, Legs: []ledger.Leg{
		{Kind: ledger.OpTransfer, Move: ledger.MovePaid, From: 17, To: 18, Amount: 1000},
		{Kind: ledger.OpUnlock, Move: ledger.MovePaid, From: 18, To: 1, Object: 4, Entry: 1, Amount: 7},
		{Kind: ledger.OpUnlock, Move: ledger.MovePaid, From: 18, To: 17, Object: 4, Entry: 1, Amount: 300}}})
	x.Append(&ledger.Record{Index: 2, Time: 1_760_000_000_250, First: 3, Head: [32]byte{2}, Block: block[:ledger.HeaderSize]})
	x.Append(&ledger.Record{Index: 3, Time: 1_760_000_000_999, First: 3, Entries: 1, Head: [32]byte{3}, Block: block, Legs: []ledger.Leg{
		{Kind: ledger.OpAdvance, Move: ledger.MovePaidHeld, From: 17, To: 300, Object: 5, Amount: 1_000_000}}})
	x.Checkpoint(ledger.New(ledger.DefaultParams(), ledger.Seed{}).Checkpoint())
	closeIndex(t, x)
	db, err := pebble.Open("index", &pebble.Options{FS: x.opts.FS, FormatMajorVersion: format, Logger: pebbleLogger(x.opts, x.fail)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	it, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	var b strings.Builder
	for ok := it.First(); ok; ok = it.Next() {
		if key := string(it.Key()); key[0] == 'p' {
			continue
		} else if key[0] == 'm' {
			fmt.Fprintf(&b, "%s %x\n", key, it.Value())
		} else {
			fmt.Fprintf(&b, "%c %s %x\n", key[0], hex.EncodeToString(it.Key()[1:]), it.Value())
		}
	}
	path := filepath.Join("testdata", "rows")
	if *rewrite {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the format changed:\n%s\nwant\n%s", b.String(), want)
	}
}
