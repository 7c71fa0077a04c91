package ledger

// Tally is what a content has come to. It is beside the content, whose row is large and seldom changes. The row is 24 bytes.
type Tally struct {
	Sold     uint32 // how often it was paid for
	Refunded uint32 // how many of those were given back
	Income   Msat   // paid for it and not given back, the hub's fee included
	Disputed Msat   // of that, what lies in escrow for a claim
}

// left is how many of a number of copies are not sold.
func (t *Tally) left(copies uint32) uint32 { return copies - min(copies, t.Sold-t.Refunded) }

// Tally is what a content has come to, and whether it exists.
func (s *State) Tally(id ContentID) (Tally, bool) {
	no, c := s.content(id)
	if c == nil {
		return Tally{}, false
	}
	return *s.tallies.at(no), true
}
