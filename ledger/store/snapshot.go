package store

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger"
)

// keepSnapshots: the newest, and the one before should the newest turn out damaged.
const keepSnapshots = 2

// snapshotShare: a snapshot waits until the blocks since the last one are as many times as large as that was, so that
// snapshots never write more than a quarter of what the blocks do.
const snapshotShare = 4

// maybeSnapshot begins a snapshot when enough has been written since the last one. At most one is written at a time.
func (s *Store) maybeSnapshot() {
	if s.sinceSnap < max(s.opts.SnapshotEvery, snapshotShare*s.snapSize.Load()) {
		return
	}
	select {
	case s.writing <- struct{}{}:
	default:
		return
	}
	s.sinceSnap = 0
	view := s.machine.Snapshot()
	s.snapshot.Go(func() {
		if err := s.writeSnapshot(view); err != nil {
			s.opts.Logger.Error("snapshot failed; the next start replays more", "block", view.Index(), "err", err)
		}
		<-s.writing
	})
}

// writeSnapshot makes a view durable under its index, and drops what it makes superfluous.
func (s *Store) writeSnapshot(view *ledger.View) error {
	dir := s.opts.FS.PathJoin(s.opts.Dir, "snapshots")
	err := writeFile(s.opts.FS, dir, fmt.Sprintf("%020d.snap", view.Index()), func(w io.Writer) error {
		n, err := view.WriteTo(w)
		s.snapSize.Store(n)
		return err
	})
	if err != nil {
		return fmt.Errorf("writing snapshot of block %d: %w", view.Index(), err)
	}
	return s.Compact(view.Index())
}

// Compact is told that a durable snapshot covers the blocks at or below an index. The blocks stay; older snapshots go.
func (s *Store) Compact(index uint64) error {
	s.mu.Lock()
	s.covered = max(s.covered, index)
	s.mu.Unlock()
	have, err := s.snapshots()
	if err != nil {
		return err
	}
	var errs []error
	for i, n := range have {
		if i >= keepSnapshots && n < index {
			errs = append(errs, s.opts.FS.Remove(s.snapshotPath(n)))
		}
	}
	return errors.Join(errs...)
}

// restore gives the machine the newest snapshot that it takes, and returns its index: zero for none.
func (s *Store) restore(m Machine) (uint64, error) {
	have, err := s.snapshots()
	if err != nil {
		return 0, err
	}
	if err := s.removeHalfWritten(); err != nil {
		return 0, err
	}
	for _, index := range have {
		err := s.restoreOne(m, index)
		if err == nil {
			return index, nil
		}
		s.opts.Logger.Error("snapshot not usable, going on with an older one", "block", index, "err", err)
	}
	return 0, nil
}

func (s *Store) restoreOne(m Machine, index uint64) error {
	f, err := s.opts.FS.Open(s.snapshotPath(index), vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	defer f.Close()
	return m.Restore(index, f)
}

// snapshots lists the indexes of those that lie in the folder, newest first.
func (s *Store) snapshots() ([]uint64, error) {
	dir := s.opts.FS.PathJoin(s.opts.Dir, "snapshots")
	names, err := s.opts.FS.List(dir)
	if err != nil {
		return nil, fmt.Errorf("listing snapshots: %w", err)
	}
	var have []uint64
	for _, name := range names {
		digits, ok := strings.CutSuffix(name, ".snap")
		if n, err := strconv.ParseUint(digits, 10, 64); ok && err == nil && len(digits) == 20 {
			have = append(have, n)
		}
	}
	sort.Slice(have, func(i, j int) bool { return have[i] > have[j] })
	return have, nil
}

// removeHalfWritten is for start-up: what a crash left of a snapshot that was being written.
func (s *Store) removeHalfWritten() error {
	dir := s.opts.FS.PathJoin(s.opts.Dir, "snapshots")
	names, err := s.opts.FS.List(dir)
	for _, name := range names {
		if strings.HasSuffix(name, ".tmp") {
			err = errors.Join(err, s.opts.FS.Remove(s.opts.FS.PathJoin(dir, name)))
		}
	}
	return err
}

func (s *Store) snapshotPath(index uint64) string {
	return s.opts.FS.PathJoin(s.opts.Dir, "snapshots", fmt.Sprintf("%020d.snap", index))
}

// writeFile makes a file appear whole or not at all: written under another name, synced, renamed, and the folder synced.
func writeFile(fs vfs.FS, dir, name string, fill func(io.Writer) error) error {
	temp := fs.PathJoin(dir, name+".tmp")
	f, err := fs.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("creating %s: %w", temp, err)
	}
	f = vfs.NewSyncingFile(f, vfs.SyncingFileOptions{BytesPerSync: 1 << 20}) // so that a large one does not hold up the log's syncs
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
