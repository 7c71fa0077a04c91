package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
)

// origin is the hub's name in the contents that are sealed to it.
const origin = "http://127.0.0.1:8402"

// feePPM is the hub's part of an unlock: one in a hundred, so that the split is worked.
const feePPM = 10_000

func benchParams() ledger.Params {
	p := ledger.DefaultParams()
	p.FeePPM = feePPM
	return p
}

// rig is a hub on a data folder, put together as serve does.
type rig struct {
	dir   string
	every int64
	ring  *keyring.Ring
	hub   *hub.Hub
	open  bool

	seq    uint64 // of the last op that was submitted for setting up
	used   int64  // bytes of the ledger's folder on the disk when the hub had started
	length int64  // lengths of its files then
	logged uint64 // bytes that the log had made durable then

	commits, bytes atomic.Uint64         // what the log made durable
	syncing        atomic.Int64          // nanoseconds that it took
	fatal          atomic.Pointer[error] // why the hub cannot go on
}

// newRig makes a data folder and starts a hub on it.
func newRig(ctx context.Context, c *Config, dir string) (*rig, error) {
	r := &rig{dir: filepath.Join(dir, "data"), every: c.SnapshotEvery}
	if err := store.Init(store.Options{Dir: r.dir}, benchParams()); err != nil {
		return nil, err
	}
	var kek keyring.KEK
	_, _ = rand.Read(kek[:]) // it never fails: the runtime ends the process first
	var err error
	if r.ring, err = keyring.Create(filepath.Join(dir, "keys"), kek, time.Now()); err != nil {
		return nil, err
	}
	return r, r.start(ctx)
}

// start starts a hub on the folder as it is.
func (r *rig) start(ctx context.Context) error {
	var h *hub.Hub
	x, err := index.Open(index.Options{
		Dir: filepath.Join(r.dir, "index"), IDKeep: benchParams().IDWindow,
		Fatal:   func(err error) { r.fatal.Store(&err); h.Fail(err) },
		Flushed: func(index, seq uint64) { h.Indexed(index, seq) },
	})
	if err != nil {
		return err
	}
	if h, err = hub.New(hub.Config{Params: benchParams(), Index: x, Ring: r.ring, Origin: origin}); err != nil {
		return err
	}
	s, err := store.Open(store.Options{
		Dir: r.dir, CheckpointEvery: r.every,
		Fatal: func(err error) { r.fatal.Store(&err); h.Fail(err) },
		Committed: func(blocks, bytes int, took time.Duration) {
			r.commits.Add(1)
			r.bytes.Add(uint64(bytes))
			r.syncing.Add(int64(took))
			h.Committed(blocks, bytes, took)
		},
	})
	if err != nil {
		return err
	}
	if err := s.Start(ctx, h.Machine(), x); err != nil {
		return errors.Join(err, s.Close(), x.Close())
	}
	h.Start(s)
	r.hub, r.open = h, true
	r.logged = r.bytes.Load()
	if r.length, err = written(filepath.Join(r.dir, "ledger")); err != nil {
		return err
	}
	r.used, err = r.usage()
	return err
}

// restart stops the hub and starts another: what was set up lies in a snapshot and in tables, as in a hub that has run for
// some time.
func (r *rig) restart(ctx context.Context) error {
	if err := r.close(); err != nil {
		return err
	}
	return r.start(ctx)
}

// close stops the hub. It may be called again.
func (r *rig) close() error {
	if !r.open {
		return nil
	}
	r.open = false
	if err := r.hub.Close(context.Background()); err != nil {
		return fmt.Errorf("stopping the hub: %w", err)
	}
	if err := r.fatal.Load(); err != nil {
		return *err
	}
	return nil
}

// submit has ops decided through the hub, for setting up.
func (r *rig) submit(ops []ledger.Op) ([]ledger.Applied, error) {
	b := &hub.Batch{Ops: ops}
	err := r.hub.Submit(b)
	for i := range b.Out {
		r.seq = max(r.seq, b.Out[i].Seq())
	}
	return b.Out, err
}

// settling bounds the wait for pebble to remove the files that it does not need any more after a start.
const settling = 3 * time.Second

// usage is what the ledger's folder takes on the disk, once that does not change any more.
func (r *rig) usage() (bytes int64, err error) {
	for began, last := time.Now(), int64(-1); time.Since(began) < settling && bytes != last; time.Sleep(50 * time.Millisecond) {
		last = bytes
		if bytes, err = diskUsage(filepath.Join(r.dir, "ledger")); err != nil {
			return 0, err
		}
	}
	return bytes, nil
}
