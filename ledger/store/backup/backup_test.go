package backup_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/ledger/store/backup"
)

// folder has files with these names and contents.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// hold takes a place, and returns what lets go of it.
func hold(t *testing.T, place string) func() {
	t.Helper()
	held, err := backup.Hold(place)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := held.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestHold: one backup to a place at a time.
func TestHold(t *testing.T) {
	place := t.TempDir()
	release := hold(t, place)
	if _, err := backup.Hold(place); !errors.Is(err, backup.ErrHeld) {
		t.Errorf("held twice: %v", err)
	}
	release()
	hold(t, place)()
}

func take(t *testing.T, place, name, dir string) backup.Report {
	t.Helper()
	defer hold(t, place)()
	r, err := backup.Take(t.Context(), backup.Options{Place: place, Name: name, Folder: dir, Through: 7})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestIncremental: what is there already is not copied, by its name as by its content; and each backup is whole by itself.
func TestIncremental(t *testing.T) {
	place := filepath.Join(t.TempDir(), "a", "b")
	dir := folder(t, map[string]string{"ledger/1.sst": "first", "ledger/2.sst": "second", "x": ""})
	if r := take(t, place, "1", dir); r.Copied != 11 || len(r.Files) != 3 || r.Size() != 11 {
		t.Errorf("first: %+v", r)
	}
	if err := os.WriteFile(filepath.Join(dir, "3.sst"), []byte("third"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "ledger/2.sst"), filepath.Join(dir, "ledger/4.sst")); err != nil {
		t.Fatal(err)
	}
	if r := take(t, place, "2", dir); r.Copied != 5 || r.Size() != 16 {
		t.Errorf("second: %+v", r)
	}
	for name, want := range map[string]map[string]string{
		"1": {"ledger/1.sst": "first", "ledger/2.sst": "second", "x": ""},
		"2": {"ledger/1.sst": "first", "ledger/4.sst": "second", "3.sst": "third", "x": ""},
	} {
		m, err := backup.Find(place, name)
		if err != nil {
			t.Fatal(err)
		}
		to := t.TempDir()
		if err := backup.Fetch(t.Context(), place, m, to, nil); err != nil {
			t.Fatal(err)
		}
		for path, text := range want {
			if b, err := os.ReadFile(filepath.Join(to, path)); err != nil || string(b) != text {
				t.Errorf("backup %s, %s: %q, %v", name, path, b, err)
			}
		}
		if len(m.Files) != len(want) || m.Through != 7 {
			t.Errorf("%+v", m)
		}
	}
	if _, err := backup.Take(t.Context(), backup.Options{Place: place, Name: "2", Folder: dir}); err == nil {
		t.Error("a backup took another's place")
	}
}

// TestDamage: a manifest with a flipped bit is none, and does not keep later backups from being made.
func TestDamage(t *testing.T) {
	place, dir := t.TempDir(), folder(t, map[string]string{"1.sst": "first"})
	take(t, place, "1", dir)
	path := filepath.Join(place, "1.manifest")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(whole) {
		bent := append([]byte(nil), whole...)
		bent[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, bent, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := backup.Find(place, ""); !errors.Is(err, backup.ErrDamaged) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	take(t, place, "2", dir)
	m, err := backup.Find(place, "")
	if err != nil || m.Name != "2" {
		t.Errorf("%q, %v", m.Name, err)
	}
	if err := backup.Verify(t.Context(), place, m, nil); err != nil {
		t.Error(err)
	}
	if _, err := backup.List(place); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("listing: %v", err)
	}
}

// TestCancelled: a backup that does not come to its end is none.
func TestCancelled(t *testing.T) {
	place, dir := t.TempDir(), folder(t, map[string]string{"1.sst": "first", "2.sst": "second"})
	ctx, cancel := context.WithCancel(t.Context())
	release := hold(t, place)
	_, err := backup.Take(ctx, backup.Options{Place: place, Name: "1", Folder: dir, Progress: func(int64, int64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	release()
	if _, err := backup.Find(place, ""); !errors.Is(err, backup.ErrNone) {
		t.Errorf("%v", err)
	}
	if r := take(t, place, "2", dir); r.Copied != 6 {
		t.Errorf("%d bytes copied", r.Copied)
	}
}
