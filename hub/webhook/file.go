package webhook

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxFile is more than the largest state: maxEndpoints of a URL, secrets and parked deliveries, some 6 KiB each.
const maxFile = 16 << 20

// fileVersion is 2 since the file has a checksum.
const fileVersion = 2

// state is what is on the disk, as JSON. It holds secrets: the file is its owner's alone. Nobody but the hub writes it: a URL, a
// secret or a cursor that changed under it would be acted on.
type state struct {
	Version   int             `json:"version"`
	Sum       string          `json:"sha256"`    // of the bytes of Endpoints, in hex
	Endpoints json.RawMessage `json:"endpoints"` // a list of endpoint
}

func sum(text []byte) string {
	digest := sha256.Sum256(text)
	return hex.EncodeToString(digest[:])
}

// file is where the state lies: written as a whole, under another name, which then takes the place of the one before.
type file struct {
	path string

	// writing is held by who writes. Those who wait for it meanwhile find their changes written by the first of them: one
	// write for all that happens during another.
	writing sync.Mutex
	saved   uint64        // the version on the disk
	took    time.Duration // the last write
	ended   time.Time
}

// change counts a change that belongs on the disk, and returns its version, for save.
func (d *Dispatcher) change() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.version++
	return d.version
}

// save returns when a version, or a later one, is on the disk.
func (d *Dispatcher) save(version uint64) error {
	f := &d.file
	f.writing.Lock()
	defer f.writing.Unlock()
	if f.saved >= version {
		return nil
	}
	time.Sleep(time.Until(f.ended.Add(3 * f.took))) // at most a quarter of the time goes into writing
	d.mu.Lock()
	text, err := d.encode()
	version = d.version
	d.mu.Unlock()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := replaceFile(f.path, text); err != nil {
		return fmt.Errorf("writing the webhooks: %w", err)
	}
	f.saved, f.ended = version, time.Now()
	f.took = f.ended.Sub(began)
	return nil
}

// encode is the state as it is now. d.mu must be held.
func (d *Dispatcher) encode() ([]byte, error) {
	all := make([]*endpoint, 0, len(d.endpoints))
	for _, e := range d.endpoints {
		all = append(all, e)
		e.dirty = false
	}
	slices.SortFunc(all, func(a, b *endpoint) int { return strings.Compare(a.ID, b.ID) })
	text, err := json.MarshalIndent(all, " ", " ")
	if err != nil {
		return nil, err
	}
	// Not by json.Marshal, which would write the list in another form than the one summed.
	return fmt.Appendf(nil, "{\n \"version\": %d,\n \"sha256\": %q,\n \"endpoints\": %s\n}\n", fileVersion, sum(text), text), nil
}

// load reads a state, and no state where there is no file.
func load(path string) (map[string]*endpoint, error) {
	endpoints := make(map[string]*endpoint)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return endpoints, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	list, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: put back the one of a backup, or move it away: the hub then starts without webhooks", path, err)
	}
	for _, e := range list {
		if e.Pending != nil {
			e.Pending.promised = true
		}
		e.poke = make(chan struct{}, 1)
		endpoints[e.ID] = e
	}
	return endpoints, nil
}

// parse takes the endpoints out of a file as it was written. An error is without its cause, which could quote a secret.
func parse(text []byte) (list []*endpoint, err error) {
	var s state
	if err := strict(text, &s); err != nil || len(text) > maxFile {
		return nil, ErrFile
	}
	if s.Version != fileVersion {
		return nil, fmt.Errorf("version %d: %w", s.Version, ErrFile)
	}
	if s.Sum != sum(s.Endpoints) {
		return nil, fmt.Errorf("it was changed or damaged, its checksum does not match: %w", ErrFile)
	}
	if err := strict(s.Endpoints, &list); err != nil {
		return nil, ErrFile
	}
	if len(list) > maxEndpoints {
		return nil, fmt.Errorf("%d webhooks: %w", len(list), ErrFile)
	}
	known := make(map[string]bool)
	for i, e := range list {
		if e == nil || !e.sound() || known[e.ID] {
			return nil, fmt.Errorf("webhook %d: %w", i, ErrFile)
		}
		known[e.ID] = true
	}
	return list, nil
}

func strict(text []byte, to any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	return dec.Decode(to)
}

// sound says whether an endpoint from the disk is one that could have been written.
func (e *endpoint) sound() bool {
	ok := e.ID != "" && checkURL(e.URL, true) == nil && len(e.Secrets) > 0 && len(e.Parked)+len(e.Again) <= maxParked
	for _, s := range e.Secrets {
		ok = ok && len(s.Key) == secretSize
	}
	return ok
}

// replaceFile puts data in the place of path: after a crash at any point the file is whole, old or new.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
