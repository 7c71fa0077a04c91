package records

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger/store/checksum"
	"github.com/millrace/millrace/ledger/store/ordered"
)

// format pins pebble's own format, so that a newer pebble does not make folders that this version cannot read.
const format = pebble.FormatValueSeparation

// version is that of the rows.
const version = 1

var versionKey = []byte("\x00format")

// Open opens the records in a folder.
func Open(opts Options) (*Records, error) {
	if opts.FS == nil {
		opts.FS = vfs.Default
	}
	opts.FS = ordered.FS(opts.FS)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Records{opts: opts, dead: make(chan struct{})}
	if _, err := opts.FS.Stat(opts.Dir); err != nil && !opts.Create { // pebble makes the folder before it looks into it
		return nil, fmt.Errorf("%w in %s", ErrMissing, opts.Dir)
	}
	switch err := r.openPebble(); {
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		return nil, fmt.Errorf("%w in %s", ErrMissing, opts.Dir)
	case checksum.Damaged(err):
		return nil, fmt.Errorf("%w: opening %s: %w", ErrCorrupt, opts.Dir, err)
	case err != nil:
		return nil, fmt.Errorf("opening the records in %s: %w", opts.Dir, err)
	}
	if err := r.checkVersion(); err != nil {
		return nil, errors.Join(err, r.db.Close())
	}
	return r, nil
}

// openPebble returns pebble's first fatal word, too, which would end the goroutine that hears it and with it the caller.
func (r *Records) openPebble() error {
	ended := make(chan error, 2)
	go func() {
		db, err := pebble.Open(r.opts.Dir, pebbleOptions(&r.opts, func(err error) {
			select {
			case ended <- err:
			default:
			}
			r.fail(err)
		}))
		if err == nil {
			r.db = db
		}
		ended <- err
	}()
	return <-ended
}

// checkVersion reads by which version the rows were made, and writes it where there is nothing at all.
func (r *Records) checkVersion() error {
	v, closer, err := r.db.Get(versionKey)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return r.begin()
	case err != nil:
		return readError(err)
	case len(v) != 1 || v[0] != version:
		err = fmt.Errorf("%w: %s was made by version %d, this program reads %d", ErrFormat, r.opts.Dir, v, version)
	}
	return errors.Join(err, closer.Close())
}

func (r *Records) begin() error {
	it, err := r.db.NewIter(nil)
	if err != nil {
		return readError(err)
	}
	empty := !it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return readError(err)
	}
	if !empty {
		return fmt.Errorf("%w: %s does not say by which version it was made", ErrFormat, r.opts.Dir)
	}
	b := r.db.NewBatch()
	if err := b.Set(versionKey, []byte{version}, nil); err != nil {
		return fmt.Errorf("making the records: %w", err)
	}
	if err := r.commit(b); err != nil {
		return fmt.Errorf("making the records: %w", err)
	}
	return nil
}

func pebbleOptions(o *Options, fatal func(error)) *pebble.Options {
	p := &pebble.Options{
		FS:                 o.FS,
		FormatMajorVersion: format,
		CacheSize:          cacheSize,
		MemTableSize:       8 << 20,
		BytesPerSync:       1 << 20,
		ErrorIfNotExists:   !o.Create,
		Logger:             pebbleLogger{o.Logger, fatal},
		EventListener:      listener(o.Logger, fatal),
	}
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	return p
}

// listener: who reads what is damaged gets an error; left to itself, pebble calls it fatal, on whatever goroutine found it. But
// a flush or compaction that fails is fatal: pebble would try again without end.
func listener(log *slog.Logger, fatal func(error)) *pebble.EventListener {
	var corruption, background sync.Once
	return &pebble.EventListener{
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			corruption.Do(func() { log.Error("records: pebble: damage", "file", info.Path, "err", info.Details) })
		},
		BackgroundError: func(err error) {
			background.Do(func() { fatal(told(fmt.Errorf("records: pebble: in the background: %w", err), err)) })
		},
	}
}

// told says, of an error, whether its cause is damage.
func told(err, cause error) error {
	if checksum.Damaged(cause) {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}

// pebbleLogger hands pebble's words on. A fatal one ends the goroutine that said it.
type pebbleLogger struct {
	log   *slog.Logger
	fatal func(error)
}

func (l pebbleLogger) Infof(format string, args ...any) {
	l.log.Debug("records: pebble", "says", fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("records: pebble", "says", fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.fatal(told(fmt.Errorf("records: pebble: "+format, args...), checksum.Said(args)))
	runtime.Goexit()
}
