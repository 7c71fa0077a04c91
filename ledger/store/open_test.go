package store_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/storetest"
)

func TestInitCreates(t *testing.T) {
	params := ledger.DefaultParams()
	params.FeePPM = 12_345
	for name, fs := range map[string]vfs.FS{"disk": nil, "memory": vfs.NewMem()} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t, fs, params)
			s, m := f.start()
			if s.Params() != params {
				t.Errorf("params %+v", s.Params())
			}
			if len(m.indexes)+len(m.restored) > 0 {
				t.Error("an empty ledger has blocks")
			}
			closeStore(t, s)
			wantErr(t, "second Init", store.Init(f.opts, params), store.ErrExists)
			s, _ = f.start() // and it was not touched
			closeStore(t, s)
		})
	}
}

func TestInitLeavesOtherFilesAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/operator.token", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := store.Init(store.Options{Dir: dir}, ledger.DefaultParams()); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(dir + "/operator.token"); err != nil || string(b) != "x" {
		t.Errorf("%q, %v", b, err)
	}
	for _, name := range []string{"ledger", "FORMAT"} {
		if _, err := os.Stat(dir + "/" + name); err != nil {
			t.Error(err)
		}
	}
}

func TestInitRefuses(t *testing.T) {
	for _, part := range []string{"FORMAT", "ledger", "index"} {
		fs := vfs.NewMem()
		if err := fs.MkdirAll("/d", 0o700); err != nil {
			t.Fatal(err)
		}
		if part == "FORMAT" {
			storetest.WriteFile(t, fs, "/d/FORMAT", nil)
		} else if err := fs.MkdirAll("/d/"+part, 0o700); err != nil {
			t.Fatal(err)
		}
		opts := store.Options{Dir: "/d", FS: fs}
		wantErr(t, "Init with "+part, store.Init(opts, ledger.DefaultParams()), store.ErrExists)
		_, err := store.Open(opts)
		wantErr(t, "Open with "+part, err, store.ErrFormat)
		if part != "FORMAT" && !strings.Contains(err.Error(), "half-written") {
			t.Errorf("Open with %s alone: %v", part, err)
		}
		if names, err := fs.List("/d"); err != nil || len(names) != 1 {
			t.Errorf("with %s: now there are %v, %v", part, names, err)
		}
	}
	fs := vfs.NewMem()
	if err := store.Init(store.Options{Dir: "/d", FS: fs}, ledger.Params{}); err == nil {
		t.Error("bad params taken")
	}
	if _, err := fs.Stat("/d"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("bad params left a folder: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	format := func(text string) func(*testing.T, *folder) {
		return func(t *testing.T, f *folder) { storetest.WriteFile(t, f.fs(), f.path("FORMAT"), []byte(text)) }
	}
	remove := func(name string) func(*testing.T, *folder) {
		return func(t *testing.T, f *folder) {
			if err := f.fs().RemoveAll(f.path(name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	params := func(value []byte) func(*testing.T, *folder) {
		return func(t *testing.T, f *folder) {
			edit(t, f, func(db *pebble.DB) error {
				if value == nil {
					return db.Delete([]byte("m/params"), pebble.Sync)
				}
				return db.Set([]byte("m/params"), value, pebble.Sync)
			})
		}
	}
	for _, c := range []struct {
		name, says string
		bend       func(*testing.T, *folder)
	}{
		{"no folder", "not initialised", func(t *testing.T, f *folder) { f.opts.Dir = "/elsewhere" }},
		{"no FORMAT", "half-written", remove("FORMAT")},
		{"newer", "format 2", format("millrace data format 3\n")},
		{"longer", "format 20", format("millrace data format 20\n")},
		{"garbage", "FFmt", format("\xff\x00FFmt")},
		{"empty", `says ""`, format("")},
		{"no newline", "says", format("millrace data format 2")},
		{"more lines", "says", format("millrace data format 2\nand more\n")},
		{"huge", "says", format(strings.Repeat("millrace data format 2\n", 10_000))},
		{"no ledger", "ledger", remove("ledger")},
		{"no params", "params", params(nil)},
		{"short params", "params", params([]byte{1, 2, 3})},
		{"params out of bounds", "params", params(make([]byte, 28))},
		{"newer pebble", "format major version", newerPebble},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFolder(t, vfs.NewMem(), ledger.DefaultParams())
			c.bend(t, f)
			s, err := store.Open(f.opts)
			if err == nil {
				closeStore(t, s)
			}
			wantErr(t, "Open", err, store.ErrFormat)
			if err != nil && (!strings.Contains(err.Error(), c.says) || len(err.Error()) > 1000) {
				t.Errorf("says %v", err)
			}
			if c.name == "no folder" || c.name == "no ledger" {
				if _, err := f.fs().Stat(f.path("ledger")); !errors.Is(err, os.ErrNotExist) {
					t.Error("Open made a ledger")
				}
			}
		})
	}
}

// edit changes what lies in a folder's pebble behind the store's back.
func edit(t testing.TB, f *folder, change func(*pebble.DB) error) {
	t.Helper()
	db, err := pebble.Open(f.path("ledger"), &pebble.Options{
		FS: f.fs(), FormatMajorVersion: pebble.FormatValueSeparation, Logger: quiet{},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(change(db), db.Flush(), db.Close()); err != nil {
		t.Fatal(err)
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// newerPebble does what a later release would leave: the marker of a version that this one has never heard of.
func newerPebble(t *testing.T, f *folder) {
	names, err := f.fs().List(f.path("ledger"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "marker.format-version.") {
			if err := f.fs().Remove(f.path("ledger", name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	storetest.WriteFile(t, f.fs(), f.path("ledger", "marker.format-version.000099.999"), nil)
}

// TestInitInterrupted fails each of Init's writes in turn, and has a machine crash before each: what is left is either whole,
// or refused by Open; and what is not whole is refused by Init too, unless there is nothing of it.
func TestInitInterrupted(t *testing.T) {
	for n := int32(0); ; n++ {
		mem, count := vfs.NewCrashableMem(), atomic.Int32{}
		var crashed *vfs.MemFS
		inject := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpFileClose || op.Kind == errorfs.OpRemove {
				return nil
			}
			if count.Add(1)-1 != n {
				return nil
			}
			crashed = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: newRand(uint64(n))})
			if op.Kind == errorfs.OpFileSync && op.Path == "/a/b/data/ledger" {
				return nil // pebble panics when a folder's sync fails, which ends the process
			}
			return errorfs.ErrInjected
		})
		opts := store.Options{Dir: "/a/b/data", FS: errorfs.Wrap(mem, inject)}
		err := store.Init(opts, ledger.DefaultParams())
		if crashed == nil {
			if err != nil {
				t.Fatal(err)
			}
			if n < 20 {
				t.Errorf("only %d writes", n)
			}
			return
		}
		for name, fs := range map[string]vfs.FS{"failed": mem, "crashed": crashed} {
			if !wholeOrRefused(t, fmt.Sprintf("%s at write %d", name, n), fs) && name == "failed" && err == nil {
				t.Errorf("write %d failed: Init says nothing, and the folder is not whole", n)
			}
		}
	}
}

func wholeOrRefused(t *testing.T, when string, fs vfs.FS) bool {
	opts := store.Options{Dir: "/a/b/data", FS: fs}
	s, err := store.Open(opts)
	if err == nil {
		closeStore(t, s)
		wantErr(t, when+": Init", store.Init(opts, ledger.DefaultParams()), store.ErrExists)
		return true
	}
	wantErr(t, when+": Open", err, store.ErrFormat)
	fresh := strings.Contains(err.Error(), "not initialised")
	err = store.Init(opts, ledger.DefaultParams())
	if fresh && err != nil {
		t.Errorf("%s: Open says that nothing is there, and Init: %v", when, err)
	}
	if !fresh {
		wantErr(t, when+": Init", err, store.ErrExists)
	}
	return false
}

// TestInitIsDurable: a machine that crashes just after Init, and loses all that was not synced, has the whole folder.
func TestInitIsDurable(t *testing.T) {
	mem := vfs.NewCrashableMem()
	f := newFolder(t, mem, ledger.DefaultParams())
	s, m := f.on(mem.CrashClone(vfs.CrashCloneCfg{})).start()
	open(t, s, m, 1, 1)
	closeStore(t, s)
}
