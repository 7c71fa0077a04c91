// Package checksum reads the tables of a pebble database in full, so that a flipped bit is found where no reader would come by:
// in a filter, an index or the properties of a table, or in rows that nobody asks for.
package checksum

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Tables checks the checksum of every block of every table of an open database, which lies in a folder and was opened with
// these options. It calls f with each table when it is read, and why it is damaged or cannot be read, if it is. The error is
// that of f or of the context.
func Tables(ctx context.Context, db *pebble.DB, opts *pebble.Options, dir string, f func(file string, damage error) error) error {
	levels, err := db.SSTables()
	if err != nil {
		return fmt.Errorf("listing tables: %w", err)
	}
	opts.EnsureDefaults()
	seen := make(map[string]bool)
	for _, level := range levels {
		for _, table := range level {
			file := fmt.Sprintf("%s.sst", table.BackingSSTNum) // several tables may be parts of one file
			if seen[file] {
				continue
			}
			seen[file] = true
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := f(file, verify(ctx, opts, opts.FS.PathJoin(dir, file))); err != nil {
				return err
			}
		}
	}
	return nil
}

// Damaged says whether an error of pebble's is about files that are not what pebble wrote: bent, cut off, or gone though the
// database names them. Pebble marks most of them; of some it only says so, and it is asked for by what it says. A file that is
// missing otherwise, as one that cannot be made because its folder was removed, is no damage.
func Damaged(err error) bool {
	if err == nil || pebble.IsCorruptionError(err) {
		return err != nil
	}
	for _, about := range [...]struct {
		says string
		gone bool // only if a file is missing
	}{
		{"object size mismatch", false},              // a table has another length than the manifest says
		{"unknown to the objstorage provider", true}, // a table that the manifest names
		{"could not open manifest file", true},       // the manifest that its marker names
		{"comparer name from file", false},           // the options that pebble wrote: nobody here has another order than its own
		{"merger name from file", false},             // the same
	} {
		if strings.Contains(err.Error(), about.says) && (!about.gone || errors.Is(err, os.ErrNotExist)) {
			return true
		}
	}
	return false
}

func verify(ctx context.Context, opts *pebble.Options, path string) (err error) {
	f, err := opts.FS.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	file, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r, err := sstable.NewReader(ctx, file, opts.MakeReaderOptions())
	if err != nil {
		return err // the file is closed
	}
	return errors.Join(r.ValidateBlockChecksums(), r.Close())
}
