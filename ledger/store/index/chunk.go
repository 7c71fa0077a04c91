package index

import (
	"encoding/binary"

	"github.com/millrace/millrace/ledger"
)

// A chunk is a run of entries, each of which begins with a tag, the kind in its low five bits if it is below 31:
//
//	tag                   what follows (varints)
//	0                     of a block: index and time, each less that of the block before; then its entries
//	32                    an advance: channel, payer - channel (zigzag), payee - payer (zigzag), amount
//	kind + 32 * move      any other entry: a byte with the legs behind the first, and 128 when an id follows; the id, 16 bytes; of
//	                      the first leg from, to - from (zigzag), object, amount; of each other a byte with its move, and then
//	                      from, to and object less those of the leg before (zigzag), amount
//	31                    the same, behind a byte with the kind and one with the move: for kinds from 31 on and moves from 8 on
//
// Every chunk begins with a block's tag. The first index and time stand as they are.
const (
	tagBlock   = 0
	tagAdvance = 1 << 5
	tagLarge   = 31
	hasID      = 1 << 7
)

// chunkWriter encodes entries.
type chunkWriter struct {
	buf         []byte
	n           int    // entries
	seq         uint64 // of the last
	index, time uint64 // of the last block's tag
}

// add encodes the entry of a record whose first leg is given, and returns where the next begins.
func (w *chunkWriter) add(r *record, first int) (next int) {
	if r.Index != w.index {
		w.block(r.Index, r.Time)
	}
	l := &r.Legs[first]
	w.n++
	w.seq = r.First + uint64(l.Entry)
	next = first + 1
	if l.Kind == ledger.OpAdvance && l.Move == ledger.MovePaidHeld {
		w.advance(l)
		return next
	}
	for next < len(r.Legs) && r.Legs[next].Entry == l.Entry {
		next++
	}
	w.other(r.ID(l), r.Legs[first:next])
	return next
}

// block says that the entries from here on are of another block.
func (w *chunkWriter) block(index, time uint64) {
	b := append(w.buf, tagBlock)
	b = binary.AppendUvarint(b, index-w.index)
	w.buf = binary.AppendUvarint(b, time-w.time)
	w.index, w.time = index, time
}

// advance encodes what nearly all entries are.
func (w *chunkWriter) advance(l *ledger.Leg) {
	b := append(w.buf, tagAdvance)
	b = binary.AppendUvarint(b, uint64(l.Object))
	b = binary.AppendVarint(b, int64(l.From)-int64(l.Object))
	b = binary.AppendVarint(b, int64(l.To)-int64(l.From))
	w.buf = binary.AppendUvarint(b, uint64(l.Amount))
}

func (w *chunkWriter) other(id ledger.OpID, legs []ledger.Leg) {
	l, more := &legs[0], byte(len(legs)-1)
	b := w.buf
	if l.Kind < tagLarge && l.Move < 8 {
		b = append(b, byte(l.Kind)|byte(l.Move)<<5)
	} else {
		b = append(b, tagLarge, byte(l.Kind), byte(l.Move))
	}
	if id != (ledger.OpID{}) {
		b = append(append(b, more|hasID), id[:]...)
	} else {
		b = append(b, more)
	}
	b = binary.AppendUvarint(b, uint64(l.From))
	b = binary.AppendVarint(b, int64(l.To)-int64(l.From))
	b = binary.AppendUvarint(b, uint64(l.Object))
	b = binary.AppendUvarint(b, uint64(l.Amount))
	for i := range legs[1:] {
		last, l := &legs[i], &legs[i+1]
		b = append(b, byte(l.Move))
		b = binary.AppendVarint(b, int64(l.From)-int64(last.From))
		b = binary.AppendVarint(b, int64(l.To)-int64(last.To))
		b = binary.AppendVarint(b, int64(l.Object)-int64(last.Object))
		b = binary.AppendUvarint(b, uint64(l.Amount))
	}
	w.buf = b
}

// chunk is a decoded one.
type chunk struct {
	first   uint64
	entries []ledger.Entry
	legs    []ledger.Leg
}

// at finds an entry, or returns nil.
func (c *chunk) at(seq uint64) *ledger.Entry {
	if n := seq - c.first; seq >= c.first && n < uint64(len(c.entries)) {
		return &c.entries[n]
	}
	return nil
}

// decode replaces the chunk; when it fails, by nothing.
func (c *chunk) decode(first uint64, b []byte) error {
	c.first, c.entries, c.legs = first, c.entries[:0], c.legs[:0]
	d := chunkDecoder{b: b}
	for len(d.b) > 0 && !d.bad {
		tag := d.byte()
		if tag == tagBlock {
			d.index += d.uvarint()
			d.time += d.uvarint()
			continue
		}
		e := ledger.Entry{Seq: first + uint64(len(c.entries)), Time: d.time, Index: d.index}
		n := len(c.legs)
		c.legs = d.entry(tag, &e, c.legs)
		e.Legs = c.legs[n:] // its length counts; see below
		c.entries = append(c.entries, e)
		d.bad = d.bad || d.index == 0 || len(c.entries) > chunkEntries
	}
	if d.bad || len(c.entries) == 0 {
		c.entries = c.entries[:0]
		return corrupt("a chunk makes no sense %d bytes before its end", len(d.b))
	}
	at := 0 // the legs have moved as they grew
	for i := range c.entries {
		n := len(c.entries[i].Legs)
		c.entries[i].Legs = c.legs[at : at+n : at+n]
		at += n
	}
	return nil
}

// chunkDecoder reads; once something is bad it stays so, and what it returns means nothing.
type chunkDecoder struct {
	b           []byte
	index, time uint64
	bad         bool
}

func (d *chunkDecoder) entry(tag byte, e *ledger.Entry, legs []ledger.Leg) []ledger.Leg {
	if tag == tagAdvance {
		e.Kind = ledger.OpAdvance
		l := ledger.Leg{Kind: e.Kind, Move: ledger.MovePaidHeld}
		l.Object = d.number(int64(d.uvarint()))
		l.From = ledger.AccountNo(d.number(int64(l.Object) + d.varint()))
		l.To = ledger.AccountNo(d.number(int64(l.From) + d.varint()))
		l.Amount = ledger.Msat(d.uvarint())
		return append(legs, l)
	}
	move := tag >> 5
	if e.Kind = ledger.Kind(tag & 31); tag == tagLarge {
		e.Kind, move = ledger.Kind(d.byte()), d.byte()
	}
	d.bad = d.bad || tag&31 == tagLarge && tag != tagLarge
	more := d.byte()
	if more&hasID != 0 {
		d.id(&e.ID)
	}
	l := ledger.Leg{Kind: e.Kind, Move: d.move(move)}
	l.From = ledger.AccountNo(d.number(int64(d.uvarint())))
	l.To = ledger.AccountNo(d.number(int64(l.From) + d.varint()))
	l.Object = d.number(int64(d.uvarint()))
	l.Amount = ledger.Msat(d.uvarint())
	legs = append(legs, l)
	for range more &^ hasID {
		l.Move = d.move(d.byte())
		l.From = ledger.AccountNo(d.number(int64(l.From) + d.varint()))
		l.To = ledger.AccountNo(d.number(int64(l.To) + d.varint()))
		l.Object = d.number(int64(l.Object) + d.varint())
		l.Amount = ledger.Msat(d.uvarint())
		legs = append(legs, l)
	}
	d.bad = d.bad || !e.Kind.Known()
	return legs
}

func (d *chunkDecoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *chunkDecoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *chunkDecoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

// number makes sure that a number is one of an account or an object.
func (d *chunkDecoder) number(n int64) uint32 {
	d.bad = d.bad || n != int64(uint32(n))
	return uint32(n)
}

func (d *chunkDecoder) move(m byte) ledger.Move {
	d.bad = d.bad || !ledger.Move(m).Known()
	return ledger.Move(m)
}

func (d *chunkDecoder) id(id *ledger.OpID) {
	if len(d.b) < len(id) {
		d.bad, d.b = true, nil
		return
	}
	d.b = d.b[copy(id[:], d.b):]
}
