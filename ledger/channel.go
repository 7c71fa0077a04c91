package ledger

// MaxChannelLife bounds how far ahead a channel's expiry may lie, in milliseconds: five years of 365 days.
const MaxChannelLife = 5 * 365 * 24 * 60 * 60 * 1000

// Status is what became of a channel, a hold or a content.
type Status uint8

const (
	Open    Status = 1 // a channel that can be advanced, a hold that stands, a content on sale
	Closed  Status = 2 // a channel closed by a party, a hold captured, a content retired
	Expired Status = 3 // a channel whose time ran out
	Voided  Status = 4 // a hold given back
)

// Channel is a payment channel inside the hub. The row is 32 bytes.
type Channel struct {
	Payer, Payee AccountNo
	Funded       Msat   // set aside by the payer, in all
	Total        Msat   // paid to the payee so far; at most Funded
	Expiry       uint32 // seconds since 1970
	Status       Status
	Mode         Mode
	Limited      bool // the terms bound what is paid in a minute
}

// open says why the channel cannot be paid through now, or Undecided.
func (c *Channel) refusal(now uint64) Result {
	switch {
	case c.Status == Expired || c.Status == Open && now >= uint64(c.Expiry)*1000:
		return ChannelExpired
	case c.Status != Open:
		return ChannelClosed
	}
	return Undecided
}

func (s *State) checkOpenChannel(op *Op, now uint64) Applied {
	if r := checkAmount(op.Amount); r != Undecided {
		return refuse(r)
	}
	if a := s.checkID(op, now); a.result != Undecided {
		return a
	}
	payee, expiry := AccountNo(op.Target), uint64(op.Version)*1000
	switch {
	case !s.holder(op.Actor):
		return refuse(AccountUnknown)
	case !s.holder(payee):
		return refuse(PayeeUnknown)
	case op.Actor == payee:
		return refuse(SameAccount)
	case expiry <= now || expiry > now+MaxChannelLife:
		return refuse(ExpiryInvalid)
	case !s.canPay(op.Actor, op.Amount):
		return refuse(InsufficientFunds)
	}
	return Applied{}
}

func (s *State) openChannel(op *Op) Applied {
	s.setAside(op.Actor, op.Amount)
	s.accounts.edit(uint32(op.Actor)).Channels++
	no, row := s.channels.add()
	*row = Channel{Payer: op.Actor, Payee: AccountNo(op.Target), Funded: op.Amount, Expiry: op.Version, Status: Open}
	s.leg(Leg{Kind: op.Kind, Move: MoveSetAside, From: op.Actor, To: row.Payee, Object: no, Amount: op.Amount})
	return s.remember(op, no)
}

// checkAdvance: the total is cumulative, so the same total again is a repeat, whatever became of the channel since. Nearly all
// channels have no terms, and pay for them with the look at their mode alone. A voucher is an advance, too: see checkVoucher.
func (s *State) checkAdvance(op *Op, now uint64) Applied {
	if r := checkAmount(op.Amount); r != Undecided {
		return refuse(r)
	}
	if op.Target == 0 || op.Target >= s.channels.rows {
		return refuse(ChannelUnknown)
	}
	c := s.channels.at(op.Target)
	if c.Payer != op.Actor || c.Mode != PayerAdvances || op.Kind != OpAdvance {
		if r := c.advancedBy(op); r != Undecided {
			return refuse(r)
		}
	}
	if op.Amount == c.Total {
		return Applied{result: Repeated, object: op.Target}
	}
	if r := c.refusal(now); r != Undecided {
		return refuse(r)
	}
	switch {
	case op.Amount < c.Total:
		return refuse(TotalBelow)
	case op.Amount > c.Funded:
		return refuse(TotalAbove)
	case c.Limited && s.tooFast(op.Target, op.Amount-c.Total, now):
		return refuse(RateExceeded)
	}
	return Applied{}
}

func (s *State) advance(op *Op) Applied {
	c := s.channels.edit(op.Target)
	paid := op.Amount - c.Total
	c.Total = op.Amount
	if c.Limited {
		s.countPaid(op.Target, paid)
	}
	s.moveHeld(c.Payer, c.Payee, paid)
	s.leg(Leg{Kind: op.Kind, Move: MovePaidHeld, From: c.Payer, To: c.Payee, Object: op.Target, Amount: paid})
	return s.entry(paid, op.Target)
}

func (s *State) checkTopUp(op *Op, now uint64) Applied {
	if r := checkAmount(op.Amount); r != Undecided {
		return refuse(r)
	}
	if a := s.checkID(op, now); a.result != Undecided {
		return a
	}
	if op.Target == 0 || op.Target >= s.channels.rows {
		return refuse(ChannelUnknown)
	}
	c := s.channels.at(op.Target)
	if c.Payer != op.Actor {
		return refuse(NotPermitted)
	}
	if r := c.refusal(now); r != Undecided {
		return refuse(r)
	}
	if c.Funded+op.Amount > MaxMsat {
		return refuse(TotalAbove)
	}
	if !s.canPay(op.Actor, op.Amount) {
		return refuse(InsufficientFunds)
	}
	return Applied{}
}

func (s *State) topUp(op *Op) Applied {
	s.setAside(op.Actor, op.Amount)
	c := s.channels.edit(op.Target)
	c.Funded += op.Amount
	s.leg(Leg{Kind: op.Kind, Move: MoveSetAside, From: op.Actor, To: c.Payee, Object: op.Target, Amount: op.Amount})
	return s.remember(op, op.Target)
}

// checkClose: either party may close, and what was not paid goes back to the payer. While a payee may have vouchers that he has not
// shown yet, which is until the expiry, he alone closes a signed channel.
func (s *State) checkClose(op *Op, now uint64) Applied {
	if op.Target == 0 || op.Target >= s.channels.rows {
		return refuse(ChannelUnknown)
	}
	c := s.channels.at(op.Target)
	switch {
	case c.Payer != op.Actor && c.Payee != op.Actor:
		return refuse(NotPermitted)
	case c.Mode == Signed && c.Status == Open && c.Payer == op.Actor && now < uint64(c.Expiry)*1000:
		return refuse(WrongMode)
	case c.Status == Closed:
		return Applied{result: Repeated, object: op.Target, amount: c.Funded - c.Total}
	case c.Status == Expired:
		return refuse(ChannelExpired)
	}
	return Applied{}
}

// checkExpire is the hub's own op: it gives back what lies in a channel whose time has run out.
func (s *State) checkExpire(op *Op, now uint64) Applied {
	if op.Target == 0 || op.Target >= s.channels.rows {
		return refuse(ChannelUnknown)
	}
	c := s.channels.at(op.Target)
	switch {
	case c.Status == Expired:
		return Applied{result: Repeated, object: op.Target, amount: c.Funded - c.Total}
	case now < uint64(c.Expiry)*1000:
		return refuse(ExpiryInvalid)
	case c.Status == Closed:
		return refuse(ChannelClosed)
	}
	return Applied{}
}

func (s *State) closeChannel(op *Op, status Status) Applied {
	c := s.channels.edit(op.Target)
	refund := c.Funded - c.Total
	c.Status = status
	s.giveBack(c.Payer, refund)
	s.accounts.edit(uint32(c.Payer)).Channels--
	s.leg(Leg{Kind: op.Kind, Move: MoveGiveBack, From: c.Payer, To: c.Payee, Object: op.Target, Amount: refund})
	return s.entry(refund, op.Target)
}

// DueChannels appends to due, up to its capacity, the channels from the given one on whose time has run out by now. It
// looks at no more than scan of them, and returns where to go on: 1 after the last.
func (s *State) DueChannels(due []ChannelNo, from ChannelNo, scan int, now uint64) ([]ChannelNo, ChannelNo) {
	for ; scan > 0 && len(due) < cap(due); scan-- {
		if uint32(from) >= s.channels.rows {
			return due, 1
		}
		if c := s.channels.at(uint32(from)); c.Status == Open && now >= uint64(c.Expiry)*1000 {
			due = append(due, from)
		}
		from++
	}
	return due, from
}
