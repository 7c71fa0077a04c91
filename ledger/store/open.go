package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/checksum"
	"github.com/millrace/millrace/ledger/store/ordered"
	"github.com/millrace/millrace/ledger/store/pebblelog"
)

const formatLine = "millrace data format 2\n"

// format pins pebble's own format, so that a newer pebble does not make folders that this version cannot read.
const format = pebble.FormatValueSeparation

var paramsKey = []byte("m/params")

// Init makes the folder and an empty ledger with these rules in it. It refuses a folder that holds anything of one; files
// of other names may lie there.
func Init(opts Options, params ledger.Params) error {
	if err := params.Validate(); err != nil {
		return err
	}
	opts.setDefaults()
	fs, dir := opts.FS, opts.Dir
	if err := makeFolder(fs, dir); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	for _, name := range []string{"FORMAT", "ledger", "index"} {
		if _, err := fs.Stat(fs.PathJoin(dir, name)); err == nil {
			return fmt.Errorf("%w: %s holds %s", ErrExists, dir, name)
		}
	}
	err := pebblelog.Guard(func(error) {}, func(fatal func(error)) error {
		db, err := pebble.Open(fs.PathJoin(dir, "ledger"), pebbleOptions(opts, fatal))
		if err != nil {
			return err
		}
		return errors.Join(db.Set(paramsKey, params.Encode(), pebble.Sync), db.Close())
	})
	if err != nil {
		return fmt.Errorf("making the ledger: %w", err)
	}
	if err := makeMark(fs, dir, mark{}); err != nil {
		return err
	}
	return writeFile(fs, dir, "FORMAT", writeFormat)
}

// makeFolder makes a folder and what is missing above it, durably: a name that is not synced can vanish with all below it.
func makeFolder(fs vfs.FS, dir string) error {
	parent := fs.PathDir(dir)
	if _, err := fs.Stat(dir); err == nil || parent == dir {
		return nil
	}
	if err := makeFolder(fs, parent); err != nil {
		return err
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(fs, parent)
}

// Open takes the folder for this process. Nothing is replayed before Start.
func Open(opts Options) (*Store, error) {
	opts.setDefaults()
	if err := checkFormat(opts.FS, opts.Dir); err != nil {
		return nil, err
	}
	lock, err := opts.FS.Lock(opts.FS.PathJoin(opts.Dir, "LOCK"))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrInUse, opts.Dir, err)
	}
	s := newStore(opts, lock)
	if err := s.dropBackups(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.watchSpace()
	if err := s.openPebble(); err != nil {
		s.space.Close()
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

func newStore(opts Options, lock io.Closer) *Store {
	s := &Store{opts: opts, lock: lock, committed: make(chan [][]byte, 1), ended: make(chan struct{})}
	s.arrived.L, s.grown.L = &s.mu, &s.mu
	return s
}

func (s *Store) openPebble() (err error) {
	path := s.opts.FS.PathJoin(s.opts.Dir, "ledger")
	if _, err := s.opts.FS.Stat(path); err != nil { // pebble makes the folder before it looks into it
		return fmt.Errorf("%w: opening the ledger: %w", ErrFormat, err)
	}
	err = pebblelog.Guard(s.fail, func(fatal func(error)) error {
		opts := pebbleOptions(s.opts, fatal)
		s.guardSpace(opts)
		opts.ErrorIfNotExists = true
		opts.Unsafe.AllowMissingWALDirs = s.adopting
		db, err := pebble.Open(path, opts)
		if err == nil {
			s.db = db
		}
		return err
	})
	switch {
	case checksum.Damaged(err):
		return fmt.Errorf("%w: opening the ledger: %w", ErrCorrupt, err)
	case err != nil:
		return fmt.Errorf("%w: opening the ledger: %w", ErrFormat, err)
	}
	if s.params, err = readParams(s.db); err != nil {
		return errors.Join(fmt.Errorf("%w: reading the ledger's params: %w", ErrFormat, err), s.db.Close())
	}
	return nil
}

func readParams(db *pebble.DB) (ledger.Params, error) {
	b, closer, err := db.Get(paramsKey)
	if err != nil {
		return ledger.Params{}, err
	}
	p, err := ledger.DecodeParams(b)
	return p, errors.Join(err, closer.Close())
}

func checkFormat(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(fs.PathJoin(dir, Restoring)); err == nil {
		return fmt.Errorf("%w: a backup was being restored into %s, and that was interrupted: remove the folder and restore again", ErrFormat, dir)
	}
	f, err := fs.Open(fs.PathJoin(dir, "FORMAT"))
	if errors.Is(err, os.ErrNotExist) {
		for _, name := range []string{"ledger", "index"} {
			if _, err := fs.Stat(fs.PathJoin(dir, name)); err == nil {
				return fmt.Errorf("%w: %s is half-written: it has no FORMAT file. If an init was interrupted, remove the folder and init again; if a hub ever ran on it, remove nothing, and put the file back: one line, %q", ErrFormat, dir, formatLine)
			}
		}
		return fmt.Errorf("%w: %s is not initialised: run millrace init --data %s", ErrFormat, dir, dir)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	defer f.Close()
	line, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if string(line) != formatLine {
		return fmt.Errorf("%w: %s says %q, this program reads %q", ErrFormat, dir, line, formatLine)
	}
	return nil
}

// Start brings the machine to the end of the log, and then takes proposals: see Replay.
func (s *Store) Start(ctx context.Context, m Machine, kept Checkpoints) error {
	s.mu.Lock()
	s.kept = kept
	s.mu.Unlock()
	last, err := s.Replay(ctx, m, kept)
	if err != nil {
		return err
	}
	if err := s.checkMark(last); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applied, s.proposed, s.machine = last, last, m
	s.durable.Store(last)
	s.space.Watch()
	go s.commit()
	go s.apply()
	return nil
}

// Replay brings a new machine to the end of the log, by the newest checkpoint and the blocks behind it, and returns the last
// one's index. Without checkpoints it replays the whole log. A long replay is logged as it goes.
func (s *Store) Replay(ctx context.Context, m Machine, kept Checkpoints) (last uint64, err error) {
	from, err := s.restore(m, kept)
	if err != nil {
		return 0, err
	}
	began, reported := time.Now(), time.Now()
	last = from
	err = s.Blocks(from+1, func(index uint64, block []byte) error {
		if err := m.Apply(index, block); err != nil {
			return fmt.Errorf("%w: replaying block %d: %w", ErrCorrupt, index, err)
		}
		last = index
		s.sinceCheckpoint += int64(len(block))
		if time.Since(reported) > 2*time.Second {
			s.opts.Logger.Info("replaying", "block", index, "blocks", index-from)
			reported = time.Now()
		}
		return ctx.Err()
	})
	if err != nil {
		return last, err
	}
	if err := s.checkEnd(last); err != nil {
		return last, err
	}
	if kept != nil {
		if err := kept.Follows(last, s.sum); err != nil {
			return last, err
		}
	}
	s.opts.Logger.Info("ledger open", "block", last, "checkpoint", from, "replayed", last-from, "took", time.Since(began))
	return last, nil
}

// sum is the checksum of a block of the log.
func (s *Store) sum(index uint64) (uint32, error) {
	block, closer, err := s.db.Get(blockKey(index))
	if err != nil {
		return 0, readError(index, err)
	}
	sum := ledger.SumOf(block)
	return sum, closer.Close()
}

// checkEnd refuses a log that ends before a checkpoint that was taken of it.
func (s *Store) checkEnd(last uint64) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte("b"), UpperBound: []byte("c")})
	if err != nil {
		return fmt.Errorf("reading blocks: %w", err)
	}
	defer it.Close()
	if !it.Last() && last > 0 || it.Valid() && string(it.Key()) != string(blockKey(last)) {
		return fmt.Errorf("%w: the newest checkpoint is of block %d, but the log ends before it", ErrCorrupt, last)
	}
	return it.Error()
}

func (o *Options) setDefaults() {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	o.FS = ordered.FS(o.FS)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.CheckpointEvery == 0 {
		o.CheckpointEvery = 256 << 20
	}
	if o.LentFor == 0 {
		o.LentFor = time.Hour
	}
}

// pebbleOptions: blocks are written once, in the order of their keys, and read only at a replay. So there is little to
// cache, nothing to merge, and compression would cost more than it saves on what is dense already.
func pebbleOptions(o Options, fatal func(error)) *pebble.Options {
	log := pebblelog.Logger{Log: o.Logger, Name: "pebble", Corrupt: ErrCorrupt, Fatal: fatal}
	p := &pebble.Options{
		FS:                 o.FS,
		FormatMajorVersion: format,
		WALDir:             o.WALDir,
		CacheSize:          8 << 20,
		MemTableSize:       16 << 20, // small, so that logs are soon written over: half the time of a sync into new ones
		BytesPerSync:       1 << 20,
		Logger:             log,
		EventListener:      log.Listener(),
	}
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	return p
}
