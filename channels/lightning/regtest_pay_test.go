package lightning_test

import (
	"context"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lightning"
)

// TestRegtestPay: an invoice is paid once, however often it is asked to, and both sides' books say the same.
func TestRegtestPay(t *testing.T) {
	n := shared.Get(t)
	hub, publisher := open(t, n.Hub), open(t, n.Publisher)
	ctx := within(t)
	i := must(publisher.Invoice(ctx, channels.NewInvoice{Amount: 1_234_567, Memo: "for a book", Expiry: time.Hour}))(t)
	if i.Description != "for a book" || i.Amount != 1_234_567 || i.Payee != n.Publisher.Key() || i.Expires.Sub(i.Made) != time.Hour {
		t.Fatalf("%+v", i)
	}
	_, err := hub.Track(ctx, i.Hash)
	is(t, err, channels.ErrUnknownPayment)
	p := payment(t, hub, i.Text)
	if fee := must(hub.Quote(ctx, p))(t); fee != 0 {
		t.Errorf("a direct channel costs %d", fee)
	}
	before := must(hub.Assets(ctx))(t)
	var preimage channels.Hash
	for range 3 {
		a := must(hub.Pay(ctx, p))(t)
		if a.Stage != channels.Succeeded || a.Fee != 0 || preimage != (channels.Hash{}) && a.Preimage != preimage {
			t.Fatalf("%+v", a)
		}
		preimage = a.Preimage
	}
	if a := must(hub.Track(ctx, i.Hash))(t); a.Stage != channels.Succeeded || a.Preimage != preimage {
		t.Fatalf("%+v", a)
	}
	r, settled, err := publisher.Lookup(ctx, i.Hash)
	if err != nil || !settled || r.Amount != i.Amount || r.Preimage != preimage || r.Hash != i.Hash || r.Keysend {
		t.Fatalf("%+v, %v, %v", r, settled, err)
	}
	// Until both sides have signed that the payment is over, what it was counts as pending.
	eventually(t, "it is gone from what the hub has", func() bool {
		after := must(hub.Assets(ctx))(t)
		return before.Local+before.Pending-after.Local-after.Pending == i.Amount && after.Pending == before.Pending
	})
	is(t, publisher.Cancel(ctx, i.Hash), channels.ErrPaidBefore)
	if n := count(t, func(f func(channels.Sent) error) error { return hub.Payments(ctx, 0, f) }, func(s channels.Sent) bool {
		return s.Hash == i.Hash && s.Amount == i.Amount && s.Attempt.Stage == channels.Succeeded && s.Attempt.Preimage == preimage
	}); n != 1 {
		t.Errorf("in the hub's list %d times", n)
	}
	if n := count(t, func(f func(channels.Receipt) error) error { return publisher.Receipts(ctx, r.Index-1, f) }, func(got channels.Receipt) bool {
		return got.Hash == r.Hash && got.Amount == r.Amount && got.Index == r.Index
	}); n != 1 {
		t.Errorf("in the publisher's list %d times", n)
	}
}

func count[T any](t *testing.T, each func(func(T) error) error, is func(T) bool) (n int) {
	t.Helper()
	check(t, each(func(v T) error {
		if is(v) {
			n++
		}
		return nil
	}))
	return n
}

// TestRegtestHops: over the hub a payment costs what it was quoted, which its fee limit can forbid.
func TestRegtestHops(t *testing.T) {
	n := shared.Get(t)
	payer := open(t, n.Payer)
	ctx := within(t)
	p := payment(t, payer, must(n.Publisher.Invoice(ctx, 3_000_000, ""))(t))
	fee := must(payer.Quote(ctx, p))(t)
	if fee == 0 {
		t.Fatal("free")
	}
	p.FeeLimit = fee - 1
	if a := must(payer.Pay(ctx, p))(t); a.Stage != channels.Failed || a.Reason != "no_route" {
		t.Fatalf("%+v", a)
	}
	p.FeeLimit = fee
	if a := must(payer.Pay(ctx, p))(t); a.Stage != channels.Succeeded || a.Fee != fee {
		t.Fatalf("%+v; quoted %d", a, fee)
	}
	hub := open(t, n.Hub)
	eventually(t, "the hub has earned the fee", func() bool {
		f := must(hub.Forwards(ctx, time.Now().Add(-time.Hour), time.Now().Add(time.Hour)))(t)
		return f.Fees >= fee && f.Count > 0
	})
}

// TestRegtestKeysend: a payment without an invoice carries records, and its preimage makes it one.
func TestRegtestKeysend(t *testing.T) {
	n := shared.Get(t)
	payer, hub := open(t, n.Payer), open(t, n.Hub)
	ctx := within(t)
	preimage, hash := secret()
	p := channels.Payment{
		Hash: hash, Payee: n.Hub.Key(), Preimage: preimage, Amount: 5001, FeeLimit: 1000, Timeout: 30 * time.Second,
		Records: map[uint64][]byte{696969: []byte("account 7")},
	}
	got := make(chan channels.Receipt, 100)
	follow, stop := context.WithCancel(ctx)
	done := make(chan error)
	go func() {
		done <- hub.Settled(follow, 0, func(r channels.Receipt) error {
			if r.Hash == hash {
				got <- r
			}
			return nil
		})
	}()
	for range 2 {
		if a := must(payer.Pay(ctx, p))(t); a.Stage != channels.Succeeded || a.Preimage != preimage {
			t.Fatalf("%+v", a)
		}
	}
	r := <-got
	if !r.Keysend || r.Amount != 5001 || string(r.Records[696969]) != "account 7" || r.Records[5482373484] != nil || r.Preimage != preimage {
		t.Errorf("%+v", r)
	}
	stop()
	is(t, <-done, context.Canceled)
	if len(got) > 0 {
		t.Error("told twice")
	}
}

// TestRegtestRefused: what cannot be paid is told apart from what may be on its way.
func TestRegtestRefused(t *testing.T) {
	n := shared.Get(t)
	hub, publisher := open(t, n.Hub), open(t, n.Publisher)
	ctx := within(t)

	cancelled := must(publisher.Invoice(ctx, channels.NewInvoice{Amount: 1000, Expiry: time.Hour}))(t)
	check(t, publisher.Cancel(ctx, cancelled.Hash))
	check(t, publisher.Cancel(ctx, cancelled.Hash))
	if a := must(hub.Pay(ctx, payment(t, hub, cancelled.Text)))(t); a.Stage != channels.Failed || a.Reason != "incorrect_details" {
		t.Errorf("cancelled: %+v", a)
	}

	expired := must(publisher.Invoice(ctx, channels.NewInvoice{Amount: 1000, Expiry: time.Second}))(t)
	time.Sleep(time.Until(expired.Expires.Add(time.Second)))
	_, err := hub.Pay(ctx, payment(t, hub, expired.Text))
	is(t, err, channels.ErrRefused)
	contains(t, err.Error(), "expired")
	_, err = hub.Track(ctx, expired.Hash)
	is(t, err, channels.ErrUnknownPayment)

	open := must(publisher.Invoice(ctx, channels.NewInvoice{Expiry: time.Hour}))(t)
	p := payment(t, hub, open.Text)
	_, err = hub.Pay(ctx, p)
	is(t, err, channels.ErrRefused)
	p.Amount = 7777
	if a := must(hub.Pay(ctx, p))(t); a.Stage != channels.Succeeded {
		t.Errorf("open amount: %+v", a)
	}
	if r, settled, err := publisher.Lookup(ctx, open.Hash); err != nil || !settled || r.Amount != 7777 {
		t.Errorf("%+v, %v, %v", r, settled, err)
	}

	much := payment(t, hub, must(n.Publisher.Invoice(ctx, 600_000_000_000, ""))(t))
	if a := must(hub.Pay(ctx, much))(t); a.Stage != channels.Failed || a.Reason != "insufficient_balance" {
		t.Errorf("more than there is: %+v", a)
	}
	_, err = hub.Quote(ctx, much)
	is(t, err, channels.ErrNoRoute)

	preimage, hash := secret()
	nobody := channels.Payment{Hash: hash, Preimage: preimage, Amount: 1000, Timeout: 10 * time.Second,
		Payee: "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"}
	if a := must(hub.Pay(ctx, nobody))(t); a.Stage != channels.Failed || a.Reason != "no_route" {
		t.Errorf("nobody: %+v", a)
	}
	own := payment(t, hub, must(n.Hub.Invoice(ctx, 1000, ""))(t))
	_, err = hub.Pay(ctx, own)
	is(t, err, channels.ErrRefused)

	_, unknown := secret()
	_, _, err = hub.Lookup(ctx, unknown)
	is(t, err, channels.ErrUnknownPayment)
	is(t, hub.Cancel(ctx, unknown), channels.ErrUnknownPayment)
}

// TestRegtestWrongNode: nothing is asked of a node that is not the one of the books.
func TestRegtestWrongNode(t *testing.T) {
	n := shared.Get(t)
	ctx := within(t)
	other := open(t, n.Hub, func(c *lightning.Config) { c.Network = "regtest" })
	_, err := other.Address(ctx)
	is(t, err, channels.ErrNode)
	if i := must(other.Info(ctx))(t); i.Network != "simnet" {
		t.Errorf("%+v", i)
	}
	foreign := open(t, n.Hub, func(c *lightning.Config) { c.Node = n.Publisher.Key() })
	_, hash := secret()
	_, err = foreign.Track(ctx, hash)
	is(t, err, channels.ErrNode)
	i := must(n.Hub.Invoice(ctx, 1000, ""))(t)
	_, err = other.Decode(i)
	is(t, err, channels.ErrNetwork)
	rights := open(t, n.Hub, func(c *lightning.Config) { c.Macaroon = "nowhere" })
	_, err = rights.Info(ctx)
	is(t, err, channels.ErrDown)
	rights = open(t, n.Hub, func(c *lightning.Config) { c.Macaroon = n.Payer.MacaroonFile() })
	_, err = rights.Info(ctx)
	is(t, err, channels.ErrDown)
	rights = open(t, n.Hub, func(c *lightning.Config) { c.Certificate = n.Payer.CertFile() })
	_, err = rights.Info(ctx)
	is(t, err, channels.ErrDown)
}
