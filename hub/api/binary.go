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

	recordSize  = 32 // kind u8, 3 zero, target u32, amount u64, id 16
	summarySize = 24 // count u32, applied u32, repeated u32, refused u32, seq u64
	refusalSize = 8  // index u32, result u16, 2 zero
)

func (c *call) decodeBinary(body []byte) *problem {
	if len(body)%recordSize != 0 {
		return malformed("%d bytes are no whole number of records of %d bytes", len(body), recordSize)
	}
	if len(body) > hub.MaxBatchOps*recordSize {
		return tooMany()
	}
	n := len(body) / recordSize
	if cap(c.batch.Ops) < n {
		c.batch.Ops = make([]ledger.Op, n)
	}
	c.batch.Ops = c.batch.Ops[:n]
	for i := range c.batch.Ops {
		if !decodeRecord(body[i*recordSize:(i+1)*recordSize:(i+1)*recordSize], &c.batch.Ops[i]) {
			return malformed("record %d: want kind 1, 2 or 3, and zeros where the layout has them", i)
		}
		c.batch.Ops[i].Actor = c.grant.Account
	}
	return nil
}

func decodeRecord(b []byte, op *ledger.Op) bool {
	le := binary.LittleEndian
	head, target := le.Uint32(b), le.Uint32(b[4:])
	*op = ledger.Op{Kind: ledger.Kind(b[0]), Amount: ledger.Msat(le.Uint64(b[8:]))}
	switch head { // kind and three zeros at once
	case uint32(ledger.OpAdvance):
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
