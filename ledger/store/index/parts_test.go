package index

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/storetest"
)

// machine is a ledger with its index, as a hub has them.
type machine struct {
	t     *testing.T
	x     *Index
	state *ledger.State
	next  int // of the log's blocks
}

// start opens an index and brings a ledger where its checkpoint is.
func (l *log) start(t *testing.T, o Options) *machine {
	t.Helper()
	m := &machine{t: t, x: openIndex(t, o), state: ledger.New(l.state.Params(), ledger.Seed{3, 4})}
	index, _ := m.x.Covered()
	if durable, _ := m.x.Watermark(); index > durable {
		t.Fatalf("a checkpoint of block %d, and a watermark at block %d", index, durable)
	}
	if index > 0 {
		r, err := m.x.ReadState()
		if err != nil {
			t.Fatal(err)
		}
		if m.state, err = ledger.Restore(r, ledger.Seed{3, 4}); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if m.state.Index() != index {
			t.Fatalf("the checkpoint of block %d is of block %d", index, m.state.Index())
		}
	}
	m.state.Attach(m.x)
	m.next = l.until(index)
	return m
}

// run applies blocks up to the n-th.
func (m *machine) run(l *log, n int) {
	m.t.Helper()
	for ; m.next < n; m.next++ {
		r := &l.records[m.next]
		if _, err := m.state.Apply(r.Index, r.Block, nil); err != nil {
			m.t.Fatal(err)
		}
		m.x.Append(m.state.Last())
		if r.Head != m.state.Head() {
			m.t.Fatalf("another head after block %d", r.Index)
		}
	}
}

// TestCheckpoints: from whatever checkpoint is left, the ledger and its index come to be what they were.
func TestCheckpoints(t *testing.T) {
	for seed := range uint64(4) {
		l, rng, fs := newLog(t, 20+seed, 400), newRand(seed), vfs.NewCrashableMem()
		o := Options{FS: fs, SegmentEntries: 50, Notary: leafOf}
		m := l.start(t, o)
		taken := uint64(0)
		for n := 1; n <= len(l.records); n++ {
			m.run(l, n)
			switch rng.IntN(30) {
			case 0, 1:
				taken = l.records[n-1].Index
				m.x.Checkpoint(m.state.Checkpoint())
			case 2:
				closeIndex(t, m.x)
				m = l.start(t, o)
				if index, _ := m.x.Covered(); index != taken {
					t.Fatalf("the checkpoint of block %d is gone, there is one of block %d", taken, index)
				}
				m.run(l, n)
			case 3:
				crashed := o
				crashed.FS = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
				c := l.start(t, crashed)
				c.run(l, n)
				if err := l.check(t, c.x, n); err != nil {
					t.Error(err)
				}
				if c.state.Digest() != m.state.Digest() {
					t.Errorf("after a crash at block %d the state is another", n)
				}
				closeIndex(t, c.x)
			}
		}
		if err := l.check(t, m.x, len(l.records)); err != nil {
			t.Error(err)
		}
		closeIndex(t, m.x)
		if m.state.Digest() != l.state.Digest() {
			t.Error("the state is another")
		}
	}
}

// TestCheckpointOfNothing: a state that the index cannot have led to is not stored.
func TestCheckpointOfNothing(t *testing.T) {
	var fatal error
	l := newLog(t, 1, 50)
	x := openIndex(t, Options{FS: vfs.NewMem(), Fatal: func(err error) { fatal = err }})
	x.Append(&l.records[0])
	x.Checkpoint(l.state.View())
	if err := x.Close(); fatal == nil || !errors.Is(err, fatal) {
		t.Errorf("%v, and closing: %v", fatal, err)
	}
}

// TestDamagedState: a part that has rotted is found.
func TestDamagedState(t *testing.T) {
	l, fs := newLog(t, 2, 300), vfs.NewMem()
	m := l.start(t, Options{FS: fs})
	m.run(l, len(l.records))
	m.x.Checkpoint(m.state.Checkpoint())
	closeIndex(t, m.x)
	found := 0
	for _, name := range storetest.Files(t, fs, "index", ".sst") {
		whole := storetest.ReadFile(t, fs, name)
		at := bytes.Index(whole, []byte("2MRP"))
		if at < 0 {
			continue
		}
		bent := bytes.Clone(whole)
		bent[at+20] ^= 4
		storetest.WriteFile(t, fs, name, bent)
		x, err := Open(Options{Dir: "index", FS: fs, Fatal: func(error) {}})
		if err == nil {
			var r io.ReadCloser
			if r, err = x.ReadState(); err == nil {
				_, err = io.ReadAll(r)
				err = errors.Join(err, r.Close())
			}
			_ = x.Close()
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		found++
		storetest.WriteFile(t, fs, name, whole)
	}
	if found != 1 {
		t.Errorf("%d tables with parts", found)
	}
}

// TestChangedParts: a checkpoint costs what has changed, and those that follow each other are the state all the same.
func TestChangedParts(t *testing.T) {
	fs, s := vfs.NewMem(), ledger.New(ledger.DefaultParams(), ledger.Seed{1, 2})
	x := openIndex(t, Options{FS: fs})
	s.Attach(x)
	var b ledger.Builder
	ids := uint64(0)
	apply := func(n int, op ledger.Op) {
		b.Reset()
		for range n {
			ids++
			op.ID = ledger.NewOpID(1_760_000_000_000, [10]byte{2: byte(ids >> 16), 3: byte(ids >> 8), 4: byte(ids)})
			b.Add(&op, nil)
		}
		block := b.Seal(ledger.Header{Time: 1_760_000_000_000, Parent: s.Index(), Head: s.Head()})
		if _, err := s.Apply(s.Index()+1, bytes.Clone(block), nil); err != nil {
			t.Fatal(err)
		}
		x.Append(s.Last())
	}
	var sizes []int64
	checkpoint := func() {
		x.Checkpoint(s.Checkpoint())
		closeIndex(t, x)
		x = openIndex(t, Options{FS: fs})
		index, size := x.Covered()
		if index != s.Index() {
			t.Fatalf("a checkpoint of block %d, want %d", index, s.Index())
		}
		r, err := x.ReadState()
		if err != nil {
			t.Fatal(err)
		}
		restored, err := ledger.Restore(r, ledger.Seed{5, 6})
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		if restored.Digest() != s.Digest() {
			t.Errorf("checkpoint %d is not the state", len(sizes))
		}
		s = restored
		s.Attach(x)
		sizes = append(sizes, size)
	}
	apply(30_000, ledger.Op{Kind: ledger.OpOpenAccount})
	checkpoint()
	apply(1, ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Dev, Target: 20_000, Amount: 7})
	checkpoint()
	for no := uint32(16); no < 30_000; no += 4096 {
		apply(1, ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Dev, Target: no, Amount: 7})
	}
	checkpoint()
	if sizes[1] > sizes[0]/2 || sizes[2] < sizes[0]/2 || sizes[2] > sizes[0] {
		t.Errorf("checkpoints of %d bytes", sizes)
	}
	closeIndex(t, x)
}

// TestFollows: an index is refused beside a log that ends before it, or that has another block where it ends.
func TestFollows(t *testing.T) {
	l := newLog(t, 21, 200)
	x := openIndex(t, Options{FS: vfs.NewMem(), SegmentEntries: 30})
	for i := range l.records {
		x.Append(&l.records[i])
	}
	last := l.records[len(l.records)-1]
	if err := x.Wait(t.Context(), last.Index); err != nil {
		t.Fatal(err)
	}
	sum := func(block []byte) func(uint64) (uint32, error) {
		return func(uint64) (uint32, error) { return ledger.SumOf(block), nil }
	}
	if err := errors.Join(x.Follows(last.Index, sum(last.Block)), x.Follows(last.Index+1, sum(last.Block))); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"a shorter log": x.Follows(last.Index-1, sum(last.Block)), "another log": x.Follows(last.Index, sum(l.records[0].Block)),
	} {
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	closeIndex(t, x)
}
