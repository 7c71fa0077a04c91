package ledger_test

import (
	"slices"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// scene is a ledger in which every result can be had by one op.
//
//	alice pays, bob is paid, mallory has nothing; channel 1 is open, 2 closed, 3 expired, 4 due but not yet expired, 5 signed, 6 bob's
//	to advance by 100 a minute;
//	hold 1 is open, 2 captured, 3 voided; content "song" is on sale at version 2, "old" is retired
type scene struct {
	*workbench
	alice, bob, mallory ledger.AccountNo
	song, old           ledger.ContentID
	spent               ledger.Op // a transfer that was applied
}

const sceneFunds = 1_000_000

func newScene(t testing.TB, p ledger.Params) *scene {
	s := &scene{workbench: newWorkbench(t, p), song: ledger.ContentID{1}, old: ledger.ContentID{2}}
	s.alice, s.bob, s.mallory = s.account(sceneFunds), s.account(sceneFunds), s.account(0)
	expiries := []uint32{3600, 3600, 1, 2}
	for _, after := range expiries {
		s.must(ledger.Op{Kind: ledger.OpOpenChannel, Actor: s.alice, Target: uint32(s.bob), Amount: 1000, Version: testTime/1000 + after}, nil)
	}
	for _, terms := range []ledger.ChannelTerms{{Mode: ledger.Signed, Key: [32]byte{7}}, {Mode: ledger.PayeeAdvances, PerMinute: 100}} {
		op := ledger.Op{Kind: ledger.OpOpenTerms, Actor: s.alice, Target: uint32(s.bob), Amount: 1000, Version: testTime/1000 + 3600}
		s.must(op, ledger.AppendChannelTerms(nil, &terms))
	}
	s.must(ledger.Op{Kind: ledger.OpVoucher, Actor: s.bob, Target: 5, Amount: 50}, signature(1))
	s.must(ledger.Op{Kind: ledger.OpAdvance, Actor: s.bob, Target: 6, Amount: 60}, nil)
	s.must(ledger.Op{Kind: ledger.OpAdvance, Actor: s.alice, Target: 1, Amount: 100}, nil)
	s.must(ledger.Op{Kind: ledger.OpCloseChannel, Actor: s.alice, Target: 2}, nil)
	for range 3 {
		s.must(ledger.Op{Kind: ledger.OpHold, Actor: s.alice, Amount: 500}, nil)
	}
	s.must(ledger.Op{Kind: ledger.OpCapture, Actor: s.alice, Target: 2, Amount: 200, Version: uint32(s.bob)}, nil)
	s.must(ledger.Op{Kind: ledger.OpVoid, Actor: s.alice, Target: 3}, nil)
	s.must(ledger.Op{Kind: ledger.OpRegister, Actor: s.bob, Amount: 300, ID: s.song}, registration(1, ledger.Payee{Account: s.bob, Share: 1}))
	s.must(ledger.Op{Kind: ledger.OpReprice, Actor: s.bob, Amount: 400, Version: 1, ID: s.song}, nil)
	s.must(ledger.Op{Kind: ledger.OpRegister, Actor: s.bob, Amount: 300, ID: s.old}, registration(2, ledger.Payee{Account: s.bob, Share: 1}))
	s.must(ledger.Op{Kind: ledger.OpSplit, Actor: s.bob, ID: s.old}, ledger.AppendPayees(nil, []ledger.Payee{{Account: s.mallory, Share: 1}, {Account: s.bob, Share: 3}}))
	s.must(ledger.Op{Kind: ledger.OpRetire, Actor: s.bob, ID: s.old}, nil)
	s.shop()
	s.claimed()
	s.spent = ledger.Op{Kind: ledger.OpTransfer, Actor: s.alice, Target: uint32(s.bob), Amount: 5, ID: s.newID(testTime)}
	s.must(s.spent, nil)
	if a := s.do(testTime+2000, ledger.Op{Kind: ledger.OpExpireChannel, Target: 3}, nil); a.Result() != ledger.Done {
		t.Fatal(a.Result())
	}
	return s
}

// cases has, for each result, an op that comes to nothing else.
func (s *scene) cases() map[ledger.Result]func() (ledger.Op, []byte) {
	alice, bob, mallory := s.alice, s.bob, s.mallory
	now := s.state.Now()
	plain := s.plain
	transfer := func(change func(*ledger.Op)) func() (ledger.Op, []byte) {
		op := ledger.Op{Kind: ledger.OpTransfer, Actor: alice, Target: uint32(bob), Amount: 1, ID: s.newID(now)}
		change(&op)
		return plain(op)
	}
	register := func(id byte, commitment byte, payees ...ledger.Payee) func() (ledger.Op, []byte) {
		return func() (ledger.Op, []byte) {
			return ledger.Op{Kind: ledger.OpRegister, Actor: bob, Amount: 300, ID: ledger.ContentID{id}}, registration(commitment, payees...)
		}
	}
	voucher := func(total ledger.Msat, signature []byte) func() (ledger.Op, []byte) {
		return func() (ledger.Op, []byte) {
			return ledger.Op{Kind: ledger.OpVoucher, Actor: bob, Target: 5, Amount: total}, signature
		}
	}
	full := ledger.Payee{Account: bob, Share: 1}
	again := s.spent
	again.Amount++
	return s.claimCases(s.shopCases(map[ledger.Result]func() (ledger.Op, []byte){
		ledger.Done:            transfer(func(*ledger.Op) {}),
		ledger.Repeated:        plain(s.spent),
		ledger.OpMalformed:     plain(ledger.Op{Kind: ledger.OpUnlock, Actor: alice, ID: s.song}),
		ledger.AmountZero:      transfer(func(op *ledger.Op) { op.Amount = 0 }),
		ledger.AmountTooLarge:  transfer(func(op *ledger.Op) { op.Amount = ledger.MaxMsat + 1 }),
		ledger.VoucherInvalid:  voucher(51, signature(0)),
		ledger.IDInvalid:       transfer(func(op *ledger.Op) { op.ID[6] = 0x4f }),
		ledger.IDExpired:       transfer(func(op *ledger.Op) { op.ID = s.newID(now - s.state.Params().IDWindow - 1) }),
		ledger.IDAhead:         transfer(func(op *ledger.Op) { op.ID = s.newID(now + s.state.Params().IDAhead + 1) }),
		ledger.IDReused:        plain(again),
		ledger.AccountUnknown:  transfer(func(op *ledger.Op) { op.Actor = mallory + 1 }),
		ledger.PayeeUnknown:    transfer(func(op *ledger.Op) { op.Target = uint32(mallory) + 1 }),
		ledger.SameAccount:     transfer(func(op *ledger.Op) { op.Target = uint32(alice) }),
		ledger.ChannelUnknown:  plain(ledger.Op{Kind: ledger.OpAdvance, Actor: alice, Target: 7, Amount: 1}),
		ledger.HoldUnknown:     plain(ledger.Op{Kind: ledger.OpVoid, Actor: alice, Target: 4}),
		ledger.ContentUnknown:  plain(ledger.Op{Kind: ledger.OpUnlock, Actor: alice, Amount: 1, ID: ledger.ContentID{9}}),
		ledger.NotPermitted:    plain(ledger.Op{Kind: ledger.OpAdvance, Actor: bob, Target: 1, Amount: 200}),
		ledger.WrongMode:       plain(ledger.Op{Kind: ledger.OpAdvance, Actor: alice, Target: 5, Amount: 200}),
		ledger.ContentExists:   register(1, 9, full),
		ledger.CommitmentTaken: register(9, 1, full),
		ledger.SplitInvalid:    register(9, 9, full, full),
		ledger.ExpiryInvalid:   plain(ledger.Op{Kind: ledger.OpOpenChannel, Actor: alice, Target: uint32(bob), Amount: 1, Version: uint32(now / 1000)}),
		ledger.ChannelClosed:   plain(ledger.Op{Kind: ledger.OpAdvance, Actor: alice, Target: 2, Amount: 1}),
		ledger.ChannelExpired:  plain(ledger.Op{Kind: ledger.OpAdvance, Actor: alice, Target: 4, Amount: 1}),
		ledger.HoldClosed:      plain(ledger.Op{Kind: ledger.OpCapture, Actor: alice, Target: 2, Amount: 201, Version: uint32(bob)}),
		ledger.ContentRetired:  plain(ledger.Op{Kind: ledger.OpUnlock, Actor: alice, Amount: 300, ID: s.old}),
		ledger.TotalBelow:      plain(ledger.Op{Kind: ledger.OpAdvance, Actor: alice, Target: 1, Amount: 99}),
		ledger.TotalAbove:      plain(ledger.Op{Kind: ledger.OpAdvance, Actor: alice, Target: 1, Amount: 1001}),
		ledger.PriceChanged:    plain(ledger.Op{Kind: ledger.OpUnlock, Actor: alice, Version: 1, ID: s.song}),
		ledger.PriceTooHigh:    plain(ledger.Op{Kind: ledger.OpUnlock, Actor: alice, Amount: 399, ID: s.song}),
		ledger.InsufficientFunds: transfer(func(op *ledger.Op) {
			op.Actor = mallory
		}),
		ledger.SupplyExceeded: plain(ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Chain, Target: uint32(bob), Amount: ledger.MaxMsat}),
		ledger.RateExceeded:   plain(ledger.Op{Kind: ledger.OpAdvance, Actor: bob, Target: 6, Amount: 101}),
	}))
}

func TestEveryResult(t *testing.T) {
	produced := map[ledger.Result]bool{}
	for _, want := range ledger.Results() {
		s := newScene(t, ledger.DefaultParams())
		c, ok := s.cases()[want]
		if !ok {
			t.Errorf("no op for %v", want)
			continue
		}
		before := s.state.Seq()
		op, detail := c()
		checked := s.state.Check(&op, detail, s.state.Now())
		got := s.do(s.state.Now(), op, detail)
		if got.Result() != want {
			t.Errorf("%v: got %v", want, got.Result())
		}
		if want != ledger.Done && checked != got {
			t.Errorf("%v: Check said %+v, Apply %+v", want, checked, got)
		}
		if applied := s.state.Seq() != before; applied != (want == ledger.Done) {
			t.Errorf("%v: an entry was made: %v", want, applied)
		}
		if want.Refused() && (got.Seq() != 0 || got.Amount() != 0 || got.Object() != 0) {
			t.Errorf("%v: a refusal with an outcome: %+v", want, got)
		}
		if err := s.state.Audit(); err != nil {
			t.Error(err)
		}
		produced[got.Result()] = true
	}
	for _, r := range ledger.Results() {
		if !produced[r] {
			t.Errorf("%v was not produced", r)
		}
	}
}

// TestRetryable says for every result whether the same bytes can be applied later.
func TestRetryable(t *testing.T) {
	retryable := map[ledger.Result]bool{
		ledger.Done: false, ledger.Repeated: false,
		ledger.OpMalformed: false, ledger.AmountZero: false, ledger.AmountTooLarge: false, ledger.VoucherInvalid: false,
		ledger.IDInvalid: false, ledger.IDExpired: false, ledger.IDAhead: true, ledger.IDReused: false,
		ledger.AccountUnknown: false, ledger.PayeeUnknown: false, ledger.SameAccount: false, ledger.ChannelUnknown: false,
		ledger.HoldUnknown: false, ledger.ContentUnknown: false, ledger.NotPermitted: false, ledger.WrongMode: false,
		ledger.ContentExists: false, ledger.CommitmentTaken: false, ledger.SplitInvalid: false, ledger.ExpiryInvalid: false,
		ledger.ChannelClosed: false, ledger.ChannelExpired: false, ledger.HoldClosed: false, ledger.ContentRetired: false,
		ledger.TotalBelow: false, ledger.TotalAbove: true, ledger.PriceChanged: false, ledger.PriceTooHigh: false,
		ledger.InsufficientFunds: true, ledger.SupplyExceeded: true, ledger.RateExceeded: true,
		ledger.SaleEnded: false, ledger.SoldOut: true, ledger.RateEarly: true, ledger.RateStale: true, ledger.PriceOutOfRange: true,
		ledger.TermsInvalid: false, ledger.UnitUnknown: false,
		ledger.ClaimUnknown: false, ledger.ClaimInvalid: false, ledger.OwnContent: false, ledger.ContentClaimed: true,
		ledger.ClaimClosed: false, ledger.AnswerGiven: false, ledger.AnswerLate: false, ledger.ClaimPending: true,
	}
	for _, r := range ledger.Results() {
		want, ok := retryable[r]
		if !ok {
			t.Errorf("%v is not in this test's table", r)
		}
		if r.Retryable() != want {
			t.Errorf("%v: Retryable is %v, want %v", r, r.Retryable(), want)
		}
		if r.OK() == r.Refused() {
			t.Errorf("%v is both OK and refused, or neither", r)
		}
	}
	if len(retryable) != len(ledger.Results()) {
		t.Errorf("this test knows %d results, the ledger %d", len(retryable), len(ledger.Results()))
	}
	if u := ledger.Undecided; u.OK() || u.Refused() || u.Retryable() {
		t.Error("Undecided is something")
	}
}

func TestResultNames(t *testing.T) {
	names := map[string]bool{}
	for _, r := range ledger.Results() {
		if name := r.String(); name == "" || names[name] || name[0] < 'a' || name[0] > 'z' || slices.Contains([]byte(name), '(') {
			t.Errorf("result %d is called %q", uint8(r), name)
		}
		names[r.String()] = true
	}
	if s := ledger.Result(99).String(); s != "result(99)" {
		t.Error(s)
	}
	if !slices.IsSorted(ledger.Results()) {
		t.Error("Results are not in their order")
	}
}

// TestOrderOfChecks: of two faults the one with the smaller number is reported. The model checks the same for whatever the
// generator finds; here are pairs written out.
func TestOrderOfChecks(t *testing.T) {
	s := newScene(t, ledger.DefaultParams())
	alice, bob, nobody := s.alice, s.bob, s.mallory+1
	now := s.state.Now()
	stale, good := s.newID(1), s.newID(now)
	reused := s.spent.ID
	full := []ledger.Payee{{Account: bob, Share: 1}}
	badSplit := []ledger.Payee{{Account: bob, Share: 0}}
	unknownPayee := []ledger.Payee{{Account: nobody, Share: 0}}
	song, old, none := s.song, s.old, ledger.ContentID{9}
	huge := ledger.MaxMsat + 1
	signed := ledger.AppendChannelTerms(nil, &ledger.ChannelTerms{Mode: ledger.Signed, Key: [32]byte{7}})
	for _, c := range []struct {
		first, second ledger.Result
		op            ledger.Op
		detail        []byte
	}{
		{ledger.AmountZero, ledger.IDInvalid, ledger.Op{Kind: ledger.OpTransfer, Actor: alice, Target: uint32(bob)}, nil},
		{ledger.AmountTooLarge, ledger.IDExpired, ledger.Op{Kind: ledger.OpTransfer, Actor: alice, Target: uint32(bob), Amount: huge, ID: stale}, nil},
		{ledger.AmountTooLarge, ledger.InsufficientFunds, ledger.Op{Kind: ledger.OpHold, Actor: alice, Amount: huge, ID: good}, nil},
		{ledger.IDInvalid, ledger.AccountUnknown, ledger.Op{Kind: ledger.OpTransfer, Actor: nobody, Target: uint32(bob), Amount: 1}, nil},
		{ledger.IDExpired, ledger.PayeeUnknown, ledger.Op{Kind: ledger.OpTransfer, Actor: alice, Target: uint32(nobody), Amount: 1, ID: stale}, nil},
		{ledger.IDReused, ledger.ChannelUnknown, ledger.Op{Kind: ledger.OpTopUp, Actor: alice, Target: 99, Amount: 1, ID: reused}, nil},
		{ledger.AccountUnknown, ledger.PayeeUnknown, ledger.Op{Kind: ledger.OpTransfer, Actor: nobody, Target: 99, Amount: 1, ID: good}, nil},
		{ledger.AccountUnknown, ledger.SameAccount, ledger.Op{Kind: ledger.OpTransfer, Actor: nobody, Target: uint32(nobody), Amount: 1, ID: good}, nil},
		{ledger.AccountUnknown, ledger.InsufficientFunds, ledger.Op{Kind: ledger.OpDebit, Actor: alice, Target: uint32(bob), Amount: sceneFunds * 2, ID: good}, nil},
		{ledger.AccountUnknown, ledger.SupplyExceeded, ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Dev, Target: uint32(nobody), Amount: ledger.MaxMsat, ID: good}, nil},
		{ledger.PayeeUnknown, ledger.ExpiryInvalid, ledger.Op{Kind: ledger.OpOpenChannel, Actor: alice, Target: uint32(nobody), Amount: 1, ID: good}, nil},
		{ledger.SameAccount, ledger.ExpiryInvalid, ledger.Op{Kind: ledger.OpOpenChannel, Actor: alice, Target: uint32(alice), Amount: 1, ID: good}, nil},
		{ledger.SameAccount, ledger.InsufficientFunds, ledger.Op{Kind: ledger.OpTransfer, Actor: alice, Target: uint32(alice), Amount: sceneFunds * 2, ID: good}, nil},
		{ledger.ExpiryInvalid, ledger.InsufficientFunds, ledger.Op{Kind: ledger.OpOpenChannel, Actor: alice, Target: uint32(bob), Amount: sceneFunds * 2, ID: good}, nil},
		{ledger.NotPermitted, ledger.ChannelClosed, ledger.Op{Kind: ledger.OpAdvance, Actor: bob, Target: 2, Amount: 1}, nil},
		{ledger.NotPermitted, ledger.TotalAbove, ledger.Op{Kind: ledger.OpAdvance, Actor: bob, Target: 1, Amount: 5000}, nil},
		{ledger.NotPermitted, ledger.ChannelExpired, ledger.Op{Kind: ledger.OpCloseChannel, Actor: s.mallory, Target: 3}, nil},
		{ledger.ExpiryInvalid, ledger.ChannelClosed, ledger.Op{Kind: ledger.OpExpireChannel, Target: 2}, nil},
		{ledger.ChannelClosed, ledger.TotalAbove, ledger.Op{Kind: ledger.OpAdvance, Actor: alice, Target: 2, Amount: 5000}, nil},
		{ledger.ChannelExpired, ledger.TotalAbove, ledger.Op{Kind: ledger.OpAdvance, Actor: alice, Target: 4, Amount: 5000}, nil},
		{ledger.ChannelClosed, ledger.InsufficientFunds, ledger.Op{Kind: ledger.OpTopUp, Actor: alice, Target: 2, Amount: sceneFunds * 2, ID: good}, nil},
		{ledger.PayeeUnknown, ledger.HoldUnknown, ledger.Op{Kind: ledger.OpCapture, Actor: alice, Target: 99, Amount: 1, Version: uint32(nobody)}, nil},
		{ledger.PayeeUnknown, ledger.NotPermitted, ledger.Op{Kind: ledger.OpCapture, Actor: bob, Target: 1, Amount: 1, Version: uint32(nobody)}, nil},
		{ledger.NotPermitted, ledger.HoldClosed, ledger.Op{Kind: ledger.OpVoid, Actor: bob, Target: 2}, nil},
		{ledger.HoldClosed, ledger.TotalAbove, ledger.Op{Kind: ledger.OpCapture, Actor: alice, Target: 3, Amount: 5000, Version: uint32(bob)}, nil},
		{ledger.OpMalformed, ledger.AmountZero, ledger.Op{Kind: ledger.OpRegister, Actor: bob, ID: none}, []byte("short")},
		{ledger.OpMalformed, ledger.AccountUnknown, ledger.Op{Kind: ledger.OpUnlock, Actor: nobody, ID: song}, nil},
		{ledger.AccountUnknown, ledger.PayeeUnknown, ledger.Op{Kind: ledger.OpRegister, Actor: nobody, Amount: 1, ID: none}, registration(9, unknownPayee...)},
		{ledger.PayeeUnknown, ledger.SplitInvalid, ledger.Op{Kind: ledger.OpRegister, Actor: bob, Amount: 1, ID: none}, registration(9, unknownPayee...)},
		{ledger.ContentExists, ledger.CommitmentTaken, ledger.Op{Kind: ledger.OpRegister, Actor: bob, Amount: 1, ID: song}, registration(2, full...)},
		{ledger.CommitmentTaken, ledger.SplitInvalid, ledger.Op{Kind: ledger.OpRegister, Actor: bob, Amount: 1, ID: none}, registration(1, badSplit...)},
		{ledger.AccountUnknown, ledger.ContentUnknown, ledger.Op{Kind: ledger.OpUnlock, Actor: nobody, Amount: 1, ID: none}, nil},
		{ledger.ContentRetired, ledger.PriceChanged, ledger.Op{Kind: ledger.OpUnlock, Actor: alice, Version: 7, ID: old}, nil},
		{ledger.PriceChanged, ledger.PriceTooHigh, ledger.Op{Kind: ledger.OpUnlock, Actor: alice, Version: 1, Amount: 1, ID: song}, nil},
		{ledger.PriceTooHigh, ledger.InsufficientFunds, ledger.Op{Kind: ledger.OpUnlock, Actor: s.mallory, Amount: 1, ID: song}, nil},
		{ledger.NotPermitted, ledger.ContentRetired, ledger.Op{Kind: ledger.OpReprice, Actor: alice, Amount: 1, Version: 1, ID: old}, nil},
		{ledger.ContentRetired, ledger.PriceChanged, ledger.Op{Kind: ledger.OpReprice, Actor: bob, Amount: 1, Version: 7, ID: old}, nil},
		{ledger.OpMalformed, ledger.AmountZero, ledger.Op{Kind: ledger.OpOpenTerms, Actor: alice, Target: uint32(bob), ID: good}, signed[1:]},
		{ledger.SameAccount, ledger.ExpiryInvalid, ledger.Op{Kind: ledger.OpOpenTerms, Actor: alice, Target: uint32(alice), Amount: 1, ID: good}, signed},
		{ledger.AmountTooLarge, ledger.VoucherInvalid, ledger.Op{Kind: ledger.OpVoucher, Actor: bob, Target: 5, Amount: huge}, nil},
		{ledger.ChannelUnknown, ledger.VoucherInvalid, ledger.Op{Kind: ledger.OpVoucher, Actor: bob, Target: 99, Amount: 1}, nil},
		{ledger.NotPermitted, ledger.VoucherInvalid, ledger.Op{Kind: ledger.OpVoucher, Actor: s.mallory, Target: 5, Amount: 60}, nil},
		{ledger.WrongMode, ledger.VoucherInvalid, ledger.Op{Kind: ledger.OpVoucher, Actor: bob, Target: 6, Amount: 60}, nil},
		{ledger.VoucherInvalid, ledger.TotalBelow, ledger.Op{Kind: ledger.OpVoucher, Actor: bob, Target: 5, Amount: 1}, signature(1)[1:]},
		{ledger.NotPermitted, ledger.WrongMode, ledger.Op{Kind: ledger.OpVoucher, Actor: s.mallory, Target: 1, Amount: 1}, signature(1)},
		{ledger.NotPermitted, ledger.TotalAbove, ledger.Op{Kind: ledger.OpVoucher, Actor: s.mallory, Target: 5, Amount: 5000}, signature(1)},
		{ledger.WrongMode, ledger.ChannelClosed, ledger.Op{Kind: ledger.OpVoucher, Actor: bob, Target: 2, Amount: 1}, signature(1)},
		{ledger.WrongMode, ledger.TotalAbove, ledger.Op{Kind: ledger.OpAdvance, Actor: alice, Target: 6, Amount: 5000}, nil},
		{ledger.NotPermitted, ledger.ExpiryInvalid, ledger.Op{Kind: ledger.OpRenew, Actor: bob, Target: 1, Version: 1}, nil},
		{ledger.ExpiryInvalid, ledger.ChannelClosed, ledger.Op{Kind: ledger.OpRenew, Actor: alice, Target: 2, Version: 1}, nil},
		{ledger.TotalAbove, ledger.RateExceeded, ledger.Op{Kind: ledger.OpAdvance, Actor: bob, Target: 6, Amount: 1001}, nil},
	} {
		if c.first >= c.second {
			t.Fatalf("the table has %v before %v", c.first, c.second)
		}
		if got := s.state.Check(&c.op, c.detail, now).Result(); got != c.first {
			t.Errorf("%v with %v and %v: got %v", c.op.Kind, c.first, c.second, got)
		}
	}
}

// TestStrayFields: what a block does not carry is refused before it gets there.
func TestStrayFields(t *testing.T) {
	s := newScene(t, ledger.DefaultParams())
	for k := range ledger.Kind(ledger.Kinds + 1) {
		full := ledger.Op{Kind: k, Actor: 1, Target: 1, Version: 1, Amount: 1, ID: [16]byte{1}}
		if k.Known() {
			full = decoded(t, ledger.AppendOp(nil, &full, nil))
		}
		for _, set := range []func(*ledger.Op){
			func(op *ledger.Op) { op.Actor = 2 }, func(op *ledger.Op) { op.Target = 2 }, func(op *ledger.Op) { op.Version = 2 },
			func(op *ledger.Op) { op.Amount = 2 }, func(op *ledger.Op) { op.ID = [16]byte{2} },
		} {
			op := full
			set(&op)
			var all [1]ledger.Applied
			if s.state.CheckAll([]ledger.Op{op}, nil, s.state.Now(), all[:]); all[0] != s.state.Check(&op, nil, s.state.Now()) {
				t.Errorf("%+v: CheckAll says %v", op, all[0].Result())
			}
			carried := k.Known() && decoded(t, ledger.AppendOp(nil, &op, nil)) == op
			if got := s.state.Check(&op, nil, s.state.Now()).Result(); !carried && got != ledger.OpMalformed {
				t.Errorf("%+v: %v", op, got)
			}
		}
	}
}

func decoded(t *testing.T, b []byte) (op ledger.Op) {
	t.Helper()
	if _, _, err := ledger.DecodeOp(b, &op); err != nil {
		t.Fatal(err)
	}
	return op
}

// TestWrappedKey: only the outcome of an unlock opens, whatever object another op's outcome names.
func TestWrappedKey(t *testing.T) {
	s := newScene(t, ledger.DefaultParams())
	unlock := ledger.Op{Kind: ledger.OpUnlock, Actor: s.alice, Amount: 400, ID: s.song}
	if _, _, ok := s.state.WrappedKey(s.state.Check(&unlock, nil, s.state.Now())); ok {
		t.Error("a key before the payment")
	}
	for _, op := range []ledger.Op{
		{Kind: ledger.OpAdvance, Actor: s.alice, Target: 1, Amount: 100}, // channel 1: the song is content 1
		{Kind: ledger.OpAdvance, Actor: s.alice, Target: 1, Amount: 101},
		{Kind: ledger.OpCapture, Actor: s.alice, Target: 1, Amount: 1, Version: uint32(s.bob)},
		{Kind: ledger.OpReprice, Actor: s.bob, Version: 1, Amount: 400, ID: s.song},
		{Kind: ledger.OpUnlock, Actor: s.alice, Amount: 399, ID: s.song},
	} {
		a := s.do(s.state.Now(), op, nil)
		if _, _, ok := s.state.WrappedKey(a); ok {
			t.Errorf("the outcome of %v (%v, object %d) gives a key", op.Kind, a.Result(), a.Object())
		}
	}
	for _, want := range []ledger.Result{ledger.Done, ledger.Repeated} {
		a := s.do(s.state.Now(), unlock, nil)
		id, wrapped, ok := s.state.WrappedKey(a)
		if a.Result() != want || !ok || id != s.song || wrapped != [48]byte{1, 3} {
			t.Errorf("%v: key of %v given: %v", a.Result(), id, ok)
		}
	}
	if _, _, ok := s.state.WrappedKey(ledger.Applied{}); ok {
		t.Error("the zero Applied gives a key")
	}
}
