package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHistoryVerbs: history, statement, events and account show --at, as a person and as a program.
func TestHistoryVerbs(t *testing.T) {
	s := newHub(t)
	payer, from := s.account(t, "100000")
	payee, to := s.account(t, "")
	as := func(file string, args ...string) []string { return append(args, "--hub", s.url, "--token-file", file) }
	for range 3 {
		ok(t, as(from, "pay", "--to", payee, "--amount-msat", "10")...)
	}
	channel := ok(t, as(from, "channel", "open", "--to", payee, "--amount-msat", "500", "--expires", "1h")...)["channel"].(string)
	ok(t, as(from, "channel", "advance", channel, "--total-msat", "20")...)

	page := ok(t, as(from, "history", "--limit", "2")...)
	entries := page["entries"].([]any)
	if len(entries) != 2 || entries[0].(map[string]any)["kind"] != "advance" || entries[1].(map[string]any)["object"] != channel {
		t.Errorf("history: %v", page)
	}
	rest := ok(t, as(from, "history", "--cursor", page["next"].(string))...)
	if len(rest["entries"].([]any)) != 5 || rest["next"] != nil {
		t.Errorf("the rest: %v", rest)
	}
	r := millrace(t, nil, nil, as(from, "history", "--oldest", "--limit", "3", "--since", "1h")...)
	if lines := strings.Split(strings.TrimSpace(r.out), "\n"); r.code != 0 || len(lines) != 3 || !strings.Contains(lines[2], " transfer ") ||
		!strings.HasSuffix(lines[2], payee+" -10 msat, balance 99990, held 0") || !strings.Contains(r.err, "--cursor ") {
		t.Errorf("oldest: %+v", r)
	}
	r = millrace(t, nil, nil, as(to, "history", channel)...)
	if lines := strings.Split(r.out, "\n"); r.code != 0 || len(lines) != 3 || !strings.HasSuffix(lines[0], channel+" - +20 msat, paid 20, left 480") {
		t.Errorf("channel: %+v", r)
	}
	fails(t, exitRefused, "foreign_account", as(to, "history", payer)...)
	fails(t, exitRefused, "malformed_query", as(from, "history", "--cursor", "x")...)
	fails(t, exitUsage, "--limit", as(from, "history", "--limit", "0")...)
	fails(t, exitUsage, "name one", as(s.operator, "history")...)

	if got := ok(t, as(from, "account", "show", "--at", "1h")...); got["balance_msat"] != json.Number("0") || got["seq"] != json.Number("0") {
		t.Errorf("an hour ago: %v", got)
	}
	if got := ok(t, as(from, "account", "show", "--at", "0s")...); got["balance_msat"] != json.Number("99470") || got["held_msat"] != json.Number("480") {
		t.Errorf("now: %v", got)
	}

	for _, verb := range [][]string{{"account", "show", "--at"}, {"history", "--since"}, {"history", "--until"}, {"statement", "--from"}} {
		fails(t, exitUsage, "after 1970", as(from, append(verb, "1000000h")...)...)
	}
	var at pastFlag
	if err := at.Set("0s"); err != nil || !at.bound().IsZero() || at.IsZero() {
		t.Errorf("no time ago is %v for the hub, %v", at.bound(), err)
	}
	if err := at.Set("1ns"); err != nil || at.bound().IsZero() {
		t.Errorf("some time ago is %v for the hub, %v", at.bound(), err)
	}

	out := filepath.Join(t.TempDir(), "statement")
	if got := ok(t, as(from, "statement", "--format", "json", "-o", out)...); got["format"] != "json" {
		t.Errorf("statement: %v", got)
	}
	text, err := os.ReadFile(out)
	if got := object(t, string(text)); err != nil || got["count"] != json.Number("7") {
		t.Errorf("%v, %s", err, text)
	}
	r = millrace(t, nil, nil, as(from, "statement", channel, "--format", "hledger", "--from", "1h")...)
	if r.code != 0 || !strings.Contains(r.out, "advance") {
		t.Errorf("hledger: %+v", r)
	}
	fails(t, exitUsage, "exists already", as(from, "statement", "-o", out)...)
	fails(t, exitUsage, "--format", as(from, "statement", "--format", "pdf")...)
	fails(t, exitRefused, "malformed_query", as(from, "statement", "--from", "1h", "--until", "2h", "-o", out+"2")...)
	onlyIn(t, filepath.Dir(out), "statement")

	r = millrace(t, nil, nil, as(to, "events", "--after", "0", "--count", "4", "--json")...)
	if lines := strings.Split(strings.TrimSpace(r.out), "\n"); r.code != 0 || len(lines) != 4 || object(t, lines[3])["balance_msat"] != json.Number("30") {
		t.Errorf("events: %+v", r)
	}
	r = millrace(t, nil, nil, as(s.operator, "events", "--after", "0", "--count", "8")...)
	if r.code != 0 || strings.Count(r.out, `"legs":[`) != 8 {
		t.Errorf("all events: %+v", r)
	}
	fails(t, exitRefused, "malformed_query", as(to, "events", "--after", "999")...)
	fails(t, exitUnreachable, "cannot be reached", "events", "--hub", "http://127.0.0.1:1", "--token-file", to)
}

// TestWebhookVerbs: the life of a webhook.
func TestWebhookVerbs(t *testing.T) {
	s := newHub(t)
	_, from := s.account(t, "1000")
	payee, to := s.account(t, "")
	bodies := make(chan string, 64)
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		bodies <- string(body)
		w.WriteHeader(http.StatusGone)
	}))
	defer sink.Close()
	as := func(args ...string) []string { return append(args, "--hub", s.url, "--token-file", to) }
	made := ok(t, as("webhook", "add", sink.URL)...)
	id, secret := made["webhook"].(string), made["secret"].(string)
	ok(t, "pay", "--hub", s.url, "--token-file", from, "--to", payee, "--amount-msat", "5")
	select {
	case body := <-bodies:
		if !strings.Contains(body, `"change_msat":5`) {
			t.Errorf("delivered %s", body)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was delivered")
	}
	var r result
	for until := time.Now().Add(20 * time.Second); !strings.Contains(r.out, "DISABLED"); time.Sleep(5 * time.Millisecond) {
		if r = millrace(t, nil, nil, as("webhook", "list")...); r.code != 0 || time.Now().After(until) {
			t.Fatalf("list: %+v", r)
		}
	}
	parked := ok(t, as("webhook", "parked", id)...)["parked"].([]any)
	if len(parked) != 1 || parked[0].(map[string]any)["error"] != "answered 410" {
		t.Errorf("parked: %v", parked)
	}
	delivery := parked[0].(map[string]any)["delivery"].(string)
	ok(t, as("webhook", "replay", id, "--delivery", delivery)...)
	ok(t, as("webhook", "replay", id, "--after", "0")...)
	if got := ok(t, as("webhook", "rotate", id)...); got["secret"] == secret {
		t.Errorf("rotate: %v", got)
	}
	if got := ok(t, "webhook", "list", "--hub", s.url, "--token-file", s.operator, "--account", payee); len(got["webhooks"].([]any)) != 1 {
		t.Errorf("the operator sees %v", got)
	}
	if got := ok(t, "webhook", "list", "--hub", s.url, "--token-file", s.operator); len(got["webhooks"].([]any)) != 0 {
		t.Errorf("the operator has %v", got)
	}
	fails(t, exitUsage, "give one", as("webhook", "replay", id, "--after", "0", "--delivery", delivery)...)
	fails(t, exitUsage, "not a webhook", as("webhook", "remove", "../x")...)
	fails(t, exitRefused, "url_refused", as("webhook", "add", "gopher://x")...)
	ok(t, as("webhook", "remove", id)...)
	fails(t, exitRefused, "webhook_unknown", as("webhook", "parked", id)...)
	if r := s.stop(); r.code != 0 || strings.Contains(r.err, secret) || strings.Contains(r.out, secret) {
		t.Errorf("the hub: %+v", r)
	}
	if info, err := os.Stat(filepath.Join(s.dir, "webhooks.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
