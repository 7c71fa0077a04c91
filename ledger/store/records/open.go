package records

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger/store/checksum"
	"github.com/millrace/millrace/ledger/store/ordered"
	"github.com/millrace/millrace/ledger/store/pebblelog"
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

func (r *Records) openPebble() error {
	return pebblelog.Guard(r.fail, func(fatal func(error)) error {
		db, err := pebble.Open(r.opts.Dir, pebbleOptions(&r.opts, fatal))
		if err == nil {
			r.db = db
		}
		return err
	})
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
	said := pebblelog.Logger{Log: o.Logger, Name: "records: pebble", Corrupt: ErrCorrupt, Fatal: fatal}
	p := &pebble.Options{
		FS:                 o.FS,
		FormatMajorVersion: format,
		CacheSize:          cacheSize,
		MemTableSize:       8 << 20,
		BytesPerSync:       1 << 20,
		ErrorIfNotExists:   !o.Create,
		Logger:             said,
		EventListener:      said.Listener(),
	}
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	return p
}
