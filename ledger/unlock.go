package ledger

// own enters that an account owns a content from now on.
func (s *State) own(o Owned) {
	s.owned.add(o, s.seed.hash(uint64(o.Account), uint64(o.Content)), 0, o.Seq)
	s.unlocks++
}

// owns finds what an account owns.
func (s *State) owns(account AccountNo, content uint32) (Owned, Result) {
	found := s.recentlyOwned(account, content)
	switch {
	case found != nil:
		return *found, Repeated
	case !s.owned.dropped:
		return Owned{}, Undecided
	case s.archive == nil:
		return Owned{}, unreadable
	}
	old, ok, err := s.archive.Owned(account, content)
	switch {
	case err != nil:
		return Owned{}, unreadable
	case !ok || old.Seq > s.seq:
		return Owned{}, Undecided
	}
	return old, Repeated
}

// recentlyOwned finds in memory what an account owns.
func (s *State) recentlyOwned(account AccountNo, content uint32) *Owned {
	return s.owned.find(s.seed.hash(uint64(account), uint64(content)), 0, func(o *Owned) bool {
		return o.Account == account && o.Content == content
	})
}

// checkUnlock: who owns the content gets it again, whatever became of its price or of himself; anybody else is charged the
// present price, never more than he named. For a price in a currency that is a maximum in msat.
func (s *State) checkUnlock(op *Op, now uint64) Applied {
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
	if o, r := s.owns(op.Actor, no); r == Repeated {
		return Applied{result: Repeated, kind: OpUnlock, seq: o.Seq, amount: o.Paid, object: no}
	} else if r != Undecided {
		return refuse(r)
	}
	if r := s.sale(no, c, now); r != Undecided {
		return refuse(r)
	}
	if op.Version != 0 && op.Version != c.PriceVersion {
		return refuse(PriceChanged)
	}
	price, rate, r := s.price(c, now)
	switch {
	case r != Undecided:
		return refuse(r)
	case op.Amount < price && (op.Amount != 0 || rate != 0): // a version says nothing of the rate
		return refuse(PriceTooHigh)
	case !s.canPay(op.Actor, price):
		return refuse(InsufficientFunds)
	}
	return Applied{}
}

// unlock takes the price from the buyer, the hub's fee first, the rest to the payees by their shares: one entry.
func (s *State) unlock(op *Op) Applied {
	no, c := s.content(op.ID)
	price, rate, _ := s.price(c, s.now)
	fee := FeeOf(price, s.params.FeePPM)
	s.pay(op, no, Fees, fee)
	var parts [MaxPayees]Msat
	split(price-fee, c.Payees, &parts)
	for i, p := range c.Payees {
		s.pay(op, no, p.Account, parts[i])
	}
	if rate != 0 {
		s.leg(Leg{Kind: op.Kind, Move: MoveRate, From: op.Actor, Object: no, Amount: rate})
	}
	t := s.tallies.edit(no)
	t.Sold++
	t.Income += price
	a := s.entry(price, no)
	a.kind = OpUnlock
	s.own(Owned{Account: op.Actor, Content: no, Seq: a.seq, Paid: price})
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
