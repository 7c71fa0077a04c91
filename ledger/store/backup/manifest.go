// Package backup carries copies of a data folder to another place and back. The other place is a folder, best on another machine's
// disk:
//
//	files/ab/abcd...    a file of some backups, under its SHA-256
//	NAME.manifest       a backup: its files with their sizes and checksums, in JSON, and the SHA-256 of that on a line behind
//
// Files are written whole, synced and then named, and the manifest last, so that what is interrupted is no backup. Most of a data
// folder is tables that never change: a later backup finds them there already. Names sort by time.
package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

var (
	// ErrNone is returned when there is no such backup.
	ErrNone = errors.New("no such backup")
	// ErrHeld is returned by Hold while another backup is being made to the same place.
	ErrHeld = errors.New("another backup is being made")
	// ErrDamaged is returned for a backup that is not what was written.
	ErrDamaged = errors.New("damaged backup")
)

const (
	suffix     = ".manifest"
	filesName  = "files"
	unfinished = ".unfinished-*"
	formatMade = 1
)

// Manifest is what a backup consists of.
type Manifest struct {
	Format  int    `json:"format"`
	Name    string `json:"name"`
	Through uint64 `json:"through_block"` // every block up to it is there; later ones may be, too
	Keys    bool   `json:"keys"`          // the hub's keys are there
	Files   []File `json:"files"`
}

// File is one of them.
type File struct {
	Path     string `json:"path"` // within the data folder, with slashes
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"` // in nanoseconds since 1970
	SHA256   string `json:"sha256"`
}

// Size is the sum over the files.
func (m *Manifest) Size() (bytes int64) {
	for _, f := range m.Files {
		bytes += f.Size
	}
	return bytes
}

// Has says whether there are files in a folder of the data folder.
func (m *Manifest) Has(folder string) bool {
	return slices.ContainsFunc(m.Files, func(f File) bool { return strings.HasPrefix(f.Path, folder+"/") })
}

// List reads all manifests of a place, oldest first.
func List(place string) ([]Manifest, error) {
	names, err := names(place)
	if err != nil {
		return nil, err
	}
	var all []Manifest
	for _, name := range names {
		m, err := read(place, name)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// Find reads the manifest of a backup; no name: of the newest. A damaged one is not passed over.
func Find(place, name string) (Manifest, error) {
	if name != "" {
		if !filepath.IsLocal(name) || filepath.Base(name) != name {
			return Manifest{}, fmt.Errorf("%w: %q", ErrNone, name)
		}
		return read(place, name)
	}
	names, err := names(place)
	if err != nil {
		return Manifest{}, err
	}
	if len(names) == 0 {
		return Manifest{}, fmt.Errorf("%w in %s", ErrNone, place)
	}
	return read(place, names[len(names)-1])
}

// names lists the backups of a place, oldest first.
func names(place string) (all []string, err error) {
	entries, err := os.ReadDir(place) // sorted
	if err != nil {
		return nil, fmt.Errorf("listing backups: %w", err)
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok && !strings.HasPrefix(name, ".") {
			all = append(all, name)
		}
	}
	return all, nil
}

func read(place, name string) (m Manifest, err error) {
	b, err := os.ReadFile(filepath.Join(place, name+suffix))
	if errors.Is(err, os.ErrNotExist) {
		return m, fmt.Errorf("%w: %s has no %s", ErrNone, place, name)
	}
	if err != nil {
		return m, fmt.Errorf("reading a manifest: %w", err)
	}
	damaged := func(what string) (Manifest, error) {
		return Manifest{}, fmt.Errorf("%w: %s%s: %s", ErrDamaged, name, suffix, what)
	}
	text, line, ok := bytes.Cut(b, []byte("\n"))
	sum := sha256.Sum256(text)
	if !ok || string(line) != hex.EncodeToString(sum[:])+"\n" {
		return damaged("its checksum is another")
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return damaged(err.Error())
	}
	if m.Format != formatMade || m.Name != name {
		return damaged(fmt.Sprintf("it is of format %d, this program reads %d; and of %q", m.Format, formatMade, m.Name))
	}
	for _, f := range m.Files {
		if sum, err := hex.DecodeString(f.SHA256); err != nil || len(sum) != sha256.Size || !filepath.IsLocal(filepath.FromSlash(f.Path)) {
			return damaged(fmt.Sprintf("it has a file %q", f.Path))
		}
	}
	return m, nil
}

// write makes the manifest appear, and with it the backup.
func (m *Manifest) write(place string) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	text = append(text, '\n')
	text = append(hex.AppendEncode(text, sum[:]), '\n')
	return whole(filepath.Join(place, m.Name+suffix), func(f *os.File) error {
		_, err := f.Write(text)
		return err
	})
}

// whole makes a file appear under its name when it is complete and durable.
func whole(path string, fill func(*os.File) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, unfinished)
	if err != nil {
		return err
	}
	if err = errors.Join(fill(f), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(f.Name()))
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
