package ledger

// Hold is money set aside, then taken (captured) or given back (voided). The row is 32 bytes.
type Hold struct {
	Account  AccountNo
	To       AccountNo // who got the captured part
	Amount   Msat
	Captured Msat // the rest went back
	Status   Status
}

func (s *State) checkHold(op *Op, now uint64) Applied {
	if r := checkAmount(op.Amount); r != Undecided {
		return refuse(r)
	}
	if a := s.checkID(op, now); a.result != Undecided {
		return a
	}
	switch {
	case !s.holder(op.Actor):
		return refuse(AccountUnknown)
	case !s.canPay(op.Actor, op.Amount):
		return refuse(InsufficientFunds)
	}
	return Applied{}
}

func (s *State) hold(op *Op) Applied {
	s.setAside(op.Actor, op.Amount)
	s.accounts.edit(uint32(op.Actor)).Holds++
	no, row := s.holds.add()
	*row = Hold{Account: op.Actor, Amount: op.Amount, Status: Open}
	s.leg(Leg{Kind: op.Kind, Move: MoveSetAside, From: op.Actor, Object: no, Amount: op.Amount})
	return s.remember(op, no)
}

// checkCapture: the captured part goes to any holder or external account, the rest back.
func (s *State) checkCapture(op *Op) Applied {
	if r := checkAmount(op.Amount); r != Undecided {
		return refuse(r)
	}
	to := AccountNo(op.Version)
	if !to.External() && !s.holder(to) {
		return refuse(PayeeUnknown)
	}
	if op.Target == 0 || op.Target >= s.holds.rows {
		return refuse(HoldUnknown)
	}
	h := s.holds.at(op.Target)
	switch {
	case h.Account != op.Actor:
		return refuse(NotPermitted)
	case h.Status == Closed && h.Captured == op.Amount && h.To == to:
		return Applied{result: Repeated, object: op.Target, amount: h.Captured}
	case h.Status != Open:
		return refuse(HoldClosed)
	case op.Amount > h.Amount:
		return refuse(TotalAbove)
	case !s.canReceive(to, op.Amount):
		return refuse(SupplyExceeded)
	}
	return Applied{}
}

func (s *State) capture(op *Op) Applied {
	h := s.holds.edit(op.Target)
	h.Status, h.Captured, h.To = Closed, op.Amount, AccountNo(op.Version)
	s.moveHeld(h.Account, h.To, op.Amount)
	s.giveBack(h.Account, h.Amount-op.Amount)
	s.leg(Leg{Kind: op.Kind, Move: MovePaidHeld, From: h.Account, To: h.To, Object: op.Target, Amount: op.Amount})
	if rest := h.Amount - op.Amount; rest > 0 {
		s.leg(Leg{Kind: op.Kind, Move: MoveGiveBack, From: h.Account, Object: op.Target, Amount: rest})
	}
	s.accounts.edit(uint32(h.Account)).Holds--
	return s.entry(op.Amount, op.Target)
}

func (s *State) checkVoid(op *Op) Applied {
	if op.Target == 0 || op.Target >= s.holds.rows {
		return refuse(HoldUnknown)
	}
	h := s.holds.at(op.Target)
	switch {
	case h.Account != op.Actor:
		return refuse(NotPermitted)
	case h.Status == Voided:
		return Applied{result: Repeated, object: op.Target, amount: h.Amount}
	case h.Status != Open:
		return refuse(HoldClosed)
	}
	return Applied{}
}

func (s *State) void(op *Op) Applied {
	h := s.holds.edit(op.Target)
	h.Status = Voided
	s.giveBack(h.Account, h.Amount)
	s.leg(Leg{Kind: op.Kind, Move: MoveGiveBack, From: h.Account, Object: op.Target, Amount: h.Amount})
	s.accounts.edit(uint32(h.Account)).Holds--
	return s.entry(h.Amount, op.Target)
}
