package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/channels/voucher"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
	"github.com/millrace/millrace/ledger/store/slow"
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

// rig is a hub on a data folder, put together as serve does, but for the proof of liabilities: it is made once a day, and would
// fall into some measurement or other.
type rig struct {
	dir   string
	every int64
	off   bool       // nothing follows the log
	disk  *slow.Disk // nil: the machine's
	ring  *keyring.Ring
	hub   *hub.Hub
	index *index.Index
	kept  *checkpoints
	open  bool

	seq    uint64 // of the last op that was submitted for setting up
	used   int64  // bytes of the ledger's folder on the disk when the hub had started
	around int64  // bytes of the index's folder then
	length int64  // lengths of its files then
	logged uint64 // bytes that the log had made durable then

	commits, bytes atomic.Uint64         // what the log made durable
	syncing        atomic.Int64          // nanoseconds that it took
	fatal          atomic.Pointer[error] // why the hub cannot go on

	waits commitWaits
}

// newRig makes a data folder and starts a hub on it.
func newRig(ctx context.Context, c *Config, dir string) (*rig, error) {
	r := &rig{dir: filepath.Join(dir, "data"), every: c.SnapshotEvery}
	if err := r.init(); err != nil {
		return nil, err
	}
	return r, r.start(ctx)
}

// The names of a hub's own keys, and of the key over them, as serve looks for them in a data folder.
const (
	ringFile = "hub.keys"
	kekFile  = "hub.kek"
)

// init makes a data folder as the verb of that name does.
func (r *rig) init() error {
	if err := store.Init(store.Options{Dir: r.dir}, benchParams()); err != nil {
		return err
	}
	kek, err := keyring.CreateKEKFile(filepath.Join(r.dir, kekFile))
	if err != nil {
		return err
	}
	r.ring, err = keyring.Create(filepath.Join(r.dir, ringFile), kek, time.Now())
	return err
}

// openRig starts a hub on a data folder that an earlier rig has made.
func openRig(ctx context.Context, c *Config, dir string) (*rig, error) {
	return openSlowRig(ctx, c, filepath.Join(dir, "data"), nil)
}

// openSlowRig starts one on a disk that can be made slow, if it is given one.
func openSlowRig(ctx context.Context, c *Config, data string, disk *slow.Disk) (*rig, error) {
	r := &rig{dir: data, every: c.SnapshotEvery, disk: disk}
	kek, err := keyring.LoadKEK(keyring.Source{File: filepath.Join(r.dir, kekFile)})
	if err != nil {
		return nil, err
	}
	if r.ring, err = keyring.Open(filepath.Join(r.dir, ringFile), kek); err != nil {
		return nil, err
	}
	return r, r.start(ctx)
}

// start starts a hub on the folder as it is.
func (r *rig) start(ctx context.Context) error {
	var h *hub.Hub
	fatal := func(err error) {
		r.fatal.Store(&err)
		if h != nil {
			h.Fail(err)
		}
	}
	opts := store.Options{
		Dir: r.dir, CheckpointEvery: r.every, Fatal: fatal,
		Committed: func(blocks, bytes int, took time.Duration) {
			r.commits.Add(1)
			r.bytes.Add(uint64(bytes))
			r.syncing.Add(int64(took))
			r.waits.add(took)
			h.Committed(blocks, bytes, took)
		},
	}
	if r.disk != nil {
		opts.FS = r.disk.FS(nil)
	}
	s, err := store.Open(opts)
	if err != nil {
		return err
	}
	x, err := index.Open(index.Options{
		Dir: filepath.Join(r.dir, "index"), FS: s.FS(), IDKeep: benchParams().IDWindow, Notary: hub.NewNotary(r.ring), Off: r.off,
		Fatal: fatal, Flushed: func(index, seq uint64) { h.Indexed(index, seq) },
	})
	if err != nil {
		return errors.Join(err, s.Close())
	}
	if h, err = hub.New(hub.Config{Params: benchParams(), Index: x, Ring: r.ring, Origin: origin, Vouchers: voucher.Verifier{Origin: origin}}); err != nil {
		return errors.Join(err, s.Close(), x.Close())
	}
	r.kept = &checkpoints{Index: x}
	var kept store.Checkpoints = r.kept
	if r.off {
		kept = nil
	}
	if err := s.Start(ctx, h.Machine(), kept); err != nil {
		return errors.Join(err, s.Close(), x.Close())
	}
	h.Start(s)
	r.hub, r.index, r.open = h, x, true
	r.logged = r.bytes.Load()
	if r.length, err = written(filepath.Join(r.dir, "ledger")); err != nil {
		return err
	}
	if r.around, err = diskUsage(filepath.Join(r.dir, "index")); err != nil {
		return err
	}
	r.used, err = r.usage()
	return err
}

// checkpoints are the index's, with a note of what is on its way.
type checkpoints struct {
	*index.Index
	begun atomic.Uint64 // index of the block that the last one was taken after
	taken atomic.Uint64 // their number
}

// Checkpoint notes the view, and hands it on.
func (k *checkpoints) Checkpoint(v *ledger.View) {
	k.begun.Store(v.Index())
	k.taken.Add(1)
	k.Index.Checkpoint(v)
}

// writing says whether one is on its way.
func (k *checkpoints) writing() bool {
	covered, _ := k.Covered()
	return covered < k.begun.Load()
}

// catchUp returns when all that follows the log is as far as the log, on a hub that nobody sends anything.
func (r *rig) catchUp(ctx context.Context) error {
	for {
		durable, _ := r.index.Watermark()
		blocks, _ := r.index.Lag()
		if blocks == 0 {
			break
		}
		if err := r.index.Wait(ctx, durable+blocks); err != nil {
			return err
		}
	}
	for r.kept.writing() {
		if err := r.fatal.Load(); err != nil {
			return *err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return nil
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
