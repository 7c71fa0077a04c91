package index

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// tableBytes is where one table file ends and the next begins.
	tableBytes = 64 << 20
	// blockSize is what a reader of one row reads. Rows that are looked up one by one lie in smaller blocks.
	blockSize       = 16 << 10
	lookupBlockSize = 4 << 10
	indexBlockSize  = 64 << 10
	// manifestRoom is more than what pebble notes about the tables of one build.
	manifestRoom = 1 << 20
)

// table writes rows with ascending keys into as many files as they need, for a build.
type table struct {
	build  *build
	filter bool // with a Bloom filter over the keys, for lookups that mostly find nothing
	soon   bool // it is read again before long
	w      *sstable.Writer
	bytes  int // in the file being written
}

// table begins one. The keys of a build's tables must not overlap. It must be closed.
func (b *build) table(filter bool) *table { return &table{build: b, filter: filter} }

// set writes the next row; both are copied.
func (t *table) set(key, value []byte) error {
	if t.bytes >= tableBytes {
		if err := t.close(); err != nil {
			return err
		}
	}
	if t.w == nil {
		if err := t.create(); err != nil {
			return err
		}
	}
	t.bytes += len(key) + len(value)
	if err := t.w.Set(key, value); err != nil {
		return fmt.Errorf("writing a table: %w", err)
	}
	return nil
}

func (t *table) create() error {
	x := t.build.x
	path := x.opts.FS.PathJoin(x.opts.Dir, building, fmt.Sprintf("%d.sst", x.files.Add(1)))
	f, err := x.opts.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("making a table: %w", err)
	}
	t.build.paths = append(t.build.paths, path)
	o := sstable.WriterOptions{
		TableFormat: format.MaxTableFormat(), Compression: block.NoCompression, BlockSize: blockSize, IndexBlockSize: indexBlockSize,
		WritingToLowestLevel: true,
	}
	if t.filter {
		o.FilterPolicy, o.BlockSize = bloom.FilterPolicy(10), lookupBlockSize
	}
	t.w, t.bytes = sstable.NewWriter(newTableFile(f, t.soon), o), 0
	return nil
}

// close makes what was written durable. Closing twice does nothing.
func (t *table) close() error {
	w := t.w
	if t.w = nil; w == nil {
		return nil
	}
	t.bytes = 0
	if err := w.Close(); err != nil {
		return fmt.Errorf("finishing a table: %w", err)
	}
	return nil
}

// build gathers the tables that become part of the database together.
type build struct {
	x      *Index
	paths  []string
	meta   map[string][]byte // rows under "m/", written last
	before []func() error    // run before the meta rows are written, while no other build is being published
	after  []func()          // run when the tables are part of the database, still alone
}

func (x *Index) newBuild() *build { return &build{x: x, meta: make(map[string][]byte)} }

// publish makes all tables and meta rows part of the database, or none. The files are gone in any case.
func (b *build) publish() error {
	x := b.x
	x.publishing.Lock()
	defer x.publishing.Unlock()
	for _, f := range b.before {
		if err := f(); err != nil {
			return errors.Join(err, b.discard())
		}
	}
	if err := b.writeMeta(); err != nil {
		return errors.Join(err, b.discard())
	}
	if len(b.paths) == 0 {
		return nil
	}
	if err := x.ingest(b.paths); err != nil {
		return errors.Join(fmt.Errorf("ingesting tables: %w", err), b.discard())
	}
	for _, f := range b.after {
		f()
	}
	return nil
}

// ingest hands tables to pebble. When pebble cannot write its manifest it does not know what is durable, and the index must
// end. So that a disk which has just become full is found before, room is taken first, and given back for the manifest.
func (x *Index) ingest(paths []string) error {
	fs := x.opts.FS
	room := fs.PathJoin(x.opts.Dir, building, "room")
	f, err := fs.Create(room, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, manifestRoom))
	if err := errors.Join(err, f.Close(), fs.Remove(room)); err != nil {
		return err
	}
	return x.db.Ingest(context.Background(), paths)
}

// discard removes what was written of a build that is not published.
func (b *build) discard() error {
	var errs []error
	for _, path := range b.paths {
		if err := b.x.opts.FS.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing a table: %w", err))
		}
	}
	b.paths = nil
	return errors.Join(errs...)
}

func (b *build) writeMeta() error {
	t := b.table(false)
	for _, key := range slices.Sorted(maps.Keys(b.meta)) {
		if err := t.set([]byte(key), b.meta[key]); err != nil {
			return errors.Join(err, t.close())
		}
	}
	return t.close()
}

// drop hides all rows with keys in a range behind a tombstone, which compactions follow. Who is reading them goes on to see them.
// Pebble's Excise would cut them out at once. But it looks into tables that reach beyond the range for where their other rows
// begin, and takes a table that it cannot read, for a failing disk or a flipped bit, for one that has none: rows that were to
// stay would be gone without a word.
func (x *Index) drop(start, end []byte) error {
	b := x.newBuild()
	t := b.table(false)
	err := t.create()
	if err == nil {
		err = t.w.DeleteRange(start, end)
	}
	if err := errors.Join(err, t.close()); err != nil {
		return errors.Join(fmt.Errorf("dropping rows: %w", err), b.discard())
	}
	return b.publish()
}

// closeOn is close for a defer: its error becomes the function's when that has none.
func (t *table) closeOn(err *error) {
	if cerr := t.close(); *err == nil {
		*err = cerr
	}
}
