package ledger

// Sizes of a claim's row, but for its statements, and of each content in it, in bytes.
const (
	claimFixed  = 4 + 4 + 1 + 16 + 6*8 + 32 + 1
	claimedSize = 4 + 4 + 4 + 8 + 8 + termsSize
)

// claims reads them, and tells the contents, which are there already, what is claimed.
func (d *decoder) claims(s *State) {
	for first := uint32(0); first < s.claims.rows && d.err == nil; first += pageRows {
		b := d.part(claimPart, first/pageRows)
		page := new([pageRows]*Claim)
		for i := range min(pageRows, s.claims.rows-first) {
			page[i] = new(Claim)
			if b = d.claim(b, first+i, s, page[i]); d.err != nil {
				return
			}
		}
		if len(b) > 0 {
			d.corrupt("bytes behind the last claim of a page")
		}
		s.claims.append(page)
	}
}

// claim reads one row, and returns what is behind it.
func (d *decoder) claim(b []byte, no uint32, s *State, c *Claim) []byte {
	if len(b) < claimFixed || len(b) < claimFixed+int(b[claimFixed-1])*claimedSize {
		d.corrupt("a claim cut short")
		return nil
	}
	c.Claimant, c.Seller = AccountNo(le.Uint32(b)), AccountNo(le.Uint32(b[4:]))
	c.Status, c.ID = ClaimStatus(b[8]), OpID(b[9:])
	var price uint64
	for i, n := range [...]*uint64{&c.Seq, &c.Filed, &c.Deadline, &c.Answered, &c.Ended, &price} {
		*n = le.Uint64(b[25+8*i:])
	}
	c.Price, c.body = Msat(price), [32]byte(b[73:])
	n := int(b[claimFixed-1])
	b = b[claimFixed:]
	for range n {
		terms, ok := decodeTerms(b[claimedSize-termsSize : claimedSize])
		if !ok {
			d.corrupt("malformed terms in claim %d", no)
			return nil
		}
		c.Contents = append(c.Contents, Claimed{Terms: terms, Content: le.Uint32(b), Split: le.Uint32(b[4:]), PriceVersion: le.Uint32(b[8:]),
			Price: Msat(le.Uint64(b[12:])), Held: Msat(le.Uint64(b[20:]))})
		b = b[claimedSize:]
	}
	for _, t := range [...]*Statement{&c.Evidence, &c.Answer, &c.Reason} {
		var ok bool
		if *t, b, ok = decodeStatement(b); !ok {
			d.corrupt("a statement of claim %d", no)
			return nil
		}
	}
	if no > 0 {
		d.enter(no, s, c)
	}
	return b
}

// enter checks a claim, and puts it where it is found.
func (d *decoder) enter(no uint32, s *State, c *Claim) {
	if len(c.Contents) == 0 || len(c.Contents) > MaxClaimContents || c.Status == 0 || c.Status.String() == "" {
		d.corrupt("malformed claim %d", no)
		return
	}
	d.within(s.accounts.rows, c.Claimant, c.Seller)
	for _, p := range c.Contents {
		if p.Content == 0 || p.Content >= s.contents.rows {
			d.corrupt("claim %d is about no content", no)
			return
		}
		content := &s.contents.pages[p.Content/pageRows][p.Content%pageRows] // shared with no view yet, and as saved
		if c.Status.Pending() {
			if content.Claim != 0 {
				d.corrupt("claims %d and %d are about one content", content.Claim, no)
			}
			content.Claim = ClaimNo(no)
		}
	}
	s.claimBook.filed(ClaimNo(no), c)
	if !c.Status.Pending() {
		s.claimBook.ended(ClaimNo(no), c)
	}
}
