// Package ordered makes a name durable before a file that points to it.
//
// Pebble names its newest manifest in the name of a marker file in the same folder, and makes both names durable with one sync of
// the folder. If the power fails before it, a file system may keep the marker and lose the manifest, and then the database cannot
// be opened. Those that keep changes of names in order (ext4, xfs, btrfs, zfs) do not; nothing says that all do.
package ordered

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// markerPrefix is what pebble begins the names of marker files with: see its package atomicfs.
const markerPrefix = "marker."

type files struct{ vfs.FS }

// FS is a file system whose folders are synced before a marker is made in them: seldom, once for each manifest.
func FS(fs vfs.FS) vfs.FS { return files{fs} }

func (f files) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(f.PathBase(name), markerPrefix) {
		if err := f.syncDir(f.PathDir(name)); err != nil {
			return nil, fmt.Errorf("syncing the folder before a marker is made in it: %w", err)
		}
	}
	return f.FS.Create(name, category)
}

func (f files) syncDir(dir string) error {
	d, err := f.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (f files) Unwrap() vfs.FS { return f.FS }
