package ledger_test

import (
	"bytes"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// openWith opens a channel from alice to bob with 1,000 msat and terms.
func (s *scene) openWith(t ledger.ChannelTerms) ledger.ChannelNo {
	s.t.Helper()
	op := ledger.Op{Kind: ledger.OpOpenTerms, Actor: s.alice, Target: uint32(s.bob), Amount: 1000, Version: uint32(s.state.Now()/1000) + 3600}
	return ledger.ChannelNo(s.must(op, ledger.AppendChannelTerms(nil, &t)))
}

// expect has an op applied at a time, or refused.
func (s *scene) expect(now uint64, want ledger.Result, op ledger.Op, detail []byte) {
	s.t.Helper()
	if got := s.do(now, op, detail).Result(); got != want {
		s.t.Errorf("%v to %d at %d: %v, want %v", op.Kind, op.Amount, now-testTime, got, want)
	}
}

// TestTermsMalformed: terms that say nothing, or what cannot be, open nothing.
func TestTermsMalformed(t *testing.T) {
	s := newScene(t, ledger.DefaultParams())
	key := [32]byte{1}
	for _, terms := range []ledger.ChannelTerms{
		{}, {Key: key}, {Mode: ledger.PayerAdvances, PerMinute: 1, Key: key}, {Mode: ledger.PayeeAdvances, Key: key},
		{Mode: ledger.Signed}, {Mode: ledger.Signed + 1}, {Mode: ledger.Signed + 1, Key: key},
		{Mode: ledger.Signed, Key: key, PerMinute: ledger.MaxMsat + 1},
	} {
		op := ledger.Op{Kind: ledger.OpOpenTerms, Actor: s.alice, Target: uint32(s.bob), Amount: 1, Version: testTime/1000 + 60, ID: s.newID(s.state.Now())}
		s.expect(s.state.Now(), ledger.OpMalformed, op, ledger.AppendChannelTerms(nil, &terms))
	}
}

// TestTerms: what was agreed is what is read, of every channel among others, also after a restart.
func TestTerms(t *testing.T) {
	s := newScene(t, ledger.DefaultParams())
	want := map[ledger.ChannelNo]ledger.ChannelTerms{1: {}, 5: {Mode: ledger.Signed, Key: [32]byte{7}}, 6: {Mode: ledger.PayeeAdvances, PerMinute: 100}}
	for i := range 50 {
		terms := ledger.ChannelTerms{Mode: ledger.Signed, PerMinute: ledger.Msat(i), Key: [32]byte{1, byte(i)}}
		want[s.openWith(terms)] = terms
		no := s.must(ledger.Op{Kind: ledger.OpOpenChannel, Actor: s.alice, Target: uint32(s.bob), Amount: 1, Version: testTime/1000 + 60}, nil)
		want[ledger.ChannelNo(no)] = ledger.ChannelTerms{}
	}
	for range 2 {
		for no, terms := range want {
			if got, ok := s.state.ChannelTerms(no); !ok || got != terms {
				t.Errorf("channel %v: %+v, want %+v", no, got, terms)
			}
		}
		if _, ok := s.state.ChannelTerms(0); ok {
			t.Error("channel 0 has terms")
		}
		restart(t, s.workbench, ledger.Seed{3, 4})
	}
}

// TestRate: the limit holds in each minute of the ledger's clock by itself, in however many payments.
func TestRate(t *testing.T) {
	s := newScene(t, ledger.DefaultParams())
	no := s.openWith(ledger.ChannelTerms{Mode: ledger.PayeeAdvances, PerMinute: 100})
	to := func(total ledger.Msat) ledger.Op {
		return ledger.Op{Kind: ledger.OpAdvance, Actor: s.bob, Target: uint32(no), Amount: total}
	}
	minute := (s.state.Now()/60_000 + 1) * 60_000
	s.expect(minute, ledger.RateExceeded, to(101), nil)
	s.expect(minute, ledger.Done, to(40), nil)
	s.expect(minute+30_000, ledger.Done, to(100), nil)
	s.expect(minute+59_999, ledger.RateExceeded, to(101), nil)
	s.expect(minute+59_999, ledger.Repeated, to(100), nil)
	s.expect(minute+60_000, ledger.RateExceeded, to(201), nil)
	restart(t, s.workbench, ledger.Seed{3, 4})
	s.expect(minute+60_000, ledger.Done, to(200), nil)
	s.expect(minute+30_000, ledger.RateExceeded, to(201), nil) // the ledger's clock does not run backwards
	s.expect(minute+600_000, ledger.RateExceeded, to(301), nil)
	s.expect(minute+600_000, ledger.Done, to(300), nil)
}

// TestVoucherKept: the newest signature is kept, and closing pays exactly what it is for.
func TestVoucherKept(t *testing.T) {
	s := newScene(t, ledger.DefaultParams())
	no := s.openWith(ledger.ChannelTerms{Mode: ledger.Signed, Key: [32]byte{9}})
	if _, ok := s.state.Voucher(no); ok {
		t.Error("a voucher before the first")
	}
	before := balance(s.state, s.bob)
	show := func(total ledger.Msat, b byte) ledger.Op {
		return ledger.Op{Kind: ledger.OpVoucher, Actor: s.bob, Target: uint32(no), Amount: total}
	}
	for i, total := range []ledger.Msat{10, 300, 999} {
		s.expect(s.state.Now(), ledger.Done, show(total, byte(i+1)), signature(byte(i+1)))
		s.expect(s.state.Now(), ledger.Repeated, show(total, 77), signature(77))
		s.expect(s.state.Now(), ledger.TotalBelow, show(total-1, 78), signature(78))
		if i == 1 {
			restart(t, s.workbench, ledger.Seed{3, 4})
		}
		want := ledger.Voucher{Channel: no, Total: total, Key: [32]byte{9}, Signature: [64]byte(signature(byte(i + 1)))}
		if v, ok := s.state.Voucher(no); !ok || v != want {
			t.Errorf("kept %+v, want %+v", v, want)
		}
	}
	s.expect(s.state.Now(), ledger.WrongMode, ledger.Op{Kind: ledger.OpCloseChannel, Actor: s.alice, Target: uint32(no)}, nil)
	s.expect(s.state.Now(), ledger.Done, ledger.Op{Kind: ledger.OpCloseChannel, Actor: s.bob, Target: uint32(no)}, nil)
	if got := balance(s.state, s.bob) - before; got != 999 {
		t.Errorf("closing paid %d msat in all, want 999", got)
	}
	if v, ok := s.state.Voucher(no); !ok || v.Total != 999 {
		t.Error("the last voucher is gone with the channel")
	}
}

// TestSignedEnds: once the time is up, the payer may close, too, and the sweep gives him back what is left.
func TestSignedEnds(t *testing.T) {
	s := newScene(t, ledger.DefaultParams())
	first, second := s.openWith(ledger.ChannelTerms{Mode: ledger.Signed, Key: [32]byte{9}}), s.openWith(ledger.ChannelTerms{Mode: ledger.Signed, Key: [32]byte{9}})
	c, _ := s.state.Channel(first)
	over := uint64(c.Expiry) * 1000
	s.expect(over-1, ledger.WrongMode, ledger.Op{Kind: ledger.OpCloseChannel, Actor: s.alice, Target: uint32(first)}, nil)
	s.expect(over, ledger.ChannelExpired, ledger.Op{Kind: ledger.OpVoucher, Actor: s.bob, Target: uint32(first), Amount: 5}, signature(1))
	s.expect(over, ledger.Done, ledger.Op{Kind: ledger.OpCloseChannel, Actor: s.alice, Target: uint32(first)}, nil)
	s.expect(over, ledger.Repeated, ledger.Op{Kind: ledger.OpCloseChannel, Actor: s.alice, Target: uint32(first)}, nil)
	s.expect(over, ledger.Done, ledger.Op{Kind: ledger.OpExpireChannel, Target: uint32(second)}, nil)
	if err := s.state.Audit(); err != nil {
		t.Error(err)
	}
}

// TestCheckAllDetails: each voucher of several has its own signature.
func TestCheckAllDetails(t *testing.T) {
	s := newScene(t, ledger.DefaultParams())
	no := uint32(s.openWith(ledger.ChannelTerms{Mode: ledger.Signed, Key: [32]byte{9}}))
	voucher := ledger.Op{Kind: ledger.OpVoucher, Actor: s.bob, Target: no, Amount: 5}
	ops := []ledger.Op{voucher, {Kind: ledger.OpAdvance, Actor: s.alice, Target: 1, Amount: 200}, voucher, voucher, voucher}
	out := make([]ledger.Applied, len(ops))
	details := bytes.Join([][]byte{signature(1), signature(0), signature(2), signature(3)[:63]}, nil)
	if n := s.state.CheckAll(ops, details, s.state.Now(), out); n != 3 {
		t.Errorf("%d would be applied, want 3", n)
	}
	for i, want := range []ledger.Result{ledger.Undecided, ledger.Undecided, ledger.VoucherInvalid, ledger.Undecided, ledger.VoucherInvalid} {
		if got := out[i].Result(); got != want {
			t.Errorf("op %d: %v, want %v", i, got, want)
		}
	}
}
