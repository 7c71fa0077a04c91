package ledger

import (
	"encoding/binary"
	"slices"
)

// MaxSplits bounds how often sellers can set the split of one content, the first at its registration counted.
const MaxSplits = 1000

// Split says who gets what share of a content's price, from when.
type Split struct {
	Content uint32
	Number  uint32 // counts the content's splits from one
	Before  uint32 // row of the one that it replaced; zero: none
	Since   uint64 // milliseconds since 1970
	Seq     uint64 // of the entry that set it
	Payees  []Payee
}

// AppendPayees appends the detail of a split op: the number of payees, at most MaxPayees, in a byte, and for each its account
// and share as u32.
func AppendPayees(b []byte, payees []Payee) []byte {
	b = append(b, byte(len(payees)))
	for _, p := range payees {
		b = binary.LittleEndian.AppendUint32(b, uint32(p.Account))
		b = binary.LittleEndian.AppendUint32(b, p.Share)
	}
	return b
}

// decodePayees is the inverse, and returns what is behind; false for bytes that AppendPayees does not write.
func decodePayees(b []byte) (payees []Payee, rest []byte, ok bool) {
	if len(b) == 0 || b[0] > MaxPayees || len(b) < 1+8*int(b[0]) {
		return nil, nil, false
	}
	payees = make([]Payee, b[0])
	b = b[1:]
	for i := range payees {
		payees[i] = Payee{AccountNo(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint32(b[4:])}
		b = b[8:]
	}
	return payees, b, true
}

// Splits lists who got what share of a content from when, the first split first. The payees are shared and not to be changed.
func (s *State) Splits(id ContentID) []Split {
	_, c := s.content(id)
	if c == nil {
		return nil
	}
	var all []Split
	for no := c.Split; no != 0; {
		row := s.splits.at(no)
		all = append(all, *row)
		no = row.Before
	}
	slices.Reverse(all)
	return all
}

func (s *State) checkSplit(op *Op, detail []byte) Applied {
	payees, rest, ok := decodePayees(detail)
	if !ok || len(rest) > 0 {
		return refuse(OpMalformed)
	}
	if !s.payeesKnown(payees) {
		return refuse(PayeeUnknown)
	}
	c, r := s.ownContent(op)
	if r != Undecided {
		return refuse(r)
	}
	now := s.splits.at(c.Split)
	switch {
	case slices.Equal(now.Payees, payees):
		return Applied{result: Repeated, seq: now.Seq, object: now.Number}
	case !splitOK(payees) || now.Number >= MaxSplits:
		return refuse(SplitInvalid)
	case c.Status != Open:
		return refuse(ContentRetired)
	case c.Claim != 0:
		return refuse(ContentClaimed)
	}
	return Applied{}
}

// split changes who is paid from now on. The entry is in the histories of all who were and who will be.
func (s *State) split(op *Op, detail []byte) Applied {
	no, _ := s.content(op.ID)
	c := s.contents.edit(no)
	n, old := len(s.legs), c.Payees
	payees, _, _ := decodePayees(detail)
	s.leg(Leg{Kind: op.Kind, From: op.Actor, Object: no})
	for _, all := range [...][]Payee{old, payees} {
		for _, p := range all {
			if !slices.ContainsFunc(s.legs[n:], func(l Leg) bool { return l.From == p.Account }) {
				s.leg(Leg{Kind: op.Kind, From: p.Account, Object: no})
			}
		}
	}
	a := s.entry(0, 0)
	a.object = s.setSplit(no, c, payees, a.seq)
	return a
}

// setSplit makes the payees those of a content from an entry on, and returns the split's number.
func (s *State) setSplit(no uint32, c *Content, payees []Payee, seq uint64) uint32 {
	number := uint32(1)
	if c.Split != 0 {
		number += s.splits.at(c.Split).Number
	}
	at, row := s.splits.add()
	*row = Split{Content: no, Number: number, Before: c.Split, Since: s.now, Seq: seq, Payees: payees}
	c.Split, c.Payees = at, payees
	return number
}
