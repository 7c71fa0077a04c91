package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/deploy/regtest/networktest"
)

// TestRegtestConnection has an application use an account by Nostr Wallet Connect: it is paid, pays within its budget, is told of both, and
// is sent away. The hub is killed in between: what was asked before is answered again, and paid once.
func TestRegtestConnection(t *testing.T) {
	n := networktest.Start(t)
	relay := newNostrRelay(t)
	dir := filepath.Join(t.TempDir(), "data")
	ok(t, "init", "--data", dir)
	flags := append(connected(n), "--nwc-relays", relay.url)
	hub, cmd := process(t, dir, flags...)
	up := time.Now()
	m := &money{served: served{url: hub, dir: dir, operator: filepath.Join(dir, "operator.token")}, n: n}
	account, holder := m.account(t, "")
	as := func(args ...string) []string { return append(args, "--hub", hub, "--token-file", holder) }

	const got, paid, budget = 50_000_000, 5_000_000, 20_000_000
	made := ok(t, as("connection", "create", "--name", "podcasts", "--budget-msat", "20000000", "--renewal", "daily", "--notifications")...)
	reader := ok(t, as("connection", "create", "--method", "get_balance")...)
	a := newApplication(t, relay, made["uri"].(string))
	only := newApplication(t, relay, reader["uri"].(string))
	if info, code := a.call("get_info", nil); code != "" || info.Result.Pubkey != n.Hub.Key() {
		t.Errorf("%+v", info)
	}
	bill, code := a.call("make_invoice", map[string]any{"amount": got, "description": "a song"})
	if code != "" || bill.Result.Invoice == "" {
		t.Fatalf("%+v", bill)
	}
	if _, err := n.Payer.Pay(t.Context(), bill.Result.Invoice, 0); err != nil {
		t.Fatal(err)
	}
	a.notified("payment_received", got)
	if found, code := a.call("lookup_invoice", map[string]any{"payment_hash": bill.Result.Hash}); code != "" || found.Result.State != "settled" {
		t.Errorf("%+v", found)
	}
	if has, code := only.call("get_balance", nil); code != "" || has.Result.Balance != got {
		t.Errorf("%+v", has)
	}
	if refused, code := only.call("make_invoice", map[string]any{"amount": got}); code != "RESTRICTED" {
		t.Errorf("%+v", refused)
	}

	invoice := func(msat int64) map[string]any {
		text, err := n.Publisher.Invoice(t.Context(), msat, "")
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{"invoice": text}
	}
	time.Sleep(time.Until(up.Add(time.Second))) // a payment that is asked for within a service's first second could be meant for one before
	e := a.ask("pay_invoice", invoice(paid))
	until(t, "the payment is answered", func() bool { return len(a.answers(e)) > 0 })
	first := a.answers(e)[0]
	if preimage, err := hex.DecodeString(first.Result.Preimage); err != nil || first.Error != nil || len(preimage) != sha256.Size {
		t.Fatalf("%+v, %v", first, err)
	}
	a.notified("payment_sent", paid)
	if refused, code := a.call("pay_invoice", invoice(budget-paid+1000)); code != "QUOTA_EXCEEDED" {
		t.Errorf("%+v", refused)
	}
	left := got - paid - first.Result.Fees

	// A new process takes the connections up, and knows what it has paid.
	if err := errors.Join(cmd.Process.Kill(), cmd.Wait()); !strings.Contains(err.Error(), "killed") {
		t.Fatal(err)
	}
	hub, _ = process(t, dir, flags...)
	until(t, "the payment is answered again", func() bool { return len(a.answers(e)) > 1 })
	for _, again := range a.answers(e) {
		if again.Error != nil || again.Result != first.Result {
			t.Errorf("%+v: want %+v", again, first)
		}
	}
	if has, code := a.call("get_balance", nil); code != "" || has.Result.Balance != left {
		t.Errorf("%+v: want %d", has, left)
	}
	list := ok(t, as("connection", "list")...)["connections"].([]any)
	if mine := list[0].(map[string]any); len(list) != 2 || mine["connection"] != made["connection"] || mine["account"] != account || mine["uri"] != nil ||
		mine["spent_msat"] != json.Number(fmt.Sprint(paid+first.Result.Fees)) || mine["reserved_msat"] != json.Number("0") {
		t.Errorf("%v", list)
	}

	ok(t, as("connection", "end", made["connection"].(string))...)
	until(t, "the hub asks the relay for it no more", func() bool { return !relay.knows(a.hub) && relay.knows(only.hub) })
	if has, code := only.call("get_balance", nil); code != "" || has.Result.Balance != left {
		t.Errorf("%+v", has)
	}
	fails(t, exitRefused, "connection_unknown", as("connection", "end", made["connection"].(string))...)
	resp, err := http.Get(hub + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(text), "\nmillrace_nwc_connections 1\n") {
		t.Errorf("metrics of the connections: %v", err)
	}
}
