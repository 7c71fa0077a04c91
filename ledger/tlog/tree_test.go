package tlog_test

import (
	"bytes"
	"crypto/aes"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
	"github.com/millrace/millrace/ledger/tlog"
)

var testSecret = tlog.Secret{1, 2, 3, 31: 4}

const testTime = 1_760_000_000_000

// sampleEntry is one of many shapes.
func sampleEntry(seq uint64) ledger.Entry {
	rng := rand.New(rand.NewPCG(seq, 7))
	e := ledger.Entry{Seq: seq, Time: testTime, Kind: ledger.OpAdvance, Legs: make([]ledger.Leg, 1)}
	if seq%5 == 0 {
		e.Kind, e.ID = ledger.OpTransfer, ledger.NewOpID(testTime, [10]byte{9: byte(seq)})
	}
	if seq%7 == 0 {
		e.Kind, e.Legs = ledger.OpUnlock, make([]ledger.Leg, 1+rng.IntN(17))
	}
	for i := range e.Legs {
		e.Legs[i] = ledger.Leg{Kind: e.Kind, Move: ledger.MovePaid, From: ledger.AccountNo(rng.Uint32()), To: ledger.AccountNo(rng.Uint32()),
			Object: rng.Uint32(), Amount: ledger.Msat(rng.Uint64N(uint64(ledger.MaxMsat)))}
	}
	return e
}

func sampleBlock(index, first uint64, n int) (tlog.Leaf, []ledger.Entry) {
	entries := make([]ledger.Entry, n)
	for i := range entries {
		entries[i] = sampleEntry(first + uint64(i))
	}
	return tlog.Leaf{Index: index, Time: testTime, First: first, Head: tlog.Hash{0xee, byte(index)}}, entries
}

func build(t *tlog.Tree, l tlog.Leaf, entries []ledger.Entry) tlog.Leaf {
	t.Start(l)
	for i := range entries {
		t.Add(&entries[i])
	}
	return t.Finish()
}

// slowEntry, slowSalt and slowRoot are a second implementation, from README.md alone: field by field, level by level.
func slowEntry(e ledger.Entry) []byte {
	var b bytes.Buffer
	put := func(v any) { binary.Write(&b, binary.LittleEndian, v) }
	put(e.Seq)
	put(uint32(e.Time))
	put(uint16(e.Time >> 32))
	put(uint8(e.Kind))
	if e.ID == (ledger.OpID{}) {
		put(uint8(len(e.Legs)))
	} else {
		put(uint8(len(e.Legs)) | 0x80)
		put(e.ID)
	}
	for _, l := range e.Legs {
		put(uint8(l.Move))
		put(uint32(l.From))
		put(uint32(l.To))
		put(l.Object)
		put(uint64(l.Amount))
	}
	return b.Bytes()
}

func slowSalt(s tlog.Secret, block uint64, position int) []byte {
	c, err := aes.NewCipher(s[:])
	if err != nil {
		panic(err)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], block)
	binary.BigEndian.PutUint64(b[8:], uint64(position))
	c.Encrypt(b[:], b[:])
	return b[:]
}

func slowLeaves(s tlog.Secret, block uint64, entries []ledger.Entry) (leaves []tlog.Hash) {
	for i, e := range entries {
		leaves = append(leaves, sha256.Sum256(slices.Concat([]byte{2}, slowSalt(s, block, i), slowEntry(e))))
	}
	return leaves
}

// slowTree returns the root over the leaves, and the path to each place that is asked for.
func slowTree(leaves []tlog.Hash, places ...int) (root tlog.Hash, paths [][]tlog.Hash) {
	paths = make([][]tlog.Hash, len(places))
	places = slices.Clone(places)
	level := leaves
	for len(level) > 1 {
		var above []tlog.Hash
		for first := 0; first < len(level); first += 16 {
			b := []byte{3}
			for i := first; i < min(first+16, len(level)); i++ {
				b = append(b, level[i][:]...)
				for p, place := range places {
					if place/16 == first/16 && place != i {
						paths[p] = append(paths[p], level[i])
					}
				}
			}
			above = append(above, sha256.Sum256(b))
		}
		for p := range places {
			places[p] /= 16
		}
		level = above
	}
	if len(level) == 1 {
		root = level[0]
	}
	return root, paths
}

func slowRoot(s tlog.Secret, block uint64, entries []ledger.Entry) tlog.Hash {
	root, _ := slowTree(slowLeaves(s, block, entries))
	return root
}

// TestTreeAgainstSecondImplementation: root, leaf and paths, of entries of many lengths, of one and of two blocks of SHA-256, each
// with the processor's instructions and without.
func TestTreeAgainstSecondImplementation(t *testing.T) {
	mixes := map[string]func(seq uint64) ledger.Entry{
		"mixed": sampleEntry,
		"short": func(seq uint64) ledger.Entry { return sampleEntry(seq*35 + 1) },
		"long":  func(seq uint64) ledger.Entry { return sampleEntry(seq * 5) },
		"turns": func(seq uint64) ledger.Entry { return sampleEntry(seq*35 + seq%2*4 + 1) }, // without an id, with one, without, ...
	}
	sizes := []int{767, 768, 769, 4095, 4096, 4097, 5000, 8191, 8192, 8193, 8465}
	for n := range 601 {
		sizes = append(sizes, n)
	}
	for name, entry := range mixes {
		entries := make([]ledger.Entry, slices.Max(sizes))
		for i := range entries {
			entries[i] = entry(uint64(i))
			entries[i].Seq = uint64(i) + 7
		}
		l := tlog.Leaf{Index: 9, Time: testTime, First: 7, Head: tlog.Hash{0xee}}
		leaves := slowLeaves(testSecret, l.Index, entries)
		for plain, tree := range map[string]*tlog.Tree{"": tlog.NewTree(testSecret), " without instructions": tlog.Plain(tlog.NewTree(testSecret))} {
			t.Run(name+plain, func(t *testing.T) {
				for _, n := range sizes {
					compareTree(t, tree, l, entries[:n], leaves[:n])
				}
			})
		}
	}
}

// compareTree compares the tree over entries with the second implementation over their leaves, and the path to some places.
func compareTree(t *testing.T, tree *tlog.Tree, l tlog.Leaf, entries []ledger.Entry, leaves []tlog.Hash) {
	t.Helper()
	n := len(entries)
	places := []int{0, n / 3, n - 1}
	want := l
	want.Entries = uint32(n)
	var paths [][]tlog.Hash
	want.Root, paths = slowTree(leaves, places...)
	for i, place := range places {
		tree.Start(l)
		tree.Prove(l.First + uint64(place))
		for i := range entries {
			tree.Add(&entries[i])
		}
		if got := tree.Finish(); got != want {
			t.Fatalf("%d entries: leaf %+v, want %+v", n, got, want)
		}
		if n == 0 {
			break // nothing to prove
		}
		proof, err := tree.Proof()
		salt := tlog.Salt(slowSalt(testSecret, l.Index, place))
		if err != nil || proof.Salt != salt || !slices.Equal(proof.Path, paths[i]) {
			t.Fatalf("%d entries: proof of entry %d: %v, %v, want %v, %v: %v", n, place, proof.Salt, proof.Path, salt, paths[i], err)
		}
	}
}

// TestTreeOfRecords: a block's leaf is the same from what the ledger did as from the entries, one by one.
func TestTreeOfRecords(t *testing.T) {
	for seed := range uint64(4) {
		g := ledgertest.NewGenerator(seed)
		steps, _ := g.Steps(1500)
		s := ledger.New(g.Model.Params, ledger.Seed{1, 2})
		rng := rand.New(rand.NewPCG(seed, 2))
		p := ledgertest.NewProposer(rng, s)
		tree, second := tlog.NewTree(testSecret), tlog.NewTree(testSecret)
		withID, split, last := 0, 0, uint64(0)
		for _, batch := range ledgertest.Cut(rng, steps, 200) {
			index, block := p.Block(s, batch)
			if _, err := s.Apply(index, block, nil); err != nil {
				t.Fatal(err)
			}
			r := s.Last()
			got := tree.Record(r)
			var entries []ledger.Entry
			for i := range r.Legs {
				l := &r.Legs[i]
				if n := len(entries); n > 0 && entries[n-1].Seq == r.First+uint64(l.Entry) {
					entries[n-1].Legs = append(entries[n-1].Legs, *l)
					split++
					continue
				}
				entries = append(entries, ledger.Entry{Seq: r.First + uint64(l.Entry), Time: r.Time, Kind: l.Kind, ID: r.ID(l), Legs: []ledger.Leg{*l}})
				if r.ID(l) != (ledger.OpID{}) {
					withID++
				}
			}
			want := build(second, tlog.Leaf{Index: index, Time: r.Time, First: r.First, Head: r.Head}, entries)
			if got != want || int(got.Entries) != r.Entries || got.Root != slowRoot(testSecret, index, entries) {
				t.Fatalf("block %d: %+v, want %+v of %d entries", index, got, want, r.Entries)
			}
			last = r.Last()
		}
		if withID == 0 || split == 0 || last == 0 {
			t.Fatalf("seed %d: %d entries with an id, %d further legs, %d entries: too few to show anything", seed, withID, split, last)
		}
	}
}

// TestLargestUnlock: no entry of the ledger has more than MaxLegs legs, and nodes full of such go through.
func TestLargestUnlock(t *testing.T) {
	e := sampleEntry(7)
	e.Legs = slices.Repeat(e.Legs[:1], tlog.MaxLegs)
	e.ID = ledger.NewOpID(testTime, [10]byte{1})
	if got := len(tlog.AppendEntry(nil, &e)); got != tlog.MaxEntry {
		t.Fatalf("%d bytes, MaxEntry is %d", got, tlog.MaxEntry)
	}
	for _, n := range []int{1, 2, 16, 33} {
		entries := slices.Repeat([]ledger.Entry{e}, n)
		got := build(tlog.NewTree(testSecret), tlog.Leaf{Index: 1, First: 7}, entries)
		if want := slowRoot(testSecret, 1, entries); got.Root != want {
			t.Fatalf("%d entries: root %v, want %v", n, got.Root, want)
		}
	}
	e.Legs = append(e.Legs, e.Legs[0])
	defer func() {
		if recover() == nil {
			t.Fatal("an entry of more legs was hashed")
		}
	}()
	build(tlog.NewTree(testSecret), tlog.Leaf{Index: 1, First: 7}, []ledger.Entry{e})
}

func TestEntryOfOneLegFitsOneCompression(t *testing.T) {
	e := sampleEntry(1)
	if got := 1 + len(tlog.Salt{}) + len(tlog.AppendEntry(nil, &e)); got > 55 {
		t.Fatalf("%d bytes are hashed, at most 55 fit", got)
	}
}

func TestEntryRoundTrip(t *testing.T) {
	for seq := range uint64(200) {
		e := sampleEntry(seq)
		b := tlog.AppendEntry(nil, &e)
		if !bytes.Equal(b, slowEntry(e)) {
			t.Fatalf("entry %d: %x, want %x", seq, b, slowEntry(e))
		}
		got, rest, err := tlog.DecodeEntry(append(b, 0xaa))
		if err != nil || len(rest) != 1 || !slices.Equal(got.Legs, e.Legs) || got.ID != e.ID || got.Seq != e.Seq || got.Kind != e.Kind || got.Time != e.Time {
			t.Fatalf("entry %+v came back as %+v: %v", e, got, err)
		}
		for n := range b {
			if _, _, err := tlog.DecodeEntry(b[:n]); err == nil {
				t.Fatalf("the first %d bytes of %d were an entry", n, len(b))
			}
		}
	}
	late := sampleEntry(1)
	late.Time = 1 << 60
	if e, _, err := tlog.DecodeEntry(tlog.AppendEntry(nil, &late)); err != nil || e.Time != 1<<48-1 || e.Kind != late.Kind {
		t.Fatalf("%+v, %v", e, err)
	}
}

// TestTreeAllocations: a block costs a few allocations, its entries none.
func TestTreeAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	tree := tlog.NewTree(testSecret)
	perBlock := func(n int) float64 {
		l, entries := sampleBlock(1, 1, n)
		return testing.AllocsPerRun(10, func() { build(tree, l, entries) })
	}
	if few, many := perBlock(1), perBlock(4000); many > few {
		t.Fatalf("a block of 1 entry makes %v allocations, one of 4000 makes %v", few, many)
	}
}

// BenchmarkTree: entries of one leg, in blocks of many, with the processor's instructions and without. On a machine that others use,
// too, the quickest block says more than the mean.
func BenchmarkTree(b *testing.B) {
	b.Run("new", func(b *testing.B) { benchmarkTree(b, tlog.NewTree(testSecret)) })
	b.Run("plain", func(b *testing.B) { benchmarkTree(b, tlog.Plain(tlog.NewTree(testSecret))) })
}

func benchmarkTree(b *testing.B, tree *tlog.Tree) {
	legs := make([]ledger.Leg, 4096)
	for i := range legs {
		legs[i] = ledger.Leg{Kind: ledger.OpAdvance, Move: ledger.MovePaidHeld, Amount: 1000, From: ledger.AccountNo(i), To: 99, Object: uint32(i), Entry: uint32(i)}
	}
	r := &ledger.Record{Index: 1, Time: testTime, First: 1, Entries: len(legs), Legs: legs}
	b.ReportAllocs()
	quickest := time.Hour
	for b.Loop() {
		start := time.Now()
		r.Index++
		r.First += uint64(len(legs))
		tree.Record(r)
		quickest = min(quickest, time.Since(start))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(legs)), "ns/entry")
	b.ReportMetric(float64(quickest.Nanoseconds())/float64(len(legs)), "quickest-ns/entry")
}
