package check

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
	"github.com/millrace/millrace/ledger/tlog"
)

// folder is a data folder in memory.
type folder struct {
	fs     *vfs.MemFS
	params ledger.Params
	notary bool
	seq    uint64 // of the last entry
}

const dir, indexDir = "data", "data/index"

func (f *folder) index() index.Options {
	o := index.Options{Dir: indexDir, FS: f.fs, SegmentEntries: 150, IDKeep: f.params.IDWindow}
	if f.notary {
		o.Notary = newNotary()
	}
	return o
}

func newNotary() func(*ledger.Record) []byte {
	tree := tlog.NewTree(tlog.Secret(sha256.Sum256([]byte("of the tests"))))
	return func(r *ledger.Record) []byte {
		leaf := tree.Record(r)
		return leaf.Append(nil)
	}
}

// machine is what a hub is to the log.
type machine struct {
	state *ledger.State
	index *index.Index
}

func (m *machine) Apply(i uint64, block []byte) error {
	_, err := m.state.Apply(i, block, nil)
	if err == nil {
		m.index.Append(m.state.Last())
	}
	return err
}
func (m *machine) Snapshot() *ledger.View { return m.state.Checkpoint() }
func (m *machine) Restore(_ uint64, r io.Reader) error {
	s, err := ledger.Restore(r, ledger.Seed{1, 2})
	if err == nil {
		s.Attach(m.index)
		m.state = s
	}
	return err
}

// newFolder makes a data folder of n generated steps, with some checkpoints on the way and one at the end.
func newFolder(t testing.TB, seed uint64, n int, notary bool) *folder {
	g := ledgertest.NewGenerator(seed)
	steps, _ := g.Steps(n)
	for i := range byte(40) { // ids that are kept, however late it has become
		op := ledger.Op{Kind: ledger.OpOpenAccount, ID: ledger.NewOpID(g.Model.Now, [10]byte{i, 9: 77})}
		steps = append(steps, ledgertest.Step{Time: g.Model.Now, Op: op})
	}
	f := &folder{fs: vfs.NewCrashableMem(), params: g.Model.Params, notary: notary}
	if err := store.Init(store.Options{Dir: dir, FS: f.fs}, f.params); err != nil {
		t.Fatal(err)
	}
	f.extend(t, seed, steps)
	return f
}

// extend runs the folder's hub with more steps, and stops it.
func (f *folder) extend(t testing.TB, seed uint64, steps []ledgertest.Step) {
	t.Helper()
	log := f.open(t)
	x, err := index.Open(f.index())
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{ledger.New(f.params, ledger.Seed{1, 2}), x}
	m.state.Attach(x)
	if err := log.Start(t.Context(), m, x); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 2))
	var b ledger.Builder
	for i, batch := range ledgertest.Cut(rng, steps, 60) {
		b.Reset()
		for i := range batch {
			b.Add(&batch[i].Op, batch[i].Detail)
		}
		block := b.Seal(ledger.Header{Time: batch[0].Time, Number: uint64(i + 1), Parent: m.state.Index(), Head: m.state.Head()})
		if err := log.Propose(block); err != nil {
			t.Fatal(err)
		}
		if err := log.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	f.seq = m.state.Seq()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
}

func (f *folder) open(t testing.TB) *store.Store {
	t.Helper()
	log, err := store.Open(store.Options{Dir: dir, FS: f.fs, CheckpointEvery: 20 << 10})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// clone is a copy, to be damaged.
func (f *folder) clone() *folder {
	c := *f
	c.fs = f.fs.CrashClone(vfs.CrashCloneCfg{})
	return &c
}

// check runs a check and returns what it finds.
func (f *folder) check(t testing.TB, notary func(*ledger.Record) []byte) (Report, []Finding) {
	t.Helper()
	r, all, err := f.tryCheck(t, notary)
	if err != nil {
		t.Fatal(err)
	}
	return r, all
}

func (f *folder) tryCheck(t testing.TB, notary func(*ledger.Record) []byte) (r Report, all []Finding, err error) {
	t.Helper()
	log, err := store.Open(store.Options{Dir: dir, FS: f.fs})
	if err != nil {
		return r, nil, err
	}
	cfg := Config{Log: log, Index: f.index(), Notary: notary, Found: func(f Finding) { all = append(all, f) }}
	cfg.Index.Notary = nil
	r, err = Run(t.Context(), cfg)
	if uint64(len(all)) > r.Findings || r.Findings > 0 && len(all) == 0 {
		t.Errorf("%d findings, %d told", r.Findings, len(all))
	}
	return r, all, errors.Join(err, log.Close())
}

// quiet is pebble's logger.
type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// pebble opens one of the folder's databases to damage its rows.
func (f *folder) pebble(t testing.TB, name string, change func(db *pebble.DB)) {
	t.Helper()
	o := &pebble.Options{FS: f.fs, FormatMajorVersion: pebble.FormatValueSeparation, Logger: quiet{}}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(path.Join(dir, name), o)
	if err != nil {
		t.Fatal(err)
	}
	change(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// keys are those of a keyspace.
func keys(t testing.TB, db *pebble.DB, space string) (all []string) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte(space), UpperBound: []byte(space + "\xff")})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		all = append(all, string(it.Key()))
	}
	return all
}

func spaces(all []Finding) string {
	var s []string
	for _, f := range all {
		s = append(s, f.String())
	}
	return strings.Join(s, "\n")
}

func has(all []Finding, space string) bool {
	for _, f := range all {
		if f.Space == space {
			return true
		}
	}
	return false
}
