package checksum_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/millrace/millrace/ledger/store/checksum"
	"github.com/millrace/millrace/ledger/store/pebblelog"
	"github.com/millrace/millrace/ledger/store/storetest"
)

// errDamage is what the tests' pebble wraps damage in that it cannot go on after.
var errDamage = errors.New("damage")

// with opens a database for f, and returns what f or pebble says.
func with(o pebble.Options, f func(*pebble.DB) error) error {
	return pebblelog.Guard(func(error) {}, func(fatal func(error)) error {
		log := pebblelog.Logger{Log: slog.New(slog.DiscardHandler), Name: "pebble", Corrupt: errDamage, Fatal: fatal}
		o.FormatMajorVersion, o.Logger, o.EventListener = pebble.FormatValueSeparation, log, log.Listener()
		db, err := pebble.Open("db", &o)
		if err != nil {
			return err
		}
		return errors.Join(f(db), db.Close())
	})
}

// damaged is what the store and the index ask about an error.
func damaged(err error) bool { return errors.Is(err, errDamage) || checksum.Damaged(err) }

// newDatabase makes a database with two tables.
func newDatabase(t *testing.T) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewCrashableMem()
	err := with(pebble.Options{FS: fs, DisableAutomaticCompactions: true}, func(db *pebble.DB) (err error) {
		for _, key := range []string{"a", "b"} {
			err = errors.Join(err, db.Set([]byte(key), []byte(key), pebble.Sync), db.Flush())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// TestDamaged: what pebble says of files that are bent, cut off, or missing though it wrote and names them is damage.
func TestDamaged(t *testing.T) {
	fs := newDatabase(t)
	finds := func(file, what string, damage func(fs vfs.FS)) {
		t.Helper()
		c := fs.CrashClone(vfs.CrashCloneCfg{})
		damage(c)
		if err := readAll(pebble.Options{FS: c}); !damaged(err) {
			t.Errorf("%s %s: %v", file, what, err)
		}
	}
	remove := func(file string) func(vfs.FS) {
		return func(fs vfs.FS) {
			if err := fs.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	tables := storetest.Files(t, fs, "db", ".sst")
	for _, file := range tables {
		b := storetest.ReadFile(t, fs, file)
		finds(file, "gone", remove(file))
		finds(file, "cut off", func(fs vfs.FS) { storetest.WriteFile(t, fs, file, b[:len(b)/2]) })
		finds(file, "bent", func(fs vfs.FS) { storetest.WriteFile(t, fs, file, storetest.Flipped(b, 0)) })
	}
	options := 0
	for _, file := range storetest.Files(t, fs, "db", "") {
		if b := storetest.ReadFile(t, fs, file); strings.HasPrefix(fs.PathBase(file), "OPTIONS-") {
			options++
			for _, name := range []string{"BytewiseComparator", "pebble.concatenate"} {
				bent := bytes.Replace(b, []byte(name), []byte("B"+name[1:len(name)-1]+"?"), 1)
				finds(file, "with another "+name, func(fs vfs.FS) { storetest.WriteFile(t, fs, file, bent) })
			}
		}
	}
	if options == 0 {
		t.Error("the database has no options")
	}
	manifest := "db/MANIFEST-000001"
	finds(manifest, "gone", remove(manifest))
	if len(tables) != 2 {
		t.Errorf("tables %q", tables)
	}
}

func readAll(o pebble.Options) error {
	return with(o, func(db *pebble.DB) error {
		it, err := db.NewIter(nil)
		if err != nil {
			return err
		}
		for ok := it.First(); ok; {
			ok = it.Next()
		}
		return it.Close()
	})
}

// TestNotDamaged: a file that is missing for another reason says nothing about those that pebble wrote.
func TestNotDamaged(t *testing.T) {
	fs := newDatabase(t)
	missing := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate { // as in a folder that was removed
			return &os.PathError{Op: "open", Path: op.Path, Err: os.ErrNotExist}
		}
		return nil
	})
	for what, o := range map[string]pebble.Options{
		"a file that cannot be made": {FS: errorfs.Wrap(fs.CrashClone(vfs.CrashCloneCfg{}), missing)},
		"no database":                {FS: vfs.NewMem(), ReadOnly: true},
		"no folder of logs":          {FS: fs.CrashClone(vfs.CrashCloneCfg{}), ReadOnly: true, WALDir: "elsewhere"},
	} {
		if err := readAll(o); err == nil || damaged(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, err := range []error{nil, os.ErrNotExist, &os.PathError{Op: "open", Path: "building/1.sst", Err: os.ErrNotExist}} {
		if damaged(err) {
			t.Errorf("%v is taken for damage", err)
		}
	}
}
