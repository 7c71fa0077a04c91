package index

import (
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/millrace/millrace/ledger"
)

var ownedRows = flag.Uint64("owned", 1_000_000, "entitlements in BenchmarkOwned's index")

// BenchmarkOwned looks for entitlements among as many as -owned says: those that are there, and those that are not, as every new
// purchase does.
func BenchmarkOwned(b *testing.B) {
	x := openIndex(b, Options{Dir: b.TempDir()})
	defer closeIndex(b, x)
	const contents = 100 // of each account
	build := x.newBuild()
	t := build.table(true)
	for i := range *ownedRows {
		key := appendOwnedKey(nil, ledger.AccountNo(i/contents), uint32(i%contents*2), 0)
		if err := t.set(key, binary.AppendUvarint(binary.AppendUvarint(nil, i+1), 250_000)); err != nil {
			b.Fatal(err)
		}
	}
	if err := t.close(); err != nil {
		b.Fatal(err)
	}
	if err := build.publish(); err != nil {
		b.Fatal(err)
	}
	for name, odd := range map[string]uint32{"there": 0, "absent": 1} {
		b.Run(name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			for b.Loop() {
				x.looks.forget()
				n := rng.Uint64N(*ownedRows)
				_, ok, err := x.Owned(ledger.AccountNo(n/contents), uint32(n%contents*2)+odd, 0)
				if err != nil || ok != (odd == 0) {
					b.Fatal(n, ok, err)
				}
			}
		})
	}
}
