package index

import "encoding/binary"

// What a list is the history of, as it stands in keys.
const (
	ofAccount = 'a'
	ofChannel = 'c'
)

// list names the history of an account or a channel.
type list struct {
	of byte
	no uint32
}

// era is the postings of a run of entries: of one segment, or of several eras that were merged. An era never changes; it is
// replaced by the one that it becomes part of.
type era struct {
	no          uint32 // in its keys; eras are numbered as they are made, and never again
	level       uint32 // how many times its postings were merged
	first, last uint64 // its entries
}

// eras are all there are, in the order of their entries, and the number of the next.
type eras struct {
	next uint32
	list []era
}

// encode is the row "m/eras": the next number, and of each era its number, its level, and how many entries it has, as varints.
// They follow each other without a gap from entry 1 on.
func (e *eras) encode() []byte {
	b := binary.AppendUvarint(nil, uint64(e.next))
	for _, a := range e.list {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(a.no)), uint64(a.level))
		b = binary.AppendUvarint(b, a.last-a.first+1)
	}
	return b
}

func decodeEras(b []byte) (e eras, err error) {
	f := fields{b: b}
	next := f.next()
	last := uint64(0)
	for len(f.b) > 0 && !f.failed {
		no, level, entries := f.next(), f.next(), f.next()
		if no >= next || level > maxLevel || entries == 0 || last+entries < last {
			f.failed = true
			break
		}
		e.list = append(e.list, era{no: uint32(no), level: uint32(level), first: last + 1, last: last + entries})
		last += entries
	}
	if f.failed || next > 1<<32-1 {
		return eras{}, corrupt("its table of eras makes no sense")
	}
	e.next = uint32(next)
	return e, nil
}

// maxLevel is more than 2^32 eras merged by two and two come to.
const maxLevel = 40

// sheetKeySize is that of the key of a sheet:
//
//	+-----+-----------+--------------+-----------+------------------+
//	| 'h' | era       | 'a' account  | number    | seq of the first |
//	|     | u32       | 'c' channel  | u32       | posting, u64     |
//	+-----+-----------+--------------+-----------+------------------+
//
// of the first strip on it. So the sheet with the postings of a list from a seq on is the last one whose key is not above it.
const sheetKeySize = 1 + 4 + 1 + 4 + 8

func appendSheetKey(key []byte, era uint32, l list, seq uint64) []byte {
	key = binary.BigEndian.AppendUint32(append(key, 'h'), era)
	key = binary.BigEndian.AppendUint32(append(key, l.of), l.no)
	return binary.BigEndian.AppendUint64(key, seq)
}

// eraKeys are the bounds of an era's keys.
func eraKeys(no uint32) (lower, upper []byte) {
	lower = binary.BigEndian.AppendUint32([]byte{'h'}, no)
	return lower, append(binary.BigEndian.AppendUint32([]byte{'h'}, no), 0xff)
}

// parseSheetKey is the list of the first strip on a sheet, and its era.
func parseSheetKey(key []byte) (l list, era uint32, err error) {
	if len(key) != sheetKeySize || key[5] != ofAccount && key[5] != ofChannel {
		return list{}, 0, corrupt("the key of a sheet is %x", key)
	}
	return list{of: key[5], no: binary.BigEndian.Uint32(key[6:])}, binary.BigEndian.Uint32(key[1:]), nil
}

// binder lays strips, in the order of lists and seqs, on the sheets of an era.
type binder struct {
	set   func(key, value []byte) error // writes a row; keys come in order
	era   uint32
	base  uint64 // the era's first seq
	of    byte   // what the lists at hand are of
	key   []byte
	sheet []byte // empty, or begun
	last  uint32 // the list of the last strip on it
}

func (b *binder) add(of byte, s *strip) error {
	if len(b.sheet) > 0 && (of != b.of || len(b.sheet)+headBytes+len(s.body) > sheetBytes) {
		if err := b.finish(); err != nil {
			return err
		}
	}
	if len(b.sheet) == 0 {
		b.of, b.last = of, 0
		b.key = appendSheetKey(b.key[:0], b.era, list{of, s.no}, s.first)
		b.sheet = binary.AppendUvarint(b.sheet, b.base)
	}
	b.sheet = s.appendTo(b.sheet, b.base, b.last)
	b.last = s.no
	return nil
}

// finish writes the sheet that is begun.
func (b *binder) finish() error {
	if len(b.sheet) == 0 {
		return nil
	}
	err := b.set(b.key, b.sheet)
	b.sheet = b.sheet[:0]
	return err
}

// bindRecords writes the postings of a segment's records, which begin with the entry b.base.
func (g *gathered) bindRecords(records []*record, b *binder) error {
	g.reset()
	for _, r := range records {
		g.block(uint32(r.First-b.base), r.Legs)
	}
	g.accounts, g.spare = sorted(g.accounts, g.spare)
	if err := g.bind(ofAccount, g.accounts, b); err != nil {
		return err
	}
	g.channels, g.spare = sorted(g.channels, g.spare)
	if err := g.bind(ofChannel, g.channels, b); err != nil {
		return err
	}
	return b.finish()
}

// bind cuts sorted mentions into strips.
func (g *gathered) bind(of byte, m []mention, b *binder) error {
	buffer := make([]byte, 0, stripBytes+headBytes)
	for len(m) > 0 {
		s := strip{no: m[0].list, body: buffer}
		for len(m) > 0 && m[0].list == s.no {
			s.opening, s.net, s.count, s.body = s.closing(), change{}, 0, buffer
			m = g.fill(&s, m, b.base)
			if err := b.add(of, &s); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill puts the mentions of one list on a strip until it is full, and returns the others.
func (g *gathered) fill(s *strip, m []mention, base uint64) []mention {
	b, net, last, before := s.body, s.net, m[0].entry, m[0].what
	i := 0
	for ; i < len(m) && m[i].list == s.no && len(b) < stripBytes; i++ {
		what, delta := m[i].what, uint64(m[i].entry-last)<<formBits
		form, n := what&formMask, int64(what>>formBits)
		last = m[i].entry
		if form == formBoth {
			c := g.odd[n]
			b = appendOdd(b, delta, c)
			net, before = plus(net, c), what
			continue
		}
		if i > 0 && what == before {
			b = appendVarint(b, delta|formSame)
		} else {
			b = appendVarint(b, delta|uint64(form))
			if form != formNone {
				b = appendVarint(b, uint64(n))
			}
		}
		before = what
		net[0] += n * formSigns[form][0]
		net[1] += n * formSigns[form][1]
	}
	s.body, s.count, s.net = b, i, net
	s.first, s.last = base+uint64(m[0].entry), base+uint64(last)
	return m[i:]
}

func appendOdd(b []byte, delta uint64, c change) []byte {
	form, n := formOf(c)
	b = appendVarint(b, delta|uint64(form))
	if form == formBoth {
		return appendChange(b, c)
	}
	return appendVarint(b, n)
}

// appendVarint is binary.AppendUvarint in a form that is compiled into its callers.
func appendVarint(b []byte, n uint64) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}
