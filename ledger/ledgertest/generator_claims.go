package ledgertest

import (
	"strings"

	"github.com/millrace/millrace/ledger"
)

// claim makes one: about contents of one seller, or about whatever.
func (g *Generator) claim(op *ledger.Op) []byte {
	op.Version = pick[uint32](g.rng, 1, 3600, 3600, 3600, 7200, 90*86_400)
	if g.rng.IntN(20) == 0 {
		op.Version = pick[uint32](g.rng, 0, 90*86_400+1)
	}
	ids := []ledger.ContentID{g.content()}
	for range pick(g.rng, 0, 0, 0, 1, 1, 2, 15) {
		id := g.content()
		a, b := g.Model.numberOf(ids[0]), g.Model.numberOf(id)
		if g.rng.IntN(8) == 0 || a > 0 && b > 0 && a != b && g.Model.contents[a].seller == g.Model.contents[b].seller {
			ids = append(ids, id)
		}
	}
	if g.rng.IntN(40) == 0 {
		ids = nil
	}
	evidence := g.statement()
	b := ledger.AppendClaim(nil, ids, &evidence)
	if g.rng.IntN(40) == 0 {
		b = b[:g.rng.IntN(len(b))]
	}
	return b
}

func (g *Generator) statement() ledger.Statement {
	t := ledger.Statement{Text: pick(g.rng, "", "mine", "mine\n\tand nobody else's", "meins für immer", strings.Repeat("x", 2000))}
	if g.rng.IntN(40) == 0 {
		t.Text = pick(g.rng, "\x00", "\xff", strings.Repeat("x", 2001))
	}
	t.SHA256[0] = byte(g.rng.IntN(2))
	return t
}

// onClaim makes an op of those who may make it, mostly. Sellers and the hub like to wait for the deadline.
func (g *Generator) onClaim(op *ledger.Op) []byte {
	op.Target = g.number(len(g.Model.claims))
	op.Version = pick[uint32](g.rng, 1, 1, 1, 2, 2, 2, 0, 3)
	if op.Amount = 0; g.rng.IntN(3) == 0 {
		op.Amount = g.amount(500_000)
	}
	said := g.statement()
	if int(op.Target) < len(g.Model.claims) && op.Target > 0 {
		c := g.Model.claims[op.Target]
		if op.Kind == ledger.OpAnswer && g.rng.IntN(8) > 0 {
			op.Actor = c.Seller
		}
		if op.Kind == ledger.OpWithdrawClaim && g.rng.IntN(8) > 0 {
			op.Actor = c.Claimant
		}
		if c.Answered != 0 && g.rng.IntN(3) == 0 {
			said = c.Answer
		}
	}
	if op.Kind == ledger.OpWithdrawClaim {
		return nil
	}
	b := ledger.AppendStatement(nil, &said)
	if g.rng.IntN(40) == 0 {
		b = b[:g.rng.IntN(len(b))]
	}
	return b
}
