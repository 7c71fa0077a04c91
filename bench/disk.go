package bench

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// diskUsage is what a folder takes on its disk, as du counts it: blocks, not lengths.
func diskUsage(dir string) (int64, error) { return folderSize(dir, blocks) }

// written is the length of what lies in a folder. A log that pebble has reserved space for counts as far as it was written.
func written(dir string) (int64, error) { return folderSize(dir, fs.FileInfo.Size) }

// folderSize adds up files. Those that vanish meanwhile count as gone.
func folderSize(dir string, size func(fs.FileInfo) int64) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				bytes += size(info)
			}
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	})
	return bytes, err
}

func blocks(info fs.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512
	}
	return info.Size()
}

// The file systems, by their numbers on Linux, on which a sync does nothing.
const (
	tmpfs = 0x01021994
	ramfs = 0x858458f6
)

func onMemory(dir string) bool {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return false
	}
	return uint32(s.Type) == tmpfs || uint32(s.Type) == ramfs
}
