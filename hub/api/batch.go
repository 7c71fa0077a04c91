package api

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
	"github.com/valyala/fastjson"
)

// postBatch takes up to hub.MaxBatchOps transfers, advances, vouchers and unlocks in one of three encodings, and answers in the same.
func (c *call) postBatch() *problem {
	c.batch.Reset()
	if p := c.uncoded(); p != nil {
		return p
	}
	body := c.ctx.Request.Body()
	switch kind := strings.ToLower(string(mediaType(c.ctx.Request.Header.ContentType()))); kind {
	case binaryOps:
		return c.runBatch(c.decodeBinary(body), c.encodeBinary)
	case "application/json":
		c.server.arrays <- struct{}{}
		p := c.runBatch(c.decodeArray(body), c.encodeArray)
		c.parser = fastjson.Parser{} // not to be kept with the call: it has grown to several times the body
		<-c.server.arrays
		return p
	case "application/x-ndjson":
		return c.runBatch(c.decodeLines(body), c.encodeLines)
	}
	return &problem{status: 415, code: "media_type_unknown", detail: "want application/json, application/x-ndjson or " + binaryOps}
}

func (c *call) runBatch(p *problem, encode func() *problem) *problem {
	if p != nil {
		return p
	}
	if len(c.batch.Ops) == 0 {
		return malformed("the batch is empty")
	}
	if p := c.batchWithin(); p != nil {
		return p
	}
	if p := c.submitBatch(); p != nil {
		return p
	}
	return encode()
}

// batchWithin holds all that a batch could move against the token's cap.
func (c *call) batchWithin() *problem {
	if c.grant.MaxMsat == 0 {
		return nil
	}
	var sum uint64
	for i := range c.batch.Ops {
		var carry uint64
		if sum, carry = bits.Add64(sum, uint64(c.worth(&c.batch.Ops[i])), 0); carry != 0 {
			sum = 1<<64 - 1
			break
		}
	}
	return c.within(ledger.Msat(sum))
}

// decodeArray reads a JSON array of ops.
func (c *call) decodeArray(body []byte) *problem {
	v, err := c.parse(body, maxBatchValues)
	if errors.Is(err, errWide) {
		return tooMany()
	}
	if err != nil {
		return malformed("the body is not JSON: %s", clip(err.Error()))
	}
	list, err := v.Array()
	if err != nil {
		return malformed("want a JSON array of ops, not %s", article(v.Type()))
	}
	if len(list) > hub.MaxBatchOps {
		return tooMany()
	}
	for i, one := range list {
		if p := c.decodeOp(i, c.object(one)); p != nil {
			return p
		}
	}
	return nil
}

// decodeLines reads one op a line. An empty last line is none.
func (c *call) decodeLines(body []byte) *problem {
	for i := 0; len(body) > 0; i++ {
		if i == hub.MaxBatchOps {
			return tooMany()
		}
		line, rest, _ := bytes.Cut(body, []byte{'\n'})
		body = rest
		v, err := c.parse(line, maxValues)
		if err != nil {
			return malformed("op %d is not JSON: %s", i, clip(err.Error()))
		}
		if p := c.decodeOp(i, c.object(v)); p != nil {
			return p
		}
	}
	return nil
}

func tooMany() *problem {
	return &problem{status: 413, code: "batch_too_large", detail: fmt.Sprintf("a batch takes at most %d ops", hub.MaxBatchOps)}
}

// decodeOp adds an op to the batch.
func (c *call) decodeOp(i int, o object) *problem {
	op := ledger.Op{Actor: c.grant.Account}
	switch string(o.text("op", 16, true)) {
	case "transfer":
		op.Kind, op.ID, op.Target, op.Amount = ledger.OpTransfer, o.opID(), uint32(o.account("to")), o.amount("amount_msat")
	case "advance":
		no, err := ledger.ParseChannelNo(o.text("channel", 16, true))
		if err != nil {
			o.fail("%v", err)
		}
		op.Kind, op.Target, op.Amount = ledger.OpAdvance, uint32(no), o.amount("total_msat")
	case "voucher":
		no, err := ledger.ParseChannelNo(o.text("channel", 16, true))
		if err != nil {
			o.fail("%v", err)
		}
		op.Kind, op.Target, op.Amount = ledger.OpVoucher, uint32(no), o.amount("total_msat")
		signature := o.signature()
		if c.batch.Detail = append(c.batch.Detail, signature[:]...); len(c.batch.Detail) > maxSignatures {
			return tooManyVouchers()
		}
	case "unlock":
		id, err := ledger.ParseContentID(o.text("content", 32, true))
		if err != nil {
			o.fail("%v", err)
		}
		op.Kind, op.ID = ledger.OpUnlock, id
		op.Version = uint32(o.whole("price_version", 1, 1<<32-1, false))
		op.Amount = ledger.Msat(o.whole("max_msat", 1, uint64(ledger.MaxMsat), false))
		if op.Version == 0 && op.Amount == 0 {
			o.fail("name the price: price_version as quoted, max_msat, or both")
		}
	default:
		o.fail("op must be transfer, advance, voucher or unlock")
	}
	if p := o.end(); p != nil {
		p.detail = "op " + strconv.Itoa(i) + ": " + p.detail
		return p
	}
	c.batch.Ops = append(c.batch.Ops, op)
	return nil
}

func (c *call) encodeArray() *problem {
	var applied, repeated, refused uint64
	for _, a := range c.batch.Out {
		switch a.Result() {
		case ledger.Done:
			applied++
		case ledger.Repeated:
			repeated++
		default:
			refused++
		}
	}
	c.begin("applied")
	c.uint(applied)
	c.next("repeated")
	c.uint(repeated)
	c.next("refused")
	c.uint(refused)
	c.next("results")
	c.out = append(c.out, '[')
	for i := range c.batch.Out {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		if p := c.encodeOutcome(i); p != nil {
			return p
		}
	}
	c.out = append(c.out, "]}"...)
	return c.answer(200)
}

func (c *call) encodeLines() *problem {
	c.out = c.out[:0]
	for i := range c.batch.Out {
		if p := c.encodeOutcome(i); p != nil {
			return p
		}
		c.out = append(c.out, '\n')
	}
	c.answer(200)
	c.ctx.SetContentType("application/x-ndjson")
	return nil
}

// encodeOutcome appends what became of one op, with the file key of an unlock.
func (c *call) encodeOutcome(i int) *problem {
	a := c.batch.Out[i]
	c.out = append(append(append(c.out, `{"result":"`...), a.Result().String()...), '"')
	if !a.Result().OK() {
		c.next("retryable")
		c.out = strconv.AppendBool(c.out, a.Result().Retryable())
		c.end()
		return nil
	}
	c.next("seq")
	c.uint(a.Seq())
	c.next("paid_msat")
	c.uint(uint64(a.Amount()))
	if c.batch.Ops[i].Kind == ledger.OpUnlock {
		key, err := c.hub.Release(a)
		if err != nil {
			return c.failed(err)
		}
		c.next("file_key")
		c.base64(key[:])
		c.ctx.Response.Header.Set("Cache-Control", "no-store")
	}
	c.end()
	return nil
}
