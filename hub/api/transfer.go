package api

import "github.com/millrace/millrace/ledger"

// transfer pays another account once, however often it is sent.
func (c *call) transfer() *problem {
	o := c.body(false)
	op := ledger.Op{Kind: ledger.OpTransfer, Actor: c.grant.Account, ID: o.opID(), Target: uint32(o.account("to")), Amount: o.amount("amount_msat")}
	a, p := c.pay(&o, op)
	if p != nil {
		return p
	}
	c.result(a)
	c.next("id")
	c.opID(op.ID)
	c.next("from")
	c.accountNo(op.Actor)
	c.next("to")
	c.accountNo(ledger.AccountNo(op.Target))
	c.next("amount_msat")
	c.uint(uint64(op.Amount))
	c.end()
	return c.answer(200)
}
