package index

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// row is one of a table that a test keeps in memory.
type row struct{ key, value []byte }

type rows []row

func (r *rows) set(key, value []byte) error {
	if n := len(*r); n > 0 && bytes.Compare((*r)[n-1].key, key) >= 0 {
		return fmt.Errorf("key %x after %x", key, (*r)[n-1].key)
	}
	*r = append(*r, row{bytes.Clone(key), bytes.Clone(value)})
	return nil
}

// source reads the rows of an era.
func (r rows) source() *source {
	buffer := []byte(nil)
	return &source{sheets: func() (byte, []byte, error) {
		if len(r) == 0 {
			return 0, nil, nil
		}
		l, _, err := parseSheetKey(r[0].key)
		for i := range buffer {
			buffer[i] = 0xaa // what a caller may not keep
		}
		buffer = append(buffer[:0], r[0].value...)
		r = r[1:]
		return l.of, buffer, err
	}}
}

// history is the slow model: all postings of all lists.
type history map[list][]posting

// add takes a record's legs the slow way.
func (h history) add(r *ledger.Record) {
	for n := range r.Entries {
		effects := make(map[list]change)
		for _, l := range r.Legs {
			if int(l.Entry) != n {
				continue
			}
			for _, a := range []ledger.AccountNo{l.From, l.To} {
				if l.Touches(a) {
					effects[list{ofAccount, uint32(a)}] = change{}
				}
			}
			if c := l.Channel(); c != 0 {
				effects[list{ofChannel, uint32(c)}] = change{}
			}
		}
		for l := range effects {
			var c change
			for i := range r.Legs {
				leg := &r.Legs[i]
				switch {
				case int(leg.Entry) != n:
				case l.of == ofAccount:
					a, h := leg.Effect(ledger.AccountNo(l.no))
					c = change{c[0] + a, c[1] + h}
				case leg.Channel() == ledger.ChannelNo(l.no):
					left, paid := leg.ChannelEffect()
					c = change{c[0] + left, c[1] + paid}
				}
			}
			h[l] = append(h[l], posting{r.First + uint64(n), c})
		}
	}
}

func (h history) lists() []list {
	return slices.SortedFunc(maps.Keys(h), func(a, b list) int { return cmp.Or(cmp.Compare(a.of, b.of), cmp.Compare(a.no, b.no)) })
}

// compare checks the rows of an era against all postings from first to last.
func (h history) compare(t *testing.T, era rows, no uint32, first, last uint64) {
	t.Helper()
	got := make(history)
	closed := make(map[list]change)
	for _, row := range era {
		of, _, err := parseSheetKey(row.key)
		if err != nil {
			t.Fatal(err)
		}
		if lower, upper := eraKeys(no); bytes.Compare(row.key, lower) < 0 || bytes.Compare(row.key, upper) >= 0 {
			t.Fatalf("key %x in era %d", row.key, no)
		}
		if len(row.value) > sheetBytes+headBytes {
			t.Errorf("a sheet of %d bytes", len(row.value))
		}
		r, err := readSheet(row.value)
		for n := 0; err == nil; n++ {
			var ok bool
			if ok, err = r.next(); err != nil || !ok {
				break
			}
			l := list{of.of, r.no}
			if n == 0 && !bytes.Equal(row.key, appendSheetKey(nil, no, l, r.first)) {
				t.Errorf("key %x of a sheet that begins with list %v, entry %d", row.key, l, r.first)
			}
			if r.opening != closed[l] {
				t.Errorf("list %v from entry %d: opening %v, want %v", l, r.first, r.opening, closed[l])
			}
			closed[l] = plus(closed[l], r.net)
			got[l], err = r.postings(got[l])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for l, all := range h {
		want := make([]posting, 0, len(all))
		for _, p := range all {
			if p.seq >= first && p.seq <= last {
				want = append(want, p)
			}
		}
		if !slices.Equal(want, got[l]) {
			t.Fatalf("list %v: %d postings, want %d", l, len(got[l]), len(want))
		}
		if len(want) == 0 {
			delete(got, l)
		}
	}
	if len(got) > len(h) {
		t.Fatalf("%d lists, want %d", len(got), len(h))
	}
}

// skewed makes records of advances, transfers, and entries of many legs: few hot accounts, many cold ones, some large amounts.
type skewed struct {
	rng      *rand.Rand
	next     uint64
	index    uint64
	payers   int
	payees   int
	channels int
	others   int // of 256 entries, how many are no advance
}

func (g *skewed) record(entries int) *record {
	g.index++
	r := &record{Record: ledger.Record{Index: g.index, Time: 1_760_000_000_000 + g.index/3, First: g.next + 1, Entries: entries}}
	r.Head[0], r.Head[1] = byte(g.index), byte(g.index>>8)
	for n := range entries {
		r.Legs = g.entry(r.Legs, uint32(n))
	}
	g.next += uint64(entries)
	return r
}

func (g *skewed) account(n int) ledger.AccountNo {
	return ledger.FirstAccount + ledger.AccountNo(g.rng.IntN(n))
}

func (g *skewed) amount() ledger.Msat {
	switch g.rng.IntN(64) {
	case 0:
		return ledger.MaxMsat - ledger.Msat(g.rng.IntN(2))
	case 1:
		return maxPlain - 1 + ledger.Msat(g.rng.IntN(3))
	case 2:
		return 0
	}
	return 1000
}

func (g *skewed) entry(legs []ledger.Leg, n uint32) []ledger.Leg {
	if g.rng.IntN(256) >= g.others {
		c := g.rng.IntN(g.channels)
		return append(legs, ledger.Leg{
			Kind: ledger.OpAdvance, Move: ledger.MovePaidHeld, Entry: n, Amount: 100 + ledger.Msat(g.rng.IntN(1000)), Object: uint32(1 + c),
			From: ledger.FirstAccount + ledger.AccountNo(c%g.payers),
			To:   ledger.FirstAccount + ledger.AccountNo(g.payers+c*7919%g.payees),
		})
	}
	all := g.payers + g.payees
	l := ledger.Leg{Entry: n, From: g.account(all), To: g.account(all), Amount: g.amount(), Object: 1 + uint32(g.rng.IntN(9))}
	switch g.rng.IntN(7) {
	case 0:
		l.Kind, l.Move = ledger.OpCloseChannel, ledger.MoveGiveBack
	case 1:
		l.Kind, l.Move = ledger.OpExpireChannel, ledger.MoveGiveBack
	case 2:
		l.Kind, l.Move, l.To = ledger.OpVoid, ledger.MoveGiveBack, 0
	case 3:
		l.Kind, l.Move = ledger.OpCapture, ledger.MovePaidHeld
	case 4:
		l.Kind, l.Amount = ledger.OpReprice, 0
	default:
		l.Kind, l.Move = ledger.OpUnlock, ledger.MovePaid
		for range 1 + g.rng.IntN(17) {
			legs = append(legs, l)
			l.To, l.Amount = g.account(all), g.amount()/16
		}
		return legs
	}
	return append(legs, l)
}

// TestEras: what is written of segments, and what their merges come to, holds every posting of every list.
func TestEras(t *testing.T) {
	for _, g := range []*skewed{
		{payers: 4, payees: 50, channels: 3000, others: 40},
		{payers: 1, payees: 1, channels: 1, others: 0},
		{payers: 1, payees: 3, channels: 9, others: 256},
		{payers: 3000, payees: 5000, channels: 70000, others: 3},
	} {
		g.rng = rand.New(rand.NewPCG(5, uint64(g.channels)))
		model := make(history)
		var gather gathered
		var made []rows
		var firsts []uint64
		for range 7 {
			first := g.next + 1
			var records []*record
			for range 1 + g.rng.IntN(9) {
				r := g.record(g.rng.IntN(400))
				model.add(&r.Record)
				records = append(records, r)
			}
			b := binder{era: uint32(len(made)), base: first}
			var era rows
			b.set = era.set
			if err := gather.bindRecords(records, &b); err != nil {
				t.Fatal(err)
			}
			model.compare(t, era, b.era, first, g.next)
			made, firsts = append(made, era), append(firsts, first)
		}
		for len(made) > 1 {
			n := 2 + g.rng.IntN(min(3, len(made)-1))
			at := g.rng.IntN(len(made) - n + 1)
			var sources []*source
			for _, era := range made[at : at+n] {
				sources = append(sources, era.source())
			}
			var era rows
			if err := merge(sources, binder{era: 99, base: firsts[at], set: era.set}); err != nil {
				t.Fatal(err)
			}
			last := g.next
			if at+n < len(made) {
				last = firsts[at+n] - 1
			}
			model.compare(t, era, 99, firsts[at], last)
			made = slices.Replace(made, at, at+n, era)
			firsts = slices.Delete(firsts, at+1, at+n)
			for i := range made[at] {
				copy(made[at][i].key[1:5], []byte{0, 0, 0, 99})
			}
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, g := range []*skewed{
		{payers: 4, payees: 1000, channels: 131072},
		{payers: 500_000, payees: 500_000, channels: 1_000_000},
	} {
		b.Run(fmt.Sprintf("channels=%d", g.channels), func(b *testing.B) {
			g.rng = rand.New(rand.NewPCG(5, uint64(g.channels)))
			var records []*record
			for range 64 {
				records = append(records, g.record(1<<15))
			}
			first := records[0].First
			var gather gathered
			size, sheets := 0, 0
			b.ResetTimer()
			for range b.N {
				size, sheets = 0, 0
				out := binder{base: first, set: func(key, value []byte) error { size += len(key) + len(value); sheets++; return nil }}
				if err := gather.bindRecords(records, &out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(64<<15), "ns/entry")
			b.ReportMetric(float64(size)/float64(64<<15), "B/entry")
			b.ReportMetric(float64(sheets), "sheets")
		})
	}
}

func BenchmarkMerge(b *testing.B) {
	for _, g := range []*skewed{
		{payers: 4, payees: 1000, channels: 131072},
		{payers: 500_000, payees: 500_000, channels: 1_000_000},
	} {
		b.Run(fmt.Sprintf("channels=%d", g.channels), func(b *testing.B) {
			g.rng = rand.New(rand.NewPCG(5, uint64(g.channels)))
			const entries = 1 << 18
			var gather gathered
			var eras []rows
			for range 16 {
				r := g.record(entries)
				var era rows
				if err := gather.bindRecords([]*record{r}, &binder{base: r.First, set: era.set}); err != nil {
					b.Fatal(err)
				}
				eras = append(eras, era)
			}
			size := 0
			b.ResetTimer()
			for range b.N {
				size = 0
				var sources []*source
				for _, era := range eras {
					sources = append(sources, era.source())
				}
				if err := merge(sources, binder{base: 1, set: func(key, value []byte) error { size += len(key) + len(value); return nil }}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(16*entries), "ns/entry")
			b.ReportMetric(float64(size)/(16*entries), "B/entry")
		})
	}
}
