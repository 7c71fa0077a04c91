package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/millrace/millrace/ledger"
)

const (
	backupsName = "backups"
	// Restoring is a file that lies in a folder while a backup is being restored into it. No hub starts there.
	Restoring = "RESTORING"
)

// Copier is what else belongs into a backup: an index over the log.
type Copier interface {
	// Copy makes a consistent copy in a folder that it makes.
	Copy(dir string) error
}

// Backup makes a copy of the log as of one moment in the data folder, and before it of the index, if there is one (nil: none), so
// that that is never ahead. Tables are hard links: it takes no time and little room, and the log goes on. It holds every block up to through, which is all that was durable before the call, and
// possibly some more. It is no data folder: see Adopt. There is one at a time, so that nobody's is removed while he reads it:
// ErrLent until DropBackup, or until Options.LentFor has passed; then a new one takes its place. None outlives the process. A store that is open and not started can be copied, too.
func (s *Store) Backup(index Copier) (name, path string, through uint64, err error) {
	s.copying.Lock()
	defer s.copying.Unlock()
	s.mu.Lock()
	through, gone, started := s.durable.Load(), s.closing || s.failed != nil, s.machine != nil
	s.mu.Unlock()
	if gone {
		return "", "", 0, ErrClosed
	}
	if !started {
		if through, err = s.end(); err == nil && s.mark == nil {
			err = s.checkMark(through) // as Start would
		}
		if err != nil {
			return "", "", 0, err
		}
	}
	if age := time.Since(s.lentAt); s.lent != "" && age < s.opts.LentFor {
		return "", "", 0, fmt.Errorf("%w: %s, made %s ago", ErrLent, s.lent, age.Round(time.Second))
	}
	fs := s.opts.FS
	if err := s.dropBackups(); err != nil {
		return "", "", 0, err
	}
	name = fmt.Sprintf("%s-%020d", time.Now().UTC().Format("20060102T150405.000000Z"), through)
	path = fs.PathJoin(s.opts.Dir, backupsName, name)
	if err := fs.MkdirAll(path, 0o700); err != nil {
		return "", "", 0, fmt.Errorf("making a backup: %w", err)
	}
	if index != nil {
		err = index.Copy(fs.PathJoin(path, "index"))
	}
	if err == nil {
		err = s.db.Checkpoint(fs.PathJoin(path, "ledger"))
	}
	if err != nil {
		return "", "", 0, errors.Join(fmt.Errorf("making a backup: %w", err), s.dropBackups())
	}
	s.lent, s.lentAt = name, time.Now()
	return name, path, through, nil
}

// DropBackup removes a backup from the data folder. One that is not there any more is no error.
func (s *Store) DropBackup(name string) error {
	s.copying.Lock()
	defer s.copying.Unlock()
	fs := s.opts.FS
	names, err := fs.List(fs.PathJoin(s.opts.Dir, backupsName))
	if err != nil {
		return nil
	}
	for _, n := range names {
		if n == name { // so that no name leads out of the folder
			if err := fs.RemoveAll(fs.PathJoin(s.opts.Dir, backupsName, n)); err != nil {
				return fmt.Errorf("removing a backup: %w", err)
			}
			if s.lent == n {
				s.lent = ""
			}
			return nil
		}
	}
	return nil
}

func (s *Store) dropBackups() error {
	if err := s.opts.FS.RemoveAll(s.opts.FS.PathJoin(s.opts.Dir, backupsName)); err != nil {
		return fmt.Errorf("removing an old backup: %w", err)
	}
	return nil
}

// end is the index of the last block in the log.
func (s *Store) end() (uint64, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte("b"), UpperBound: []byte("c")})
	if err != nil {
		return 0, fmt.Errorf("reading blocks: %w", err)
	}
	defer it.Close()
	if !it.Last() {
		return 0, it.Error()
	}
	return indexOf(it.Key())
}

// Adopt makes a data folder of one that the files of a backup were copied into. Every block is read, and there must be all up to
// through; check must find the log in order, too, by a Replay of it. Only then is the folder's FORMAT written, without which no hub
// starts. The write-ahead log lies within the folder from then on. Nothing may lie there but the backup's files.
func Adopt(ctx context.Context, opts Options, through uint64, check func(*Store) error) (err error) {
	opts.setDefaults()
	opts.WALDir = ""
	fs, dir := opts.FS, opts.Dir
	if _, err := fs.Stat(fs.PathJoin(dir, "FORMAT")); err == nil {
		return fmt.Errorf("%w: %s holds a hub", ErrExists, dir)
	}
	lock, err := fs.Lock(fs.PathJoin(dir, "LOCK"))
	if err != nil {
		return fmt.Errorf("%w: %s: %v", ErrInUse, dir, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	s := newStore(opts, lock)
	s.adopting = true
	s.watchSpace()
	defer s.space.Close()
	if err := s.openPebble(); err != nil {
		return err
	}
	last, err := s.readAll(ctx, through)
	if err == nil {
		err = check(s)
	}
	if err = errors.Join(err, s.db.Close()); err != nil {
		return err
	}
	if err := makeMark(fs, dir, last); err != nil {
		return err
	}
	if err := errors.Join(fs.RemoveAll(fs.PathJoin(dir, Restoring)), syncDir(fs, dir)); err != nil {
		return err
	}
	return writeFile(fs, dir, "FORMAT", writeFormat)
}

// readAll reads every block and holds it against its own checksum.
func (s *Store) readAll(ctx context.Context, through uint64) (last mark, err error) {
	told := time.Now()
	err = s.Blocks(1, func(index uint64, block []byte) error {
		if _, _, _, err := ledger.DecodeHeader(block); err != nil {
			return fmt.Errorf("%w: block %d: %w", ErrCorrupt, index, err)
		}
		last = markOf(index, block)
		if time.Since(told) > 2*time.Second {
			s.opts.Logger.Info("reading", "block", index, "through", through)
			told = time.Now()
		}
		return ctx.Err()
	})
	if err == nil && last.index < through {
		err = fmt.Errorf("%w: the log ends at block %d, and the backup was to go through block %d", ErrCorrupt, last.index, through)
	}
	return last, err
}

func writeFormat(w io.Writer) error {
	_, err := io.WriteString(w, formatLine)
	return err
}
