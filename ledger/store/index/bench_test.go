package index

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// BenchmarkAdvances appends blocks of advances of channels in random order and makes tables of them, on the machine's disk.
// ns/entry is of everything: copying, building, writing; bytes/entry is what lies on the disk afterwards.
func BenchmarkAdvances(b *testing.B) {
	for _, channels := range []uint32{131_072, 1 << 20} {
		b.Run(fmt.Sprint(channels, " channels"), func(b *testing.B) {
			const block = 15_000
			rng := rand.New(rand.NewPCG(1, 2))
			r := ledger.Record{Index: 0, Time: 1_760_000_000_000, First: 1, Entries: block, Block: make([]byte, ledger.HeaderSize+17*block)}
			legs := make([][]ledger.Leg, 64) // made before, or they would cost more than what is measured
			for i := range legs {
				for n := range uint32(block) {
					c := rng.Uint32N(channels)
					legs[i] = append(legs[i], ledger.Leg{
						Kind: ledger.OpAdvance, Move: ledger.MovePaidHeld, Entry: n, At: 17 * n, Object: c + 1,
						From: ledger.AccountNo(16 + c), To: ledger.AccountNo(16 + c*2654435761%channels), Amount: ledger.Msat(1 + rng.Uint32N(1000)),
					})
				}
			}
			x := openIndex(b, Options{Dir: b.TempDir()})
			for b.Loop() {
				r.Index++
				r.Time++
				r.Legs = legs[r.Index%64]
				x.Append(&r)
				r.First += block
			}
			if err := x.Wait(b.Context(), r.Index); err != nil {
				b.Fatal(err)
			}
			entries := float64(r.First - 1)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/entries, "ns/entry")
			b.ReportMetric(float64(x.db.Metrics().DiskSpaceUsage())/entries, "bytes/entry")
			closeIndex(b, x)
		})
	}
}
