package ledger

import "slices"

// checkClaim: the contents are another's, all of one seller, and nobody claims one of them already.
func (s *State) checkClaim(op *Op, detail []byte, now uint64) Applied {
	ids, _, ok := decodeClaim(detail)
	if !ok || op.Version == 0 || op.Version > MaxAnswerTime {
		return refuse(OpMalformed)
	}
	switch e, r := s.checkWindow(op, now); {
	case r == Repeated && s.claim(e.Object).body != claimBody(op, detail):
		return refuse(IDReused)
	case r == Repeated:
		return Applied{result: Repeated, seq: e.Seq, object: e.Object}
	case r != Undecided:
		return refuse(r)
	case !s.holder(op.Actor):
		return refuse(AccountUnknown)
	}
	contents := make([]*Content, len(ids))
	for i, id := range ids {
		if _, contents[i] = s.content(id); contents[i] == nil {
			return refuse(ContentUnknown)
		}
	}
	if !claimable(contents) {
		return refuse(ClaimInvalid)
	}
	if contents[0].Seller == op.Actor {
		return refuse(OwnContent)
	}
	if slices.ContainsFunc(contents, func(c *Content) bool { return c.Claim != 0 }) {
		return refuse(ContentClaimed)
	}
	return Applied{}
}

// claimable says whether contents can be in one claim.
func claimable(contents []*Content) bool {
	var payees []AccountNo
	for i, c := range contents {
		if c.Seller != contents[0].Seller || slices.Contains(contents[:i], c) {
			return false
		}
		for _, p := range c.Payees {
			if !slices.Contains(payees, p.Account) {
				payees = append(payees, p.Account)
			}
		}
	}
	return len(contents) > 0 && len(payees) <= MaxClaimPayees
}

// fileClaim: from now on what the contents bring lies in escrow.
func (s *State) fileClaim(op *Op, detail []byte) Applied {
	ids, evidence, _ := decodeClaim(detail)
	at, row := s.claims.add()
	a := s.remember(op, at)
	a.amount = 0
	c := &Claim{Claimant: op.Actor, Status: ClaimOpen, ID: op.ID, Seq: a.seq, Filed: s.now, Deadline: s.now + uint64(op.Version)*1000,
		Evidence: evidence, body: claimBody(op, detail)}
	for _, id := range ids {
		no := s.contentByID[id]
		content := s.contents.edit(no)
		c.Seller, content.Claim = content.Seller, ClaimNo(at)
		c.Contents = append(c.Contents, Claimed{Content: no, Split: s.splits.at(content.Split).Number, PriceVersion: content.PriceVersion,
			Price: content.Price, Terms: content.Terms})
	}
	*row = c
	s.claimBook.filed(ClaimNo(at), c)
	s.claimLegs(op.Kind, at, c)
	return a
}

// claimLegs puts an entry without money into the histories of both parties.
func (s *State) claimLegs(k Kind, no uint32, c *Claim) {
	s.leg(Leg{Kind: k, From: c.Claimant, Object: no})
	s.leg(Leg{Kind: k, From: c.Seller, Object: no})
}

func (s *State) checkAnswer(op *Op, detail []byte, now uint64) Applied {
	answer, ok := statementOf(detail)
	if !ok {
		return refuse(OpMalformed)
	}
	c := s.claim(op.Target)
	switch {
	case c == nil:
		return refuse(ClaimUnknown)
	case c.Seller != op.Actor:
		return refuse(NotPermitted)
	case c.Answered != 0 && c.Answer == answer:
		return Applied{result: Repeated, object: op.Target}
	case !c.Status.Pending():
		return refuse(ClaimClosed)
	case c.Answered != 0:
		return refuse(AnswerGiven)
	case now >= c.Deadline:
		return refuse(AnswerLate)
	}
	return Applied{}
}

func (s *State) answer(op *Op, detail []byte) Applied {
	c := s.editClaim(op.Target)
	c.Status, c.Answered = ClaimAnswered, s.now
	c.Answer, _ = statementOf(detail)
	s.claimLegs(op.Kind, op.Target, c)
	return s.entry(0, op.Target)
}

func (s *State) checkWithdrawClaim(op *Op) Applied {
	c := s.claim(op.Target)
	switch {
	case c == nil:
		return refuse(ClaimUnknown)
	case c.Claimant != op.Actor:
		return refuse(NotPermitted)
	case c.Status == ClaimWithdrawn:
		return Applied{result: Repeated, object: op.Target}
	case !c.Status.Pending():
		return refuse(ClaimClosed)
	}
	return Applied{}
}

// withdrawClaim gives the seller what he waited for. It does not count as a false claim.
func (s *State) withdrawClaim(op *Op) Applied {
	return s.endClaim(op.Kind, op.Target, ClaimWithdrawn, 0, Statement{})
}
