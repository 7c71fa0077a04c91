package channels

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestTold: an account is told words, never what is for the operator.
func TestTold(t *testing.T) {
	for _, c := range []struct {
		status Status
		reason string
		want   string
	}{
		{Done, "", ""},
		{Voided, "no_route", "no_route"},
		{Voided, "insufficient_funds", "insufficient_funds"},
		{Held, reasonFee, reasonFee},
		{Held, reasonCoins, toldDelayed},
		{Held, "batch_abandoned", toldDelayed},
		{Asked, "the books do not agree: 7 msat are missing", toldDelayed},
		{InTransit, "rpc error: code = Unavailable", toldDelayed},
		{Dropped, "the operator's rules do not allow it: 5 msat a day", toldStopped},
		{Voided, "op-0123: the payee says no", toldStopped},
		{Voided, "cancelled: a customer called", toldCancelled},
		{Dropped, "cancelled", toldCancelled},
		{Voided, "cancelled by mistake", toldStopped},
	} {
		p := Payout{Status: c.status, Reason: c.reason}
		if got := p.Told(); got != c.want {
			t.Errorf("%s, %q: told %q, want %q", c.status, c.reason, got, c.want)
		}
		if got := p.Item().Reason; got != c.want {
			t.Errorf("%s, %q: a wallet is told %q", c.status, c.reason, got)
		}
	}
	p := Payout{Status: Asked, Reason: "because of somebody", Cancelled: true}
	if p.Told() != toldCancelled {
		t.Errorf("taken back, and told %q", p.Told())
	}
}

// TestToldWallet: a wallet is not told of an operator's rule either, when what it orders is refused by one.
func TestToldWallet(t *testing.T) {
	const secret = "the books are 7 msat short"
	r := newRig(t, func(c *Config) { c.Gate = func(Payout) error { return fmt.Errorf("%w: %s", ErrNotAllowed, secret) } })
	from := r.account(100_000)
	text, _ := r.node.foreign(50_000, behaviour{})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := r.Teller().Pay(ctx, from, Order{Key: "a", Invoice: text, FeeLimit: 100})
	if !errors.Is(err, ErrNotAllowed) || strings.Contains(err.Error(), secret) {
		t.Errorf("%v", err)
	}
	list, _, err := r.Payouts(from, Page{})
	if err != nil || len(list) != 1 || !strings.Contains(list[0].Reason, secret) {
		t.Errorf("the operator does not see it: %+v, %v", list, err)
	}
}
