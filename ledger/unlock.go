package ledger

// own enters that an account owns a content, or a unit of it, from now on.
func (s *State) own(o Owned) {
	s.owned.add(o, s.hashOwned(o.Account, o.Content, o.Unit), 0, o.Seq)
	s.unlocks++
}

func (s *State) hashOwned(account AccountNo, content, unit uint32) uint64 {
	return s.seed.hash(uint64(account)|uint64(unit)<<32, uint64(content))
}

// owns finds what an account owns.
func (s *State) owns(account AccountNo, content, unit uint32) (Owned, Result) {
	found := s.recentlyOwned(account, content, unit)
	switch {
	case found != nil:
		return *found, Repeated
	case !s.owned.dropped:
		return Owned{}, Undecided
	case s.archive == nil:
		return Owned{}, unreadable
	}
	old, ok, err := s.archive.Owned(account, content, unit)
	switch {
	case err != nil:
		return Owned{}, unreadable
	case !ok || old.Seq > s.seq:
		return Owned{}, Undecided
	}
	return old, Repeated
}

// recentlyOwned finds in memory what an account owns.
func (s *State) recentlyOwned(account AccountNo, content, unit uint32) *Owned {
	return s.owned.find(s.hashOwned(account, content, unit), 0, func(o *Owned) bool {
		return o.Account == account && o.Content == content && o.Unit == unit
	})
}

// buys says whether ops of the kind pay the price of a content, or of a unit of it.
func (k Kind) buys() bool {
	return k == OpUnlock || k == OpUnlockPaying || k == OpGift || k == OpUnlockUnit
}

// wants says who owns what an op buys, and which unit of it, counted from one; zero is the work itself.
func (op *Op) wants() (owner AccountNo, unit uint32) {
	switch op.Kind {
	case OpGift, OpGrant:
		return AccountNo(op.Target), 0
	case OpUnlockUnit:
		return op.Actor, op.Target + 1
	}
	return op.Actor, 0
}

// checkUnlock: who owns the content gets it again, whatever became of its price or of himself, and who owns the work owns its
// units; anybody else is charged the present price, never more than he named. For a price in a currency that is a maximum in msat.
func (s *State) checkUnlock(op *Op, now uint64) Applied {
	if r := s.checkBuyer(op); r != Undecided {
		return refuse(r)
	}
	no, c := s.content(op.ID)
	if c == nil {
		return refuse(ContentUnknown)
	}
	if a := s.opened(op, no, c); a.result != Undecided {
		return a
	}
	if r := s.sale(no, c, now); r != Undecided {
		return refuse(r)
	}
	if op.Version != 0 && op.Version != c.PriceVersion {
		return refuse(PriceChanged)
	}
	price, rate, r := s.price(c, now) // zero where there is none, of which little can be said
	pays := price
	if op.Kind == OpUnlockPaying {
		pays = op.Amount
	}
	_, unit := op.wants()
	switch {
	case op.Amount < price && (op.Amount != 0 || rate != 0): // a version says nothing of the rate
		return refuse(PriceTooHigh)
	case !s.canPay(op.Actor, pays):
		return refuse(InsufficientFunds)
	case (unit == 0) != (c.Terms.Units == 0) || unit > c.Terms.Units:
		return refuse(UnitUnknown)
	}
	return refuse(r)
}

// checkBuyer is about the op by itself, and whom it names.
func (s *State) checkBuyer(op *Op) Result {
	switch {
	case op.Kind == OpUnlockPaying && op.Amount == 0:
		return AmountZero
	case op.Version == 0 && op.Amount == 0, op.Kind == OpUnlockUnit && op.Target == 1<<32-1:
		return OpMalformed
	case op.Amount > MaxMsat:
		return AmountTooLarge
	case !s.holder(op.Actor):
		return AccountUnknown
	}
	if op.Kind == OpGift {
		switch to := AccountNo(op.Target); {
		case !s.holder(to):
			return PayeeUnknown
		case to == op.Actor:
			return SameAccount
		}
	}
	return Undecided
}

// opened is the outcome for who has paid before, or need not pay. What is given away opens nothing to the giver.
func (s *State) opened(op *Op, no uint32, c *Content) Applied {
	owner, unit := op.wants()
	a := Applied{result: Repeated, kind: op.opens(), object: no}
	if unit != 0 {
		a.unit = unit - 1
	}
	for _, part := range [...]uint32{unit, 0} {
		switch o, r := s.owns(owner, no, part); r {
		case Repeated:
			a.seq, a.amount = o.Seq, o.Paid
			return a
		case unreadable:
			return refuse(r)
		}
		if unit == 0 {
			break
		}
	}
	if unit != 0 && unit <= c.Terms.FreeUnits || owner == c.Seller { // by a claim, perhaps: he never bought it
		return a
	}
	return Applied{}
}

// opens is the kind of which an op's outcome is that opens something to its actor.
func (op *Op) opens() Kind {
	switch op.Kind {
	case OpUnlock, OpUnlockPaying:
		return OpUnlock
	case OpUnlockUnit:
		return OpUnlockUnit
	}
	return 0
}

// unlock takes the price from the buyer, the hub's fee first, the rest to the payees by their shares: one entry. While a
// claim on the content is yet to be decided, all goes into escrow.
func (s *State) unlock(op *Op) Applied {
	no, c := s.content(op.ID)
	price, rate, _ := s.price(c, s.now)
	if op.Kind == OpUnlockPaying {
		price = op.Amount
	}
	t := s.tallies.edit(no)
	t.Sold++
	t.Income += price
	if c.Claim != 0 {
		s.pay(op, no, Escrow, price)
		t.Disputed += price
	} else {
		s.share(op, no, c, price)
	}
	if rate != 0 {
		s.leg(Leg{Kind: op.Kind, Move: MoveRate, From: op.Actor, Object: no, Amount: rate})
	}
	owner, unit := op.wants()
	if owner != op.Actor || unit != 0 {
		s.leg(Leg{Kind: op.Kind, Move: MoveOwned, From: owner, Object: no, Amount: Msat(unit)})
	}
	a := s.entry(price, no)
	if a.kind = op.opens(); unit != 0 {
		a.unit = unit - 1
	}
	s.own(Owned{Account: owner, Content: no, Unit: unit, Seq: a.seq, Paid: price})
	return a
}

// share pays the hub and the payees.
func (s *State) share(op *Op, no uint32, c *Content, price Msat) {
	fee := FeeOf(price, s.params.FeePPM)
	s.pay(op, no, Fees, fee)
	var parts [MaxPayees]Msat
	split(price-fee, c.Payees, &parts)
	for i, p := range c.Payees {
		s.pay(op, no, p.Account, parts[i])
	}
}

// pay is one part of an unlock.
func (s *State) pay(op *Op, content uint32, to AccountNo, part Msat) {
	if part == 0 {
		return
	}
	s.move(op.Actor, to, part)
	s.leg(Leg{Kind: op.Kind, Move: MovePaid, From: op.Actor, To: to, Object: content, Amount: part})
}

// checkGrant: the seller gives the work away, whatever its terms say of how it is sold.
func (s *State) checkGrant(op *Op) Applied {
	to := AccountNo(op.Target)
	switch {
	case !s.holder(to):
		return refuse(PayeeUnknown)
	case to == op.Actor:
		return refuse(SameAccount)
	}
	c, r := s.ownContent(op)
	if r != Undecided {
		return refuse(r)
	}
	no := s.contentByID[op.ID]
	switch o, r := s.owns(to, no, 0); {
	case r == Repeated:
		return Applied{result: Repeated, seq: o.Seq, object: no}
	case r != Undecided:
		return refuse(r)
	case c.Status != Open:
		return refuse(ContentRetired)
	}
	return Applied{}
}

func (s *State) grant(op *Op) Applied {
	no, to := s.contentByID[op.ID], AccountNo(op.Target)
	s.leg(Leg{Kind: op.Kind, From: op.Actor, Object: no})
	s.leg(Leg{Kind: op.Kind, Move: MoveOwned, From: to, Object: no})
	a := s.entry(0, no)
	s.own(Owned{Account: to, Content: no, Seq: a.seq})
	return a
}
