package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/millrace/millrace/ledger/store/checksum"
	"github.com/millrace/millrace/ledger/store/pebblelog"
	"github.com/millrace/millrace/ledger/store/space"
)

// format pins pebble's own format, so that a newer pebble does not make folders that this version cannot read.
const format = pebble.FormatValueSeparation

// version is that of the rows: another one is not read, but made anew.
const version = 3

// backoff is how long the builder and pebble wait on a full disk before they try again.
const backoff = 250 * time.Millisecond

// building is the folder in which tables are written before they are ingested.
const building = "building"

// watermark is how far the index is: all that it holds of the blocks up to one of them, and nothing of later ones.
//
//	+---------+-------+-----+--------+--------+----------+-----+
//	| version | index | seq | blocks | leaves | head     | sum |
//	| u8      | u64   | u64 | u64    | u64    | 32 bytes | u32 |
//	+---------+-------+-----+--------+--------+----------+-----+
type watermark struct {
	index  uint64   // of the last block
	seq    uint64   // of its last entry
	blocks uint64   // their number
	leaves uint64   // of the transparency log: as many as blocks, or none
	head   [32]byte // of the ledger after the last block
	sum    uint32   // that block's checksum, by which it is known
}

const watermarkSize = 1 + 4*8 + 32 + 4

func (w *watermark) encode() []byte {
	b := append(make([]byte, 0, watermarkSize), version)
	for _, n := range [...]uint64{w.index, w.seq, w.blocks, w.leaves} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return binary.LittleEndian.AppendUint32(append(b, w.head[:]...), w.sum)
}

func decodeWatermark(b []byte) (w watermark, err error) {
	switch {
	case len(b) > 0 && b[0] != version:
		return w, fmt.Errorf("%w: made by version %d, this program reads %d; delete the folder, and it is made again", ErrFormat, b[0], version)
	case len(b) != watermarkSize:
		return w, corrupt("a watermark of %d bytes", len(b))
	}
	for i, n := range [...]*uint64{&w.index, &w.seq, &w.blocks, &w.leaves} {
		*n = binary.LittleEndian.Uint64(b[1+8*i:])
	}
	copy(w.head[:], b[1+4*8:])
	w.sum = binary.LittleEndian.Uint32(b[1+4*8+32:])
	return w, nil
}

// Open opens the index in a folder, or makes an empty one.
func Open(opts Options) (*Index, error) {
	opts.setDefaults()
	x := &Index{opts: opts, broken: make(chan struct{}), appended: make(chan struct{}), looks: looks{seed: maphash.MakeSeed()}}
	x.moved.L = &x.mu
	if err := x.openPebble(); err != nil {
		return nil, err
	}
	if err := errors.Join(x.clear(), x.load()); err != nil {
		return nil, errors.Join(err, x.db.Close())
	}
	x.done.Go(x.build)
	x.done.Go(x.checkpoints)
	x.done.Go(x.mergeEras)
	x.done.Go(x.filterTail)
	if opts.Notary != nil {
		x.done.Go(x.notarise)
	}
	return x, nil
}

func (x *Index) openPebble() error {
	err := pebblelog.Guard(x.fail, func(fatal func(error)) error {
		p := pebbleOptions(x.opts, fatal)
		broke := sync.OnceFunc(func() { close(x.broken) })
		p.Logger = pebbleLogger(x.opts, func(err error) { fatal(err); broke() }) // in this order: Close says why
		db, err := pebble.Open(x.opts.Dir, p)
		if err == nil {
			x.db = db
		}
		return err
	})
	switch {
	case checksum.Damaged(err):
		return fmt.Errorf("%w: opening the index: %w", ErrCorrupt, err)
	case err != nil:
		return fmt.Errorf("opening the index: %w", err)
	}
	return nil
}

// clear removes what was being built when the index was last open.
func (x *Index) clear() error {
	path := x.opts.FS.PathJoin(x.opts.Dir, building)
	if err := x.opts.FS.RemoveAll(path); err != nil {
		return fmt.Errorf("removing tables that were being built: %w", err)
	}
	if err := x.opts.FS.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("making a folder for tables to be built: %w", err)
	}
	return nil
}

// load reads what is kept in memory.
func (x *Index) load() error {
	b, ok, err := x.get([]byte(watermarkKey))
	if err != nil {
		return err
	}
	if ok {
		if x.durable, err = decodeWatermark(b); err != nil {
			return err
		}
	}
	if x.covered, err = x.loadCheckpoint(); err != nil {
		return err
	}
	if w := &x.durable; x.covered.index > w.index {
		return corrupt("a checkpoint of block %d, and the watermark is at block %d", x.covered.index, w.index)
	}
	if w := &x.durable; x.opts.Notary != nil && w.leaves != w.blocks {
		return fmt.Errorf("%w: %d of %d blocks are in its transparency log; delete the folder, and it is made again", ErrFormat, w.leaves, w.blocks)
	}
	x.newest = x.durable
	x.open = newSegment(x.newest)
	x.tree.load(x.durable.leaves)
	return x.loadLists()
}

const watermarkKey = "m/watermark"

// get reads one row; the bytes are the caller's.
func (x *Index) get(key []byte) ([]byte, bool, error) {
	v, closer, err := x.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, readError(err, "%q", key)
	}
	v = append([]byte(nil), v...)
	if err := closer.Close(); err != nil {
		return nil, false, readError(err, "%q", key)
	}
	return v, true, nil
}

// pebbleOptions: everything comes in sorted tables, so memtables and the log hold nothing but pebble's own notes.
func pebbleOptions(o Options, fatal func(error)) *pebble.Options {
	log := pebbleLogger(o, fatal)
	p := &pebble.Options{
		FS:                 o.FS,
		ReadOnly:           o.readOnly,
		FormatMajorVersion: format,
		CacheSize:          o.CacheSize,
		MemTableSize:       1 << 20,
		BytesPerSync:       bytesPerSync,
		TargetFileSizes:    [7]int64{16 << 20, 16 << 20, 32 << 20, 32 << 20, 64 << 20, 64 << 20, 64 << 20},
		Logger:             log,
		EventListener:      whenFull(o.Logger, log.Listener()),
	}
	// Rows that are overwritten or come in random order are compacted, and those tables may span keyspaces of the others:
	// these still go to the lowest level.
	p.Experimental.IngestSplit = func() bool { return true }
	for i := range p.Levels {
		p.Levels[i].BlockSize = lookupBlockSize // what is compacted is what is looked up
		p.Levels[i].IndexBlockSize = indexBlockSize
		if i < len(p.Levels)-1 {
			p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		}
	}
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	return p
}

func pebbleLogger(o Options, fatal func(error)) pebblelog.Logger {
	return pebblelog.Logger{Log: o.Logger, Name: "index: pebble", Corrupt: ErrCorrupt, Fatal: fatal}
}

// whenFull makes want of room no end, unlike whatever else fails in the background: pebble tries again, and is slowed down, since
// left to itself it would do so thousands of times a second.
func whenFull(log *slog.Logger, l *pebble.EventListener) *pebble.EventListener {
	var full sync.Once
	fatal := l.BackgroundError
	l.BackgroundError = func(err error) {
		if !space.IsFull(err) {
			fatal(err)
			return
		}
		full.Do(func() { log.Error("index: no room to compact; trying again", "err", err) })
		time.Sleep(backoff)
	}
	return l
}
