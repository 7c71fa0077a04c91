package ordered_test

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger/store/ordered"
)

// TestMarkers has the power fail before every sync of the folder, with names lost in any order. What is left can be opened.
func TestMarkers(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		mem := vfs.NewCrashableMem()
		fs := ordered.FS(failing{mem, func() {
			left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng})
			if err := touch(left); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		}})
		for range 3 {
			if err := touch(fs); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// touch opens a database and writes to it.
func touch(fs vfs.FS) error {
	db, err := pebble.Open("db", &pebble.Options{FS: fs, Logger: quiet{}})
	if err != nil {
		return err
	}
	if err := db.Set([]byte("a"), []byte("b"), pebble.Sync); err != nil {
		return err
	}
	return db.Close()
}

// failing calls a function before each sync of a folder.
type failing struct {
	vfs.FS
	before func()
}

func (f failing) OpenDir(name string) (vfs.File, error) {
	d, err := f.FS.OpenDir(name)
	return folder{d, f.before}, err
}

type folder struct {
	vfs.File
	before func()
}

func (f folder) Sync() error {
	f.before()
	return f.File.Sync()
}

type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(format) }
