// Package store makes blocks durable in pebble and gives them their order: the embedded log.
//
// # The data folder
//
//	FORMAT              one line, "millrace data format 2": written last by Init, so a folder without it is not whole
//	LOCK                held by the one process that has the folder open
//	BALLAST             zeros that make room for the log when the disk is full: see package space; also in a WAL folder elsewhere
//	WATERMARK           the newest block known to be durable, so that a lost end of the log is found: see mark
//	ledger/             pebble:
//	                      "m/params"           20 bytes   ledger.Params.Encode
//	                      "b" + index, u64 BE  a block    see ledger.Header; no index is left out
//	backups/NAME/       a copy of the ledger that is being carried elsewhere: see Backup
//
// Blocks are never dropped: the ledger is append-only.
package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/checksum"
	"github.com/millrace/millrace/ledger/store/space"
)

// Machine is what the blocks are applied to: one goroutine calls it, in the order of the log.
type Machine interface {
	// Apply does what a durable block says. An error means that the log and the machine do not belong together: the
	// process must not go on.
	Apply(index uint64, block []byte) error
	// Snapshot is a cheap frozen view; it is written out elsewhere while Apply goes on.
	Snapshot() *ledger.View
	// Restore replaces the machine's state by what a view wrote, or leaves it as it was and returns an error.
	Restore(index uint64, r io.Reader) error
}

var (
	// ErrOverload is returned by Propose when more blocks wait than may.
	ErrOverload = errors.New("too many blocks wait to be written")
	// ErrNoSpace is returned by Propose while the disk is as good as full: what was proposed before still becomes durable.
	ErrNoSpace = errors.New("no room on the disk")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the log is closed")
	// ErrFormat is returned by Open for a folder that this program cannot use: not initialised, half-written, of another version.
	ErrFormat = errors.New("unusable data folder")
	// ErrInUse is returned when another process has the folder open.
	ErrInUse = errors.New("data folder is in use by another process")
	// ErrExists is returned by Init for a folder that is one already, or half of one.
	ErrExists = errors.New("data folder exists already")
	// ErrLent is returned by Backup while whoever asked for the last one may be reading it.
	ErrLent = errors.New("a backup is under way")
	// ErrCorrupt is returned by Start when the log itself is damaged.
	ErrCorrupt = errors.New("damaged log")
)

// MaxQueue bounds the blocks that wait to be written: with 256 KiB blocks, 4 MiB.
const MaxQueue = ledger.MaxInFlight

// Options say where the data is and how it is kept. Only Dir must be set.
type Options struct {
	Dir         string       // the data folder
	WALDir      string       // pebble's write-ahead log elsewhere, best on a disk of its own; empty: inside Dir
	DiskReserve int64        // bytes that must be left on the disk for blocks to be taken; 0: see space.Config
	FS          vfs.FS       // nil: the machine's
	Logger      *slog.Logger // nil: nowhere

	CheckpointEvery int64         // bytes of blocks between two checkpoints; 0: 256 MiB
	LentFor         time.Duration // how long a backup that is not dropped is left to whoever reads it; 0: an hour

	// Fatal is told when it is not known what is durable, or the machine refuses a block: the process must end, since only
	// a recovery finds out. Nothing more is applied. It must be set before Start.
	Fatal func(error)
	// Committed is told of every write: how many blocks and bytes, and how long it took until they were durable. May be nil.
	Committed func(blocks, bytes int, took time.Duration)
}

// Store is the embedded log.
type Store struct {
	opts    Options
	params  ledger.Params
	db      *pebble.DB
	lock    io.Closer
	machine Machine
	kept    Checkpoints // nil: none
	space   *space.Guard
	mark    *watermark // written by commit; nil before Start

	adopting bool       // a backup's log lies within the folder, wherever it lay before
	copying  sync.Mutex // held while a backup is made or removed, and by Close
	lent     string     // name of the backup that was made and not dropped; under copying, as is lentAt
	lentAt   time.Time

	mu       sync.Mutex
	arrived  sync.Cond // queue grew, or closing
	grown    sync.Cond // applied grew, or the log failed
	queue    [][]byte  // proposed and not yet taken; at most MaxQueue
	spare    [][]byte  // the array of an earlier queue, for the next
	proposed uint64    // index that the last proposed block will get
	applied  uint64    // index of the last block applied; written by apply alone
	closing  bool
	failed   error // why nothing more is written

	durable   atomic.Uint64 // index of the newest block that is; written by commit
	committed chan [][]byte // durable and not yet applied, in order: at most one batch waits
	ended     chan struct{} // closed when nothing more will be applied

	// Owned by apply; by Close after it has ended.
	sinceCheckpoint int64  // bytes of blocks since the last checkpoint was begun
	checkpointed    uint64 // index of the last block that one was begun after
}

// Params are the rules that the ledger in this folder was made with.
func (s *Store) Params() ledger.Params { return s.params }

// Propose queues a block. The outcome is the machine's Apply; until then the block's bytes must not change.
func (s *Store) Propose(block []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failed != nil:
		return s.failed
	case s.closing || s.machine == nil:
		return ErrClosed
	case len(s.queue) >= MaxQueue:
		return ErrOverload
	case s.space.Full():
		return ErrNoSpace
	}
	s.queue = append(s.queue, block)
	s.proposed++
	s.arrived.Signal()
	return nil
}

// Barrier returns when every block proposed before the call is applied.
func (s *Store) Barrier(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.mu.Lock(); s.grown.Broadcast(); s.mu.Unlock() })
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for until := s.proposed; s.applied < until; s.grown.Wait() {
		if s.failed != nil {
			return s.failed
		}
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for block %d to be applied: %w", until, ctx.Err())
		}
	}
	return nil
}

// Lag is how many proposed blocks are not applied yet, and how many applied ones a start would replay.
func (s *Store) Lag() (watermark, checkpoint uint64) {
	var covered uint64
	if s.kept != nil {
		covered, _ = s.kept.Covered()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.machine == nil { // still replaying
		return 0, 0
	}
	return s.proposed - s.applied, s.applied - min(covered, s.applied)
}

// Space is how many bytes are left on the disk, -1 if that is not known, and whether Propose refuses for want of them.
func (s *Store) Space() (free int64, full bool) { return s.space.Free(), s.space.Full() }

// FS is the file system for what else lies in the data folder and is written in bulk: a full disk is waited for there, too.
func (s *Store) FS() vfs.FS { return s.space.FS() }

// commit is the first of two goroutines: what has queued up becomes one pebble batch with one sync. While it syncs, apply
// works on what was committed before.
func (s *Store) commit() {
	defer close(s.committed)
	batch := s.db.NewBatch()
	for last := s.applied; ; {
		blocks, ok := s.take()
		if !ok {
			return
		}
		if err := s.makeDurable(batch, last, blocks); err != nil {
			s.fail(err)
			return
		}
		last += uint64(len(blocks))
		s.committed <- blocks
	}
}

// take waits for blocks and takes all there are. False means that the log is closed and everything is written, or that it has
// failed and nothing more may be.
func (s *Store) take() ([][]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) == 0 && !s.closing && s.failed == nil {
		s.arrived.Wait()
	}
	if len(s.queue) == 0 || s.failed != nil {
		return nil, false
	}
	blocks := s.queue
	s.queue, s.spare = s.spare[:0], nil
	return blocks, true
}

func (s *Store) makeDurable(batch *pebble.Batch, last uint64, blocks [][]byte) error {
	began, bytes := time.Now(), 0
	batch.Reset()
	for i, block := range blocks {
		if err := batch.Set(blockKey(last+1+uint64(i)), block, nil); err != nil {
			return fmt.Errorf("adding block to batch: %w", err)
		}
		bytes += len(block)
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("making blocks durable: %w", err)
	}
	last += uint64(len(blocks))
	s.durable.Store(last)
	s.space.Wrote(bytes)
	s.mark.set(s, markOf(last, blocks[len(blocks)-1]))
	if s.opts.Committed != nil {
		s.opts.Committed(len(blocks), bytes, time.Since(began))
	}
	return nil
}

// apply is the second goroutine: it gives the machine what is durable, in order.
func (s *Store) apply() {
	defer close(s.ended)
	for blocks := range s.committed {
		for _, block := range blocks {
			index := s.applied + 1
			if err := s.machine.Apply(index, block); err != nil {
				s.fail(fmt.Errorf("applying block %d: %w", index, err))
				for range s.committed { // until commit has seen it
				}
				return
			}
			s.sinceCheckpoint += int64(len(block))
			s.mu.Lock()
			s.applied = index
			s.grown.Broadcast()
			s.mu.Unlock()
		}
		s.mu.Lock()
		clear(blocks)
		s.spare = blocks
		s.mu.Unlock()
		s.maybeCheckpoint()
	}
}

// fail stops the log for good. Whoever waits for an answer must not get one.
func (s *Store) fail(err error) {
	s.mu.Lock()
	if s.failed == nil {
		s.failed = err
	}
	s.grown.Broadcast()
	s.arrived.Signal()
	s.mu.Unlock()
	if s.opts.Fatal != nil {
		s.opts.Fatal(err)
	}
}

// Close writes what is queued, begins a last checkpoint and releases the folder. Whoever keeps the checkpoints makes that one
// durable.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return ErrClosed
	}
	s.closing = true
	started := s.machine != nil
	s.arrived.Signal()
	s.mu.Unlock()
	if started {
		<-s.ended
	}
	s.mu.Lock()
	failed, behind := s.failed, s.applied > s.checkpointed
	s.mu.Unlock()
	if started && failed == nil && behind && s.kept != nil {
		s.checkpoint()
	}
	s.copying.Lock()
	defer s.copying.Unlock()
	errs := []error{failed, s.dropBackups(), s.mark.close(), s.db.Close()}
	s.space.Close()
	return errors.Join(append(errs, s.lock.Close())...)
}

// Blocks calls f with every block from an index on, in order, until f returns an error. The bytes are valid during the call.
func (s *Store) Blocks(from uint64, f func(index uint64, block []byte) error) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: blockKey(from), UpperBound: []byte("c")})
	if err != nil {
		return fmt.Errorf("reading blocks: %w", err)
	}
	defer it.Close()
	want := from
	for ok := it.First(); ok; ok = it.Next() {
		if index, err := indexOf(it.Key()); err != nil || index != want {
			return fmt.Errorf("%w: block %d is missing", ErrCorrupt, want)
		}
		block, err := it.ValueAndErr()
		if err != nil {
			return readError(want, err)
		}
		if err := f(want, block); err != nil {
			return err
		}
		want++
	}
	if err := it.Error(); err != nil {
		return readError(want, err)
	}
	return nil
}

// Tables checks the checksums of all that pebble has in tables: see checksum.Tables. What it has elsewhere is checked by Open.
func (s *Store) Tables(ctx context.Context, f func(file string, damage error) error) error {
	return checksum.Tables(ctx, s.db, pebbleOptions(s.opts, s.fail), s.opts.FS.PathJoin(s.opts.Dir, "ledger"), f)
}

func readError(index uint64, err error) error {
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: reading block %d: %w", ErrCorrupt, index, err)
	}
	return fmt.Errorf("reading block %d: %w", index, err)
}

// indexOf is the index that a block's key says.
func indexOf(key []byte) (uint64, error) {
	if len(key) != 9 {
		return 0, fmt.Errorf("%w: a key of %d bytes among the blocks", ErrCorrupt, len(key))
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

func blockKey(index uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{'b'}, index)
}
