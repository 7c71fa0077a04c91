package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/deploy/regtest/networktest"
)

// TestRegtestRestore: a hub is backed up, pays out over Lightning and on-chain, is killed, and restored from the backup. It starts paused: what
// comes in is credited once, and nothing is sent. Reconciliation names both payments; when the operator has decided and explained them the
// books agree, and what he resumes sends none of it again.
func TestRegtestRestore(t *testing.T) {
	n := networktest.Start(t)
	base := t.TempDir()
	dir, place, back := filepath.Join(base, "data"), filepath.Join(base, "backups"), filepath.Join(base, "back")
	ok(t, "init", "--data", dir)
	flags := append(connected(n), "--batch-every", "1h")
	url, hub := process(t, dir, flags...)
	m := &money{served: served{url: url, dir: dir, operator: filepath.Join(dir, "operator.token")}, n: n}
	_, reader := m.account(t, "")
	operate := func(args ...string) map[string]any {
		t.Helper()
		return ok(t, append(args, "--hub", m.url, "--token-file", m.operator)...)
	}
	operate("reconcile", "run") // opens the books
	pay := func(d map[string]any) {
		t.Helper()
		if _, err := n.Payer.Pay(t.Context(), d["invoice"].(string), 0); err != nil {
			t.Fatal(err)
		}
	}
	deposit := func(amount string) map[string]any {
		t.Helper()
		return ok(t, "deposit", "invoice", "--hub", m.url, "--token-file", reader, "--amount-msat", amount)
	}
	pay(deposit("500000000"))
	until(t, "the deposit is credited", func() bool { return m.balance(t, reader) == "500000000" })
	late := deposit("7000")
	address, err := n.Publisher.NewAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	coin := ok(t, "withdraw", "--hub", m.url, "--token-file", reader, "--to", address, "--amount-msat", "150000000", "--max-fee-msat", "50000000")
	if coin["status"] != "held" {
		t.Fatal(coin)
	}
	until(t, "lnd's channel backup is kept", func() bool {
		files, err := filepath.Glob(filepath.Join(dir, channelsName, "*.backup"))
		return err == nil && len(files) > 0
	})
	made := operate("backup", "--data", dir, "--to", place, "--with-keys")
	if made["rails"] != true || made["lnd_channels"] != true {
		t.Errorf("%v", made)
	}

	text, err := n.Publisher.Invoice(t.Context(), 100_000_000, "after the backup")
	if err != nil {
		t.Fatal(err)
	}
	sent := ok(t, "withdraw", "--hub", m.url, "--token-file", reader, "--to", text)
	if sent["status"] != "done" {
		t.Fatal(sent)
	}
	operate("payouts", "flush")
	var txid string
	until(t, "the batch is published", func() bool {
		ids, err := n.Chain.Mempool(t.Context())
		if err == nil && len(ids) == 1 {
			txid = ids[0]
		}
		return txid != ""
	})
	batches := operate("payouts", "batches")["batches"].([]any)
	if len(batches) != 1 || batches[0].(map[string]any)["txids"].([]any)[0] != txid {
		t.Fatalf("%v, and in the mempool %s", batches, txid)
	}
	if err := hub.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = hub.Wait()
	m.mine(t, 3)
	pay(late) // while there is no hub

	ok(t, "restore", "--from", place, "--data", back)
	m.url, _ = process(t, back, flags...)
	m.dir, m.operator = back, filepath.Join(back, "operator.token")
	until(t, "what came meanwhile is credited", func() bool { return strings.HasPrefix(m.balance(t, reader), "300007") })
	operate("payouts", "flush")
	fails(t, exitRefused, "not_compared", "payouts", "resume", "--hub", m.url, "--token-file", m.operator)
	found := operate("reconcile", "run", "--full")
	kinds := fmt.Sprint(found["mismatches"])
	if !strings.Contains(kinds, sent["payment_hash"].(string)) || !strings.Contains(kinds, txid) || found["stopped"] == nil {
		t.Errorf("%v", found)
	}
	if got := ok(t, "withdraw", "--hub", m.url, "--token-file", reader, "--to", address, "--id", coin["id"].(string), "--amount-msat", "150000000", "--max-fee-msat", "50000000"); got["status"] != "held" {
		t.Errorf("%v", got)
	}
	no, err := identifyFile(reader)
	if err != nil {
		t.Fatal(err)
	}
	operate("payouts", "decide", no.String(), coin["id"].(string), "--paid", "--note", "transaction "+txid)
	until(t, "the ledger has let it go", func() bool { return operate("payouts", "list")["count"] == json.Number("0") })
	m.explain(t, found, sent["payment_hash"].(string), txid)
	m.explain(t, operate("reconcile", "run", "--full"), "", "")
	found = operate("reconcile", "run", "--full")
	if len(found["mismatches"].([]any)) != 0 || found["full"] != true {
		t.Errorf("explained: %v", found)
	}
	if p := operate("payouts", "resume", "--note", "explained"); p["paused"] != false {
		t.Errorf("%v", p)
	}
	again, err := n.Publisher.Invoice(t.Context(), 1_000_000, "resumed")
	if err != nil {
		t.Fatal(err)
	}
	if got := ok(t, "withdraw", "--hub", m.url, "--token-file", reader, "--to", again, "--wait", "1m"); got["status"] != "done" {
		t.Errorf("resumed: %v", got)
	}
	operate("payouts", "flush")
	m.mine(t, 1)
	if ids, err := n.Chain.Mempool(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("sent again: %v, %v", ids, err)
	}
	if left := operate("payouts", "list"); left["count"] != json.Number("0") {
		t.Errorf("%v", left)
	}
}

// explain writes down what a restored hub has no payout of: the hub bears the payment over Lightning, and the fee of the batch.
func (m *money) explain(t *testing.T, found map[string]any, hash, txid string) {
	t.Helper()
	adjust := func(id string, more ...string) {
		t.Helper()
		ok(t, append([]string{"reconcile", "adjust", id, "--reason", "paid after the backup", "--hub", m.url, "--token-file", m.operator}, more...)...)
	}
	for _, one := range found["mismatches"].([]any) {
		f := one.(map[string]any)
		amount := number(t, f["amount_msat"])
		switch f["subject"] {
		case hash:
			adjust("lightning", "--ref", hash, "--out-msat", fmt.Sprint(amount))
		case txid:
			adjust("coins", "--ref", txid, "--rail", "chain", "--out-msat", "150000000")
			adjust("fee", "--out-msat", fmt.Sprint(amount-150_000_000))
		default: // the payout that was decided about is in no batch
			if f["kind"] != "entry" || amount != 150_000_000 {
				t.Errorf("%v", f)
			}
			adjust("decided", "--ref", f["subject"].(string))
		}
	}
}
