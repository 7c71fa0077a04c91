package index

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger"
)

// book is the slow model of all histories: every line of every list.
type book struct {
	lines map[list][]ledger.Line
	lists []list // in the order of their first lines
	last  uint64
}

func (b *book) add(r *ledger.Record) {
	if b.lines == nil {
		b.lines = make(map[list][]ledger.Line)
	}
	model := make(history)
	model.add(r)
	for l, postings := range model {
		for _, p := range postings {
			b.addLine(r, l, p)
		}
	}
	b.last = r.Last()
	for _, l := range model.lists() {
		if len(b.lines[l]) == len(model[l]) {
			b.lists = append(b.lists, l)
		}
	}
}

func (b *book) addLine(r *ledger.Record, l list, p posting) {
	line := ledger.Line{Seq: p.seq, Time: r.Time, Change: p.change, After: plus(b.after(l, p.seq), p.change)}
	sides := make(map[ledger.AccountNo]bool)
	for i, leg := range slices.Backward(r.Legs) {
		if r.First+uint64(leg.Entry) != p.seq {
			continue
		}
		line.Kind, line.Object, line.ID = leg.Kind, leg.Object, r.ID(&r.Legs[i])
		if l.of == ofAccount && leg.Touches(ledger.AccountNo(l.no)) {
			sides[leg.From], sides[leg.To] = true, true
		}
	}
	delete(sides, ledger.AccountNo(l.no))
	delete(sides, 0)
	if len(sides) == 1 {
		for a := range maps.Keys(sides) {
			line.Other = a
		}
	}
	b.lines[l] = append(b.lines[l], line)
}

// after is what a list had after the last entry up to a seq.
func (b *book) after(l list, seq uint64) change {
	lines := b.lines[l]
	n, _ := slices.BinarySearchFunc(lines, seq+1, func(line ledger.Line, seq uint64) int { return int(line.Seq) - int(seq) })
	if n == 0 {
		return change{}
	}
	return lines[n-1].After
}

// read is what the index must say.
func (b *book) read(l list, g ledger.Range, limit int) (out []ledger.Line) {
	for _, line := range b.lines[l] {
		if line.Seq >= g.From && line.Seq <= g.To {
			out = append(out, line)
		}
	}
	if g.Newest {
		slices.Reverse(out)
	}
	return out[:min(limit, len(out))]
}

// ask reads a range of a list and compares. What is not durable when it is asked for needs the right balances to start from.
func (b *book) ask(x *Index, l list, g ledger.Range, limit int) error {
	now := change{-1, math.MaxInt64}
	if _, durable := x.Watermark(); g.To > durable {
		now = b.after(l, g.To)
	}
	var got []ledger.Line
	read := func(line *ledger.Line) bool {
		got = append(got, *line)
		return len(got) < limit
	}
	var err error
	if l.of == ofAccount {
		err = x.Account(ledger.AccountNo(l.no), g, now, read)
	} else {
		err = x.Channel(ledger.ChannelNo(l.no), g, now, read)
	}
	if err != nil {
		return err
	}
	want := b.read(l, g, limit)
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			return fmt.Errorf("list %c %d, %+v, line %d of %d, want of %d:\n%+v\nwant\n%+v", l.of, l.no, g, i, len(got), len(want),
				got[min(i, len(got)):min(i+1, len(got))], want[min(i, len(want)):min(i+1, len(want))])
		}
	}
	return nil
}

// askSome asks for random ranges of random lists, and for balances, of the entries up to last.
func (b *book) askSome(x *Index, rng *rand.Rand, n int, last uint64) error {
	for range n {
		l := b.lists[min(rng.IntN(len(b.lists)), rng.IntN(len(b.lists)))]
		switch rng.IntN(10) {
		case 0:
			l.no++
		case 1:
			l.of ^= ofAccount ^ ofChannel
		}
		g := ledger.Range{From: rng.Uint64N(last + 2), To: 1 + rng.Uint64N(last+1), Newest: rng.IntN(2) == 0}
		if rng.IntN(3) == 0 {
			g.From = 0
		}
		if g.To = min(g.To, last); rng.IntN(3) == 0 {
			g.To = last
		}
		limit := 1 + rng.IntN(40)
		if rng.IntN(8) == 0 {
			limit = math.MaxInt
		}
		if g.To == 0 {
			continue
		}
		if err := b.ask(x, l, g, limit); err != nil {
			return err
		}
		after, err := x.BalanceAt(ledger.AccountNo(l.no), g.To)
		if want := b.after(list{ofAccount, l.no}, g.To); err != nil || after != want {
			return fmt.Errorf("account %d after entry %d: %v, want %v (%v)", l.no, g.To, after, want, err)
		}
		at := min(g.From, last)
		after, err = x.ChannelAt(ledger.ChannelNo(l.no), at)
		if want := b.after(list{ofChannel, l.no}, at); err != nil || after != want {
			return fmt.Errorf("channel %d after entry %d: %v, want %v (%v)", l.no, at, after, want, err)
		}
	}
	return nil
}

// askAll reads lists from end to end in both directions: all, or some three hundred.
func (b *book) askAll(x *Index) error {
	step := 1 + len(b.lists)/300
	for i := 0; i < len(b.lists); i += step {
		l := b.lists[i]
		for _, newest := range []bool{false, true} {
			if err := b.ask(x, l, ledger.Range{To: b.last, Newest: newest}, math.MaxInt); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle waits until there is nothing to merge, and checks what then is.
func settle(t *testing.T, x *Index) {
	t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	for x.failed == nil && x.lists.eras.group(x.lists.fanIn, maxLevel) != nil {
		x.moved.Wait()
	}
	if x.failed != nil {
		t.Fatal(x.failed)
	}
	next := uint64(1)
	for _, e := range x.lists.eras.list {
		if e.first != next || e.last < e.first || e.no >= x.lists.eras.next {
			t.Fatalf("eras %+v", x.lists.eras)
		}
		next = e.last + 1
	}
	if next != x.durable.seq+1 {
		t.Fatalf("eras %+v, and %d entries are durable", x.lists.eras, x.durable.seq)
	}
}

// onlyListed makes sure that there is nothing of an era that was replaced.
func onlyListed(t *testing.T, x *Index) {
	t.Helper()
	it, err := x.iterate('h')
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	x.mu.Lock()
	defer x.mu.Unlock()
	for ok := it.First(); ok; ok = it.Next() {
		_, no, err := parseSheetKey(it.Key())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(x.lists.eras.list, func(e era) bool { return e.no == no }) {
			t.Fatalf("a sheet of era %d, and there are %+v", no, x.lists.eras.list)
		}
	}
}

// logs are what the tests read: of the generator of all kinds of ops, and a skewed one.
func logs(t *testing.T) map[string][]*ledger.Record {
	out := make(map[string][]*ledger.Record)
	for seed := range uint64(3) {
		l := newLog(t, 100+seed, 1500)
		for i := range l.records {
			out[fmt.Sprint("generated", seed)] = append(out[fmt.Sprint("generated", seed)], &l.records[i])
		}
	}
	for name, g := range map[string]*skewed{
		"hot":  {rng: newRand(1), payers: 2, payees: 20, channels: 200, others: 30},
		"cold": {rng: newRand(2), payers: 500, payees: 700, channels: 1500, others: 60},
	} {
		for range 150 {
			out[name] = append(out[name], &g.record(g.rng.IntN(90)).Record)
		}
	}
	return out
}

// TestLists: whatever lies in memory, in eras or in merged ones, or was reopened in between, every history is what the log says.
func TestLists(t *testing.T) {
	for name, records := range logs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng, fs := newRand(uint64(len(records))), vfs.NewMem()
			o := Options{FS: fs, SegmentEntries: 40 + rng.IntN(500), fanIn: 2 + rng.IntN(3)}
			x := openIndex(t, o)
			b := new(book)
			for i, r := range records {
				x.Append(r)
				b.add(r)
				switch p := rng.IntN(60); {
				case b.last == 0:
				case p == 0:
					closeIndex(t, x)
					o.SegmentEntries, o.fanIn = 40+rng.IntN(500), 2+rng.IntN(3)
					x = openIndex(t, o)
				case p == 1:
					if err := x.Wait(t.Context(), r.Index); err != nil {
						t.Fatal(err)
					}
				case p == 2:
					settle(t, x)
				case p < 10:
					if err := b.askSome(x, rng, 10, b.last); err != nil {
						t.Fatalf("after block %d of %d: %v", i, len(records), err)
					}
				}
			}
			if err := b.askAll(x); err != nil {
				t.Fatal(err)
			}
			if err := x.Wait(t.Context(), records[len(records)-1].Index); err != nil {
				t.Fatal(err)
			}
			settle(t, x)
			if err := errors.Join(b.askAll(x), b.askSome(x, rng, 200, b.last)); err != nil {
				t.Fatal(err)
			}
			closeIndex(t, x)
			x = openIndex(t, o)
			onlyListed(t, x)
			if err := b.askAll(x); err != nil {
				t.Fatal(err)
			}
			closeIndex(t, x)
		})
	}
}

// TestListsWhileTheyGrow: readers find what was appended before they asked, exactly, while the index appends, flushes and
// merges.
func TestListsWhileTheyGrow(t *testing.T) {
	for name, records := range logs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := new(book)
			for _, r := range records {
				b.add(r)
			}
			x := openIndex(t, Options{FS: vfs.NewMem(), SegmentEntries: 100, fanIn: 2})
			var last atomic.Uint64
			var readers sync.WaitGroup
			for i := range 3 {
				readers.Go(func() {
					rng := newRand(uint64(i))
					for last.Load() < b.last {
						if n := last.Load(); n > 0 {
							if err := b.askSome(x, rng, 1, n); err != nil {
								t.Error(err)
								return
							}
						}
					}
				})
			}
			for _, r := range records {
				x.Append(r)
				last.Store(r.Last())
			}
			readers.Wait()
			if err := x.Wait(t.Context(), records[len(records)-1].Index); err != nil {
				t.Fatal(err)
			}
			settle(t, x)
			if err := b.askAll(x); err != nil {
				t.Error(err)
			}
			closeIndex(t, x)
		})
	}
}

// TestListsAfterACrash: whenever the machine stops, in a merge or elsewhere, what is there afterwards is whole, and nothing of a
// merge is left behind.
func TestListsAfterACrash(t *testing.T) {
	records := logs(t)["hot"]
	for seed := range uint64(3) {
		rng := newRand(seed)
		fs := vfs.NewCrashableMem()
		o := Options{FS: fs, SegmentEntries: 60, fanIn: 2}
		merged := false
		for stopped := true; stopped; {
			x := openIndex(t, o)
			onlyListed(t, x)
			start, _ := x.Watermark()
			stop := start + 10 + rng.Uint64N(60)
			b := new(book)
			for _, r := range records {
				x.Append(r)
				b.add(r)
				if stopped = r.Index >= stop; stopped {
					break
				}
			}
			if stopped && rng.IntN(2) == 0 { // or a slow builder never gets further
				if err := x.Wait(t.Context(), start+5); err != nil {
					t.Fatal(err)
				}
			}
			if !stopped {
				if err := x.Wait(t.Context(), records[len(records)-1].Index); err != nil {
					t.Fatal(err)
				}
				settle(t, x)
				if err := b.askAll(x); err != nil {
					t.Fatal(err)
				}
			}
			next := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			if err := b.askSome(x, rng, 40, b.last); err != nil {
				t.Fatal(err)
			}
			closeIndex(t, x)
			merged = merged || slices.ContainsFunc(x.lists.eras.list, func(e era) bool { return e.level > 0 })
			fs, o.FS = next, next
		}
		if !merged {
			t.Error("nothing was merged")
		}
	}
}

// TestPagesAreShallow: a page touches a few blocks of tables, wherever in a long history it lies.
func TestPagesAreShallow(t *testing.T) {
	g := &skewed{rng: newRand(7), payers: 1, payees: 100, channels: 2000, others: 0}
	x := openIndex(t, Options{FS: vfs.NewMem(), SegmentEntries: 20_000, fanIn: 4})
	var last *record
	for range 300 {
		last = g.record(1000)
		x.Append(&last.Record)
	}
	if err := x.Wait(t.Context(), last.Index); err != nil {
		t.Fatal(err)
	}
	settle(t, x)
	eras := len(x.lists.eras.list)
	for _, l := range []list{{ofAccount, 16}, {ofAccount, 40}, {ofChannel, 77}} {
		for _, at := range []uint64{0, g.next / 2, g.next} {
			for _, newest := range []bool{false, true} {
				r := ledger.Range{To: g.next, From: at, Newest: newest}
				if newest {
					r.From, r.To = 0, max(at, 1)
				}
				before := x.db.Metrics().BlockCache
				lines, chunks := 0, make(map[uint64]bool)
				err := x.lines(l, r, change{}, func(line *ledger.Line) bool {
					lines++
					chunks[line.Seq/chunkEntries] = true
					return lines < 100
				})
				if err != nil {
					t.Fatal(err)
				}
				after := x.db.Metrics().BlockCache
				touched := int(after.Hits + after.Misses - before.Hits - before.Misses)
				if most := 6*eras + 6*len(chunks) + 20; touched > most {
					t.Errorf("list %c %d, %+v: %d blocks for %d lines in %d chunks and %d eras, want at most %d",
						l.of, l.no, r, touched, lines, len(chunks), eras, most)
				}
			}
		}
	}
	closeIndex(t, x)
}
