package ledger

// owned says that an account owns a content, for ever, and what it paid in which entry.
type owned struct {
	account AccountNo
	content uint32
	seq     uint64
	paid    Msat
}

func (s *State) own(o owned) {
	row, p := s.ownedRows.add()
	*p = o
	s.ownedBy.add(s.seed.hash(uint64(o.account), uint64(o.content)), row)
}

// owns finds what an account owns.
func (s *State) owns(account AccountNo, content uint32) *owned {
	row, ok := s.ownedBy.find(s.seed.hash(uint64(account), uint64(content)), func(row uint32) bool {
		o := s.ownedRows.at(row)
		return o.account == account && o.content == content
	})
	if !ok {
		return nil
	}
	return s.ownedRows.at(row)
}

// checkUnlock: who owns the content gets it again, whatever became of its price or of himself; anybody else is charged the
// present price, never more than he named.
func (s *State) checkUnlock(op *Op) Applied {
	if op.Version == 0 && op.Amount == 0 {
		return refuse(OpMalformed)
	}
	if op.Amount > MaxMsat {
		return refuse(AmountTooLarge)
	}
	if !s.holder(op.Actor) {
		return refuse(AccountUnknown)
	}
	no, c := s.content(op.ID)
	if c == nil {
		return refuse(ContentUnknown)
	}
	if o := s.owns(op.Actor, no); o != nil {
		return Applied{result: Repeated, kind: OpUnlock, seq: o.seq, amount: o.paid, object: no}
	}
	switch {
	case c.Status != Open:
		return refuse(ContentRetired)
	case op.Version != 0 && op.Version != c.PriceVersion:
		return refuse(PriceChanged)
	case op.Amount != 0 && op.Amount < c.Price:
		return refuse(PriceTooHigh)
	case !s.canPay(op.Actor, c.Price):
		return refuse(InsufficientFunds)
	}
	return Applied{}
}

// unlock takes the price from the buyer, the hub's fee first, the rest to the payees by their shares: one entry.
func (s *State) unlock(op *Op) Applied {
	no, c := s.content(op.ID)
	fee := FeeOf(c.Price, s.params.FeePPM)
	s.pay(op, no, Fees, fee)
	var parts [MaxPayees]Msat
	split(c.Price-fee, c.Payees, &parts)
	for i, p := range c.Payees {
		s.pay(op, no, p.Account, parts[i])
	}
	a := s.entry(c.Price, no)
	a.kind = OpUnlock
	s.own(owned{account: op.Actor, content: no, seq: a.seq, paid: c.Price})
	return a
}

// pay is one part of an unlock.
func (s *State) pay(op *Op, content uint32, to AccountNo, part Msat) {
	if part == 0 {
		return
	}
	s.move(op.Actor, to, part)
	s.leg(Leg{Kind: op.Kind, Move: MovePaid, From: op.Actor, To: to, Object: content, Amount: part})
}
