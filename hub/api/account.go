package api

import (
	"crypto/subtle"
	"time"

	"github.com/millrace/millrace/hub/token"
	"github.com/millrace/millrace/ledger"
	"github.com/valyala/fastjson"
)

// createAccount asks for no name. Where registration is by invite, a code opens it.
func (c *call) createAccount() *problem {
	o := c.body(true)
	invite := o.text("invite", 200, false)
	if p := o.end(); p != nil {
		return p
	}
	switch {
	case c.server.cfg.Registration == RegistrationOpen || c.authorize(token.Operator) == nil: // the operator always may
	case c.server.cfg.Registration == RegistrationClosed:
		return &problem{status: 403, code: "registration_closed", detail: "this hub opens no accounts"}
	case !c.invited(invite):
		return &problem{status: 403, code: "invite_invalid", detail: "this hub opens accounts by invite: want a valid code in invite"}
	}
	a, text, err := c.hub.OpenAccount()
	if err != nil {
		return c.failed(err)
	}
	if _, p := c.outcome(a); p != nil {
		return p
	}
	c.begin("account")
	c.accountNo(ledger.AccountNo(a.Object()))
	c.next("number")
	c.uint(uint64(a.Object()))
	c.next("token")
	c.quote(text)
	c.end()
	c.ctx.Response.Header.Set("Cache-Control", "no-store")
	return c.answer(201)
}

// invited compares with every code, in constant time each.
func (c *call) invited(code []byte) bool {
	found := 0
	for _, want := range c.server.cfg.InviteCodes {
		found |= subtle.ConstantTimeCompare(code, []byte(want))
	}
	return found == 1
}

// ownAccount reads the account in the path, which must be the token's own; the operator sees all.
func (c *call) ownAccount() (ledger.AccountNo, *problem) {
	no, err := ledger.ParseAccountNo(c.name)
	if err != nil {
		return 0, malformed("%v", err)
	}
	if !c.grant.Operator && no != c.grant.Account {
		return 0, &problem{status: 403, code: "foreign_account", detail: "the token is another account's"}
	}
	return no, nil
}

func (c *call) getAccount() *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	a, ok := c.hub.Account(no)
	if !ok {
		return refusal(ledger.AccountUnknown)
	}
	c.begin("account")
	c.accountNo(no)
	c.next("number")
	c.uint(uint64(no))
	c.next("balance_msat")
	c.int(a.Available)
	c.next("held_msat")
	c.uint(uint64(a.Held))
	c.end()
	return c.answer(200)
}

// createToken makes another token of the account, narrowed by the one presented and by what the body asks for.
func (c *call) createToken() *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	o := c.body(true)
	limits := token.Limits{Scopes: o.scopes(), Expires: c.grant.Expires}
	if at := o.whole("expires", 1, 1<<48-1, false); at != 0 {
		if t := time.UnixMilli(int64(at)); limits.Expires.IsZero() || t.Before(limits.Expires) {
			limits.Expires = t
		}
	}
	limits.MaxMsat = ledger.Msat(o.whole("max_msat_per_call", 1, uint64(ledger.MaxMsat), false))
	if p := o.end(); p != nil {
		return p
	}
	if c.grant.Operator {
		return &problem{status: 403, code: "not_permitted", detail: "an account's tokens come from its own"}
	}
	if limits.Scopes == 0 {
		limits.Scopes = c.grant.Scopes
	}
	if limits.Scopes &= c.grant.Scopes; limits.Scopes == 0 {
		return &problem{status: 403, code: "scope_missing", detail: "the token presented has none of these scopes"}
	}
	if limits.MaxMsat == 0 || c.grant.MaxMsat != 0 && c.grant.MaxMsat < limits.MaxMsat {
		limits.MaxMsat = c.grant.MaxMsat
	}
	text, err := c.hub.IssueToken(no, limits)
	if err != nil {
		return malformed("%v", err)
	}
	c.begin("token")
	c.quote(text)
	c.end()
	c.ctx.Response.Header.Set("Cache-Control", "no-store")
	return c.answer(201)
}

// scopes is zero when none are named.
func (o *object) scopes() (all token.Scope) {
	v := o.take("scopes")
	if v == nil {
		return 0
	}
	names, err := v.Array()
	if err != nil || len(names) == 0 || len(names) > 3 {
		o.fail("scopes must be an array of 1 to 3 of read, pay, sell")
		return 0
	}
	for _, n := range names {
		s := oneScope(n)
		if s == 0 || all.Has(s) {
			o.fail("scopes must be an array of 1 to 3 of read, pay, sell, each once")
			return 0
		}
		all |= s
	}
	return all
}

func oneScope(v *fastjson.Value) token.Scope {
	switch string(v.GetStringBytes()) {
	case "read":
		return token.Read
	case "pay":
		return token.Pay
	case "sell":
		return token.Sell
	}
	return 0
}

// devCredit makes money, on development hubs alone.
func (c *call) devCredit() *problem {
	if !c.hub.Dev() {
		return &problem{status: 404, code: "route_unknown", detail: "this hub is not in development mode"}
	}
	o := c.body(false)
	op := ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Dev, ID: o.opID(), Target: uint32(o.account("account")), Amount: o.amount("amount_msat")}
	a, p := c.pay(&o, op)
	if p != nil {
		return p
	}
	c.result(a)
	c.next("id")
	c.opID(op.ID)
	c.next("account")
	c.accountNo(ledger.AccountNo(op.Target))
	c.next("amount_msat")
	c.uint(uint64(op.Amount))
	c.end()
	return c.answer(200)
}
