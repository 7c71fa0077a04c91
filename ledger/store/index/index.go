// Package index follows the log and answers what the log alone cannot: the history of an account, the entry behind a seq, the
// id or entitlement that the ledger's memory no longer holds, a hash of the transparency log, the state to start from. All of
// it is derived: the folder can be deleted and is made again from the blocks.
//
// # How a block gets here
//
//	Append     copies what the block did into the tail, in memory. From now on readers see it
//	seal       the open segment is full, or a checkpoint ends it: a new one is opened, at most two sealed ones wait
//	build      a goroutine writes the segment's rows as sorted tables, one keyspace after the other, and syncs them
//	ingest     all tables of the segment and the new watermark become part of the database in one atomic step
//	drop       the segment leaves memory; Options.Flushed is told
//
// There is no write per payment, and nothing is compacted that does not have to be: rows of most keyspaces are written once,
// behind all others of the same kind, and go to the lowest level of the tree at once. A crash loses the tail alone, which a
// replay of the log brings back: Append ignores blocks at or below the watermark.
//
// # The folder
//
// One pebble database without compression, and the folder "building" with tables that are not part of it yet (removed on
// Open). Numbers in keys are big-endian; in values they are little-endian when fixed, and LEB128 as in encoding/binary when
// they are called varint.
//
//	key                               value
//	"h" + era, u32 + list + seq       strips of postings of accounts and channels: see sheetKeySize and strip
//	"i" + id, 16 + actor, u32         sum u64, seq varint, object varint                            ledger.Remembered
//	"j" + seq of the first, u64       up to 256 entries: see chunk
//	"k" + block index, u64            number, first seq, entries, time (varints), head 32, leaf     see blockRow
//	"m/eras"                          the eras that count: see eras
//	"m/watermark"                     see watermark
//	"m/state"                         of the state in "p": block index, bytes written for it, time of the block, all u64
//	"o" + account, u32 + content, u32 seq varint, paid varint                                       ledger.Owned
//	"p" + key of the part             a part of the ledger's state: see ledger.View
//	"t" + stored hash index, u64      32 bytes: a hash of the RFC 6962 tree over the blocks, numbered as in
//	                                  golang.org/x/mod/sumdb/tlog
package index

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/checksum"
	"github.com/millrace/millrace/ledger/store/ordered"
)

var (
	// ErrCorrupt is returned, wrapped, when what lies in the folder is damaged. Nothing of it is served; the folder can be
	// deleted, and is made again from the log.
	ErrCorrupt = errors.New("damaged index")
	// ErrFormat is returned by Open for a folder that another version of the program made, or with other options.
	ErrFormat = errors.New("unusable index")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the index is closed")
	// ErrNone is returned when there is no such entry, block, or leaf.
	ErrNone = errors.New("not in the index")
)

// maxSealed bounds the segments that wait to be built. With the open one there are at most three in memory: at 2 Mi entries of
// one 32-byte leg and a 17-byte op each, 300 MB.
const maxSealed = 2

// segmentBytes seals a segment that has few entries and much to remember: unlocks with many payees.
const segmentBytes = 256 << 20

// Options say where the index is and how it is kept. Only Dir must be set.
type Options struct {
	Dir            string       // made if it is missing
	FS             vfs.FS       // nil: the machine's
	Logger         *slog.Logger // nil: nowhere
	SegmentEntries int          // entries that are built into tables together; 0: 2 Mi
	CacheSize      int64        // bytes of tables kept in memory for readers; 0: 64 MiB
	IDKeep         uint64       // milliseconds that ids are kept behind the newest checkpoint's time; 0: for ever

	// Off has nothing appended, to measure what all that follows the log costs: as if there were no index.
	Off bool

	// Notary makes the leaf of a block in the transparency log. It is called for every block in order, on one goroutine, and
	// must depend on the block alone; what it returns is the index's. Nil: there is no transparency log.
	Notary func(r *ledger.Record) (leaf []byte)
	// Flushed is told when everything up to a block and its last entry is durable here. It must not wait. May be nil.
	Flushed func(index, seq uint64)
	// Fatal is told once when the index cannot go on. Nothing is appended any more. May be nil.
	Fatal func(error)

	fanIn    int  // eras that are merged into one; 0: defaultFanIn
	readOnly bool // nothing is written: see OpenRows
}

func (o *Options) setDefaults() {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	o.FS = ordered.FS(o.FS)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.SegmentEntries == 0 {
		o.SegmentEntries = 2 << 20
	}
	if o.CacheSize == 0 {
		o.CacheSize = 64 << 20
	}
}

// Index is open. One goroutine appends; any number may read.
type Index struct {
	opts  Options
	db    *pebble.DB
	files atomic.Uint64 // names of tables being built

	broken chan struct{} // closed when pebble has ended a goroutine: others may wait for what that one held, for ever

	publishing sync.Mutex // held while tables become part of the database: see build.publish

	mu       sync.Mutex
	moved    sync.Cond      // anything below has changed
	appended chan struct{}  // closed at the next Append
	durable  watermark      // what the database holds
	newest   watermark      // what was appended
	sealed   []*segment     // in order, at most maxSealed; the builder works on the first
	open     *segment       // appended to
	wanted   uint64         // the builder seals the open segment if it holds blocks up to this index
	views    []*ledger.View // checkpoints to be made, in order; the first is being made
	covered  checkpoint     // the last one made
	closing  bool
	failed   error

	lists   lists
	tree    tree
	looks   looks
	done    sync.WaitGroup // builder, notary and checkpointer
	expired uint64         // the checkpoints': ids of an earlier time are deleted
}

// Watermark is the last block, and the last entry, that is durable here. Zero when the index is empty.
func (x *Index) Watermark() (index, seq uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.durable.index, x.durable.seq
}

// Follows refuses an index that is ahead of its log, whose last block is given, or of another log: it would find ids and entitlements
// of entries that the log does not have, and a start would go on from another ledger. sum is that of a block of the log.
func (x *Index) Follows(last uint64, sum func(index uint64) (uint32, error)) error {
	x.mu.Lock()
	w := x.durable
	x.mu.Unlock()
	if w.index == 0 {
		return nil
	}
	if w.index > last {
		return corrupt("it ends with block %d, and the log with block %d", w.index, last)
	}
	switch has, err := sum(w.index); {
	case err != nil:
		return err
	case has != w.sum:
		return corrupt("it ends with another block %d than the log has", w.index)
	}
	return nil
}

// Lag is how many blocks and entries are in memory alone.
func (x *Index) Lag() (blocks, entries uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.newest.blocks - x.durable.blocks, x.newest.seq - x.durable.seq
}

// Behind is how many blocks have no leaf in the transparency log yet, and how many eras wait to be merged: at most 64, and then
// the index itself falls behind.
func (x *Index) Behind() (leaves uint64, eras int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.opts.Notary != nil {
		leaves = x.newest.blocks - min(x.tree.size(), x.newest.blocks)
	}
	return leaves, x.lists.eras.waiting()
}

// Wait returns when everything up to a block that was appended is durable. It seals what is open.
func (x *Index) Wait(ctx context.Context, index uint64) error {
	stop := context.AfterFunc(ctx, func() { x.mu.Lock(); x.moved.Broadcast(); x.mu.Unlock() })
	defer stop()
	x.mu.Lock()
	defer x.mu.Unlock()
	for ; x.durable.index < index; x.moved.Wait() {
		switch {
		case x.failed != nil:
			return x.failed
		case x.closing:
			return ErrClosed
		case ctx.Err() != nil:
			return fmt.Errorf("waiting for block %d to be indexed: %w", index, ctx.Err())
		}
		if x.wanted < index {
			x.wanted = index
			x.moved.Broadcast()
		}
	}
	return nil
}

// Close makes everything durable and releases the folder. On a full disk it does not wait for room: the log has it all.
func (x *Index) Close() error {
	x.mu.Lock()
	if x.closing {
		x.mu.Unlock()
		return ErrClosed
	}
	x.closing, x.wanted = true, math.MaxUint64
	x.moved.Broadcast()
	x.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		x.done.Wait()
		close(ended)
	}()
	select {
	case <-x.broken:
	case <-ended:
	}
	var closing error
	select {
	case <-x.broken: // the process must end; there is no way to get back what pebble holds
	default:
		closing = x.db.Close()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return errors.Join(x.failed, closing)
}

// fail stops the index for good: who waits is told. What was read in the background may have been damaged.
func (x *Index) fail(err error) {
	if checksum.Damaged(err) && !errors.Is(err, ErrCorrupt) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	x.mu.Lock()
	first := x.failed == nil
	if first {
		x.failed = err
	}
	x.moved.Broadcast()
	x.mu.Unlock()
	if first && x.opts.Fatal != nil {
		x.opts.Fatal(err)
	}
}

// readError says what was being read, and whether it is damage.
func readError(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: reading %s: %w", ErrCorrupt, what, err)
	}
	return fmt.Errorf("reading %s: %w", what, err)
}

// corrupt is for bytes that pebble vouches for, and that make no sense.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}
