package simulation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
)

const (
	folder = "/hub/data"
	origin = "http://127.0.0.1:8402"
	// patience is how long anything may take before it counts as hanging.
	patience = 30 * time.Second
)

// setup is what all lives of a hub have in common.
type setup struct {
	ring           *keyring.Ring
	clock          *atomic.Uint64
	segmentEntries int
	checkpoint     int64 // bytes of blocks between two
	idKeep         uint64
}

// life is one run of a hub on a disk: from an opening to a stop, a crash, or a word of Fatal's.
type life struct {
	setup
	disk  *disk
	store *store.Store
	index *index.Index
	hub   *hub.Hub

	applied atomic.Uint64 // index of the last block
	ended   chan struct{} // closed when left is set

	mu    sync.Mutex
	left  *vfs.MemFS // what a crash left; nil while the hub lives. Whatever is heard afterwards was never said
	fatal error      // the first word
	onEnd func() *vfs.MemFS
}

// newLife makes a life that ends, when it dies by itself, as a killed process would: all that was written is left.
func newLife(s setup, d *disk) *life {
	l := &life{setup: s, disk: d, ended: make(chan struct{})}
	l.onEnd = func() *vfs.MemFS { return d.power(100, rand.New(rand.NewPCG(1, 1))) }
	return l
}

// crash ends a life at this moment.
func (l *life) crash(left func() *vfs.MemFS) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left == nil {
		l.left = left()
		close(l.ended)
	}
}

// die is for the hub's Fatal: the process ends.
func (l *life) die(err error) {
	l.mu.Lock()
	if l.fatal == nil && l.left == nil {
		l.fatal = err
	}
	l.mu.Unlock()
	l.crash(l.onEnd)
}

// said calls f with what somebody was told, unless the hub was dead by then.
func (l *life) said(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left != nil {
		return false
	}
	f()
	return true
}

func (l *life) over() bool { return !l.said(func() {}) }

func (l *life) word() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

// machine notes what the hub has applied.
type machine struct {
	hub.Machine
	life *life
}

func (m machine) Apply(index uint64, block []byte) error {
	err := m.Machine.Apply(index, block)
	if err == nil {
		m.life.applied.Store(index)
	}
	return err
}

func (m machine) Restore(index uint64, r io.Reader) error {
	err := m.Machine.Restore(index, r)
	if err == nil {
		m.life.applied.Store(index)
	}
	return err
}

// open is what a server does, up to where ops can be taken: see begin. On an error, what was opened is released.
func (l *life) open() (err error) {
	var running atomic.Pointer[hub.Hub]
	fatal := func(err error) {
		if h := running.Load(); h != nil {
			h.Fail(err)
		} else {
			l.die(err)
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.release())
		}
	}()
	l.store, err = store.Open(store.Options{Dir: folder, FS: l.disk, CheckpointEvery: l.checkpoint, Fatal: fatal,
		Committed: func(blocks, bytes int, took time.Duration) { running.Load().Committed(blocks, bytes, took) }})
	if err != nil {
		return err
	}
	l.index, err = index.Open(index.Options{Dir: folder + "/index", FS: l.store.FS(), SegmentEntries: l.segmentEntries, IDKeep: l.idKeep,
		Notary: hub.NewNotary(l.ring), Fatal: fatal, Flushed: func(index, seq uint64) { running.Load().Indexed(index, seq) }})
	if err != nil {
		return err
	}
	l.hub, err = hub.New(hub.Config{Params: l.store.Params(), Index: l.index, Ring: l.ring, Origin: origin, Dev: true,
		Clock: l.clock.Load, Fatal: l.die})
	if err != nil {
		return err
	}
	running.Store(l.hub)
	return l.store.Start(context.Background(), machine{l.hub.Machine(), l}, l.index)
}

// begin lets the hub take ops.
func (l *life) begin() { l.hub.Start(l.store) }

// release closes what was opened of a hub that did not begin.
func (l *life) release() error {
	var errs []error
	if l.store != nil {
		errs = append(errs, l.store.Close())
	}
	if l.index != nil {
		errs = append(errs, l.index.Close())
	}
	return errors.Join(errs...)
}

// abandon ends a hub that may die, or be dead: then nobody waits. Pebble can hang on a goroutine that was ended by its own
// fatal word.
func (l *life) abandon(end func() error) {
	closed := make(chan error, 1)
	go func() { closed <- end() }()
	_ = within("closing", func() error {
		select {
		case err := <-closed:
			return err
		case <-l.ended:
			return nil
		}
	})
}

// close stops a hub that has begun.
func (l *life) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return l.hub.Close(ctx)
}

// settled waits until nothing is on its way to the ledger, and until a disk would not be written to any more.
func (l *life) settled() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return l.store.Barrier(ctx)
}

// within runs f, and panics with all stacks if it hangs.
func within[T any](what string, f func() T) T {
	result := make(chan T, 1)
	go func() { result <- f() }()
	select {
	case r := <-result:
		return r
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		panic(fmt.Sprintf("%s hangs:\n%s", what, buf[:runtime.Stack(buf, true)]))
	}
}

// damage says whether an error is one that tells of damage, and not of something else.
func damage(err error) bool {
	for _, known := range []error{store.ErrCorrupt, store.ErrFormat, index.ErrCorrupt, index.ErrFormat, ledger.ErrSnapshot} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
