package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bend flips a bit in the middle of the largest file of a folder with one of these ends, and returns its name.
func bend(t *testing.T, dir string, ends ...string) string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	name, most := "", int64(-1)
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		for _, end := range ends {
			if strings.HasSuffix(f.Name(), end) && info.Size() > most {
				name, most = filepath.Join(dir, f.Name()), info.Size()
			}
		}
	}
	if most <= 0 {
		t.Fatalf("%s has no such file", dir)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/3] ^= 16
	writeFile(t, name, b)
	return filepath.Base(name)
}

// TestFsck: a hub's folder is clean, and so is a backup of it; a flipped bit in the index is found, a start says what to do, and
// that mends it.
func TestFsck(t *testing.T) {
	dir, _, _, _ := paidHub(t, 30)
	for range 2 {
		if got := ok(t, "fsck", "--data", dir); got["clean"] != true || got["entries"] != json.Number("33") || got["compared"] != json.Number("33") {
			t.Errorf("%v", got)
		}
	}
	if r := millrace(t, nil, nil, "fsck", "--data", dir); r.code != 0 || !strings.HasPrefix(r.out, "clean: ") {
		t.Errorf("%+v", r)
	}

	backups, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	ok(t, "backup", "--data", dir, "--to", backups)
	ok(t, "restore", "--from", backups, "--data", copied)
	if got := ok(t, "fsck", "--data", copied); got["clean"] != true || got["entries"] != json.Number("33") {
		t.Errorf("%v", got)
	}

	file := bend(t, filepath.Join(dir, "index"), ".sst")
	r := millrace(t, nil, nil, "fsck", "--data", dir)
	if r.code != exitData || !strings.Contains(r.out, "index: "+file) || !strings.Contains(r.err, "millrace rebuild --data "+dir) {
		t.Errorf("%+v", r)
	}
	r = millrace(t, nil, nil, "fsck", "--data", dir, "--json")
	got := object(t, r.out)
	if failed, _ := got["error"].(map[string]any); r.code != exitData || got["clean"] != false || failed["code"] != "data_unusable" || len(got["findings"].([]any)) == 0 {
		t.Errorf("%+v", r)
	}
	if got := ok(t, "rebuild", "--data", dir); got["entries"] != json.Number("33") {
		t.Errorf("%v", got)
	}
	if got := ok(t, "fsck", "--data", dir); got["clean"] != true {
		t.Errorf("%v", got)
	}
	if r := serveIn(t, dir).stop(); r.code != 0 {
		t.Errorf("%+v", r)
	}
	if got := ok(t, "fsck", "--data", dir); got["clean"] != true {
		t.Errorf("%v", got)
	}
}

// TestFsckRefuses: a folder that a hub has open or that is none; an index that is missing is made anew.
func TestFsckRefuses(t *testing.T) {
	hub := newHub(t)
	hub.account(t, "5")
	for _, verb := range []string{"fsck", "rebuild"} {
		fails(t, exitData, "in use", verb, "--data", hub.dir)
		fails(t, exitData, "not initialised", verb, "--data", t.TempDir())
	}
	hub.stop()
	if err := os.RemoveAll(filepath.Join(hub.dir, "index")); err != nil {
		t.Fatal(err)
	}
	if r := millrace(t, nil, nil, "fsck", "--data", hub.dir); r.code != 0 || !strings.Contains(r.err, "there is no index") {
		t.Errorf("%+v", r)
	}
	ok(t, "rebuild", "--data", hub.dir)
	if got := ok(t, "fsck", "--data", hub.dir); got["compared"] != json.Number("2") {
		t.Errorf("%v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, verb := range []string{"fsck", "rebuild"} {
		if code := run(ctx, []string{"millrace", verb, "--data", hub.dir}, nil, strings.NewReader(""), io.Discard, io.Discard); code != exitInterrupted {
			t.Errorf("%s: exit %d", verb, code)
		}
	}
	if got := ok(t, "fsck", "--data", hub.dir); got["compared"] != json.Number("2") {
		t.Errorf("%v", got)
	}
}

// TestFsckLog: what is wrong with the log is not to be mended, and a rebuild from such a log leaves the index alone.
func TestFsckLog(t *testing.T) {
	dir, _, _, _ := paidHub(t, 20)
	mark, err := os.ReadFile(filepath.Join(dir, "WATERMARK"))
	if err != nil {
		t.Fatal(err)
	}
	older := filepath.Join(t.TempDir(), "older")
	if err := os.CopyFS(older, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(older, "hub.kek"), 0o600); err != nil {
		t.Fatal(err)
	}
	hub := serveIn(t, dir)
	hub.account(t, "1")
	hub.stop()
	newer, err := os.ReadFile(filepath.Join(dir, "WATERMARK"))
	if err != nil || string(newer) == string(mark) {
		t.Fatal("the hub has not written", err)
	}
	writeFile(t, filepath.Join(older, "WATERMARK"), newer)
	r := millrace(t, nil, nil, "fsck", "--data", older)
	if r.code != exitData || !strings.Contains(r.out, "log: ") || !strings.Contains(r.out, "missing") || !strings.Contains(r.err, "put back a backup") {
		t.Errorf("%+v", r)
	}
	fails(t, exitData, "missing", "rebuild", "--data", older)
	writeFile(t, filepath.Join(older, "WATERMARK"), mark)
	if got := ok(t, "fsck", "--data", older); got["clean"] != true || got["compared"] != json.Number("23") {
		t.Errorf("%v", got)
	}
}

// TestMendable: a hub that cannot start on a damaged index says which command makes it anew.
func TestMendable(t *testing.T) {
	dir, _, _, _ := paidHub(t, 3)
	if err := os.WriteFile(filepath.Join(dir, "index", manifest(t, dir)), []byte("nothing of the kind"), 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, exitData, "millrace rebuild", "serve", "--data", dir, "--listen", "127.0.0.1:0")
	r := millrace(t, nil, nil, "fsck", "--data", dir)
	if r.code != exitData || !strings.Contains(r.out, "index: ") {
		t.Errorf("%+v", r)
	}
	ok(t, "rebuild", "--data", dir)
	if got := ok(t, "fsck", "--data", dir); got["clean"] != true {
		t.Errorf("%v", got)
	}
}

// TestTableGone: a table that is cut off or missing is damage, of the index or of the log, and a start says so in one line.
func TestTableGone(t *testing.T) {
	for folder, remedy := range map[string]string{"index": "millrace rebuild", "ledger": "put back a backup"} {
		for _, gone := range []bool{false, true} {
			dir, _, _, _ := paidHub(t, 3)
			tables, err := filepath.Glob(filepath.Join(dir, folder, "*.sst"))
			if err != nil || len(tables) == 0 {
				t.Fatal("no tables", err)
			}
			if err := os.Truncate(tables[0], 10); err != nil {
				t.Fatal(err)
			}
			if gone {
				if err := os.Remove(tables[0]); err != nil {
					t.Fatal(err)
				}
			}
			r := millrace(t, nil, nil, "serve", "--data", dir, "--listen", "127.0.0.1:0")
			if r.code != exitData || !strings.Contains(r.err, remedy) || strings.Contains(r.err, "a restart recovers") || strings.Contains(r.err, "runtime.goexit") {
				t.Errorf("%s, gone %v: %+v", folder, gone, r)
			}
		}
	}
}

// TestDamagedIndexIsNamed: whoever reads a damaged index says that it can be made again, or does not meet the damage.
func TestDamagedIndexIsNamed(t *testing.T) {
	dir, _, _, _ := paidHub(t, 3)
	tables, err := filepath.Glob(filepath.Join(dir, "index", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal("no tables", err)
	}
	met := map[string]int{}
	for _, table := range tables {
		whole, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		bent := bytes.Clone(whole)
		bent[len(bent)/4] ^= 16
		for _, b := range [][]byte{bent, whole[:10]} {
			place, restored := filepath.Join(t.TempDir(), "backups"), filepath.Join(t.TempDir(), "data")
			for _, args := range [][]string{
				{"export", "-o", filepath.Join(t.TempDir(), "out")}, {"backup", "--to", place}, {"restore", "--from", place, "--data", restored},
			} {
				if args[0] != "restore" { // a copy each: one that meets damage may hold its folder until the process ends
					copied := filepath.Join(t.TempDir(), "copy")
					if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
						t.Fatal(err)
					}
					writeFile(t, filepath.Join(copied, "index", filepath.Base(table)), b)
					args = append(args, "--data", copied)
				}
				r := millrace(t, nil, nil, args...)
				if r.code == exitData && strings.Contains(r.err, "millrace rebuild makes") {
					met[args[0]]++
				} else if r.code != 0 && !strings.Contains(r.err, "no such backup") {
					t.Errorf("%s with %d bytes of %s: %+v", args[0], len(b), filepath.Base(table), r)
				}
			}
		}
	}
	for _, verb := range []string{"export", "backup", "restore"} {
		if met[verb] == 0 {
			t.Errorf("%s has met no damage", verb)
		}
	}
}

func manifest(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "index", "MANIFEST-*"))
	if err != nil || len(found) == 0 {
		t.Fatal("no manifest", err)
	}
	return filepath.Base(found[len(found)-1])
}

// TestFsckKeys: keys that do not open are damage, keys that are not there are none.
func TestFsckKeys(t *testing.T) {
	dir, _, _, _ := paidHub(t, 3)
	for _, name := range []string{"hub.keys", "hub.kek"} {
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bent := append([]byte(nil), b...)
		bent[len(b)/2] ^= 1
		writeFile(t, path, bent)
		fails(t, exitData, "keys cannot be opened", "fsck", "--data", dir)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		ok(t, "fsck", "--data", dir)
		writeFile(t, path, b)
	}
	ok(t, "fsck", "--data", dir)
}

// TestInterruptedRebuild: what it left is gone after the next start.
func TestInterruptedRebuild(t *testing.T) {
	s := newHub(t)
	s.stop()
	left := filepath.Join(s.dir, "index.new")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	serveIn(t, s.dir).stop()
	if _, err := os.Stat(left); err == nil {
		t.Error("it is still there")
	}
}
