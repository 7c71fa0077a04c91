package lightning_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lightning"
	"github.com/millrace/millrace/deploy/regtest/network"
	"github.com/millrace/millrace/deploy/regtest/networktest"
)

var shared networktest.Shared

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

// patience bounds every wait: more than any of them takes on a busy machine.
const patience = 2 * time.Minute

// open connects to a node with a macaroon of exactly the documented rights.
func open(t *testing.T, l *network.Lightning, change ...func(*lightning.Config)) *lightning.Client {
	t.Helper()
	cfg := lightning.Config{
		Address: l.Address(), Certificate: l.CertFile(), Macaroon: bake(t, l), Network: "simnet", Node: l.Key(), Timeout: time.Minute,
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := lightning.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func bake(t *testing.T, l *network.Lightning) (path string) {
	t.Helper()
	var rights []*lnrpc.MacaroonPermission
	for _, p := range lightning.Permissions() {
		rights = append(rights, &lnrpc.MacaroonPermission{Entity: "uri", Action: p})
	}
	m, err := l.RPC().BakeMacaroon(within(t), &lnrpc.BakeMacaroonRequest{Permissions: rights})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "millrace.macaroon")
	if err := os.WriteFile(path, unhex(t, m.Macaroon), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// must returns a value, or ends the test.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%v; want %v", err, want)
	}
}

// secret is a preimage and its hash.
func secret() (preimage, hash channels.Hash) {
	rand.Read(preimage[:])
	return preimage, sha256.Sum256(preimage[:])
}

// invoice is what pays one of a node's invoices.
func payment(t *testing.T, c *lightning.Client, invoice string) channels.Payment {
	t.Helper()
	i := must(c.Decode(invoice))(t)
	return channels.Payment{Hash: i.Hash, Invoice: invoice, FeeLimit: 10_000, Timeout: 30 * time.Second}
}

// script is what an address stands for.
func script(t *testing.T, address string) []byte {
	t.Helper()
	a := must(btcutil.DecodeAddress(address, &chaincfg.SimNetParams))(t)
	return must(txscript.PayToAddrScript(a))(t)
}

// restart ends a node in some way and starts it anew, until all pay each other again.
func restart(t *testing.T, n *network.Network, l *network.Lightning, end func() error) {
	t.Helper()
	check(t, end())
	check(t, l.Start(within(t)))
	check(t, n.Ready(within(t)))
}

func contains(t *testing.T, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%q is not in %q", part, text)
	}
}

func isDown(err error) bool { return errors.Is(err, channels.ErrDown) }
