package ledger

func (s *State) checkTransfer(op *Op, now uint64) Applied {
	if r := checkAmount(op.Amount); r != Undecided {
		return refuse(r)
	}
	if a := s.checkID(op, now); a.result != Undecided {
		return a
	}
	payee := AccountNo(op.Target)
	switch {
	case !s.holder(op.Actor):
		return refuse(AccountUnknown)
	case !s.holder(payee):
		return refuse(PayeeUnknown)
	case op.Actor == payee:
		return refuse(SameAccount)
	case !s.canPay(op.Actor, op.Amount):
		return refuse(InsufficientFunds)
	}
	return Applied{}
}

func (s *State) transfer(op *Op) Applied {
	s.move(op.Actor, AccountNo(op.Target), op.Amount)
	s.leg(Leg{Kind: op.Kind, Move: MovePaid, From: op.Actor, To: AccountNo(op.Target), Amount: op.Amount})
	return s.remember(op, 0)
}

// A credit brings money in through an external account, a debit takes it out. Both are the hub's own ops: no customer's
// token makes them.

func (s *State) checkCredit(op *Op, now uint64) Applied {
	return s.checkExternal(op, now, op.Actor, AccountNo(op.Target))
}

func (s *State) checkDebit(op *Op, now uint64) Applied {
	if a := s.checkExternal(op, now, AccountNo(op.Target), op.Actor); a.result != Undecided {
		return a
	}
	if !s.canPay(op.Actor, op.Amount) {
		return refuse(InsufficientFunds)
	}
	if !s.canReceive(AccountNo(op.Target), op.Amount) {
		return refuse(SupplyExceeded)
	}
	return Applied{}
}

func (s *State) checkExternal(op *Op, now uint64, external, holder AccountNo) Applied {
	if r := checkAmount(op.Amount); r != Undecided {
		return refuse(r)
	}
	if a := s.checkID(op, now); a.result != Undecided {
		return a
	}
	if !external.External() || !s.holder(holder) {
		return refuse(AccountUnknown)
	}
	if op.Kind == OpCredit && (s.accounts.at(uint32(external)).Available-int64(op.Amount) < -int64(MaxMsat) ||
		s.Supply()+op.Amount > MaxMsat) {
		return refuse(SupplyExceeded)
	}
	return Applied{}
}

// canReceive says whether an external account stays within bounds; a holder always does, since the supply does.
func (s *State) canReceive(a AccountNo, amount Msat) bool {
	return !a.External() || s.accounts.at(uint32(a)).Available+int64(amount) <= int64(MaxMsat)
}

// Supply is all the money inside: what the external accounts owe. At most MaxMsat.
func (s *State) Supply() Msat {
	var owed int64
	for _, a := range [...]AccountNo{Dev, Lightning, Chain} {
		owed -= s.accounts.at(uint32(a)).Available
	}
	return Msat(owed)
}
