package store

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/millrace/millrace/ledger/store/space"
)

// watchSpace puts a guard before the disks that the log is written to.
func (s *Store) watchSpace() {
	dirs := []string{s.opts.Dir}
	if s.opts.WALDir != "" {
		dirs = append(dirs, s.opts.WALDir)
	}
	s.space = space.New(space.Config{FS: s.opts.FS, Dirs: dirs, Reserve: s.opts.DiskReserve, Logger: s.opts.Logger})
}

// guardSpace puts the guard between pebble and the disk. A flush or compaction that fails for want of room is not fatal then: pebble
// tries again, and the guard makes it wait meanwhile. While the log is being opened it is: nobody could free room for a
// process that neither serves nor ends.
func (s *Store) guardSpace(opts *pebble.Options) {
	opts.FS = s.space.FS()
	fatal := opts.EventListener.BackgroundError
	opts.EventListener.BackgroundError = func(err error) {
		if !s.space.Watching() || !space.IsFull(err) {
			fatal(err)
		}
	}
}
