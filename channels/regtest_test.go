package channels_test

import (
	"errors"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/deploy/regtest/network"
	"github.com/millrace/millrace/deploy/regtest/networktest"
	"github.com/millrace/millrace/ledger"
)

// Each test has a network of its own: a hub takes what its node was paid within a minute before it was made for its own, and so would have
// the deposits of the test before.

// TestRegtestLightning: money comes in over Lightning and on-chain, and goes out over Lightning, to the msat.
func TestRegtestLightning(t *testing.T) {
	r := newReal(t, networktest.Start(t), nil)
	before, err := r.lightning.Assets(r.ctx)
	r.must(err)
	reader, other := r.newAccount(), r.newAccount()
	r.deposit(reader, 10_000_123)
	if got := r.has(reader); got != 10_000_123 {
		t.Fatalf("credited %d", got)
	}
	q, err := r.Quote(r.ctx, r.request(reader, r.bill(3_000_001), 0, 0))
	r.must(err)
	if q.Rail != channels.Lightning || q.Amount != 3_000_001 || q.Fee != 0 {
		t.Errorf("%+v", q)
	}
	request := r.request(reader, r.bill(3_000_001), 0, 1000)
	if p := r.pay(request); p.Status != channels.Done || p.Proof == (channels.Hash{}) {
		t.Fatalf("%s, %s", p.Status, p.Reason)
	}
	if p := r.pay(request); p.Status != channels.Done {
		t.Errorf("again: %s", p.Status)
	}
	if p := r.pay(r.request(reader, r.net.Publisher.Key(), 2_000_000, 1000)); p.Status != channels.Done {
		t.Errorf("a keysend: %s, %s", p.Status, p.Reason)
	}
	if p := r.pay(r.request(reader, other.String(), 1_000_000, 0)); p.Status != channels.Done || p.Rail != channels.Internal {
		t.Errorf("inside: %s, %s", p.Status, p.Reason)
	}
	mine, err := r.NewInvoice(r.ctx, other, channels.NewInvoice{Amount: 500_000})
	r.must(err)
	p := r.pay(r.request(reader, mine.Invoice, 0, 0))
	if p.Status != channels.Done || p.Rail != channels.Internal || p.Proof == (channels.Hash{}) {
		t.Errorf("an invoice of our own: %s, %s", p.Status, p.Reason)
	}
	if _, err := r.net.Payer.Pay(r.ctx, mine.Invoice, 0); err == nil {
		t.Error("an invoice that was paid inside can be paid again")
	}
	_, err = r.net.Payer.Keysend(r.ctx, r.net.Hub.Key(), [32]byte{1, byte(time.Now().UnixNano())}, 77_777, map[uint64][]byte{696969: []byte(other.String())})
	r.must(err)
	r.eventually("a keysend is credited", func() bool { return r.has(other) == 1_577_777 })
	if got := r.has(reader); got != 10_000_123-3_000_001-2_000_000-1_500_000 {
		t.Errorf("%d left", got)
	}
	r.eventually("the node has gained what the ledger says", func() bool {
		after, err := r.lightning.Assets(r.ctx)
		r.must(err)
		return int64(after.Local+after.Pending)-int64(before.Local+before.Pending) == r.outside(ledger.Lightning)
	})
}

// TestRegtestRefused: what Lightning cannot do ends with the money back.
func TestRegtestRefused(t *testing.T) {
	r := newReal(t, networktest.Start(t), nil)
	reader := r.newAccount()
	r.depositCoin(reader, 1_000_000_000)
	all := r.has(reader)
	back := func(what string, p channels.Payout, reason string) {
		t.Helper()
		if p.Status != channels.Voided || p.Reason != reason {
			t.Errorf("%s: %s, %q; want %q", what, p.Status, p.Reason, reason)
		}
		if got := r.has(reader); got != all {
			t.Fatalf("%s: %d left of %d", what, got, all)
		}
	}
	back("above the channel", r.pay(r.request(reader, r.bill(700_000_000_000), 0, 1000)), "insufficient_balance")

	cancelled := r.bill(1000)
	inv, err := r.lightning.Decode(cancelled)
	r.must(err)
	r.must(r.net.Publisher.Cancel(r.ctx, inv.Hash))
	back("cancelled", r.pay(r.request(reader, cancelled, 0, 1000)), "incorrect_details")

	elsewhere := r.bill(1000)
	_, err = r.net.Payer.Pay(r.ctx, elsewhere, 0)
	r.must(err)
	back("paid by somebody else", r.pay(r.request(reader, elsewhere, 0, 1000)), "incorrect_details")

	soon, err := r.net.Publisher.RPC().AddInvoice(r.ctx, &lnrpc.Invoice{ValueMsat: 1000, Expiry: 1})
	r.must(err)
	r.eventually("it has expired", func() bool {
		_, err := r.Withdraw(r.ctx, r.request(reader, soon.PaymentRequest, 0, 1_000_000_000_000)) // more than there is, until then
		return errors.Is(err, channels.ErrExpired)
	})

	far, err := r.net.Add(r.ctx, "far")
	r.must(err)
	nowhere, err := far.Invoice(r.ctx, 1000, "")
	r.must(err)
	back("no route", r.pay(r.request(reader, nowhere, 0, 1000)), "no_route")
	r.must(far.Stop())

	if _, err := r.Withdraw(r.ctx, r.request(reader, "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh", 0, 0)); !errors.Is(err, channels.ErrNetwork) {
		t.Errorf("another network: %v", err)
	}
	if _, err := r.Withdraw(r.ctx, r.request(reader, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", 1_000_000, 1_000_000_000)); !errors.Is(err, channels.ErrNetwork) {
		t.Errorf("another network's address: %v", err)
	}

	late := r.request(reader, r.bill(1000), 0, 1000)
	r.must(r.net.Publisher.Stop())
	back("offline", r.pay(late), "no_route")
	r.must(r.net.Publisher.Start(r.ctx))
	r.must(r.net.Ready(r.ctx))
	late.ID[15]++
	if p := r.pay(late); p.Status != channels.Done {
		t.Errorf("the same invoice when the payee is back: %s, %s", p.Status, p.Reason)
	}
}

// depositCoin pays an account's address out of what was mined, and mines until that is credited.
func (r *real) depositCoin(no ledger.AccountNo, sat int64) channels.Ref {
	r.t.Helper()
	address, err := r.NewAddress(r.ctx, no)
	r.must(err)
	ref := r.coinTo(address, sat)
	r.eventually("the deposit is pending", func() bool {
		d, err := r.Deposit(no, ref)
		return err == nil && d.Status == channels.DepositPending
	})
	r.mine(3)
	r.credited(no, ref)
	return ref
}

// coinTo pays an address out of what was mined.
func (r *real) coinTo(address string, sat int64) channels.Ref {
	r.t.Helper()
	tx, err := r.net.Chain.Send(r.ctx, network.Payment{Address: address, Amount: sat})
	r.must(err)
	ref := channels.Ref{Hash: channels.Hash(tx.TxHash())}
	for i, out := range tx.TxOut {
		if out.Value == sat {
			ref.Output = uint32(i)
		}
	}
	return ref
}
