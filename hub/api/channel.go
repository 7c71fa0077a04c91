package api

import "github.com/millrace/millrace/ledger"

func (c *call) openChannel() *problem {
	o := c.body(false)
	op := ledger.Op{Kind: ledger.OpOpenChannel, Actor: c.grant.Account, ID: o.opID(), Target: uint32(o.account("to")), Amount: o.amount("amount_msat")}
	op.Version = o.expiry()
	var detail []byte
	if t := c.terms(&o); t != (ledger.ChannelTerms{}) {
		op.Kind, detail = ledger.OpOpenTerms, ledger.AppendChannelTerms(nil, &t)
	}
	a, p := c.payWith(&o, op, detail)
	if p != nil {
		return p
	}
	c.result(a)
	c.channel(a.Object())
	c.next("number")
	c.uint(uint64(a.Object()))
	c.end()
	return c.answer(made(a))
}

// expiry reads when a channel ends. The ledger counts that in seconds: a part of one is rounded up, and what does not fit is later
// than it takes.
func (o *object) expiry() uint32 {
	seconds := (o.whole("expires", 1, 1<<48-1, true) + 999) / 1000
	return uint32(min(seconds, 1<<32-1))
}

// channelNo reads the channel in the path.
func (c *call) channelNo() (uint32, *problem) {
	no, err := ledger.ParseChannelNo(c.name)
	if err != nil {
		return 0, malformed("%v", err)
	}
	return uint32(no), nil
}

func (c *call) channel(no uint32) {
	c.next("channel")
	c.channelNumber(no)
}

// ownChannel reads a channel of which the token's account is a party; the operator sees all.
func (c *call) ownChannel(no uint32) (ledger.Channel, *problem) {
	ch, ok := c.hub.Channel(ledger.ChannelNo(no))
	if !ok {
		return ch, refusal(ledger.ChannelUnknown)
	}
	if !c.grant.Operator && ch.Payer != c.grant.Account && ch.Payee != c.grant.Account {
		return ch, refusal(ledger.NotPermitted)
	}
	return ch, nil
}

// getChannel shows a channel to its parties, and to the operator.
func (c *call) getChannel() *problem {
	no, p := c.channelNo()
	if p != nil {
		return p
	}
	ch, p := c.ownChannel(no)
	if p != nil {
		return p
	}
	c.begin("channel")
	c.channelNumber(no)
	c.next("number")
	c.uint(uint64(no))
	c.next("from")
	c.accountNo(ch.Payer)
	c.next("to")
	c.accountNo(ch.Payee)
	c.next("funded_msat")
	c.uint(uint64(ch.Funded))
	c.next("total_msat")
	c.uint(uint64(ch.Total))
	c.next("expires")
	c.uint(uint64(ch.Expiry) * 1000)
	c.next("status")
	c.quote(map[ledger.Status]string{ledger.Open: "open", ledger.Closed: "closed", ledger.Expired: "expired"}[ch.Status])
	c.showTerms(ledger.ChannelNo(no))
	c.end()
	return c.answer(200)
}

func (c *call) advance() *problem {
	no, p := c.channelNo()
	if p != nil {
		return p
	}
	o := c.body(false)
	op := ledger.Op{Kind: ledger.OpAdvance, Actor: c.grant.Account, Target: no, Amount: o.amount("total_msat")}
	a, p := c.pay(&o, op)
	if p != nil {
		return p
	}
	c.result(a)
	c.channel(no)
	c.next("paid_msat")
	c.uint(uint64(a.Amount()))
	c.next("total_msat")
	c.uint(uint64(op.Amount))
	c.end()
	return c.answer(200)
}

func (c *call) topUp() *problem {
	no, p := c.channelNo()
	if p != nil {
		return p
	}
	o := c.body(false)
	op := ledger.Op{Kind: ledger.OpTopUp, Actor: c.grant.Account, Target: no, ID: o.opID(), Amount: o.amount("amount_msat")}
	a, p := c.pay(&o, op)
	if p != nil {
		return p
	}
	c.result(a)
	c.channel(no)
	c.next("amount_msat")
	c.uint(uint64(op.Amount))
	c.end()
	return c.answer(200)
}

func (c *call) closeChannel() *problem {
	no, p := c.channelNo()
	if p != nil {
		return p
	}
	o := c.body(true)
	a, p := c.submit(&o, ledger.Op{Kind: ledger.OpCloseChannel, Actor: c.grant.Account, Target: no})
	if p != nil {
		return p
	}
	c.result(a)
	c.channel(no)
	c.next("refunded_msat")
	c.uint(uint64(a.Amount()))
	c.end()
	return c.answer(200)
}

// worth is the most that an op can move, as things stand: what a token's cap is held against. Totals only grow, so an
// advance moves no more than it would now. What does not exist yet may do so when the ledger decides: such an advance is worth
// its whole total, and an unlock that names a version alone is bound to the price that it is counted with.
func (c *call) worth(op *ledger.Op) ledger.Msat {
	if c.grant.MaxMsat == 0 {
		return 0
	}
	switch op.Kind {
	case ledger.OpAdvance, ledger.OpVoucher:
		ch, ok := c.hub.Channel(ledger.ChannelNo(op.Target))
		if ok && ch.Payee == op.Actor {
			return 0 // it is paid
		}
		return op.Amount - min(ch.Total, op.Amount)
	case ledger.OpUnlock:
		if op.Amount == 0 && op.Version != 0 {
			price, _, _ := c.hub.Quote(op.ID)
			op.Amount = max(price, 1)
		}
	}
	return op.Amount
}
