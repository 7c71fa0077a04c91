package statement

import (
	"math/rand/v2"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// counter counts bytes and forgets them.
type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

func BenchmarkStatement(b *testing.B) {
	h, lines, closing := sample(rand.New(rand.NewPCG(1, 1)), 1<<16, false)
	for f := CSV; f <= Parquet; f++ {
		b.Run(f.String(), func(b *testing.B) {
			b.ReportAllocs()
			var size counter
			n := 0
			for b.Loop() {
				size = 0
				if err := write(f, &size, h, lines, closing); err != nil {
					b.Fatal(err)
				}
				n += len(lines)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "lines/s")
			b.ReportMetric(float64(size)/float64(len(lines)), "B/line")
		})
	}
}

// BenchmarkExport is of a log of advances, most of what a hub does, and of a mix of everything.
func BenchmarkExport(b *testing.B) {
	mix := someEntries(rand.New(rand.NewPCG(1, 1)), 1, 1<<16)
	advances := make([]ledger.Entry, 1<<16)
	rng := rand.New(rand.NewPCG(2, 2))
	for i := range advances {
		advances[i] = ledger.Entry{Index: 1 + uint64(i)/15000, Time: start + uint64(i)/4000, Kind: ledger.OpAdvance,
			Legs: []ledger.Leg{{Kind: ledger.OpAdvance, Move: ledger.MovePaidHeld, Amount: ledger.Msat(rng.Uint32N(5000)),
				From: ledger.AccountNo(16 + rng.Uint32N(1e6)), To: ledger.AccountNo(16 + rng.Uint32N(1e4)), Object: 1 + rng.Uint32N(1e6)}}}
	}
	for name, entries := range map[string][]ledger.Entry{"advances": advances, "mix": mix} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var size counter
			x := NewExport(&size)
			n := uint64(0)
			for b.Loop() {
				e := &entries[n%uint64(len(entries))]
				n++
				e.Seq = n
				if err := x.Entry(e); err != nil {
					b.Fatal(err)
				}
			}
			if err := x.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric(float64(size)/float64(n), "B/entry")
		})
	}
}
