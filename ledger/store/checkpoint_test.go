package store_test

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
	"github.com/millrace/millrace/ledger/store"
)

// checkpoints are kept in memory; the tests of the hub have the real ones.
type checkpoints struct {
	ledgertest.Archive

	mu    sync.Mutex
	index uint64
	parts map[string][]byte
	taken int
}

var _ store.Checkpoints = (*checkpoints)(nil)

func newCheckpoints() *checkpoints {
	return &checkpoints{Archive: ledgertest.NewArchive(), parts: make(map[string][]byte)}
}

func (c *checkpoints) Follows(last uint64, sum func(uint64) (uint32, error)) error {
	if index, _ := c.Covered(); index > 0 && index <= last {
		_, err := sum(index)
		return err
	}
	return nil
}

func (c *checkpoints) Covered() (uint64, int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.index, 0
}

func (c *checkpoints) Checkpoint(v *ledger.View) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = v.Parts(true, func(key, part []byte) error {
		c.parts[string(key)] = bytes.Clone(part)
		return nil
	})
	c.index = v.Index()
	c.taken++
}

func (c *checkpoints) ReadState() (io.ReadCloser, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var keys []string
	for k := range c.parts {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var all []byte
	for _, k := range keys {
		all = append(all, c.parts[k]...)
	}
	return io.NopCloser(bytes.NewReader(all)), nil
}

// kept is a folder with checkpoints, and a machine that follows them.
func kept(f *folder, every int64) (*checkpoints, func() (*store.Store, *machine)) {
	c := newCheckpoints()
	f.kept, f.opts.CheckpointEvery = c, every
	return c, func() (*store.Store, *machine) {
		m := newMachine(f.params)
		m.archive = &c.Archive
		return f.startWith(m), m
	}
}

// TestCheckpoints: a start takes the newest checkpoint and replays what came after it, and comes to the same ledger.
func TestCheckpoints(t *testing.T) {
	mem, h, rng := vfs.NewCrashableMem(), newHistory(17, 3000), newRand(17)
	f := newFolder(t, mem, h.params)
	c, start := kept(f, 256)
	s, m := start()
	for at := 0; at < len(h.batches); {
		at = min(at+1+rng.IntN(len(h.batches)/8), len(h.batches))
		h.feed(t, rng, s, m, at)
		h.check(t, "before a restart", m, at)
		if rng.IntN(2) == 0 {
			closeStore(t, s)
		} else {
			f.opts.FS = mem.CrashClone(vfs.CrashCloneCfg{})
			mem = f.opts.FS.(*vfs.MemFS)
			closeStore(t, s)
			if covered, _ := c.Covered(); covered > uint64(at) {
				t.Fatalf("a checkpoint of block %d of %d", covered, at)
			}
		}
		covered, _ := c.Covered()
		s, m = start()
		h.check(t, "after it", m, at)
		if !slices.Equal(m.restored, []uint64{covered}) || len(m.applied()) != at-int(covered) {
			t.Fatalf("restored %d of %d, and replayed %d blocks", m.restored, covered, len(m.applied()))
		}
		if _, lag := s.Lag(); lag != uint64(at)-covered {
			t.Errorf("lag %d of checkpoint %d at block %d", lag, covered, at)
		}
	}
	if c.taken < 10 {
		t.Errorf("%d checkpoints of %d blocks", c.taken, len(h.batches))
	}
	closeStore(t, s)
}

// TestCheckpointsRefused: a checkpoint that is damaged, or of blocks that the log does not have, is an error that says so.
func TestCheckpointsRefused(t *testing.T) {
	mem := vfs.NewCrashableMem()
	f := newFolder(t, mem, ledger.DefaultParams())
	fresh := f.on(mem.CrashClone(vfs.CrashCloneCfg{}))
	c, start := kept(f, 1<<40)
	s, m := start()
	open(t, s, m, 0, 10)
	short := f.on(mem.CrashClone(vfs.CrashCloneCfg{}))
	open(t, s, m, 10, 10)
	closeStore(t, s)
	for name, f := range map[string]*folder{"no blocks": fresh, "too few": short} {
		f.kept = c
		m := newMachine(f.params)
		m.archive = &c.Archive
		wantErr(t, name, f.startFails(m), store.ErrCorrupt)
	}
	for key := range c.parts {
		c.parts[key][len(c.parts[key])/2] ^= 1
		wantErr(t, "bent", f.startFails(newMachine(f.params)), store.ErrCorrupt)
		c.parts[key][len(c.parts[key])/2] ^= 1
	}
	s, again := start()
	if again.print() != m.print() {
		t.Error("another ledger")
	}
	closeStore(t, s)
}
