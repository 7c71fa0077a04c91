package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/hub/client"
)

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	made := ok(t, "init", "--data", dir, "--fee-ppm", "10000", "--id-window", "1h")
	if made["fee_ppm"] != json.Number("10000") || made["id_window_ms"] != json.Number("3600000") || made["key_id"] == "" {
		t.Errorf("made %v", made)
	}
	for name, mode := range map[string]os.FileMode{".": 0o700, "hub.kek": 0o600, "hub.keys": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	fails(t, exitData, "exists already", "init", "--data", dir)
	if err := os.Remove(filepath.Join(dir, "FORMAT")); err != nil {
		t.Fatal(err)
	}
	fails(t, exitData, "half-written", "init", "--data", dir)
	fails(t, exitData, "half-written", "serve", "--data", dir, "--listen", "127.0.0.1:0")
	fails(t, exitData, "not initialised: run millrace init", "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0")
	writeFile(t, filepath.Join(dir, "FORMAT"), []byte("millrace data format 99\n"))
	fails(t, exitData, "format 99", "serve", "--data", dir, "--listen", "127.0.0.1:0")
	file := writeFile(t, filepath.Join(t.TempDir(), "file"), nil)
	fails(t, exitData, "not a directory", "init", "--data", file)
}

func TestKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	kek := filepath.Join(t.TempDir(), "kek")
	first := ok(t, "init", "--data", dir, "--kek-file", kek)
	if _, err := os.Stat(filepath.Join(dir, "hub.kek")); err == nil {
		t.Error("the key over the keys lies in the data folder although it was to be elsewhere")
	}
	fails(t, exitData, "key-encryption key", "key", "show", "--data", dir)
	r := millrace(t, nil, nil, "key", "rotate", "--data", dir, "--kek-file", kek, "--json")
	var keys []shownKey
	if err := json.Unmarshal([]byte(r.out), &keys); err != nil || len(keys) != 2 || keys[0].KeyID != first["key_id"] || !keys[1].Active || keys[0].Active {
		t.Errorf("%+v, %v", r, err)
	}
	s := serveIn(t, dir, "--kek-file", kek)
	fails(t, exitData, "in use", "key", "show", "--data", dir, "--kek-file", kek)
	if k := ok(t, "key", "show", "--hub", s.url); k["public_key"] != keys[1].PublicKey || k["origin"] != s.url {
		t.Errorf("key %v", k)
	}
}

func TestServe(t *testing.T) {
	s := newHub(t)
	if info, err := os.Stat(s.operator); err != nil || info.Mode().Perm() != 0o600 || s.operator != filepath.Join(s.dir, "operator.token") {
		t.Errorf("operator's token: %v, %v", info, err)
	}
	account, file := s.account(t, "1000")
	fails(t, exitData, "in use", "serve", "--data", s.dir, "--listen", "127.0.0.1:0")
	if r := s.stop(); r.code != 0 || !strings.Contains(r.err, "stopped") {
		t.Errorf("stop: %+v", r)
	}
	fails(t, exitUnreachable, "cannot be reached", "account", "show", "--hub", s.url, "--token-file", file)
	again := serveIn(t, s.dir)
	if got := ok(t, "account", "show", "--hub", again.url, "--token-file", file); got["account"] != account || got["balance_msat"] != json.Number("1000") {
		t.Errorf("after a restart: %v", got)
	}
	resp, err := http.Get(again.url + "/metrics")
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("metrics: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
}

// TestFirstSteps runs what a development hub prints on its start, word for word but for the shell.
func TestFirstSteps(t *testing.T) {
	s := newHub(t)
	work := t.TempDir()
	t.Chdir(work)
	writeFile(t, "README.md", []byte("words"))
	a := &app{program: "millrace"}
	cfg := config{Data: s.dir}
	for line := range strings.Lines(a.firstSteps(cfg, s.url, s.operator)) {
		words := strings.Fields(line)
		if words[0] == "export" {
			if words[1] != "MILLRACE_HUB="+s.url {
				t.Error(line)
			}
			continue
		}
		if r := millrace(t, []string{"MILLRACE_HUB=" + s.url}, nil, words[1:]...); r.code != 0 {
			t.Fatalf("%s: %+v", line, r)
		}
	}
	if b, err := os.ReadFile(filepath.Join(s.dir, "README.opened")); err != nil || string(b) != "words" {
		t.Errorf("%q, %v", b, err)
	}
	if again := a.firstSteps(cfg, s.url, s.operator); strings.Contains(again, "account create") {
		t.Error("accounts that are there are made again")
	}
}

func TestPayments(t *testing.T) {
	s := newHub(t)
	payer, from := s.account(t, "100000")
	payee, to := s.account(t, "")
	id := "--id=" + client.NewID().String()
	pay := []string{"pay", "--hub", s.url, "--token", "@" + from, "--to", payee, "--amount-msat", "300", id}
	if got := ok(t, pay...); got["result"] != "applied" || got["from"] != payer || got["to"] != payee {
		t.Errorf("pay: %v", got)
	}
	if got := ok(t, pay...); got["result"] != "repeated" {
		t.Errorf("pay again: %v", got)
	}
	pay[8] = "301"
	fails(t, exitRefused, "refused: id_reused", pay...)
	fails(t, exitRefused, "refused: insufficient_funds", "pay", "--hub", s.url, "--token-file", to, "--to", "@"+from, "--amount-msat", "301")
	r := millrace(t, []string{"MILLRACE_HUB=" + s.url, "MILLRACE_TOKEN_FILE=" + from}, nil, "pay", "--to", payee, "--amount-msat", "1")
	if r.code != 0 || !strings.Contains(r.err, "id 0") || !strings.Contains(r.out, "applied: paid 1 msat to "+payee) {
		t.Errorf("pay with the environment: %+v", r)
	}
	if got := s.balance(t, to); got != "301" {
		t.Errorf("payee has %s", got)
	}
	fails(t, exitRefused, "not_operator", "fund", "--hub", s.url, "--token-file", to, "--account", payee, "--amount-msat", "1")
}

func TestChannels(t *testing.T) {
	s := newHub(t)
	_, from := s.account(t, "100000")
	payee, to := s.account(t, "")
	hub := []string{"--hub", s.url, "--token-file", from}
	do := func(args ...string) map[string]any { t.Helper(); return ok(t, append(args, hub...)...) }
	c := do("channel", "open", "--to", payee, "--amount-msat", "1000", "--expires", "24h")["channel"].(string)
	if got := do("channel", "advance", c, "--total-msat", "400"); got["paid_msat"] != json.Number("400") {
		t.Errorf("advance: %v", got)
	}
	if got := do("channel", "advance", c, "--total-msat", "400"); got["result"] != "repeated" {
		t.Errorf("advance again: %v", got)
	}
	fails(t, exitRefused, "total_below", append([]string{"channel", "advance", c, "--total-msat", "399"}, hub...)...)
	fails(t, exitRefused, "total_above", append([]string{"channel", "advance", c, "--total-msat", "1001"}, hub...)...)
	do("channel", "top-up", c, "--amount-msat", "1000")
	if got := do("channel", "show", c); got["funded_msat"] != json.Number("2000") || got["status"] != "open" {
		t.Errorf("show: %v", got)
	}
	if got := do("channel", "close", c); got["refunded_msat"] != json.Number("1600") {
		t.Errorf("close: %v", got)
	}
	if got := s.balance(t, to); got != "400" {
		t.Errorf("payee has %s", got)
	}
}

// TestOperatorToken: the data folder's keys make one, whether a hub runs on it or not.
func TestOperatorToken(t *testing.T) {
	s := newHub(t)
	account, _ := s.account(t, "1000")
	text := ok(t, "token", "operator", "--data", s.dir, "--expires", "1h")["token"].(string)
	if got := ok(t, "account", "show", "--hub", s.url, "--token", text, account); got["balance_msat"] != json.Number("1000") {
		t.Errorf("the operator sees %v", got)
	}
	fails(t, exitData, "key-encryption key", "token", "operator", "--data", t.TempDir())
}

func TestTokens(t *testing.T) {
	s := newHub(t)
	account, file := s.account(t, "1000")
	reading := ok(t, "token", "restrict", "--token-file", file, "--scope", "read")["token"].(string)
	if got := ok(t, "account", "show", "--hub", s.url, "--token", reading); got["account"] != account {
		t.Errorf("show: %v", got)
	}
	fails(t, exitRefused, "scope_missing", "pay", "--hub", s.url, "--token", reading, "--to", "ah0h", "--amount-msat", "1")
	small := filepath.Join(t.TempDir(), "small")
	ok(t, "token", "create", "--hub", s.url, "--token-file", file, "--scope", "read,pay", "--max-msat", "10", "--expires", "1h", "--save-token", small)
	fails(t, exitRefused, "cap_exceeded", "pay", "--hub", s.url, "--token-file", small, "--to", "ah0h", "--amount-msat", "11")
	if info, err := os.Stat(small); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	fails(t, exitUsage, "exists already", "account", "create", "--hub", s.url, "--save-token", small)
	fails(t, exitUsage, "nothing to narrow", "token", "restrict", "--token-file", file)
	fails(t, exitUsage, "has no account", "account", "show", "--hub", s.url, "--token-file", s.operator)
}
