package api

import (
	"encoding/binary"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
)

// The binary encoding of batches: fixed-size records, little-endian. openapi.yaml draws them; TestBinaryLayout pins them.
const (
	binaryOps     = "application/vnd.millrace.ops"
	binaryResults = "application/vnd.millrace.results"

	recordSize  = 32 // kind u8, 3 zero, target u32, amount u64, id 16; of a voucher its signature follows, in the room of two more
	summarySize = 24 // count u32, applied u32, repeated u32, refused u32, seq u64
	refusalSize = 8  // index u32, result u16, 2 zero
)

func (c *call) decodeBinary(body []byte) *problem {
	if len(body)%recordSize != 0 {
		return malformed("%d bytes are no whole number of records of %d bytes", len(body), recordSize)
	}
	if len(body) > hub.MaxBatchOps*recordSize+maxSignatures {
		return tooMany()
	}
	if n := len(body) / recordSize; cap(c.batch.Ops) < n {
		c.batch.Ops = make([]ledger.Op, 0, n)
	}
	ops := c.batch.Ops[:0]
	for i := 0; len(body) > 0; i++ {
		ops = ops[:i+1]
		if !decodeRecord(body[:recordSize:recordSize], &ops[i]) {
			return malformed("record %d: want kind 1, 2, 3 or 18, and zeros where the layout has them", i)
		}
		ops[i].Actor = c.grant.Account
		body = body[recordSize:]
		if ops[i].Kind == ledger.OpVoucher {
			if len(body) < ledger.SignatureSize {
				return malformed("record %d: the voucher's signature is cut short", i)
			}
			if c.batch.Detail = append(c.batch.Detail, body[:ledger.SignatureSize]...); len(c.batch.Detail) > maxSignatures {
				return tooManyVouchers()
			}
			body = body[ledger.SignatureSize:]
		}
	}
	if len(ops) > hub.MaxBatchOps {
		return tooMany()
	}
	c.batch.Ops = ops
	return nil
}

func decodeRecord(b []byte, op *ledger.Op) bool {
	le := binary.LittleEndian
	head, target := le.Uint32(b), le.Uint32(b[4:])
	*op = ledger.Op{Kind: ledger.Kind(b[0]), Amount: ledger.Msat(le.Uint64(b[8:]))}
	switch head { // kind and three zeros at once
	case uint32(ledger.OpAdvance), uint32(ledger.OpVoucher):
		op.Target = target
		return le.Uint64(b[16:])|le.Uint64(b[24:]) == 0
	case uint32(ledger.OpTransfer):
		op.Target = target
	case uint32(ledger.OpUnlock):
		op.Version = target
	default:
		return false
	}
	op.ID = [16]byte(b[16:32])
	return true
}

// encodeBinary answers with a summary and the refusals alone.
func (c *call) encodeBinary() *problem {
	le := binary.LittleEndian
	c.out = append(c.out[:0], make([]byte, summarySize)...)
	var counts [3]uint32 // applied, repeated, refused
	var seq uint64
	for i, a := range c.batch.Out {
		switch a.Result() {
		case ledger.Done:
			counts[0]++
			seq = max(seq, a.Seq())
		case ledger.Repeated:
			counts[1]++
		default:
			counts[2]++
			c.out = le.AppendUint32(c.out, uint32(i))
			c.out = le.AppendUint32(c.out, uint32(a.Result()))
		}
	}
	le.PutUint32(c.out[0:], uint32(len(c.batch.Out)))
	for i, n := range counts {
		le.PutUint32(c.out[4+4*i:], n)
	}
	le.PutUint64(c.out[16:], seq)
	c.answer(200)
	c.ctx.SetContentType(binaryResults)
	return nil
}
