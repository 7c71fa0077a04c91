package index

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
	"golang.org/x/mod/sumdb/tlog"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// log is a history with everything that an index of it must say.
type log struct {
	records []ledger.Record // with bytes of their own
	entries []ledger.Entry
	ids     []ledger.Remembered
	owned   []ledger.Owned
	leaves  [][]byte
	hashes  []tlog.Hash
	state   *ledger.State
}

// leafOf is what the tests' notary says.
func leafOf(r *ledger.Record) []byte {
	sum := sha256.Sum256(r.Block)
	return append(binary.LittleEndian.AppendUint64(nil, r.Index), sum[:8]...)
}

// newLog makes a history of n steps that depends on the seed alone.
func newLog(t testing.TB, seed uint64, n int) *log {
	g := ledgertest.NewGenerator(seed)
	steps, _ := g.Steps(n)
	l := &log{state: ledger.New(g.Model.Params, ledger.Seed{1, 2})}
	p := ledgertest.NewProposer(newRand(seed), l.state)
	for _, batch := range ledgertest.Cut(newRand(seed), steps, 40) {
		index, block := p.Block(l.state, batch)
		if _, err := l.state.Apply(index, slices.Clone(block), nil); err != nil {
			t.Fatal(err)
		}
		l.follow(l.state.Last())
	}
	return l
}

func (l *log) follow(r *ledger.Record) {
	own := *r
	own.Legs = slices.Clone(r.Legs)
	for i := 0; i < len(own.Legs); {
		e := ledger.Entry{Seq: r.First + uint64(own.Legs[i].Entry), Time: r.Time, Index: r.Index, Kind: own.Legs[i].Kind}
		at := i
		for ; i < len(own.Legs) && own.Legs[i].Entry == own.Legs[at].Entry; i++ {
			leg := own.Legs[i]
			leg.Entry, leg.At = 0, 0
			e.Legs = append(e.Legs, leg)
		}
		op, _ := r.Op(&own.Legs[at])
		switch op.Kind {
		case ledger.OpTransfer, ledger.OpOpenAccount, ledger.OpOpenChannel, ledger.OpTopUp, ledger.OpCredit, ledger.OpDebit, ledger.OpHold,
			ledger.OpOpenTerms, ledger.OpClaim:
			e.ID = op.ID
		}
		l.entries = append(l.entries, e)
	}
	own.Remembered(func(m ledger.Remembered) { l.ids = append(l.ids, m) })
	own.Owned(func(o ledger.Owned) { l.owned = append(l.owned, o) })
	n := int64(len(l.records))
	l.records = append(l.records, own)
	l.leaves = append(l.leaves, leafOf(&own))
	hashes, err := tlog.StoredHashes(n, l.leaves[n], tlog.HashReaderFunc(func(at []int64) (out []tlog.Hash, err error) {
		for _, i := range at {
			out = append(out, l.hashes[i])
		}
		return out, nil
	}))
	if err != nil {
		panic(err)
	}
	l.hashes = append(l.hashes, hashes...)
}

// plain is an entry as the log has it: its legs do not say where in a block they were.
func plain(e *ledger.Entry) ledger.Entry {
	p := *e
	p.Legs = slices.Clone(e.Legs)
	for i := range p.Legs {
		p.Legs[i].Entry, p.Legs[i].At = 0, 0
	}
	return p
}

func same(a, b ledger.Entry) bool {
	legs := slices.Equal(a.Legs, b.Legs)
	return legs && a.Seq == b.Seq && a.Time == b.Time && a.Index == b.Index && a.Kind == b.Kind && a.ID == b.ID
}

func openIndex(t testing.TB, o Options) *Index {
	t.Helper()
	if o.Dir == "" {
		o.Dir = "index"
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) { t.Errorf("fatal: %v", err) }
	}
	x, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func closeIndex(t testing.TB, x *Index) {
	t.Helper()
	if err := x.Close(); err != nil {
		t.Fatalf("closing: %v", err)
	}
}

// check reads everything that the index says of the first n blocks, and asks about what is not there. It returns the first
// error, and fails the test for a wrong answer.
func (l *log) check(t testing.TB, x *Index, n int) error {
	t.Helper()
	last := uint64(0)
	if n > 0 {
		last = l.records[n-1].Last()
	}
	return errors.Join(l.checkEntries(t, x, last), l.checkBlocks(t, x, n), l.checkTree(t, x, n), l.checkArchive(t, x))
}

func (l *log) checkEntries(t testing.TB, x *Index, last uint64) error {
	t.Helper()
	for _, from := range []uint64{0, 1, 2, last / 3, last / 2, max(last, 1) - 1, last, last + 1} {
		next := max(from, 1)
		err := x.Entries(from, func(e *ledger.Entry) bool {
			if e.Seq != next || next > last || !same(plain(e), l.entries[next-1]) {
				t.Errorf("entry %d of %d is %+v", next, last, *e)
				return false
			}
			next++
			return true
		})
		if err != nil {
			return err
		}
		if next != max(last, from, 1)+1 && next <= last {
			t.Errorf("entries from %d end before %d of %d", from, next, last)
		}
	}
	j, err := x.newJournalReader()
	if err != nil {
		return err
	}
	defer j.close()
	for seq := last; seq > 0; seq -= min(seq, 1+seq%7) {
		e, err := j.at(seq)
		if err != nil {
			return err
		}
		if !same(plain(e), l.entries[seq-1]) {
			t.Errorf("entry %d is %+v", seq, *e)
		}
	}
	for _, seq := range []uint64{0, last + 1, 1 << 63, 1<<64 - 1} {
		if e, err := j.at(seq); !errors.Is(err, ErrNone) {
			t.Errorf("entry %d: %v, %v", seq, e, err)
		}
	}
	return nil
}

func (l *log) checkBlocks(t testing.TB, x *Index, n int) error {
	t.Helper()
	for i := 0; i < n; i += 1 + i%7 {
		r := &l.records[i]
		want := r.Last()
		for k := i + 1; k < n && l.records[k].Time == r.Time; k++ {
			want = l.records[k].Last()
		}
		seq, err := x.SeqAt(r.Time)
		if err != nil {
			return err
		}
		if seq != want {
			t.Errorf("at %d the last entry is %d, want %d", r.Time, seq, want)
		}
		if r.Entries == 0 {
			continue
		}
		for _, seq := range []uint64{r.First, r.Last()} {
			index, first, entries, time, err := x.BlockOf(seq)
			if err != nil {
				return err
			}
			if index != r.Index || first != r.First || entries != r.Entries || time != r.Time {
				t.Errorf("block of entry %d: %d, %d, %d, %d", seq, index, first, entries, time)
			}
		}
	}
	if n > 0 {
		if seq, err := x.SeqAt(l.records[0].Time - 1); err != nil || seq != 0 {
			t.Errorf("before the first entry: %d, %v", seq, err)
			return err
		}
	}
	return nil
}

func (l *log) checkTree(t testing.TB, x *Index, n int) error {
	t.Helper()
	if x.opts.Notary == nil {
		return nil
	}
	x.awaitTree(uint64(n))
	if size := x.TreeSize(); size != int64(n) {
		t.Errorf("a tree of %d blocks, want %d", size, n)
	}
	for i := 0; i < n; i += 1 + i%7 {
		leaf, index, err := x.Leaf(int64(i))
		if err != nil {
			return err
		}
		if index != l.records[i].Index || !bytes.Equal(leaf, l.leaves[i]) {
			t.Errorf("leaf %d: %x of block %d", i, leaf, index)
		}
	}
	var all []int64
	for i := range tlog.StoredHashCount(int64(n)) {
		all = append(all, i)
	}
	hashes, err := x.ReadHashes(all)
	if err != nil {
		return err
	}
	if !slices.Equal(hashes, l.hashes[:len(all)]) {
		t.Error("hashes of the tree are wrong")
	}
	for _, i := range []int64{-1, int64(n)} {
		if _, _, err := x.Leaf(i); !errors.Is(err, ErrNone) {
			t.Errorf("leaf %d: %v", i, err)
		}
	}
	return nil
}

// checkArchive looks for what is durable, and for what never was.
func (l *log) checkArchive(t testing.TB, x *Index) error {
	t.Helper()
	_, durable := x.Watermark()
	for i := 0; i < len(l.ids); i += 1 + i%5 {
		m := l.ids[i]
		got, ok, err := x.ID(m.ID, m.Actor)
		if err != nil {
			return err
		}
		if !ok && m.Seq <= durable || ok && got != m {
			t.Errorf("%+v with %d entries durable: %v, %+v", m, durable, ok, got)
		}
		if _, ok, err := x.ID(m.ID, m.Actor+1<<20); ok || err != nil {
			t.Errorf("%v of another: %v, %v", m.ID, ok, err)
			return err
		}
	}
	for _, o := range l.owned {
		got, ok, err := x.Owned(o.Account, o.Content, o.Unit)
		if err != nil {
			return err
		}
		if !ok && o.Seq <= durable || ok && got != o {
			t.Errorf("%+v with %d entries durable: %v, %+v", o, durable, ok, got)
		}
	}
	return nil
}
