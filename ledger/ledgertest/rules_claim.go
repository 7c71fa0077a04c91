package ledgertest

import (
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/millrace/millrace/ledger"
)

// claim is one as the ledger shows it.
type claim struct{ ledger.Claim }

// about lists the contents.
func (c *claim) about() (all []uint32) {
	for _, p := range c.Contents {
		all = append(all, p.Content)
	}
	return all
}

// fileClaim: contents of one seller, who is another, and no claim about them yet to be decided.
func (m *Model) fileClaim(r *ruling, op ledger.Op, detail []byte) {
	if len(detail) == 0 || detail[0] > 16 || len(detail) < 1+16*int(detail[0]) {
		r.when(true, ledger.OpMalformed)
		return
	}
	n := int(detail[0])
	evidence, ok := parseStatement(detail[1+16*n:])
	r.when(!ok || op.Version == 0 || op.Version > 90*86_400, ledger.OpMalformed)
	r.when(!m.holder(op.Actor), ledger.AccountUnknown)
	r.when(n == 0, ledger.ClaimInvalid)
	var numbers []uint32
	seen, payees := map[int]bool{}, map[ledger.AccountNo]bool{}
	for i := range n {
		no := m.numberOf(ledger.ContentID(detail[1+16*i:]))
		if no < 0 {
			r.when(true, ledger.ContentUnknown)
			continue
		}
		c := m.contents[no]
		r.when(seen[no] || len(numbers) > 0 && c.seller != m.contents[numbers[0]].seller, ledger.ClaimInvalid)
		r.when(c.seller == op.Actor, ledger.OwnContent)
		r.when(c.claim != 0, ledger.ContentClaimed)
		numbers = append(numbers, uint32(no))
		seen[no] = true
		for _, p := range c.payees() {
			payees[p.Account] = true
		}
	}
	r.when(len(payees) > 64, ledger.ClaimInvalid)
	r.effect = func() Outcome {
		filed := &claim{ledger.Claim{Claimant: op.Actor, Status: ledger.ClaimOpen, ID: op.ID, Filed: m.Now,
			Deadline: m.Now + 1000*uint64(op.Version), Evidence: evidence}}
		m.claims = append(m.claims, filed)
		for _, no := range numbers {
			c := m.contents[no]
			filed.Seller, c.claim = c.seller, len(m.claims)-1
			filed.Contents = append(filed.Contents, ledger.Claimed{Content: no, Split: uint32(len(c.splits)), PriceVersion: c.version, Price: c.price, Terms: c.terms})
		}
		return Outcome{Object: uint32(len(m.claims) - 1)}
	}
}

// parseStatement reads the layout that AppendStatement documents.
func parseStatement(b []byte) (t ledger.Statement, ok bool) {
	if len(b) < 34 || len(b) != 34+int(binary.LittleEndian.Uint16(b[32:])) {
		return t, false
	}
	t = ledger.Statement{SHA256: [32]byte(b), Text: string(b[34:])}
	return t, len(t.Text) <= 2000 && utf8.ValidString(t.Text) && !strings.ContainsFunc(t.Text, func(c rune) bool {
		return unicode.IsControl(c) && c != '\n' && c != '\t'
	})
}

// useClaim is for the ops that name one.
func (m *Model) useClaim(r *ruling, op ledger.Op, detail []byte) {
	said, ok := parseStatement(detail)
	r.when(!ok && op.Kind != ledger.OpWithdrawClaim, ledger.OpMalformed)
	if op.Kind == ledger.OpDecide {
		r.when(op.Version != 1 && op.Version != 2 || op.Version == 2 && op.Amount > 0, ledger.OpMalformed)
	}
	if op.Target == 0 || int(op.Target) >= len(m.claims) {
		r.when(true, ledger.ClaimUnknown)
		return
	}
	c := m.claims[op.Target]
	r.when(!c.Status.Pending(), ledger.ClaimClosed)
	same := &Outcome{Object: op.Target}
	switch op.Kind {
	case ledger.OpAnswer:
		r.when(op.Actor != c.Seller, ledger.NotPermitted)
		r.when(c.Answered != 0, ledger.AnswerGiven)
		r.when(m.Now >= c.Deadline, ledger.AnswerLate)
		if c.Answered != 0 && c.Answer == said {
			r.repeat = same
		}
		r.effect = func() Outcome {
			c.Status, c.Answered, c.Answer = ledger.ClaimAnswered, m.Now, said
			return Outcome{Object: op.Target}
		}
	case ledger.OpDecide:
		r.when(c.Status == ledger.ClaimOpen && m.Now < c.Deadline, ledger.ClaimPending)
		status := ledger.ClaimRejected
		if op.Version == 1 {
			status = ledger.ClaimUpheld
		}
		if c.Status == status && c.Price == op.Amount {
			r.repeat = same
		}
		r.effect = func() Outcome {
			c.Reason, c.Price = said, op.Amount
			return m.endClaim(op.Target, status)
		}
	case ledger.OpWithdrawClaim:
		r.when(op.Actor != c.Claimant, ledger.NotPermitted)
		if c.Status == ledger.ClaimWithdrawn {
			r.repeat = same
		}
		r.effect = func() Outcome { return m.endClaim(op.Target, ledger.ClaimWithdrawn) }
	}
}

// endClaim pays what was paid for the contents since the claim was filed, and hands them over when the claimant is right.
func (m *Model) endClaim(no uint32, status ledger.ClaimStatus) Outcome {
	c := m.claims[no]
	c.Status, c.Ended = status, m.Now
	sum := ledger.Msat(0)
	for i := range c.Contents {
		p := &c.Contents[i]
		content := m.contents[p.Content]
		for _, b := range m.bought {
			if b.content == p.Content && b.claim == int(no) {
				p.Held += b.paid
			}
		}
		sum += p.Held
		fee := FeeOf(p.Held, m.Params.FeePPM)
		m.pay(ledger.Escrow, ledger.Fees, fee)
		content.claim = 0
		if status != ledger.ClaimUpheld {
			for i, part := range Split(p.Held-fee, content.payees()) {
				m.pay(ledger.Escrow, content.payees()[i].Account, part)
			}
			continue
		}
		m.pay(ledger.Escrow, c.Claimant, p.Held-fee)
		content.seller, content.retired = c.Claimant, false
		content.splits = append(content.splits, ledger.Split{Content: p.Content, Number: uint32(len(content.splits) + 1), Since: m.Now,
			Payees: []ledger.Payee{{Account: c.Claimant, Share: 1}}})
		if c.Price > 0 {
			content.price, content.terms.Currency = c.Price, ledger.Currency{}
			content.version++
		}
	}
	return Outcome{Amount: sum, Object: no}
}
