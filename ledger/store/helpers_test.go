package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
	"github.com/millrace/millrace/ledger/store"
)

const testTime = 1_760_000_000_000

var testSeed = ledger.Seed{1, 2}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// machine is the smallest there can be around a ledger: it applies, and writes down what it was asked for.
type machine struct {
	// before is called on the log's goroutine with a durable block, before it is applied. May be nil.
	before func(index uint64, block []byte)

	mu       sync.Mutex
	state    *ledger.State
	indexes  []uint64 // of every Apply, in order
	restored []uint64 // of every Restore that succeeded
	archive  *ledgertest.Archive
	number   uint64 // of the last block made here
}

var _ store.Machine = (*machine)(nil)

func newMachine(p ledger.Params) *machine { return &machine{state: ledger.New(p, testSeed)} }

func (m *machine) Apply(index uint64, block []byte) error {
	if m.before != nil {
		m.before(index, block)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.state.Apply(index, block, nil); err != nil {
		return err
	}
	m.indexes = append(m.indexes, index)
	if m.archive != nil {
		m.archive.Follow(m.state.Last())
	}
	return nil
}

func (m *machine) Snapshot() *ledger.View {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Checkpoint()
}

func (m *machine) Restore(index uint64, r io.Reader) error {
	s, err := ledger.Restore(r, testSeed)
	if err != nil {
		return err
	}
	if s.Index() != index {
		return fmt.Errorf("snapshot of block %d under the name of %d", s.Index(), index)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.archive != nil {
		s.Attach(m.archive)
	}
	m.state = s
	m.restored = append(m.restored, index)
	return nil
}

// print is what two ledgers with the same history have in common.
type print struct {
	Seq          uint64
	Head, Digest [32]byte
}

func (m *machine) print() print {
	m.mu.Lock()
	defer m.mu.Unlock()
	return printOf(m.state)
}

func printOf(s *ledger.State) print { return print{s.Seq(), s.Head(), s.Digest()} }

func (m *machine) index() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Index()
}

func (m *machine) applied() []uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]uint64(nil), m.indexes...)
}

// block makes a block of steps of one time, on top of what the machine has applied by now.
func (m *machine) block(steps ...ledgertest.Step) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b ledger.Builder
	for i := range steps {
		b.Add(&steps[i].Op, steps[i].Detail)
	}
	m.number++
	return b.Seal(ledger.Header{Time: steps[0].Time, Proposer: 1, Number: m.number, Parent: m.state.Index(), Head: m.state.Head()})
}

// opening is a step that opens the nth account: an op that is always applied, with an id that tells it from the others.
func opening(n uint64) ledgertest.Step {
	id := ledger.NewOpID(testTime, [10]byte{2: byte(n >> 24), 3: byte(n >> 16), 4: byte(n >> 8), 5: byte(n)})
	return ledgertest.Step{Time: testTime, Op: ledger.Op{Kind: ledger.OpOpenAccount, ID: id}}
}

// folder is a data folder that tests open again and again.
type folder struct {
	t      testing.TB
	opts   store.Options
	params ledger.Params
	fatal  chan error
	kept   store.Checkpoints // nil: none
}

// newFolder initialises one; a nil fs is the real disk.
func newFolder(t testing.TB, fs vfs.FS, params ledger.Params) *folder {
	t.Helper()
	f := &folder{t: t, params: params, fatal: make(chan error, 16)}
	f.opts = store.Options{Dir: "/hub/data", FS: fs, Fatal: func(err error) {
		select {
		case f.fatal <- err:
		default: // a test that bends many files hears of many
		}
	}}
	if fs == nil {
		f.opts.Dir = t.TempDir()
	}
	if err := store.Init(f.opts, params); err != nil {
		t.Fatal(err)
	}
	return f
}

// on is the same folder in another file system: what a crash left of it.
func (f *folder) on(fs vfs.FS) *folder {
	g := *f
	g.opts.FS = fs
	return &g
}

func (f *folder) fs() vfs.FS {
	if f.opts.FS == nil {
		return vfs.Default
	}
	return f.opts.FS
}

func (f *folder) path(names ...string) string {
	return f.fs().PathJoin(append([]string{f.opts.Dir}, names...)...)
}

// start opens the folder and brings a new machine to the end of its log.
func (f *folder) start() (*store.Store, *machine) {
	f.t.Helper()
	m := newMachine(f.params)
	return f.startWith(m), m
}

func (f *folder) startWith(m *machine) *store.Store {
	f.t.Helper()
	s, err := store.Open(f.opts)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = s.Close() }) // for tests that fail; the others have closed it
	if err := s.Start(context.Background(), m, f.kept); err != nil {
		f.t.Fatal(err)
	}
	return s
}

// startFails opens the folder for a machine, and returns what Start says.
func (f *folder) startFails(m *machine) error {
	f.t.Helper()
	s, err := store.Open(f.opts)
	if err != nil {
		return err
	}
	err = s.Start(context.Background(), m, f.kept)
	if err == nil {
		f.t.Error("started")
	}
	if err := s.Close(); err != nil {
		f.t.Errorf("closing what did not start: %v", err)
	}
	return err
}

// open opens n accounts in n blocks, each applied before the next is proposed.
func open(t testing.TB, s *store.Store, m *machine, from, n uint64) {
	t.Helper()
	for i := range n {
		propose(t, s, m.block(opening(from+i)))
		barrier(t, s)
	}
}

func propose(t testing.TB, s *store.Store, block []byte) {
	t.Helper()
	if err := s.Propose(block); err != nil {
		t.Fatal(err)
	}
}

func barrier(t testing.TB, s *store.Store) {
	t.Helper()
	if err := s.Barrier(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func closeStore(t testing.TB, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
