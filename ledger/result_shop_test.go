package ledger_test

import (
	"maps"

	"github.com/millrace/millrace/ledger"
)

var euro, dollar, yen = ledger.Currency{'E', 'U', 'R'}, ledger.Currency{'U', 'S', 'D'}, ledger.Currency{'J', 'P', 'Y'}

// The contents of the scene that are sold by terms, all of them bob's.
var (
	inEuro   = ledger.ContentID{3} // 2.50 EUR
	inDollar = ledger.ContentID{4} // dollars have no rate
	inYen    = ledger.ContentID{5} // a yen costs too much
	lastCopy = ledger.ContentID{6} // sold out: mallory has the only copy
	ended    = ledger.ContentID{7}
)

// euroRate makes a euro cost 1,000,000 msat.
const euroRate = 1_000_000_000_000

// shop puts on sale what is sold by terms.
func (s *scene) shop() {
	now := uint32(testTime / 1000)
	for _, c := range []struct {
		id    ledger.ContentID
		price ledger.Msat
		terms ledger.Terms
	}{
		{inEuro, 2_500_000, ledger.Terms{Currency: euro}},
		{inDollar, 1, ledger.Terms{Currency: dollar}},
		{inYen, ledger.MaxMsat, ledger.Terms{Currency: yen}},
		{lastCopy, 100, ledger.Terms{Copies: 1}},
		{ended, 100, ledger.Terms{Ends: now + 1}},
	} {
		s.must(ledger.Op{Kind: ledger.OpRegister, Actor: s.bob, Amount: 100, ID: c.id}, registration(100+c.id[0], ledger.Payee{Account: s.bob, Share: 1}))
		s.must(ledger.Op{Kind: ledger.OpTerms, Actor: s.bob, Amount: c.price, Version: 1, ID: c.id}, ledger.AppendTerms(nil, &c.terms))
	}
	for i := range ledger.Msat(8) {
		s.must(ledger.Op{Kind: ledger.OpRate, Amount: euroRate + 7 - i, Target: now + 3600, Version: euro.Version()}, nil)
	}
	s.must(ledger.Op{Kind: ledger.OpRate, Amount: ledger.MaxMsat, Target: now + 3600, Version: yen.Version()}, nil)
	s.must(ledger.Op{Kind: ledger.OpTransfer, Actor: s.alice, Target: uint32(s.mallory), Amount: 100}, nil)
	s.must(ledger.Op{Kind: ledger.OpUnlock, Actor: s.mallory, Amount: 100, ID: lastCopy}, nil)
}

// plain is an op without a detail, and with an id if it takes one.
func (s *scene) plain(op ledger.Op) func() (ledger.Op, []byte) {
	return func() (ledger.Op, []byte) {
		if op.ID == [16]byte{} {
			s.fillID(&op)
		}
		return op, nil
	}
}

// shopCases adds those of terms and rates.
func (s *scene) shopCases(cases map[ledger.Result]func() (ledger.Op, []byte)) map[ledger.Result]func() (ledger.Op, []byte) {
	buy := func(id ledger.ContentID) func() (ledger.Op, []byte) {
		return s.plain(ledger.Op{Kind: ledger.OpUnlock, Actor: s.alice, Amount: 100_000_000, ID: id})
	}
	maps.Copy(cases, map[ledger.Result]func() (ledger.Op, []byte){
		ledger.SaleEnded:       buy(ended),
		ledger.SoldOut:         buy(lastCopy),
		ledger.RateEarly:       s.plain(ledger.Op{Kind: ledger.OpRate, Amount: 1, Target: testTime/1000 + 3600, Version: euro.Version()}),
		ledger.RateStale:       buy(inDollar),
		ledger.PriceOutOfRange: buy(inYen),
		ledger.UnitUnknown:     s.plain(ledger.Op{Kind: ledger.OpUnlockUnit, Actor: s.alice, Amount: 400, ID: s.song}),
		ledger.TermsInvalid: func() (ledger.Op, []byte) {
			return ledger.Op{Kind: ledger.OpTerms, Actor: s.bob, Amount: 1, Version: 2, ID: s.song}, ledger.AppendTerms(nil, &ledger.Terms{FreeUnits: 1})
		},
	})
	return cases
}
