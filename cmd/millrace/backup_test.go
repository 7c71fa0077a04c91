package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/backup"
)

func number(t *testing.T, v any) int64 {
	t.Helper()
	n, err := v.(json.Number).Int64()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestBackupRunning backs up a hub that is paid through, twice, and restores: everything acknowledged before a backup began is
// there, once, and the second backup copied what was new alone.
func TestBackupRunning(t *testing.T) {
	s := newHub(t)
	place := filepath.Join(t.TempDir(), "backups")
	_, from := s.account(t, "1000000")
	payee, to := s.account(t, "")
	no, _ := ledger.ParseAccountNo(payee)
	cl := s.client(t, from)
	var paid atomic.Int64
	var stop atomic.Bool
	var mu sync.Mutex
	var ids []ledger.OpID
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for !stop.Load() {
				id := client.NewID()
				if _, err := cl.Transfer(t.Context(), id, no, 1); err != nil {
					t.Error(err)
					return
				}
				paid.Add(1)
				mu.Lock()
				ids = append(ids, id)
				mu.Unlock()
			}
		})
	}
	for paid.Load() < 100 && !t.Failed() {
		time.Sleep(time.Millisecond)
	}
	fails(t, exitUsage, "operator's token", "backup", "--data", s.dir, "--to", place)
	fails(t, exitRefused, "not_operator", "backup", "--data", s.dir, "--to", place, "--hub", s.url, "--token-file", from)
	take := func(more ...string) map[string]any {
		return ok(t, append([]string{"backup", "--data", s.dir, "--to", place, "--hub", s.url, "--token-file", s.operator}, more...)...)
	}
	theirs := takeCopy(t, s)
	fails(t, exitUnreachable, "backup_under_way", "backup", "--data", s.dir, "--to", place, "--hub", s.url, "--token-file", s.operator)
	theirs()
	held, err := backup.Hold(place)
	if err != nil {
		t.Fatal(err)
	}
	fails(t, exitUnreachable, "another backup is being made to "+place, "backup", "--data", s.dir, "--to", place, "--hub", s.url, "--token-file", s.operator)
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	atLeast := paid.Load()
	first := take("--with-keys")
	if first["keys"] != true || number(t, first["copied_bytes"]) < number(t, first["bytes"])*9/10 {
		t.Errorf("first: %v", first)
	}
	mu.Lock()
	acked := append([]ledger.OpID(nil), ids[:atLeast]...)
	mu.Unlock()
	stop.Store(true)
	wg.Wait()
	if left, err := os.ReadDir(filepath.Join(s.dir, "backups")); err != nil || len(left) > 0 {
		t.Errorf("the copy was not removed: %v, %v", left, err)
	}
	s.stop()
	second := ok(t, "backup", "--data", s.dir, "--to", place) // of the stopped hub
	third := ok(t, "backup", "--data", s.dir, "--to", place)
	if a, b := number(t, third["copied_bytes"]), number(t, second["copied_bytes"]); a >= b && b > 0 || a > number(t, third["bytes"])/2 {
		t.Errorf("incremental: %d bytes copied, and %d before, of %v", a, b, third["bytes"])
	}
	data := filepath.Join(t.TempDir(), "data")
	if got := ok(t, "restore", "--from", place, "--name", first["name"].(string), "--data", data); got["through_block"] != first["through_block"] {
		t.Errorf("restored %v", got)
	}
	again := serveIn(t, data)
	if got := ok(t, "account", "show", "--hub", again.url, "--token-file", to); number(t, got["balance_msat"]) < atLeast {
		t.Errorf("%v, and %d were paid before the backup", got, atLeast)
	}
	cl = again.client(t, from)
	for _, id := range acked {
		if got, err := cl.Transfer(t.Context(), id, no, 1); err != nil || got.Result != "repeated" {
			t.Fatalf("an acknowledged payment is %v, %v", got.Result, err)
		}
	}
}

// takeCopy has a hub make a copy, as another backup would, and returns what drops it.
func takeCopy(t *testing.T, s served) func() {
	t.Helper()
	cl := s.client(t, s.operator)
	made, err := cl.Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := cl.DropBackup(t.Context(), made.Name); err != nil {
			t.Error(err)
		}
	}
}

// TestBackupOffline: what a backup is, what it refuses, and what is left of one that is damaged.
func TestBackupOffline(t *testing.T) {
	s := newHub(t)
	account, token := s.account(t, "4711")
	ok(t, "webhook", "add", "--hub", s.url, "--token-file", token, "http://127.0.0.1:9/hook")
	var epochs []int64
	for range 2 {
		epochs = append(epochs, number(t, ok(t, "liability", "make", "--hub", s.url, "--token-file", s.operator)["epoch"]))
	}
	s.stop()
	place, dir := filepath.Join(t.TempDir(), "backups"), t.TempDir()
	fails(t, exitUsage, "is empty", "backup", "--data", s.dir, "--to", "")
	fails(t, exitData, "not initialised", "backup", "--data", filepath.Join(dir, "none"), "--to", place)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(s.dir, "index"), link); err != nil {
		t.Fatal(err)
	}
	before := names(t, s.dir)
	for _, inside := range []string{s.dir, filepath.Join(s.dir, "new"), s.dir + "/index/../a/b", link, filepath.Join(link, "new")} {
		fails(t, exitUsage, "elsewhere", "backup", "--data", s.dir, "--to", inside)
	}
	if after := names(t, s.dir); !slices.Equal(after, before) {
		t.Errorf("%v, before %v", after, before)
	}
	made := ok(t, "backup", "--data", s.dir, "--to", place)
	name := made["name"].(string)
	r := millrace(t, nil, nil, "backup", "--data", s.dir, "--to", place)
	if r.code != 0 || !strings.Contains(r.err, "keys are not in the backup") {
		t.Errorf("%+v", r)
	}
	var listed []map[string]any
	if err := json.Unmarshal([]byte(millrace(t, nil, nil, "backup", "list", "--from", place, "--json").out), &listed); err != nil || len(listed) != 2 || listed[0]["name"] != name {
		t.Errorf("%v, %v", listed, err)
	}
	ok(t, "backup", "verify", "--from", place)
	ok(t, "backup", "verify", "--from", place, "--name", name)
	fails(t, exitUsage, "no such backup", "backup", "verify", "--from", place, "--name", "another")
	fails(t, exitUsage, "no such backup", "restore", "--from", place, "--name", "../x", "--data", filepath.Join(dir, "x"))
	fails(t, exitUsage, "no such backup", "restore", "--from", dir, "--data", filepath.Join(dir, "x"))
	fails(t, exitUsage, "not empty", "restore", "--from", place, "--data", s.dir)

	whole := filepath.Join(dir, "whole")
	ok(t, "restore", "--from", place, "--name", name, "--data", whole)
	fails(t, exitUsage, "not empty", "restore", "--from", place, "--data", whole)
	fails(t, exitData, "hub.kek", "serve", "--data", whole, "--listen", "127.0.0.1:0")
	for _, key := range []string{"hub.keys", "hub.kek"} {
		if _, err := os.Stat(filepath.Join(whole, key)); err == nil {
			t.Errorf("%s is in the backup", key)
		}
		b, err := os.ReadFile(filepath.Join(s.dir, key))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(whole, key), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := serveIn(t, whole)
	if got := ok(t, "account", "show", "--hub", again.url, "--token-file", again.operator, account); got["balance_msat"] != json.Number("4711") {
		t.Errorf("restored: %v", got)
	}

	r = millrace(t, nil, nil, "webhook", "list", "--hub", again.url, "--token-file", token)
	if r.code != 0 || !strings.Contains(r.out, "http://127.0.0.1:9/hook") {
		t.Errorf("webhooks of the restored hub: %+v", r)
	}

	proof := filepath.Join(dir, "proof")
	ok(t, "liability", "get", "--hub", again.url, "--token-file", token, "-o", proof)
	if b, err := os.ReadFile(proof); err != nil || !strings.Contains(string(b), fmt.Sprintf("\nliabilities epoch %d ", epochs[1])) {
		t.Errorf("proof of the restored hub: %s, %v; want epoch %d", b, err, epochs[1])
	}
	if files, err := filepath.Glob(filepath.Join(whole, "liabilities", "*")); err != nil || len(files) != 2 {
		t.Errorf("restored %v, %v: want the newest epoch", files, err)
	}
	next := number(t, ok(t, "liability", "make", "--hub", again.url, "--token-file", again.operator)["epoch"])
	if next <= epochs[1] || epochs[1] <= epochs[0] {
		t.Errorf("epoch %d after %v", next, epochs)
	}

	damaged := 0
	err := filepath.WalkDir(place, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "LOCK" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || len(b) == 0 {
			return err
		}
		bent := append([]byte(nil), b...)
		bent[len(b)/2] ^= 4
		if err := os.WriteFile(path, bent, 0o600); err != nil {
			return err
		}
		defer os.WriteFile(path, b, 0o600)
		data := filepath.Join(dir, "damaged")
		first, second := millrace(t, nil, nil, "restore", "--from", place, "--data", data), millrace(t, nil, nil, "backup", "verify", "--from", place)
		if first.code != second.code || first.code != 0 && first.code != exitFile {
			t.Errorf("%s: %+v, %+v", path, first, second)
		}
		if first.code != 0 {
			damaged++
			if _, err := os.Stat(data); err == nil {
				fails(t, exitData, "interrupted", "serve", "--data", data, "--listen", "127.0.0.1:0")
				fails(t, exitUsage, "interrupted", "restore", "--from", place, "--data", data)
			}
		}
		return os.RemoveAll(data)
	})
	if err != nil || damaged < 3 {
		t.Errorf("%d damages, %v", damaged, err)
	}
}

// names are those in a folder.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestBackupInterrupted: without its manifest a backup is none, and the next one takes what it left.
func TestBackupInterrupted(t *testing.T) {
	s := newHub(t)
	s.account(t, "1")
	s.stop()
	place := filepath.Join(t.TempDir(), "backups")
	made := ok(t, "backup", "--data", s.dir, "--to", place)
	manifest := filepath.Join(place, made["name"].(string)+".manifest")
	if err := os.Rename(manifest, filepath.Join(place, ".unfinished-1")); err != nil {
		t.Fatal(err)
	}
	fails(t, exitUsage, "no such backup", "restore", "--from", place, "--data", filepath.Join(t.TempDir(), "data"))
	again := ok(t, "backup", "--data", s.dir, "--to", place)
	if a, b := number(t, again["copied_bytes"]), number(t, made["copied_bytes"]); a >= b {
		t.Errorf("%d bytes copied again of %d", a, b)
	}
	if _, err := os.Stat(filepath.Join(place, ".unfinished-1")); err == nil {
		t.Error("what was interrupted is there still")
	}
	ok(t, "backup", "verify", "--from", place)
}

// TestBackupWALElsewhere: a log in a folder of its own is in the backup, too.
func TestBackupWALElsewhere(t *testing.T) {
	base := t.TempDir()
	data, wal, place, back := filepath.Join(base, "data"), filepath.Join(base, "wal"), filepath.Join(base, "backups"), filepath.Join(base, "back")
	ok(t, "init", "--data", data, "--wal-dir", wal)
	s := serveIn(t, data, "--wal-dir", wal)
	account, _ := s.account(t, "77")
	ok(t, "backup", "--data", data, "--wal-dir", wal, "--to", place, "--hub", s.url, "--token-file", s.operator, "--with-keys")
	ok(t, "restore", "--from", place, "--data", back)
	again := serveIn(t, back)
	if got := ok(t, "account", "show", "--hub", again.url, "--token-file", again.operator, account); got["balance_msat"] != json.Number("77") {
		t.Errorf("restored: %v", got)
	}
}
