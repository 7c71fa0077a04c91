package hub_test

import (
	"errors"
	"testing"
	"time"

	"github.com/millrace/millrace/channels/voucher"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
)

// signedChannel opens one with 5,000 msat.
func (r *rig) signedChannel(payer, payee ledger.AccountNo, key [32]byte) ledger.ChannelNo {
	r.t.Helper()
	op := ledger.Op{Kind: ledger.OpOpenTerms, Actor: payer, Target: uint32(payee), Amount: 5000, Version: uint32(time.Now().Unix()) + 3600, ID: newID()}
	b := &hub.Batch{Ops: []ledger.Op{op}, Detail: ledger.AppendChannelTerms(nil, &ledger.ChannelTerms{Mode: ledger.Signed, Key: key})}
	if err := r.Submit(b); err != nil || b.Out[0].Result() != ledger.Done {
		r.t.Fatal(b.Out, err)
	}
	return ledger.ChannelNo(b.Out[0].Object())
}

// TestVouchers: what is no signature of the payer is refused, whatever stands around it, and what is good is durable with it.
func TestVouchers(t *testing.T) {
	for _, verifies := range []bool{true, false} {
		var cfg hub.Config
		if verifies {
			cfg.Vouchers = voucher.Verifier{Origin: testOrigin}
		}
		r := newRig(t, setup{cfg: cfg})
		a, b := r.account(10_000), r.account(0)
		k := voucher.NewKey()
		no := r.signedChannel(a, b, k.Public())
		batch := &hub.Batch{}
		add := func(channel ledger.ChannelNo, total ledger.Msat, bend byte) {
			v, err := k.Sign(testOrigin, channel, total)
			if err != nil {
				t.Fatal(err)
			}
			v.Signature[7] ^= bend
			batch.Ops = append(batch.Ops, ledger.Op{Kind: ledger.OpVoucher, Actor: b, Target: uint32(channel), Amount: total})
			batch.Detail = append(batch.Detail, v.Signature[:]...)
		}
		add(no, 10, 0)
		add(no, 11, 4)
		batch.Ops = append(batch.Ops, transfer(a, b, 1))
		add(no+1, 5, 0)
		add(no, 20, 0)
		add(no, 5001, 0)
		want := []ledger.Result{ledger.Done, ledger.VoucherInvalid, ledger.Done, ledger.ChannelUnknown, ledger.Done, ledger.TotalAbove}
		if !verifies {
			want[0], want[4], want[5] = ledger.VoucherInvalid, ledger.VoucherInvalid, ledger.VoucherInvalid
		}
		if err := r.Submit(batch); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got := batch.Out[i].Result(); got != want[i] {
				t.Errorf("verifies %v, op %d: %v, want %v", verifies, i, got, want[i])
			}
		}
		if v, ok := r.Voucher(no); ok != verifies || ok && (v.Total != 20 || !voucher.Verify(testOrigin, &v)) {
			t.Errorf("verifies %v: kept %+v", verifies, v)
		}
		if r.VoucherKeyOK(k.Public()) != verifies || r.VoucherKeyOK([32]byte{}) {
			t.Error("VoucherKeyOK")
		}
		r.stop()
	}
}

// TestVoucherBounds: too many vouchers, or signatures that are not one for each, are an error of the batch, and nothing is done.
func TestVoucherBounds(t *testing.T) {
	r := newRig(t, setup{cfg: hub.Config{Vouchers: voucher.Verifier{Origin: testOrigin}}})
	a := r.account(10)
	vouchers := func(n, bytes int) *hub.Batch {
		b := &hub.Batch{Detail: make([]byte, bytes)}
		for range n {
			b.Ops = append(b.Ops, ledger.Op{Kind: ledger.OpVoucher, Actor: a, Target: 1, Amount: 1})
		}
		return b
	}
	for _, b := range []*hub.Batch{vouchers(hub.MaxBatchVouchers+1, (hub.MaxBatchVouchers+1)*ledger.SignatureSize), vouchers(2, ledger.SignatureSize), vouchers(1, 63), vouchers(1, 65)} {
		if err := r.Submit(b); err == nil || errors.Is(err, hub.ErrOverload) || errors.Is(err, hub.ErrUnknown) {
			t.Errorf("%d vouchers with %d bytes: %v", len(b.Ops), len(b.Detail), err)
		}
	}
	r.stop()
}
