package index

import (
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// setDirect has what is written to a file from now on go past the page cache (O_DIRECT), or not, and says whether it does. Such
// writes begin and end at multiples of directAlign, in the file as in memory. Not every file system has them.
func setDirect(f vfs.File, direct bool) bool {
	fd := f.Fd()
	if fd == vfs.InvalidFd {
		return false
	}
	flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
	if err != nil {
		return false
	}
	if flags &^= unix.O_DIRECT; direct {
		flags |= unix.O_DIRECT
	}
	_, err = unix.FcntlInt(fd, unix.F_SETFL, flags)
	return err == nil && direct
}

// refusesDirect says whether a file system that let a file go past the page cache does not take its writes so.
func refusesDirect(err error) bool { return errors.Is(err, unix.EINVAL) }
