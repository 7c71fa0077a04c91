package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/ledger/tlog"
)

// TestReceiptVerbs: get a receipt and a proof from a hub, stop the hub, verify both.
func TestReceiptVerbs(t *testing.T) {
	s := newHub(t)
	payer, from := s.account(t, "100000")
	payee, to := s.account(t, "")
	paid := ok(t, "pay", "--hub", s.url, "--token-file", from, "--to", payee, "--amount-msat", "300")
	seq := paid["seq"].(json.Number).String()
	dir := t.TempDir()
	key, receipt, proof := filepath.Join(dir, "key"), filepath.Join(dir, "receipt"), filepath.Join(dir, "proof")
	shown := ok(t, "key", "log", "--hub", s.url, "-o", key)
	if saved, err := os.ReadFile(key); err != nil || strings.TrimSpace(string(saved)) != shown["log_key"] {
		t.Errorf("%q, %v, %v", saved, err, shown)
	}
	ok(t, "receipt", "get", seq, "--hub", s.url, "--token-file", to, "-o", receipt)
	ok(t, "receipt", "get", seq, "--hub", s.url, "--token-file", s.operator, "--account", payer, "-o", receipt, "--force")
	fails(t, exitUsage, "exists already", "receipt", "get", seq, "--hub", s.url, "--token-file", to, "-o", receipt)
	fails(t, exitUsage, "--account", "receipt", "get", seq, "--hub", s.url, "--token-file", s.operator, "-o", proof)
	fails(t, exitUsage, "not the seq", "receipt", "get", "x", "--hub", s.url, "--token-file", to)
	fails(t, exitRefused, "no entry of that seq", "receipt", "get", "999999", "--hub", s.url, "--token-file", to, "-o", proof)
	if made := ok(t, "liability", "make", "--hub", s.url, "--token-file", s.operator); made["total_msat"] != json.Number("100000") {
		t.Errorf("made %v", made)
	}
	fails(t, exitRefused, "operator", "liability", "make", "--hub", s.url, "--token-file", to)
	ok(t, "liability", "get", "--hub", s.url, "--token-file", to, "-o", proof)
	s.stop()

	got := ok(t, "receipt", "verify", receipt, "--key", "@"+key)
	legs, _ := json.Marshal(got["legs"])
	if got["seq"] != json.Number(seq) || got["id"] != paid["id"] || !strings.Contains(string(legs), payer) || !strings.Contains(string(legs), `"amount_msat":300`) {
		t.Errorf("receipt %v", got)
	}
	if got := ok(t, "liability", "verify", proof, "--key", shown["log_key"].(string)); got["account"] != payee || got["balance_msat"] != json.Number("300") {
		t.Errorf("proof %v", got)
	}
	if r := millrace(t, nil, nil, "receipt", "verify", receipt, "--key", "@"+key); r.code != 0 || !strings.Contains(r.out, "verified: entry "+seq) {
		t.Errorf("%+v", r)
	}
	_, other, err := tlog.NewSigner("127.0.0.1/log", [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	fails(t, exitFile, "not signed with the key", "receipt", "verify", receipt, "--key", other)
	fails(t, exitFile, "the first line is not", "receipt", "verify", proof, "--key", other)
	fails(t, exitFile, "not signed with the key", "liability", "verify", proof, "--key", other)
	fails(t, exitFile, "the first line is not", "liability", "verify", receipt, "--key", other)
	fails(t, exitUsage, "log key", "receipt", "verify", receipt, "--key", "x")
	fails(t, exitUsage, "no such file", "receipt", "verify", filepath.Join(dir, "none"), "--key", other)
	changed, err := os.ReadFile(receipt)
	if err != nil {
		t.Fatal(err)
	}
	changed[len(changed)/3] ^= 1
	fails(t, exitFile, "", "receipt", "verify", writeFile(t, filepath.Join(dir, "changed"), changed), "--key", "@"+key)
}
