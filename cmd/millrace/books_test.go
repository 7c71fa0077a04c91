package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/ledger/store/records"
)

// TestBackupOfRails: what the rails know is in a backup of a hub, running or not, with lnd's channel backups; a hub that has met a node and is
// restored begins with its payouts paused, and one without the records says so.
func TestBackupOfRails(t *testing.T) {
	s := newHub(t)
	place, base := filepath.Join(t.TempDir(), "backups"), t.TempDir()
	ok(t, "payouts", "pause", "--hub", s.url, "--token-file", s.operator, "--reason", "before the backup")
	put := func(dir, name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(s.dir, channelsName+"/channels-00000001-8d969eef.backup", "first")
	take := func(with map[string]any) map[string]any {
		t.Helper()
		made := ok(t, "backup", "--data", s.dir, "--to", place, "--hub", s.url, "--token-file", s.operator, "--with-keys")
		for k, v := range with {
			if made[k] != v {
				t.Errorf("%s is %v: want %v", k, made[k], v)
			}
		}
		return made
	}
	never := take(map[string]any{"rails": true, "lnd_channels": true})
	put(s.dir, nodeName, "02aa\n")
	put(s.dir, channelsName+"/channels-00000002-8d969eef.backup", "second")
	take(nil)
	s.stop()
	link := "lnurl/link/" + strings.Repeat("1a", 16)
	expires := func(dir string, write string) (at int64) {
		t.Helper()
		rails, err := records.Open(records.Options{Dir: filepath.Join(dir, railsName)})
		if err != nil {
			t.Fatal(err)
		}
		var k lnurl.Link
		if write != "" {
			err = rails.Write(channels.Row{Key: []byte(link), Value: []byte(write)})
		}
		text, errGet := rails.Get([]byte(link))
		if err := errors.Join(err, errGet, json.Unmarshal(text, &k), rails.Close()); err != nil {
			t.Fatal(err)
		}
		return k.Expires
	}
	later := time.Now().Add(time.Hour).UnixMilli()
	expires(s.dir, fmt.Sprintf(`{"id":"%s","state":"open","expires":%d}`, strings.Repeat("1a", 16), later))
	made := ok(t, "backup", "--data", s.dir, "--to", place, "--with-keys")
	ok(t, "backup", "verify", "--from", place)
	var listed []map[string]any
	if err := json.Unmarshal([]byte(millrace(t, nil, nil, "backup", "list", "--from", place, "--json").out), &listed); err != nil || len(listed) != 3 || listed[2]["rails"] != true {
		t.Errorf("%v, %v", listed, err)
	}

	whole := filepath.Join(base, "whole")
	if r := millrace(t, nil, nil, "restore", "--from", place, "--name", made["name"].(string), "--data", whole); r.code != 0 || !strings.Contains(r.err, "paused") {
		t.Fatalf("%+v", r)
	}
	for name, want := range map[string]string{nodeName: "02aa\n", channelsName + "/channels-00000001-8d969eef.backup": "first", channelsName + "/channels-00000002-8d969eef.backup": "second"} {
		if b, err := os.ReadFile(filepath.Join(whole, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if at := expires(whole, ""); at >= later || at > time.Now().UnixMilli() {
		t.Errorf("a link to withdraw by is open after a restore: until %v", time.UnixMilli(at))
	}
	again := serveIn(t, whole)
	pause := ok(t, "payouts", "list", "--hub", again.url, "--token-file", again.operator)["pause"].(map[string]any)
	if pause["restored"] != true || !strings.Contains(pause["reason"].(string), made["name"].(string)) {
		t.Errorf("%v", pause)
	}
	if r := millrace(t, nil, nil, "payouts", "incidents", "--hub", again.url, "--token-file", again.operator); !strings.Contains(r.out, "restored") {
		t.Errorf("%+v", r)
	}
	fails(t, exitRefused, "not_compared", "payouts", "resume", "--hub", again.url, "--token-file", again.operator)

	plain := filepath.Join(base, "plain")
	ok(t, "restore", "--from", place, "--name", never["name"].(string), "--data", plain)
	again = serveIn(t, plain)
	pause = ok(t, "payouts", "list", "--hub", again.url, "--token-file", again.operator)["pause"].(map[string]any)
	if pause["restored"] != nil || !strings.HasSuffix(pause["reason"].(string), "before the backup") {
		t.Errorf("of a hub that never met a node: %v", pause)
	}
	ok(t, "payouts", "resume", "--hub", again.url, "--token-file", again.operator)
	if got := ok(t, "payouts", "list", "--hub", again.url, "--token-file", again.operator)["pause"].(map[string]any); got["paused"] != false {
		t.Errorf("resumed: %v", got)
	}
}
