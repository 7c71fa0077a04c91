package ledger

import "slices"

// What an op decides: its version.
const (
	ForClaimant     = 1
	AgainstClaimant = 2
)

// checkDecide: before the deadline only what the seller has answered can be decided.
func (s *State) checkDecide(op *Op, detail []byte, now uint64) Applied {
	_, ok := statementOf(detail)
	if !ok || op.Version != ForClaimant && (op.Version != AgainstClaimant || op.Amount != 0) {
		return refuse(OpMalformed)
	}
	if op.Amount > MaxMsat {
		return refuse(AmountTooLarge)
	}
	c := s.claim(op.Target)
	switch {
	case c == nil:
		return refuse(ClaimUnknown)
	case c.Status == decided(op) && c.Price == op.Amount:
		return Applied{result: Repeated, object: op.Target}
	case !c.Status.Pending():
		return refuse(ClaimClosed)
	case c.Status == ClaimOpen && now < c.Deadline:
		return refuse(ClaimPending)
	}
	return Applied{}
}

func decided(op *Op) ClaimStatus {
	if op.Version == ForClaimant {
		return ClaimUpheld
	}
	return ClaimRejected
}

func (s *State) decide(op *Op, detail []byte) Applied {
	reason, _ := statementOf(detail)
	return s.endClaim(op.Kind, op.Target, decided(op), op.Amount, reason)
}

// endClaim pays what lay in escrow for the contents: to the claimant when he is right, and as sales are paid when he is not.
// When he is right, the contents are his from now on, whoever holds a copy; who bought one keeps it.
func (s *State) endClaim(k Kind, no uint32, status ClaimStatus, price Msat, reason Statement) Applied {
	c := s.editClaim(no)
	c.Status, c.Ended, c.Price, c.Reason = status, s.now, price, reason
	c.Contents = slices.Clone(c.Contents)
	a := s.entry(0, no)
	var out payments
	out.add(c.Claimant, 0)
	out.add(c.Seller, 0)
	for i := range c.Contents {
		p := &c.Contents[i]
		content := s.contents.edit(p.Content)
		content.Claim = 0
		if t := s.tallies.at(p.Content); t.Disputed > 0 {
			p.Held = t.Disputed
			s.tallies.edit(p.Content).Disputed = 0
		}
		fee := FeeOf(p.Held, s.params.FeePPM)
		if fee > 0 {
			out.add(Fees, fee)
		}
		var parts [MaxPayees]Msat
		if status == ClaimUpheld {
			out.add(c.Claimant, p.Held-fee)
		} else {
			split(p.Held-fee, content.Payees, &parts)
		}
		for i, q := range content.Payees {
			out.add(q.Account, parts[i])
		}
		if status == ClaimUpheld {
			s.handOver(p.Content, content, c.Claimant, price, a.seq)
		}
		a.amount += p.Held
	}
	for _, p := range out {
		s.payOut(k, no, p)
	}
	s.claimBook.ended(ClaimNo(no), c)
	return a
}

// handOver makes a content another's. The price is in msat. It is on sale again if it was not: there are copies, and somebody to pay for them.
func (s *State) handOver(no uint32, c *Content, to AccountNo, price Msat, seq uint64) {
	c.Seller, c.Status = to, Open
	s.setSplit(no, c, []Payee{{Account: to, Share: 1}}, seq)
	if price != 0 {
		c.Price, c.Terms.Currency, c.rates = price, Currency{}, 0
		c.PriceVersion++
	}
}

// payOut is one leg of a claim's end. Who gets nothing has the entry in his history all the same.
func (s *State) payOut(k Kind, claim uint32, p payment) {
	if p.amount == 0 {
		s.leg(Leg{Kind: k, From: p.to, Object: claim})
		return
	}
	s.move(Escrow, p.to, p.amount)
	s.leg(Leg{Kind: k, Move: MovePaid, From: Escrow, To: p.to, Object: claim, Amount: p.amount})
}

// payments are what accounts get, each in one sum, in the order in which they came: at most those of a claim's payees, the
// claimant, the seller and the hub.
type payments []payment

type payment struct {
	to     AccountNo
	amount Msat
}

func (all *payments) add(to AccountNo, amount Msat) {
	for i := range *all {
		if (*all)[i].to == to {
			(*all)[i].amount += amount
			return
		}
	}
	*all = append(*all, payment{to, amount})
}
