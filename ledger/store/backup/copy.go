package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options say what is backed up, and where to.
type Options struct {
	Place   string            // the folder of the backups; it is made if it is missing
	Name    string            // of this backup: it sorts behind those before it
	Through uint64            // see Manifest
	Folder  string            // all files below it are the backup, under their paths in it
	Beside  map[string]string // and these, where they exist: path in the data folder, file
	Keys    map[string]string // and these, the hub's keys
	// Progress is told how many bytes of how many are done. May be nil.
	Progress func(done, total int64)
}

// Report says what a backup took.
type Report struct {
	Manifest
	Copied int64 // bytes that were not there already
}

// Hold takes a place for backups, which it makes, until it is closed: for one backup at a time, across processes.
func Hold(place string) (io.Closer, error) {
	if err := os.MkdirAll(filepath.Join(place, filesName), 0o700); err != nil {
		return nil, fmt.Errorf("making the place for backups: %w", err)
	}
	lock, err := vfs.Default.Lock(filepath.Join(place, "LOCK"))
	if err != nil {
		return nil, fmt.Errorf("%w to %s: %v", ErrHeld, place, err)
	}
	return lock, nil
}

// Take makes a backup in a place that the caller holds. The files must not change meanwhile.
func Take(ctx context.Context, o Options) (Report, error) {
	r := Report{Manifest: Manifest{Format: formatMade, Name: o.Name, Through: o.Through, Keys: len(o.Keys) > 0}}
	if err := sweep(o.Place); err != nil {
		return r, err
	}
	if _, err := os.Lstat(filepath.Join(o.Place, o.Name+suffix)); err == nil {
		return r, fmt.Errorf("%s has a backup %s already", o.Place, o.Name)
	}
	have, err := known(o.Place)
	if err != nil {
		return r, err
	}
	files, total, err := o.files()
	if err != nil {
		return r, err
	}
	done := int64(0)
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		if sum, ok := have[f.File]; ok && f.stored(o.Place, sum) {
			f.SHA256 = sum
		} else {
			n, err := f.store(o.Place)
			if err != nil {
				return r, fmt.Errorf("backing up %s: %w", f.Path, err)
			}
			r.Copied += n
		}
		r.Files = append(r.Files, f.File)
		if done += f.Size; o.Progress != nil {
			o.Progress(done, total)
		}
	}
	return r, r.write(o.Place)
}

// sweep removes what an interrupted backup left.
func sweep(place string) error {
	for _, dir := range []string{place, filepath.Join(place, filesName)} {
		left, err := filepath.Glob(filepath.Join(dir, unfinished))
		for _, path := range left {
			err = errors.Join(err, os.Remove(path))
		}
		if err != nil {
			return fmt.Errorf("removing what an interrupted backup left: %w", err)
		}
	}
	return nil
}

// known are the files of the newest whole backup, without their sums, and these. Pebble gives no two tables of a folder one name, and
// links keep the time of the last change: so what has the same path, size and time is the same file.
func known(place string) (map[File]string, error) {
	names, err := names(place)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Backward(names) {
		m, err := read(place, name)
		if errors.Is(err, ErrDamaged) { // the new backup does without it
			continue
		}
		if err != nil {
			return nil, err
		}
		have := make(map[File]string)
		for _, f := range m.Files {
			sum := f.SHA256
			f.SHA256 = ""
			have[f] = sum
		}
		return have, nil
	}
	return nil, nil
}

// source is a file to back up.
type source struct {
	File
	from string
}

func (o *Options) files() (all []source, total int64, err error) {
	add := func(path, from string) error {
		info, err := os.Stat(from)
		if err != nil {
			return err
		}
		total += info.Size()
		all = append(all, source{File{Path: filepath.ToSlash(path), Size: info.Size(), Modified: info.ModTime().UnixNano()}, from})
		return nil
	}
	err = filepath.WalkDir(o.Folder, func(from string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		path, err := filepath.Rel(o.Folder, from)
		if err != nil {
			return err
		}
		return add(path, from)
	})
	for path, from := range o.Beside {
		if _, missing := os.Stat(from); !errors.Is(missing, fs.ErrNotExist) {
			err = errors.Join(err, add(path, from))
		}
	}
	for path, from := range o.Keys {
		err = errors.Join(err, add(path, from))
	}
	if err != nil {
		return nil, 0, fmt.Errorf("looking for what to back up: %w", err)
	}
	return all, total, nil
}

// blob is where a file of some content lies.
func blob(place, sum string) string { return filepath.Join(place, filesName, sum[:2], sum) }

// stored says whether the place has the file's content: by name and size, Verify reads it.
func (f *source) stored(place, sum string) bool {
	info, err := os.Stat(blob(place, sum))
	return err == nil && info.Mode().IsRegular() && info.Size() == f.Size
}

// store copies the file under its sum, which is known only at the end, and returns how much was new.
func (f *source) store(place string) (int64, error) {
	in, err := os.Open(f.from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Join(place, filesName), unfinished)
	if err != nil {
		return 0, err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), in)
	f.SHA256, f.Size = hex.EncodeToString(sum.Sum(nil)), n
	if err = errors.Join(err, out.Sync(), out.Close()); err == nil && f.stored(place, f.SHA256) {
		return 0, os.Remove(out.Name())
	}
	path := blob(place, f.SHA256)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = os.Rename(out.Name(), path)
	}
	if err != nil {
		return 0, errors.Join(err, os.Remove(out.Name()))
	}
	return n, errors.Join(syncDir(filepath.Dir(path)), syncDir(filepath.Join(place, filesName)))
}

// Verify reads every file of a backup.
func Verify(ctx context.Context, place string, m Manifest, progress func(done, total int64)) error {
	return m.each(ctx, progress, func(f File) error { return f.read(place, io.Discard) })
}

// Fetch copies the files of a backup into a folder, which must be there, and checks each on the way.
func Fetch(ctx context.Context, place string, m Manifest, folder string, progress func(done, total int64)) error {
	return m.each(ctx, progress, func(f File) error {
		path := filepath.Join(folder, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return whole(path, func(out *os.File) error { return f.read(place, out) })
	})
}

func (m *Manifest) each(ctx context.Context, progress func(done, total int64), do func(File) error) error {
	done, total := int64(0), m.Size()
	for _, f := range m.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := do(f); err != nil {
			return fmt.Errorf("backup %s, %s: %w", m.Name, f.Path, err)
		}
		if done += f.Size; progress != nil {
			progress(done, total)
		}
	}
	return nil
}

// read writes the file's content to w. What is not the content that was backed up is an error, then only known at the end.
func (f File) read(place string, w io.Writer) error {
	in, err := os.Open(blob(place, f.SHA256))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: it is missing", ErrDamaged)
	}
	if err != nil {
		return err
	}
	defer in.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), in)
	if err != nil {
		return err
	}
	if n != f.Size || hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
		return fmt.Errorf("%w: it is not what was backed up", ErrDamaged)
	}
	return nil
}
