package api

import (
	"net/netip"
	"strconv"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
	"github.com/valyala/fasthttp"
)

// unit reads the content and the unit in the path.
func (c *call) unit() (id ledger.ContentID, unit uint32, m hub.Meter, p *problem) {
	if id, p = c.contentID(); p != nil {
		return id, 0, m, p
	}
	n, ok := parseWhole(c.second)
	if !ok {
		return id, 0, m, malformed("a unit is a whole number")
	}
	if m, p = c.meter(id); p == nil && n >= uint64(m.Units) {
		p = refusal(ledger.UnitUnknown)
	}
	return id, uint32(n), m, p
}

// unitKey sells the key of a unit to a player, as the URI in a playlist asks for it: 16 bytes, whatever range is asked for.
func (c *call) unitKey() *problem {
	id, unit, m, p := c.unit()
	if p != nil {
		return p
	}
	key, free, err := c.hub.FreeUnit(&c.batch, id, unit)
	if err != nil {
		return c.failed(err)
	}
	if free {
		return c.answerKey(key)
	}
	v, p := c.viewer()
	if p != nil {
		return c.refuse(v, p)
	}
	if v.account == 0 {
		return c.refuse(v, offered(&problem{status: 402, code: "payment_required",
			detail: "this unit is to be paid for: open an account and put money into it, make a session, and ask again with its token or cookie"}, c.offer(id, unit, m)))
	}
	_, key, p = c.buyUnit(v, m, hub.UnitPurchase{Content: id, Unit: unit})
	if p != nil {
		return p
	}
	return c.answerKey(key)
}

func (c *call) answerKey(key seal.UnitKey) *problem {
	c.ctx.SetStatusCode(200)
	c.ctx.SetContentType("application/octet-stream")
	c.ctx.Response.Header.Set("Cache-Control", "no-store")
	c.ctx.Response.SetBody(key[:])
	return nil
}

// buyUnit unlocks a unit within the token's bounds. Refusals of it are counted.
func (c *call) buyUnit(v viewer, m hub.Meter, buy hub.UnitPurchase) (ledger.Applied, seal.UnitKey, *problem) {
	var none seal.UnitKey
	if c.server.denials.over(v, uint64(c.hub.Now().UnixMilli())) {
		return ledger.Applied{}, none, tooManyRefusals()
	}
	offer := c.offer(buy.Content, buy.Unit, m)
	if !c.grant.Only.Allows(buy.Content, buy.Unit) {
		return ledger.Applied{}, none, c.refuse(v, offered(&problem{status: 402, code: "cap_reached", detail: "the token is bound to other units than this one: make another session"}, offer))
	}
	capped := c.grant.MaxMsat != 0 && (buy.Max == 0 || c.grant.MaxMsat < buy.Max)
	if capped { // the ledger itself then holds the purchase to the token's cap
		buy.Max = c.grant.MaxMsat
	}
	buy.Buyer = c.grant.Account
	a, key, err := c.hub.UnlockUnit(&c.batch, buy)
	switch {
	case err != nil:
		return a, none, c.failed(err)
	case capped && a.Result() == ledger.PriceTooHigh:
		return a, none, c.refuse(v, offered(&problem{status: 402, code: "cap_exceeded", detail: "the unit costs more than the token moves in one call: make another session"}, offer))
	case !a.Result().OK():
		return a, none, c.refuse(v, offered(refusal(a.Result()), offer))
	}
	return a, key, nil
}

// unlockUnit is unlock for a unit: for programs, which name what they are ready to pay, and may have the key sealed to their own.
func (c *call) unlockUnit() *problem {
	id, unit, m, p := c.unit()
	if p != nil {
		return p
	}
	o := c.body(false)
	buy := hub.UnitPurchase{Content: id, Unit: unit,
		PriceVersion: uint32(o.whole("price_version", 1, 1<<32-1, false)),
		Max:          ledger.Msat(o.whole("max_msat", 1, uint64(ledger.MaxMsat), false))}
	recipient := o.recipient()
	if buy.PriceVersion == 0 && buy.Max == 0 {
		o.fail("name the price: price_version as quoted, max_msat, or both")
	}
	if p := o.end(); p != nil {
		return p
	}
	a, key, p := c.buyUnit(viewer{account: c.grant.Account}, m, buy)
	if p != nil {
		return p
	}
	c.result(a)
	c.next("content")
	c.contentName(id)
	c.next("unit")
	c.uint(uint64(unit))
	c.next("paid_msat")
	c.uint(uint64(a.Amount()))
	if recipient == nil {
		c.next("unit_key")
		c.base64(key[:])
	} else {
		enc, ciphertext, err := seal.SealUnitTo(recipient, id, unit, key)
		if err != nil {
			return c.failed(err)
		}
		c.next("sealed_unit_key")
		c.out = append(c.out, `{"enc":`...)
		c.base64(enc)
		c.next("ciphertext")
		c.base64(ciphertext)
		c.end()
	}
	c.end()
	c.ctx.Response.Header.Set("Cache-Control", "no-store")
	return c.answer(200)
}

// offer is what a refused unit costs and where it is paid for, as a problem carries it. It is empty while there is no price.
func (c *call) offer(id ledger.ContentID, unit uint32, m hub.Meter) string {
	if m.Price == 0 {
		return ""
	}
	at := c.hub.Origin() + "/v1/contents/" + id.String()
	return `{"content":"` + id.String() + `","unit":` + strconv.FormatUint(uint64(unit), 10) +
		`,"price_msat":` + strconv.FormatUint(uint64(m.Price), 10) + `,"price_version":` + strconv.FormatUint(uint64(m.PriceVersion), 10) +
		`,"units":` + strconv.FormatUint(uint64(m.Units), 10) + `,"free_units":` + strconv.FormatUint(uint64(m.Free), 10) +
		`,"unlock":"` + at + `/units/` + strconv.FormatUint(uint64(unit), 10) + `/unlock","session":"` + at + `/sessions","accounts":"` + c.hub.Origin() + `/v1/accounts"}`
}

// offered adds an offer, if there is one, to a problem that paying solves.
func offered(p *problem, offer string) *problem {
	if p.status == 402 {
		p.offer = offer
	}
	return p
}

// addressOf is who asks, as far as the connection tells.
func addressOf(ctx *fasthttp.RequestCtx) netip.Addr {
	a, _ := netip.AddrFromSlice(ctx.RemoteIP())
	return a.Unmap()
}
