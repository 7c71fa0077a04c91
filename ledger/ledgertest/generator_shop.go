package ledgertest

import (
	"slices"

	"github.com/millrace/millrace/ledger"
)

// currencies are those that prices are in; the first has most of the rates.
var currencies = [...]ledger.Currency{{'E', 'U', 'R'}, {'U', 'S', 'D'}}

// split is the detail of a split op: new payees, or those of now.
func (g *Generator) split(id ledger.ContentID) []byte {
	payees := g.payees()
	if no := g.Model.numberOf(id); no > 0 && g.rng.IntN(4) == 0 {
		payees = g.Model.contents[no].payees()
	}
	return g.bend(ledger.AppendPayees(nil, payees))
}

func (g *Generator) payees() (payees []ledger.Payee) {
	for range pick(g.rng, 1, 1, 1, 2, 2, 3, 4, 7, 16, 0, 17) {
		p := ledger.Payee{Account: g.account(), Share: pick[uint32](g.rng, 1, 2, 3, 7, 50, 999_999, 1_000_000)}
		if g.rng.IntN(3) > 0 && slices.ContainsFunc(payees, func(q ledger.Payee) bool { return p.Account == q.Account }) {
			continue
		}
		payees = append(payees, p)
	}
	if g.rng.IntN(40) == 0 && len(payees) > 0 {
		payees[0].Share = pick[uint32](g.rng, 0, 1_000_001)
	}
	return payees
}

func buys(k ledger.Kind) bool {
	return k == ledger.OpUnlock || k == ledger.OpUnlockPaying || k == ledger.OpGift || k == ledger.OpUnlockUnit
}

// terms is the detail of a terms op: new terms, or those of now.
func (g *Generator) terms(id ledger.ContentID) []byte {
	var t ledger.Terms
	if no := g.Model.numberOf(id); no > 0 && g.rng.IntN(3) == 0 {
		t = g.Model.contents[no].terms
	}
	for range g.rng.IntN(3) {
		switch g.rng.IntN(6) {
		case 0, 1, 2:
			t.Currency = pick(g.rng, ledger.Currency{}, currencies[0], currencies[0], currencies[1], ledger.Currency{'e', 'u', 'r'})
		case 3:
			t.Copies = pick[uint32](g.rng, 0, 1, 1, 2, 3)
		case 4:
			t.Ends = uint32(g.now/1000) + pick[uint32](g.rng, 0, 1, 60, 3600)
		case 5:
			t.Units, t.FreeUnits = pick[uint32](g.rng, 0, 1, 2, 3, 3), pick[uint32](g.rng, 0, 0, 1, 1, 2)
		}
	}
	return g.bend(ledger.AppendTerms(nil, &t))
}

// bend cuts a few details short.
func (g *Generator) bend(b []byte) []byte {
	if g.rng.IntN(30) == 0 {
		b = b[:g.rng.IntN(len(b))]
	}
	return b
}
