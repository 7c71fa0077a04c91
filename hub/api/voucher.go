package api

import (
	"fmt"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
)

// maxSignatures bounds those of a batch's vouchers, in bytes.
const maxSignatures = hub.MaxBatchVouchers * ledger.SignatureSize

// modes are the names of the modes of channels.
var modes = [...]string{ledger.PayerAdvances: "payer_advances", ledger.PayeeAdvances: "payee_advances", ledger.Signed: "signed"}

// terms reads those of a channel to open; they are zero for one that the payer advances as he likes.
func (c *call) terms(o *object) (t ledger.ChannelTerms) {
	if mode := o.text("mode", 16, false); mode != nil {
		t.Mode = ledger.Mode(len(modes))
		for m, name := range modes {
			if string(mode) == name {
				t.Mode = ledger.Mode(m)
			}
		}
		if int(t.Mode) == len(modes) {
			o.fail("mode must be payer_advances, payee_advances or signed")
		}
	}
	t.PerMinute = ledger.Msat(o.whole("per_minute_msat", 1, uint64(ledger.MaxMsat), false))
	key, given := o.sha256("key", false)
	switch signed := t.Mode == ledger.Signed; {
	case signed && !given:
		o.fail("key is missing: a signed channel needs the public key of the payer's vouchers")
	case !signed && given:
		o.fail("key is for signed channels alone")
	case signed && o.err == nil && !c.hub.VoucherKeyOK(key):
		o.fail("key is none: want the x coordinate of a point of secp256k1 (BIP-340)")
	}
	t.Key = key
	return t
}

// showTerms appends a channel's terms to what is shown of it.
func (c *call) showTerms(no ledger.ChannelNo) {
	t, _ := c.hub.ChannelTerms(no)
	c.next("mode")
	c.quote(modes[t.Mode])
	if t.PerMinute > 0 {
		c.next("per_minute_msat")
		c.uint(uint64(t.PerMinute))
	}
	if t.Mode == ledger.Signed {
		c.next("key")
		c.hex(t.Key[:])
	}
}

// signature reads that of a voucher.
func (o *object) signature() (s [ledger.SignatureSize]byte) {
	if b := o.text("signature", 2*len(s), true); b != nil && (len(b) != 2*len(s) || !lowerHex(s[:], b)) {
		o.fail("signature must be %d lower-case hexadecimal digits", 2*len(s))
	}
	return s
}

func tooManyVouchers() *problem {
	return &problem{status: 413, code: "batch_too_large", detail: fmt.Sprintf("a batch takes at most %d vouchers", hub.MaxBatchVouchers)}
}

// redeemVoucher shows a voucher to the hub. Its text may stand in the body as it is, and then has to be for this hub and channel.
func (c *call) redeemVoucher() *problem {
	no, p := c.channelNo()
	if p != nil {
		return p
	}
	o := c.body(false)
	here := true
	if origin := o.text("hub", 300, false); origin != nil {
		here = string(origin) == c.hub.Origin()
	}
	if name := o.text("channel", 16, false); name != nil {
		here = here && string(name) == ledger.ChannelNo(no).String()
	}
	op := ledger.Op{Kind: ledger.OpVoucher, Actor: c.grant.Account, Target: no, Amount: o.amount("total_msat")}
	signature := o.signature()
	if p := o.end(); p == nil && !here {
		return refusal(ledger.VoucherInvalid)
	}
	a, p := c.payWith(&o, op, signature[:])
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

// getVoucher gives the newest voucher to either party.
func (c *call) getVoucher() *problem {
	no, p := c.channelNo()
	if p != nil {
		return p
	}
	if _, p := c.ownChannel(no); p != nil {
		return p
	}
	v, ok := c.hub.Voucher(ledger.ChannelNo(no))
	if !ok {
		return &problem{status: 404, code: "voucher_unknown", detail: "no voucher of this channel was shown yet"}
	}
	c.begin("hub")
	c.quote(c.hub.Origin())
	c.channel(no)
	c.next("total_msat")
	c.uint(uint64(v.Total))
	c.next("signature")
	c.hex(v.Signature[:])
	c.end()
	return c.answer(200)
}

// renewChannel puts a channel's expiry off.
func (c *call) renewChannel() *problem {
	no, p := c.channelNo()
	if p != nil {
		return p
	}
	o := c.body(false)
	op := ledger.Op{Kind: ledger.OpRenew, Actor: c.grant.Account, Target: no, Version: o.expiry()}
	a, p := c.submit(&o, op)
	if p != nil {
		return p
	}
	c.result(a)
	c.channel(no)
	c.next("expires")
	c.uint(uint64(op.Version) * 1000)
	c.end()
	return c.answer(200)
}
