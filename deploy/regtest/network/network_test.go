package network_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/millrace/millrace/deploy/regtest/network"
	"github.com/millrace/millrace/deploy/regtest/networktest"
)

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

var shared networktest.Shared

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestRegtestPay(t *testing.T) {
	n, ctx := shared.Get(t), within(t)
	pay(t, n.Payer, n.Publisher)
	pay(t, n.Publisher, n.Payer)
	pay(t, n.Payer, n.Hub)
	pay(t, n.Publisher, n.Hub)
	_ = ctx
}

func pay(t *testing.T, from, to *network.Lightning) network.Paid {
	t.Helper()
	ctx := within(t)
	invoice, err := to.Invoice(ctx, 1_000_000, "a test")
	if err != nil {
		t.Fatal(err)
	}
	paid, err := from.Pay(ctx, invoice, 0)
	if err != nil || paid.Amount != 1_000_000 {
		t.Fatalf("%s to %s: %+v, %v", from.Name, to.Name, paid, err)
	}
	return paid
}
