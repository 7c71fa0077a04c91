package index

import (
	"encoding/binary"
)

// change is what one entry changes in a list: of an account what is at hand and what is held, of a channel what is left in it
// and what was paid through it, in msat.
type change = [2]int64

// posting is one entry in the list of an account or a channel.
type posting struct {
	seq    uint64
	change change
}

// The forms of a change. A posting begins with a varint whose low three bits are the form; the bits above are how far its seq
// lies behind the posting's before it, and zero in the first of a strip.
const (
	formNone     = iota // nothing
	formGain            // +n, 0
	formLose            // -n, 0
	formLoseHeld        // 0, -n
	formSetAside        // -n, +n: of a channel, what is paid through it
	formGiveBack        // +n, -n
	formSame            // the change of the posting before it
	formBoth            // two signed numbers

	formBits = 3
	formMask = 1<<formBits - 1
)

// formSigns are what n counts for in each form that has one.
var formSigns = [formMask + 1]change{
	formGain: {1, 0}, formLose: {-1, 0}, formLoseHeld: {0, -1}, formSetAside: {-1, 1}, formGiveBack: {1, -1},
}

// formOf is the form that says a change, with its n.
func formOf(c change) (form uint8, n uint64) {
	switch a, h := c[0], c[1]; {
	case a == 0 && h == 0:
		return formNone, 0
	case h == 0 && a > 0:
		return formGain, uint64(a)
	case h == 0:
		return formLose, -uint64(a)
	case a == 0 && h < 0:
		return formLoseHeld, -uint64(h)
	case a == -h && a < 0:
		return formSetAside, uint64(h)
	case a == -h:
		return formGiveBack, uint64(a)
	}
	return formBoth, 0
}

// Bounds of what is read and written in one piece. A page of history decodes a strip or two at each end of what it shows, so
// strips are short; a sheet is what one read from the disk brings.
const (
	stripBytes = 1 << 10 // of postings; a strip ends with the one that passes it
	sheetBytes = 4 << 10 // of strips; the next strip begins a new sheet if it does not fit
)

// strip is a run of postings of one list, in the order of their seqs:
//
//	+---------------+-----------------+--------------+-----------+-------------+-----------+--------+------------+
//	| number - that | count*2 + 1 if  | first seq -  | opening   | last seq -  | net       | bytes  | postings   |
//	| of the strip  | an opening is   | the sheet's  | 2 varints | first seq   | 2 varints | of the |            |
//	| before, or 0  | there           | base         | (signed)  |             | (signed)  | rest   |            |
//	+---------------+-----------------+--------------+-----------+-------------+-----------+--------+------------+
//	                                                 '- if there '- only with a count above one ----'
//
// all varints. The opening is what the list had before the strip, counted from the beginning of the strip's era; the net what
// the strip's postings change. A sheet is a varint, its base, and strips of accounts or of channels in the order of their
// numbers and seqs.
type strip struct {
	no           uint32
	count        int
	first, last  uint64
	opening, net change
	body         []byte
}

func (s *strip) closing() change { return plus(s.opening, s.net) }

func plus(a, b change) change  { return change{a[0] + b[0], a[1] + b[1]} }
func minus(a, b change) change { return change{a[0] - b[0], a[1] - b[1]} }

// add appends a posting, given by its form and n.
func (s *strip) add(seq uint64, form uint8, n uint64) {
	delta := uint64(0)
	if s.count == 0 {
		s.first = seq
	} else {
		delta = seq - s.last
	}
	b := binary.AppendUvarint(s.body, delta<<formBits|uint64(form))
	if form != formNone && form != formSame {
		b = binary.AppendUvarint(b, n)
	}
	s.body, s.count, s.last = b, s.count+1, seq
}

// addBoth is add for a change that has no form of its own.
func (s *strip) addBoth(seq uint64, c change) {
	s.add(seq, formBoth, zigzag(c[0]))
	s.body = binary.AppendUvarint(s.body, zigzag(c[1]))
}

// join appends a strip that follows in the same list. Only its first posting has to be written anew.
func (s *strip) join(next *strip) error {
	head, n := binary.Uvarint(next.body)
	if n <= 0 || head > formMask || head == formSame || next.first <= s.last {
		return corrupt("a strip of list %d does not follow the one before it", next.no)
	}
	s.body = binary.AppendUvarint(s.body, (next.first-s.last)<<formBits|head)
	s.body = append(s.body, next.body[n:]...)
	s.count += next.count
	s.last = next.last
	s.net = plus(s.net, next.net)
	return nil
}

// postings appends the strip's postings to out.
func (s *strip) postings(out []posting) ([]posting, error) {
	var p posting
	var net change
	b := s.body
	for i := range s.count {
		head, n := binary.Uvarint(b)
		if n <= 0 || i == 0 && (head > formMask || head == formSame) || i > 0 && head>>formBits == 0 {
			return out, s.corrupt("posting")
		}
		b = b[n:]
		if i == 0 {
			p.seq = s.first
		} else {
			if p.seq += head >> formBits; p.seq > s.last {
				return out, s.corrupt("seq")
			}
		}
		form := head & formMask
		if form != formNone && form != formSame {
			x, n := binary.Uvarint(b)
			if n <= 0 {
				return out, s.corrupt("amount")
			}
			b = b[n:]
			if form == formBoth {
				y, n := binary.Uvarint(b)
				if n <= 0 {
					return out, s.corrupt("amount")
				}
				b = b[n:]
				p.change = change{unzigzag(x), unzigzag(y)}
			} else {
				p.change = change{int64(x) * formSigns[form][0], int64(x) * formSigns[form][1]}
			}
		} else if form == formNone {
			p.change = change{}
		}
		net = plus(net, p.change)
		out = append(out, p)
	}
	if len(b) > 0 || p.seq != s.last || net != s.net {
		return out, s.corrupt("sum")
	}
	return out, nil
}

func (s *strip) corrupt(what string) error {
	return corrupt("wrong %s in a strip of list %d from entry %d on", what, s.no, s.first)
}

// appendTo appends the strip to a sheet with the given base, behind a strip of list before.
func (s *strip) appendTo(sheet []byte, base uint64, before uint32) []byte {
	opened := uint64(0)
	if s.opening != (change{}) {
		opened = 1
	}
	sheet = binary.AppendUvarint(sheet, uint64(s.no-before))
	sheet = binary.AppendUvarint(sheet, uint64(s.count)<<1|opened)
	sheet = binary.AppendUvarint(sheet, s.first-base)
	if opened == 1 {
		sheet = appendChange(sheet, s.opening)
	}
	if s.count > 1 {
		sheet = binary.AppendUvarint(sheet, s.last-s.first)
		sheet = appendChange(sheet, s.net)
		sheet = binary.AppendUvarint(sheet, uint64(len(s.body)))
	}
	return append(sheet, s.body...)
}

// headBytes bounds what appendTo puts before the postings.
const headBytes = 6 * binary.MaxVarintLen64

func appendChange(b []byte, c change) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, zigzag(c[0])), zigzag(c[1]))
}

func zigzag(n int64) uint64   { return uint64(n)<<1 ^ uint64(n>>63) }
func unzigzag(n uint64) int64 { return int64(n>>1) ^ -int64(n&1) }

// sheetReader goes through the strips of a sheet. Their postings point into it.
type sheetReader struct {
	strip
	base uint64
	rest []byte
}

func readSheet(sheet []byte) (r sheetReader, err error) {
	base, n := binary.Uvarint(sheet)
	if n <= 0 {
		return r, corrupt("a sheet without a base")
	}
	return sheetReader{base: base, rest: sheet[n:]}, nil
}

// next goes to the next strip. It is false at the end.
func (r *sheetReader) next() (bool, error) {
	if len(r.rest) == 0 {
		return false, nil
	}
	before := r.strip
	f := fields{b: r.rest}
	no, count := f.next(), f.next()
	r.strip = strip{first: r.base + f.next()}
	if count&1 != 0 {
		r.opening = f.change()
	}
	no += uint64(before.no)
	r.no, r.last = uint32(no), r.first
	many := count>>1 > 1
	size := uint64(0)
	if many {
		r.last += f.next()
		r.net = f.change()
		size = f.next()
	} else {
		size = f.one(&r.net)
	}
	switch {
	case f.failed, no>>32 != 0, count>>1 == 0, count>>1 > size, size > uint64(len(f.b)), r.first < r.base, many == (r.last <= r.first):
		return false, corrupt("a strip behind list %d", before.no)
	case before.count > 0 && r.no == before.no && r.first <= before.last:
		return false, corrupt("strips of list %d overlap", r.no)
	}
	r.count = int(count >> 1)
	r.body, r.rest = f.b[:size:size], f.b[size:]
	return true, nil
}

// fields reads varints. What it returns after one that is none means nothing.
type fields struct {
	b      []byte
	failed bool
}

func (f *fields) next() uint64 {
	if len(f.b) > 0 && f.b[0] < 0x80 {
		x := uint64(f.b[0])
		f.b = f.b[1:]
		return x
	}
	x, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.b, f.failed = nil, true
		return 0
	}
	f.b = f.b[n:]
	return x
}

func (f *fields) change() change {
	a := unzigzag(f.next())
	return change{a, unzigzag(f.next())}
}

// one is the size of the only posting of a strip, which stands next; it sets what that changes.
func (f *fields) one(net *change) uint64 {
	ahead := fields{b: f.b}
	switch head := ahead.next(); {
	case head > formMask || head == formSame:
		f.failed = true
	case head == formBoth:
		*net = ahead.change()
	case head != formNone:
		n := int64(ahead.next())
		*net = change{n * formSigns[head][0], n * formSigns[head][1]}
	}
	f.failed = f.failed || ahead.failed
	return uint64(len(f.b) - len(ahead.b))
}
