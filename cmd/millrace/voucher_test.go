package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSignedChannelVerbs: a payer opens a signed channel and signs offline, the payee redeems and closes.
func TestSignedChannelVerbs(t *testing.T) {
	s := newHub(t)
	_, from := s.account(t, "100000")
	payee, to := s.account(t, "")
	as := func(file string, args ...string) []string { return append(args, "--hub", s.url, "--token-file", file) }
	key := filepath.Join(t.TempDir(), "channel.key")
	opened := ok(t, as(from, "channel", "open", "--to", payee, "--amount-msat", "5000", "--expires", "1h", "--signed", key, "--per-minute", "4000")...)
	channel := opened["channel"].(string)
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info.Mode(), err)
	}

	sign := func(total string, more ...string) string {
		t.Helper()
		r := millrace(t, nil, nil, append([]string{"channel", "voucher", channel, "--key", key, "--total-msat", total}, more...)...)
		if r.code != 0 || strings.Count(r.out, "\n") != 1 {
			t.Fatalf("voucher: %+v", r)
		}
		return r.out
	}
	first := sign("1000", "--hub", s.url)
	r := millrace(t, nil, strings.NewReader(first), as(to, "channel", "redeem", "-")...)
	if r.code != 0 || r.out != "applied: paid 1000 msat, in all 1000\n" {
		t.Errorf("redeem: %+v", r)
	}
	file := filepath.Join(t.TempDir(), "voucher.json")
	if err := os.WriteFile(file, []byte(sign("3000", "--hub", s.url, "--json")), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ok(t, as(to, "channel", "redeem", file)...); got["result"] != "applied" || got["paid_msat"] != json.Number("2000") {
		t.Errorf("redeem: %v", got)
	}
	fails(t, exitRefused, "wrong_mode", as(from, "channel", "advance", channel, "--total-msat", "3500")...)
	fails(t, exitRefused, "wrong_mode", as(from, "channel", "close", channel)...)
	for what, bad := range map[string]string{
		"total_below": first, "voucher_invalid": sign("3500", "--hub", "https://else.example"),
		"rate_exceeded": sign("4001", "--hub", s.url), "total_above": sign("5001", "--hub", s.url), "voucher": "{}",
	} {
		r := millrace(t, nil, strings.NewReader(bad), as(to, "channel", "redeem", "-")...)
		if r.code == 0 || !strings.Contains(r.err, what) {
			t.Errorf("%s: %+v", what, r)
		}
	}
	shown := ok(t, as(to, "channel", "show", channel)...)
	if v := shown["voucher"].(map[string]any); shown["mode"] != "signed" || v["total_msat"] != json.Number("3000") || shown["per_minute_msat"] != json.Number("4000") {
		t.Errorf("show: %v", shown)
	}
	if r := millrace(t, nil, nil, as(from, "channel", "show", channel)...); r.code != 0 || !strings.Contains(r.out, "signed by "+shown["key"].(string)) || !strings.Contains(r.out, "4000 msat a minute") {
		t.Errorf("show: %+v", r)
	}
	if got := ok(t, as(from, "channel", "renew", channel, "--expires", "2h")...); got["result"] != "applied" {
		t.Errorf("renew: %v", got)
	}
	if got := ok(t, as(to, "channel", "close", channel)...); got["refunded_msat"] != json.Number("2000") {
		t.Errorf("close: %v", got)
	}
}

// TestPayeeAdvancesVerbs: on the payee's word; and what does not go together, or is no key, is usage.
func TestPayeeAdvancesVerbs(t *testing.T) {
	s := newHub(t)
	_, from := s.account(t, "100000")
	payee, to := s.account(t, "")
	as := func(file string, args ...string) []string { return append(args, "--hub", s.url, "--token-file", file) }
	open := func(more ...string) []string {
		return as(from, append([]string{"channel", "open", "--to", payee, "--amount-msat", "500", "--expires", "1h"}, more...)...)
	}
	channel := ok(t, open("--payee-advances")...)["channel"].(string)
	if got := ok(t, as(to, "channel", "advance", channel, "--total-msat", "20")...); got["paid_msat"] != json.Number("20") {
		t.Errorf("advance: %v", got)
	}
	bad := filepath.Join(t.TempDir(), "bad.key")
	if err := os.WriteFile(bad, []byte(strings.Repeat("0", 64)), 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, exitUsage, "not a key", open("--signed", bad)...)
	fails(t, exitUsage, "signed", open("--signed", bad, "--payee-advances")...)
	fails(t, exitUsage, "origin", "channel", "voucher", channel, "--key", bad, "--total-msat", "5", "--hub", "https://hub.example/path")
	fails(t, exitUsage, "key file", "channel", "voucher", channel, "--key", bad+"2", "--total-msat", "5", "--hub", "https://hub.example")
}
