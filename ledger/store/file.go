package store

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// writeFile makes a file appear whole or not at all: written under another name, synced, renamed, and the folder synced.
func writeFile(fs vfs.FS, dir, name string, fill func(io.Writer) error) error {
	temp := fs.PathJoin(dir, name+".tmp")
	f, err := fs.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("creating %s: %w", temp, err)
	}
	if err := errors.Join(fill(f), f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", temp, err), fs.Remove(temp))
	}
	if err := fs.Rename(temp, fs.PathJoin(dir, name)); err != nil {
		return fmt.Errorf("renaming %s: %w", temp, err)
	}
	return syncDir(fs, dir)
}

// syncDir makes the names in a folder durable.
func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	return nil
}
