package ledger

import (
	"bufio"
	"encoding/binary"
	"hash/crc32"
	"io"
)

var le = binary.LittleEndian

// maxPart bounds a part in bytes: a page of the largest claims.
const maxPart = pageRows * (claimFixed + MaxClaimContents*claimedSize + 3*(32+2+MaxStatement))

// Restore reads a snapshot: all parts of one view, as WriteTo wrote them. The ledger is as it was, and the next block goes on
// where it was taken; its ids and entitlements are in the archive, which must be attached. The error is a wrapped ErrSnapshot,
// or what the reader said.
func Restore(r io.Reader, seed Seed) (*State, error) {
	d := &decoder{r: bufio.NewReaderSize(r, 1<<20)}
	s := d.header(seed)
	if d.err != nil {
		return nil, d.err
	}
	decodePages(d, accountPart, &s.accounts, 32, func(_ uint32, b []byte, a *Account) {
		*a = Account{Available: int64(le.Uint64(b)), Held: Msat(le.Uint64(b[8:])), Opened: le.Uint64(b[16:]),
			Channels: le.Uint32(b[24:]), Holds: le.Uint32(b[28:])}
	})
	holders := s.accounts.rows
	decodePages(d, channelPart, &s.channels, 32, func(_ uint32, b []byte, c *Channel) {
		*c = Channel{Payer: AccountNo(le.Uint32(b)), Payee: AccountNo(le.Uint32(b[4:])), Funded: Msat(le.Uint64(b[8:])),
			Total: Msat(le.Uint64(b[16:])), Expiry: le.Uint32(b[24:]), Status: Status(b[28]), Mode: Mode(b[29]), Limited: b[30] == 1}
		if c.Mode > Signed || b[30] > 1 || b[31] != 0 {
			d.corrupt("malformed channel")
		}
		d.within(holders, c.Payer, c.Payee)
	})
	decodePages(d, holdPart, &s.holds, 28, func(_ uint32, b []byte, h *Hold) {
		*h = Hold{Account: AccountNo(le.Uint32(b)), To: AccountNo(le.Uint32(b[4:])), Amount: Msat(le.Uint64(b[8:])),
			Captured: Msat(le.Uint64(b[16:])), Status: Status(le.Uint32(b[24:]))}
		d.within(holders, h.Account, h.To)
	})
	d.contents(s)
	d.splits(s)
	decodePages(d, tallyPart, &s.tallies, 24, func(_ uint32, b []byte, t *Tally) {
		*t = Tally{Sold: le.Uint32(b), Refunded: le.Uint32(b[4:]), Income: Msat(le.Uint64(b[8:])), Disputed: Msat(le.Uint64(b[16:]))}
	})
	d.agreements(s)
	d.rates(s)
	d.claims(s)
	if d.err != nil {
		return nil, d.err
	}
	if _, err := d.r.ReadByte(); err != io.EOF {
		return nil, corrupt("bytes behind its end")
	}
	if err := s.Audit(); err != nil {
		return nil, corrupt("%v", err)
	}
	return s, nil
}

// header reads the first part, and makes the ledger: its tables have no rows yet, but know how many they will have.
func (d *decoder) header(seed Seed) *State {
	b := d.part(headerPart, 0)
	if d.err != nil {
		return nil
	}
	const fixed = headerFixed + paramsSize + 5*8 + 9*4
	if len(b) < fixed || le.Uint32(b) != snapshotVersion {
		d.corrupt("not a header of version %d", snapshotVersion)
		return nil
	}
	params, err := DecodeParams(b[headerFixed : headerFixed+paramsSize])
	if err != nil {
		d.corrupt("%v", err)
		return nil
	}
	s := New(params, seed)
	s.index = le.Uint64(b[4:])
	for i := range s.recent {
		at := b[12+i*40:]
		s.recent[i] = parent{le.Uint64(at), [32]byte(at[8:40])}
	}
	body := b[headerFixed+paramsSize:]
	s.now, s.seq, s.chain.time, s.unlocks = le.Uint64(body), le.Uint64(body[8:]), le.Uint64(body[16:]), le.Uint64(body[24:])
	s.ids.latest = le.Uint64(body[32:])
	s.ids.newest, s.ids.dropped, s.owned.dropped = s.ids.latest, s.ids.latest > 0, s.unlocks > 0
	s.accounts, s.channels, s.holds, s.contents = table[Account]{}, table[Channel]{}, table[Hold]{}, table[Content]{}
	s.splits, s.tallies, s.agreements, s.rates, s.claims = table[Split]{}, table[Tally]{}, table[agreement]{}, table[rates]{}, table[*Claim]{}
	for i, rows := range [...]*uint32{&s.accounts.rows, &s.channels.rows, &s.holds.rows, &s.contents.rows, &s.splits.rows, &s.tallies.rows,
		&s.agreements.rows, &s.rates.rows, &s.claims.rows} {
		*rows = le.Uint32(body[40+4*i:])
	}
	if s.accounts.rows < uint32(FirstAccount) || s.channels.rows == 0 || s.holds.rows == 0 || s.contents.rows == 0 ||
		s.splits.rows < s.contents.rows || s.tallies.rows != s.contents.rows || s.agreements.rows == 0 || s.rates.rows == 0 || s.claims.rows == 0 {
		d.corrupt("the ledger's own rows are missing")
	}
	if err := s.chain.load(b[fixed:]); err != nil {
		d.corrupt("state of the hash: %v", err)
	}
	return s
}

// decodePages reads a table whose rows have one size. Its number of rows is set; one that lies runs into the end of the file
// before it costs memory.
func decodePages[T any](d *decoder, kind byte, t *table[T], size int, row func(no uint32, b []byte, p *T)) {
	for first := uint32(0); first < t.rows && d.err == nil; first += pageRows {
		n := min(pageRows, t.rows-first)
		b := d.part(kind, first/pageRows)
		if len(b) != int(n)*size {
			d.corrupt("a page of %d bytes where %d rows belong", len(b), n)
			return
		}
		page := new([pageRows]T)
		for i := range n {
			row(first+i, b[int(i)*size:], &page[i])
		}
		t.append(page)
	}
}

func (d *decoder) contents(s *State) {
	for first := uint32(0); first < s.contents.rows && d.err == nil; first += pageRows {
		b := d.part(contentPart, first/pageRows)
		page := new([pageRows]Content)
		for i := range min(pageRows, s.contents.rows-first) {
			c := &page[i]
			if b = d.content(b, c); first+i > 0 && d.err == nil {
				d.within(s.accounts.rows, c.Seller)
				s.contentByID[c.ID], s.contentByKey[c.Commitment] = first+i, first+i
			}
		}
		if len(b) > 0 {
			d.corrupt("bytes behind the last content of a page")
		}
		s.contents.append(page)
	}
}

// content reads one row, and returns what is behind it.
func (d *decoder) content(b []byte, c *Content) []byte {
	const fixed = 16 + 4 + 4 + 8 + 4 + 4 + 8 + 8 + 32 + 4
	if len(b) < fixed || uint64(len(b)-fixed) < uint64(le.Uint32(b[fixed-4:]))+termsSize {
		d.corrupt("a content cut short")
		return nil
	}
	c.ID = ContentID(b[:16])
	c.Seller, c.Split = AccountNo(le.Uint32(b[16:])), le.Uint32(b[20:])
	c.Price, c.PriceVersion = Msat(le.Uint64(b[24:])), le.Uint32(b[32:])
	c.Status, c.Registered, c.Seq = Status(le.Uint32(b[36:])), le.Uint64(b[40:]), le.Uint64(b[48:])
	copy(c.body[:], b[56:88])
	end := fixed + int(le.Uint32(b[fixed-4:]))
	var ok bool
	if c.Seller != 0 { // not row 0
		if c.Registration, ok = decodeRegistration(b[fixed:end]); !ok || len(c.Payees) > 0 {
			d.corrupt("malformed content")
		}
	}
	c.Terms, ok = decodeTerms(b[end : end+termsSize])
	if !ok || !c.Terms.ok() {
		d.corrupt("malformed terms")
	}
	return b[end+termsSize:]
}

// splits reads them, and gives the contents, which are there already, their payees.
func (d *decoder) splits(s *State) {
	for first := uint32(0); first < s.splits.rows && d.err == nil; first += pageRows {
		b := d.part(splitPart, first/pageRows)
		page := new([pageRows]Split)
		for i := range min(pageRows, s.splits.rows-first) {
			if b = d.split(b, first+i, s, &page[i]); d.err != nil {
				return
			}
		}
		if len(b) > 0 {
			d.corrupt("bytes behind the last split of a page")
		}
		s.splits.append(page)
	}
	for no := uint32(1); no < s.contents.rows && d.err == nil; no++ {
		c := &s.contents.pages[no/pageRows][no%pageRows] // shared with no view yet, and as saved
		if c.Split == 0 || c.Split >= s.splits.rows || s.splits.at(c.Split).Content != no {
			d.corrupt("content %d has no split", no)
			return
		}
		c.Payees = s.splits.at(c.Split).Payees
	}
}

// split reads one row, and returns what is behind it.
func (d *decoder) split(b []byte, no uint32, s *State, p *Split) []byte {
	const fixed = 4 + 4 + 4 + 8 + 8
	if len(b) < fixed {
		d.corrupt("a split cut short")
		return nil
	}
	*p = Split{Content: le.Uint32(b), Number: le.Uint32(b[4:]), Before: le.Uint32(b[8:]), Since: le.Uint64(b[12:]), Seq: le.Uint64(b[20:])}
	payees, rest, ok := decodePayees(b[fixed:])
	if no == 0 && ok && len(payees) == 0 {
		return rest
	}
	if !ok || !splitOK(payees) || p.Content >= s.contents.rows || p.Before >= no {
		d.corrupt("malformed split %d", no)
	}
	for _, q := range payees {
		d.within(s.accounts.rows, q.Account)
	}
	p.Payees = payees
	return rest
}

// rates reads them, and tells the contents, which are there already, where theirs are.
func (d *decoder) rates(s *State) {
	decodePages(d, ratePart, &s.rates, 4+keptRates*20, func(no uint32, b []byte, r *rates) {
		*r = rates{currency: Currency(b[:3]), n: b[3]}
		for i := range r.kept {
			k := b[4+20*i:]
			r.kept[i] = Rate{Msat: Msat(le.Uint64(k)), Since: le.Uint64(k[8:]), Until: le.Uint32(k[16:])}
		}
		if r.n > keptRates || no > 0 && !r.currency.Valid() {
			d.corrupt("malformed rates of %q", r.currency)
			return
		}
		s.ratesOf[r.currency] = no
	})
	delete(s.ratesOf, Currency{})
	for no := uint32(1); no < s.contents.rows && d.err == nil; no++ {
		c := &s.contents.pages[no/pageRows][no%pageRows]
		var ok bool
		if c.rates, ok = s.ratesOf[c.Terms.Currency]; !ok && c.Terms.Currency != (Currency{}) {
			d.corrupt("content %d has a price in %v, which has no rates", no, c.Terms.Currency)
		}
	}
}

// decoder reads parts. After the first error it returns none.
type decoder struct {
	r   *bufio.Reader
	err error
	buf []byte
}

// part reads the next part, which must be the one wanted. Its bytes are valid until the next.
func (d *decoder) part(kind byte, page uint32) []byte {
	var frame [partFrame]byte
	d.fill(frame[:])
	n := le.Uint32(frame[9:])
	if d.err == nil && (le.Uint32(frame[:]) != partMagic || frame[4] != kind || le.Uint32(frame[5:]) != page || n > maxPart) {
		d.corrupt("not the part of kind %d, page %d", kind, page)
	}
	if d.err != nil {
		return nil
	}
	d.buf = d.buf[:0]
	for left := int(n) + 4; left > 0 && d.err == nil; { // a length that lies runs into the end before it costs memory
		at, more := len(d.buf), min(left, 1<<18)
		d.buf = append(d.buf, make([]byte, more)...)
		d.fill(d.buf[at:])
		left -= more
	}
	if d.err != nil {
		return nil
	}
	body := d.buf[:n]
	if crc32.Update(crc32.Checksum(frame[:], castagnoli), castagnoli, body) != le.Uint32(d.buf[n:]) {
		d.corrupt("wrong checksum of the part of kind %d, page %d", kind, page)
		return nil
	}
	return body
}

func (d *decoder) fill(b []byte) {
	if d.err != nil {
		return
	}
	_, d.err = io.ReadFull(d.r, b)
	if d.err == io.EOF || d.err == io.ErrUnexpectedEOF {
		d.err = corrupt("cut short")
	}
}

func (d *decoder) within(rows uint32, numbers ...AccountNo) {
	for _, n := range numbers {
		if uint32(n) >= rows {
			d.corrupt("number %d of %d rows", n, rows)
		}
	}
}

// corrupt keeps the first error.
func (d *decoder) corrupt(format string, args ...any) {
	if d.err == nil {
		d.err = corrupt(format, args...)
	}
}
