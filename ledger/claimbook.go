package ledger

import "slices"

// ClaimStats says what an account's claims came to, and those against it.
type ClaimStats struct {
	Filed, Pending, Upheld, Rejected, Withdrawn uint32 // as the claimant
	Against, Lost                               uint32 // as the seller: all, and those that were upheld
}

// claimBook finds claims. It is derived from them; each list has the numbers in their order.
type claimBook struct {
	stats   map[AccountNo]ClaimStats
	of      map[AccountNo][]ClaimNo // by claimant and by seller
	about   map[uint32][]ClaimNo    // by content
	pending []ClaimNo
}

func newClaimBook() claimBook {
	return claimBook{stats: make(map[AccountNo]ClaimStats), of: make(map[AccountNo][]ClaimNo), about: make(map[uint32][]ClaimNo)}
}

// filed takes in a claim that is yet to be decided, the numbers in their order.
func (b *claimBook) filed(no ClaimNo, c *Claim) {
	b.count(c.Claimant, func(t *ClaimStats) { t.Filed++; t.Pending++ })
	b.count(c.Seller, func(t *ClaimStats) { t.Against++ })
	b.of[c.Claimant] = append(b.of[c.Claimant], no)
	b.of[c.Seller] = append(b.of[c.Seller], no)
	for _, p := range c.Contents {
		b.about[p.Content] = append(b.about[p.Content], no)
	}
	b.pending = append(b.pending, no)
}

// ended takes in what became of it.
func (b *claimBook) ended(no ClaimNo, c *Claim) {
	b.count(c.Claimant, func(t *ClaimStats) {
		t.Pending--
		switch c.Status {
		case ClaimUpheld:
			t.Upheld++
		case ClaimRejected:
			t.Rejected++
		case ClaimWithdrawn:
			t.Withdrawn++
		}
	})
	if c.Status == ClaimUpheld {
		b.count(c.Seller, func(t *ClaimStats) { t.Lost++ })
	}
	if i, found := slices.BinarySearch(b.pending, no); found {
		b.pending = slices.Delete(b.pending, i, i+1)
	}
}

func (b *claimBook) count(a AccountNo, change func(*ClaimStats)) {
	t := b.stats[a]
	change(&t)
	b.stats[a] = t
}

// ClaimStats says what an account's claims came to.
func (s *State) ClaimStats(a AccountNo) ClaimStats { return s.claimBook.stats[a] }

// ClaimQuery says which claims a reader wants: those of an account or about a content, or those yet to be decided, or all.
type ClaimQuery struct {
	Account AccountNo // as claimant or as seller; zero: whoever's
	Content ContentID // zero: about whatever
	Pending bool      // only those yet to be decided; of an account or about a content all are listed
	After   ClaimNo   // only those with a larger number
	Limit   int       // at most so many
}

// Claims lists claims in the order of their numbers.
func (s *State) Claims(q ClaimQuery) []ClaimNo {
	var from []ClaimNo
	switch {
	case q.Account != 0:
		from = s.claimBook.of[q.Account]
	case q.Content != (ContentID{}):
		if no, c := s.content(q.Content); c != nil {
			from = s.claimBook.about[no]
		}
	case q.Pending:
		from = s.claimBook.pending
	default:
		var all []ClaimNo
		for no := uint64(q.After) + 1; no < uint64(s.claims.rows) && len(all) < q.Limit; no++ {
			all = append(all, ClaimNo(no))
		}
		return all
	}
	i, _ := slices.BinarySearch(from, q.After+1)
	return slices.Clone(from[i:min(len(from), i+q.Limit)])
}
