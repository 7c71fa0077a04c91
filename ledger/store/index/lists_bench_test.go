package index

import (
	"fmt"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// benchEntries is how many entries the histories have that BenchmarkPage reads. Half of them touch each of two hot accounts.
const benchEntries = 6 << 20

// BenchmarkPage reads pages of 100 lines: of a hot account, of one of a thousand payees and of a channel, at the newest end, in
// the middle, and at the oldest end, with one segment in memory and the others merged by four.
func BenchmarkPage(b *testing.B) {
	g := &skewed{rng: newRand(1), payers: 2, payees: 1000, channels: 131_072}
	x := openIndex(b, Options{Dir: b.TempDir(), SegmentEntries: 512 << 10, fanIn: 4})
	const block = 15_000
	var template []*record
	for range 64 {
		template = append(template, g.record(block))
	}
	now := make(map[list]change)
	seq := uint64(0)
	for index := uint64(1); seq < benchEntries; index++ {
		r := template[index%64].Record
		r.Index, r.Time, r.First = index, index, seq+1
		x.Append(&r)
		seq = r.Last()
		if index == benchEntries*7/8/block {
			if err := x.Wait(b.Context(), index); err != nil {
				b.Fatal(err)
			}
		}
	}
	x.mu.Lock()
	for x.lists.eras.group(x.lists.fanIn, maxLevel) != nil {
		x.moved.Wait()
	}
	b.Logf("%d entries, %d in memory; eras %+v", seq, seq-x.durable.seq, x.lists.eras.list)
	x.mu.Unlock()
	for _, l := range []list{{ofAccount, 16}, {ofAccount, 100}, {ofChannel, 77}} {
		var err error
		if now[l], err = x.balance(l, seq); err != nil {
			b.Fatal(err)
		}
		for _, p := range []struct {
			name string
			g    ledger.Range
		}{
			{"newest", ledger.Range{To: seq, Newest: true}}, {"middle", ledger.Range{To: seq / 2, Newest: true}}, {"oldest", ledger.Range{To: seq}},
		} {
			b.Run(fmt.Sprintf("%c%d/%s", l.of, l.no, p.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					lines := 0
					if err := x.lines(l, p.g, now[l], func(*ledger.Line) bool { lines++; return lines < 100 }); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	closeIndex(b, x)
}
