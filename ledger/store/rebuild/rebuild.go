// Package rebuild makes the index of a data folder anew from its log.
package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
)

// Report says what an index was made of.
type Report struct {
	Blocks  uint64 `json:"blocks"`
	Entries uint64 `json:"entries"`
}

// Index makes an index with these options, and puts it in the place of the one in their folder, if there is one. The log must be
// open and not started; it is only to be closed then. Whatever stops it, in the folder is the old index, the new one, or for a
// moment none, and then a start makes it: until the new one is whole and durable, it lies beside under another name. A log that is
// damaged, or has lost its end, is an error. Progress is told after each block how many entries are replayed; it may be nil.
func Index(ctx context.Context, log *store.Store, o index.Options, progress func(entries uint64)) (r Report, err error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	place := places{o.FS, o.Dir}
	if err := place.clear(); err != nil {
		return r, err
	}
	o.Dir = place.made()
	m := &machine{progress: progress}
	o.Flushed = m.flushed
	if m.index, err = index.Open(o); err != nil {
		return r, err
	}
	end := sync.OnceValue(m.index.Close)
	stop := context.AfterFunc(ctx, func() { _ = end() }) // so that an index without room does not wait for it
	defer stop()
	r, err = m.fill(ctx, log)
	if err := errors.Join(err, end()); err != nil || ctx.Err() != nil {
		return r, errors.Join(ctx.Err(), err, o.FS.RemoveAll(place.made()))
	}
	return r, place.swap()
}

// machine is the ledger that the log drives, with an index behind it.
type machine struct {
	index    *index.Index
	progress func(uint64)
	outcomes []ledger.Applied

	mu    sync.Mutex // against flushed
	state *ledger.State
}

// fill replays the log into the index, and gives it a checkpoint of the end.
func (m *machine) fill(ctx context.Context, log *store.Store) (Report, error) {
	m.state = ledger.New(log.Params(), store.NewSeed())
	m.state.Attach(m.index)
	if err := log.Start(ctx, m, nil); err != nil {
		return Report{}, err
	}
	r := Report{Blocks: m.state.Index(), Entries: m.state.Seq()}
	if r.Blocks == 0 {
		return r, nil
	}
	m.index.Checkpoint(m.Snapshot())
	return r, m.index.Wait(ctx, r.Blocks)
}

// Apply is for store.Machine.
func (m *machine) Apply(index uint64, block []byte) (err error) {
	m.mu.Lock()
	m.outcomes, err = m.state.Apply(index, block, m.outcomes[:0])
	m.mu.Unlock()
	if err != nil {
		return err
	}
	m.index.Append(m.state.Last())
	if m.progress != nil {
		m.progress(m.state.Seq())
	}
	return nil
}

// flushed lets go of what the index has.
func (m *machine) flushed(_, seq uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Forget(seq)
}

// Snapshot is for store.Machine.
func (m *machine) Snapshot() *ledger.View {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Checkpoint()
}

// Restore is not called: there are no checkpoints.
func (m *machine) Restore(uint64, io.Reader) error {
	return errors.New("an index is made from the first block on")
}

// places are the names of an index's folder, and beside it those of the one being made and of the one that it replaces.
type places struct {
	fs  vfs.FS
	dir string
}

func (p places) made() string { return p.dir + ".new" }
func (p places) old() string  { return p.dir + ".old" }

// Clear removes what an interrupted attempt has left beside the index in a folder. Nobody may be at work there.
func Clear(fs vfs.FS, dir string) error { return places{fs, dir}.clear() }

// clear removes what an earlier attempt has left.
func (p places) clear() error {
	if err := errors.Join(p.fs.RemoveAll(p.made()), p.fs.RemoveAll(p.old())); err != nil {
		return fmt.Errorf("removing what an interrupted rebuild has left: %w", err)
	}
	return nil
}

// swap puts the new index in its place, each step durable before the next: what is under the name is always whole.
func (p places) swap() error {
	if err := p.sync(); err != nil { // the new one's name
		return err
	}
	if _, err := p.fs.Stat(p.dir); err == nil {
		if err := p.fs.Rename(p.dir, p.old()); err != nil {
			return fmt.Errorf("moving the old index away: %w", err)
		}
		if err := p.sync(); err != nil {
			return err
		}
	}
	if err := p.fs.Rename(p.made(), p.dir); err != nil {
		return fmt.Errorf("putting the new index in its place: %w", err)
	}
	if err := p.sync(); err != nil {
		return err
	}
	if err := p.fs.RemoveAll(p.old()); err != nil {
		return fmt.Errorf("removing the old index: %w", err)
	}
	return nil
}

func (p places) sync() error {
	d, err := p.fs.OpenDir(p.fs.PathDir(p.dir))
	if err != nil {
		return fmt.Errorf("syncing the data folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("syncing the data folder: %w", err)
	}
	return nil
}
