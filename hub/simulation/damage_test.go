package simulation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestFlippedBits flips a bit anywhere in the index of a hub, and starts the hub on it. Either somebody says that something is
// damaged, at the start or when it is read; or all is read, and it is right: every entry, id, entitlement, history, hash and block.
func TestFlippedBits(t *testing.T) {
	ring := newRing(t)
	w, err := newWorld(number(t, seedVar, 1), ring, sealWorks(ring, 3))
	w.segmentEntries, w.checkpoint = 40, 4000
	for i := 0; err == nil && i < 4; i++ {
		err = w.live(false)
	}
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Duration(number(t, secondsVar, 8)) * time.Second)
	tried, found, kinds := 0, 0, map[string]int{}
	for tried == 0 || time.Now().Before(until) {
		for _, path := range w.files(t, folder+"/index") {
			kind := strings.TrimLeft(w.mem.PathBase(path), "0123456789")
			data, err := read(w.mem, path)
			if err != nil || len(data) == 0 {
				continue
			}
			bit := w.rng.IntN(8 * len(data))
			data[bit/8] ^= 1 << (bit % 8)
			mem := w.mem.CrashClone(vfs.CrashCloneCfg{})
			if err := write(mem, path, data); err != nil {
				t.Fatal(err)
			}
			switch err := w.serves(mem); {
			case err == nil:
			case errors.Is(err, errWrong) || !damage(err):
				t.Errorf("seed %d: bit %d of %s with %d bytes: %v", number(t, seedVar, 1), bit, path, len(data), err)
			default:
				found++
			}
			tried++
			kinds[kind]++
		}
	}
	t.Logf("%d bits flipped in %v: %d times somebody said so", tried, kinds, found)
	if kinds[".sst"] == 0 || found == 0 {
		t.Error("nothing was damaged")
	}
}

// serves opens a hub on what is left, and reads everything.
func (w *world) serves(mem *vfs.MemFS) error {
	l := newLife(w.setup, newDisk(mem))
	if err := within("opening", l.open); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(9, 9))
	errs := []error{w.audit.checkIndex(l.index, rng, w.idKeep), w.restored(l), w.shown(l)}
	l.abandon(l.release)
	for _, err := range append(errs, l.word()) { // what is wrong before what is damaged
		if errors.Is(err, errWrong) {
			return err
		}
	}
	return firstError(append(errs, l.word())...)
}

// files are all files below a folder.
func (w *world) files(t *testing.T, dir string) (paths []string) {
	t.Helper()
	names, err := w.mem.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := dir + "/" + name
		info, err := w.mem.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			paths = append(paths, w.files(t, path)...)
		} else {
			paths = append(paths, path)
		}
	}
	return paths
}

func read(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

func write(fs vfs.FS, path string, data []byte) error {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("writing what is damaged: %w", err)
	}
	_, err = f.Write(bytes.Clone(data))
	return errors.Join(err, f.Sync(), f.Close())
}
