package api

import (
	"bytes"
	"encoding/base64"
	"errors"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/currency"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// register puts a sealed work on sale.
func (c *call) register() *problem {
	o := c.body(false)
	offer := hub.Offer{Seller: c.grant.Account}
	offer.Header = o.base64("header", seal.MaxHeader)
	offer.Commitment, _ = o.sha256("commitment", true)
	offer.Title = string(o.text("title", ledger.MaxTitle, true))
	price := o.price()
	offer.Price, offer.Currency = ledger.Msat(price.Amount), price.Currency
	offer.Size = o.whole("size", 1, 1<<53-1, true)
	offer.FileSHA256, _ = o.sha256("sha256", true)
	offer.Payees = o.payees()
	offer.FreeUnits = uint32(o.whole("free_units", 0, seal.MaxUnits, false))
	if !ledger.TitleOK(offer.Title) {
		o.fail("title must be UTF-8 without control characters")
	}
	if p := o.end(); p != nil {
		return p
	}
	id, a, err := c.hub.Register(offer)
	var unsold *hub.Unsold
	if errors.As(err, &unsold) {
		return refusal(unsold.Result)
	}
	if errors.Is(err, hub.ErrOffer) {
		return &problem{status: 422, code: "offer_refused", detail: err.Error()}
	}
	if err != nil {
		return c.failed(err)
	}
	if _, p := c.outcome(a); p != nil {
		return p
	}
	version := uint64(1)
	if content, ok := c.hub.Content(id); ok {
		version = uint64(content.PriceVersion)
	}
	c.result(a)
	c.next("content")
	c.contentName(id)
	c.next("price_version")
	c.uint(version)
	c.end()
	return c.answer(made(a))
}

func (o *object) base64(name string, most int) []byte {
	text := o.text(name, base64.StdEncoding.EncodedLen(most), true)
	b, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil || len(b) > most || bytes.ContainsAny(text, "\r\n") { // which the decoder skips
		o.fail("%s must be standard base64 of at most %d bytes", name, most)
	}
	return b
}

// payees is empty when none are named.
func (o *object) payees() []ledger.Payee {
	v := o.take("payees")
	if v == nil {
		return nil
	}
	list, err := v.Array()
	if err != nil || len(list) == 0 || len(list) > ledger.MaxPayees {
		o.fail("payees must be an array of 1 to %d", ledger.MaxPayees)
		return nil
	}
	payees := make([]ledger.Payee, len(list))
	for i, v := range list {
		one := o.call.object(v)
		payees[i] = ledger.Payee{Account: one.account("account"), Share: uint32(one.whole("share", 1, ledger.MaxShare, true))}
		if p := one.end(); p != nil {
			o.fail("payee %d: %s", i, p.detail)
			return nil
		}
	}
	return payees
}

// contentID reads the content in the path.
func (c *call) contentID() (ledger.ContentID, *problem) {
	id, err := ledger.ParseContentID(c.name)
	if err != nil {
		return id, malformed("%v", err)
	}
	return id, nil
}

// getContent is the public quote.
func (c *call) getContent() *problem {
	id, p := c.contentID()
	if p != nil {
		return p
	}
	content, ok := c.hub.Content(id)
	if !ok {
		return refusal(ledger.ContentUnknown)
	}
	c.begin("content")
	c.contentName(id)
	c.next("hub")
	c.quote(c.hub.Origin())
	c.next("title")
	c.out = appendString(c.out, content.Title)
	c.next("seller")
	c.accountNo(content.Seller)
	if price, _, result := c.hub.Quote(id); result == ledger.Undecided { // a price that was changed meanwhile has another version
		c.next("price_msat")
		c.uint(uint64(price))
	}
	c.next("price_version")
	c.uint(uint64(content.PriceVersion))
	c.ownPrice(priceOf(&content))
	c.next("size")
	c.uint(content.Size)
	c.next("sha256")
	c.hex(content.FileSHA256[:])
	c.next("header_sha256")
	c.hex(content.HeaderSHA256[:])
	c.next("fee_ppm")
	c.uint(uint64(c.hub.Params().FeePPM))
	c.next("payees")
	c.out = append(c.out, '[')
	for i, payee := range content.Payees {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = append(append(append(c.out, `{"account":"`...), payee.Account.String()...), `","share":`...)
		c.uint(uint64(payee.Share))
		c.out = append(c.out, '}')
	}
	c.out = append(c.out, ']')
	c.next("status")
	c.quote(map[ledger.Status]string{ledger.Open: "on_sale", ledger.Closed: "retired"}[content.Status])
	if m, ok := c.hub.Meter(id); ok {
		c.next("units")
		c.uint(uint64(m.Units))
		c.next("free_units")
		c.uint(uint64(m.Free))
	}
	c.end()
	return c.answer(200)
}

func (c *call) reprice() *problem {
	id, p := c.contentID()
	if p != nil {
		return p
	}
	o := c.body(false)
	price, version := o.price(), uint32(o.whole("price_version", 1, 1<<32-1, true))
	if p := o.end(); p != nil {
		return p
	}
	a, result, err := c.hub.Reprice(c.grant.Account, id, price, version)
	if err != nil {
		return c.failed(err)
	}
	if !result.OK() {
		return refusal(result)
	}
	c.result(a)
	c.next("content")
	c.contentName(id)
	if price.Currency == (currency.Code{}) {
		c.next("price_msat")
		c.uint(price.Amount)
	}
	c.ownPrice(price)
	c.next("price_version")
	c.uint(uint64(a.Object()))
	c.end()
	return c.answer(200)
}

func (c *call) retire() *problem {
	id, p := c.contentID()
	if p != nil {
		return p
	}
	o := c.body(true)
	a, p := c.submit(&o, ledger.Op{Kind: ledger.OpRetire, Actor: c.grant.Account, ID: id})
	if p != nil {
		return p
	}
	c.result(a)
	c.next("content")
	c.contentName(id)
	c.end()
	return c.answer(200)
}
