package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// HeaderSize is the number of bytes of a block before its first op.
const HeaderSize = 80

// MaxBlock bounds a block in bytes. A proposer aims far lower; this is what a reader accepts.
const MaxBlock = 1 << 20

const blockMagic = 0x3142_524d // "MRB1" in little-endian

// ErrBlock is returned, wrapped, for bytes that are no block, or one that does not belong where it stands.
var ErrBlock = errors.New("broken block")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header is what a block says besides its ops:
//
//	+-------+-------+-------+----------+--------+--------+----------+---------+-------+--------+
//	| magic | count | time  | proposer | number | parent | head     | length  | crc   | ops    |
//	| u32   | u32   | u64   | u64      | u64    | u64    | 32 bytes | u32     | u32   | length |
//	+-------+-------+-------+----------+--------+--------+----------+---------+-------+--------+
//
// all little-endian. The head is that of the ledger when the block with the index parent had been applied: the newest
// that the proposer knew. So the blocks are hash-chained, and a replay that comes to another state is found out. The crc
// is CRC-32C over all the other bytes.
type Header struct {
	Time     uint64 // milliseconds since 1970; never before an earlier block's, or it counts as that block's
	Proposer uint64 // a random number of the process that made the block
	Number   uint64 // counts up from one for each proposer
	Parent   uint64
	Head     [32]byte
}

// Builder gathers ops into a block. The zero value is ready.
type Builder struct {
	buf   []byte
	count uint32
}

// Reset makes the builder empty; the bytes of the last Seal are overwritten from now on.
func (b *Builder) Reset() {
	if cap(b.buf) < HeaderSize {
		b.buf = make([]byte, HeaderSize, 512<<10)
	}
	b.buf = b.buf[:HeaderSize]
	b.count = 0
}

// Add appends an op and its detail.
func (b *Builder) Add(op *Op, detail []byte) {
	if len(b.buf) < HeaderSize {
		b.Reset()
	}
	b.buf = AppendOp(b.buf, op, detail)
	b.count++
}

// Count is the number of ops, and Size that of bytes.
func (b *Builder) Count() int { return int(b.count) }
func (b *Builder) Size() int  { return max(len(b.buf), HeaderSize) }

// Seal writes the header and returns the block. It is valid until Reset.
func (b *Builder) Seal(h Header) []byte {
	if len(b.buf) < HeaderSize {
		b.Reset()
	}
	le, buf := binary.LittleEndian, b.buf
	le.PutUint32(buf[0:], blockMagic)
	le.PutUint32(buf[4:], b.count)
	le.PutUint64(buf[8:], h.Time)
	le.PutUint64(buf[16:], h.Proposer)
	le.PutUint64(buf[24:], h.Number)
	le.PutUint64(buf[32:], h.Parent)
	copy(buf[40:72], h.Head[:])
	le.PutUint32(buf[72:], uint32(len(buf)-HeaderSize))
	le.PutUint32(buf[76:], blockCRC(buf))
	return buf
}

// DecodeHeader checks the whole block's frame and checksum, and returns its header, the number of its ops and their bytes.
func DecodeHeader(block []byte) (h Header, count int, ops []byte, err error) {
	le := binary.LittleEndian
	switch {
	case len(block) < HeaderSize || len(block) > MaxBlock:
		return h, 0, nil, fmt.Errorf("%w: %d bytes, want %d to %d", ErrBlock, len(block), HeaderSize, MaxBlock)
	case le.Uint32(block) != blockMagic:
		return h, 0, nil, fmt.Errorf("%w: wrong magic", ErrBlock)
	case int(le.Uint32(block[72:])) != len(block)-HeaderSize:
		return h, 0, nil, fmt.Errorf("%w: wrong length", ErrBlock)
	case le.Uint32(block[76:]) != blockCRC(block):
		return h, 0, nil, fmt.Errorf("%w: wrong checksum", ErrBlock)
	}
	return HeaderOf(block), int(le.Uint32(block[4:])), block[HeaderSize:], nil
}

// HeaderOf is the header of a block that DecodeHeader or Apply has accepted; nothing is checked again.
func HeaderOf(block []byte) Header {
	le := binary.LittleEndian
	return Header{
		Time:     le.Uint64(block[8:]),
		Proposer: le.Uint64(block[16:]),
		Number:   le.Uint64(block[24:]),
		Parent:   le.Uint64(block[32:]),
		Head:     [32]byte(block[40:72]),
	}
}

// SumOf is the checksum that a block of the log carries.
func SumOf(block []byte) uint32 { return binary.LittleEndian.Uint32(block[76:]) }

func blockCRC(block []byte) uint32 {
	crc := crc32.Update(0, castagnoli, block[:76])
	return crc32.Update(crc, castagnoli, block[HeaderSize:])
}
