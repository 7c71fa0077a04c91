package ledger

import "encoding/binary"

// Terms are what a content is sold by beside its price. Zero is one work without an end, in msat, owned for ever: what a
// registration says. The seller changes them with OpTerms, each time with a new price version; what was bought stays as it was.
//
// As the detail of an op they are 27 bytes: the fields in their order, numbers as u32.
type Terms struct {
	Currency  Currency // of the price, which is in millionths of its unit; zero: in msat
	Copies    uint32   // how often it is sold; zero: no limit. What was refunded can be sold again
	Ends      uint32   // seconds since 1970: from then on it is not sold; zero: never
	Refund    uint32   // seconds for which a buyer can have his money back; zero: not at all
	Hours     uint32   // for which it is bought; zero: for ever
	Units     uint32   // into which it is cut, the price being that of one; zero: it is one work
	FreeUnits uint32   // the first units, which cost nothing
}

const termsSize = 3 + 6*4

// AppendTerms appends the detail of a terms op.
func AppendTerms(b []byte, t *Terms) []byte {
	b = append(b, t.Currency[:]...)
	for _, n := range [...]uint32{t.Copies, t.Ends, t.Refund, t.Hours, t.Units, t.FreeUnits} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

// decodeTerms is the inverse; false for bytes that AppendTerms does not write.
func decodeTerms(b []byte) (t Terms, ok bool) {
	if len(b) != termsSize {
		return t, false
	}
	copy(t.Currency[:], b)
	b = b[3:]
	for _, n := range [...]*uint32{&t.Copies, &t.Ends, &t.Refund, &t.Hours, &t.Units, &t.FreeUnits} {
		*n = binary.LittleEndian.Uint32(b)
		b = b[4:]
	}
	return t, t.Currency == Currency{} || t.Currency.Valid()
}

// ok says whether the terms are within bounds and do not contradict each other.
func (t *Terms) ok() bool {
	return t.Refund == 0 && t.Hours == 0 && t.FreeUnits <= t.Units && (t.Units == 0 || t.Copies == 0)
}

func (s *State) checkTerms(op *Op, detail []byte) Applied {
	t, ok := decodeTerms(detail)
	if !ok {
		return refuse(OpMalformed)
	}
	if r := checkAmount(op.Amount); r != Undecided {
		return refuse(r)
	}
	c, r := s.ownContent(op)
	switch {
	case r != Undecided:
		return refuse(r)
	case op.Version != 0 && c.PriceVersion == op.Version+1 && c.Price == op.Amount && c.Terms == t:
		return Applied{result: Repeated, object: c.PriceVersion}
	case c.Status != Open:
		return refuse(ContentRetired)
	case c.PriceVersion != op.Version:
		return refuse(PriceChanged)
	case !t.ok():
		return refuse(TermsInvalid)
	}
	return Applied{}
}

func (s *State) terms(op *Op, detail []byte) Applied {
	no, _ := s.content(op.ID)
	c := s.contents.edit(no)
	c.Terms, _ = decodeTerms(detail)
	c.Price, c.rates = op.Amount, 0
	if c.Terms.Currency != (Currency{}) {
		c.rates = s.currency(c.Terms.Currency)
	}
	c.PriceVersion++
	s.leg(Leg{Kind: op.Kind, From: op.Actor, Object: no})
	return s.entry(0, c.PriceVersion)
}

// sale says why a content is not on sale now, or Undecided.
func (s *State) sale(no uint32, c *Content, now uint64) Result {
	switch t := &c.Terms; {
	case c.Status != Open:
		return ContentRetired
	case t.Ends != 0 && now >= uint64(t.Ends)*1000:
		return SaleEnded
	case t.Copies != 0 && s.tallies.at(no).left(t.Copies) == 0:
		return SoldOut
	}
	return Undecided
}
