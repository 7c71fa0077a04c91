package api

import (
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// unlock buys a content, or finds it owned, and answers with its file key: in clear for a connection that TLS protects, or
// sealed to the buyer's own key.
func (c *call) unlock() *problem {
	id, p := c.contentID()
	if p != nil {
		return p
	}
	o := c.body(false)
	buy := hub.Purchase{Buyer: c.grant.Account, Content: id,
		PriceVersion: uint32(o.whole("price_version", 1, 1<<32-1, false)),
		Max:          ledger.Msat(o.whole("max_msat", 1, uint64(ledger.MaxMsat), false))}
	header, checked := o.sha256("header_sha256", false)
	recipient := o.recipient()
	if buy.PriceVersion == 0 && buy.Max == 0 {
		o.fail("name the price: price_version as quoted, max_msat, or both")
	}
	if p := o.end(); p != nil {
		return p
	}
	if checked {
		if content, ok := c.hub.Content(id); ok && content.HeaderSHA256 != header {
			return &problem{status: 409, code: "header_mismatch", detail: "this header is not the one that was registered for the content"}
		}
	}
	capped := c.grant.MaxMsat != 0 && (buy.Max == 0 || c.grant.MaxMsat < buy.Max)
	if capped { // the ledger itself then holds the purchase to the token's cap
		buy.Max = c.grant.MaxMsat
	}
	a, key, err := c.hub.Unlock(&c.batch, buy)
	if err != nil {
		return c.failed(err)
	}
	if capped && a.Result() == ledger.PriceTooHigh {
		return c.within(c.grant.MaxMsat + 1)
	}
	if _, p := c.outcome(a); p != nil {
		return c.byRate(id, p)
	}
	c.result(a)
	c.next("content")
	c.contentName(id)
	c.next("paid_msat")
	c.uint(uint64(a.Amount()))
	if p := c.fileKey(id, key, recipient); p != nil {
		return p
	}
	c.end()
	c.ctx.Response.Header.Set("Cache-Control", "no-store")
	return c.answer(200)
}

// byRate says of a price that is too high, because it is in a currency, why that can be.
func (c *call) byRate(id ledger.ContentID, p *problem) *problem {
	if content, ok := c.hub.Content(id); ok && content.Terms.Currency != (ledger.Currency{}) && p.code == ledger.PriceTooHigh.String() {
		p.detail = "the price is in " + content.Terms.Currency.String() + ", and by the rate above the maximum named, or none was named: ask for a new quote, and name it as max_msat"
	}
	return p
}

// recipient is a buyer's X25519 public key, or nil. It is tried out before any money moves: to a point of low order, nothing
// can be sealed.
func (o *object) recipient() []byte {
	if o.json == nil || o.json.Get("recipient") == nil {
		return nil
	}
	b := o.base64("recipient", 32)
	if o.err == nil && len(b) != 32 {
		o.fail("recipient must be base64 of the 32 bytes of an X25519 public key")
	}
	if o.err == nil {
		if _, _, err := seal.SealTo(b, ledger.ContentID{}, seal.FileKey{}); err != nil {
			o.fail("recipient is a key that nothing can be sealed to")
		}
	}
	return b
}

func (c *call) fileKey(id ledger.ContentID, key seal.FileKey, recipient []byte) *problem {
	if recipient == nil {
		c.next("file_key")
		c.base64(key[:])
		return nil
	}
	enc, ciphertext, err := seal.SealTo(recipient, id, key)
	if err != nil {
		return c.failed(err)
	}
	c.next("sealed_file_key")
	c.out = append(c.out, `{"enc":`...)
	c.base64(enc)
	c.next("ciphertext")
	c.base64(ciphertext)
	c.end()
	return nil
}
