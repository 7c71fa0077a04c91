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

// Damaged says whether an error of pebble's is about files that are not what pebble wrote: bent, cut off or gone. Pebble marks
// most of them; of a table with another length it only says so.
func Damaged(err error) bool {
	return err != nil && (pebble.IsCorruptionError(err) || errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), "object size mismatch"))
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
