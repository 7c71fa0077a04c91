package ledgertest

import (
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/millrace/millrace/ledger"
)

// compareClaims compares every claim, and everything that is counted and listed of them.
func (m *Model) compareClaims(s *ledger.State) error {
	stats := map[ledger.AccountNo]ledger.ClaimStats{}
	of, about := map[ledger.AccountNo][]ledger.ClaimNo{}, map[uint32][]ledger.ClaimNo{}
	var all, pending []ledger.ClaimNo
	for i, c := range m.claims[1:] {
		no := ledger.ClaimNo(i + 1)
		got, ok := s.Claim(no)
		if !ok || !reflect.DeepEqual(plain(got), c.Claim) {
			return fmt.Errorf("claim %d: ledger %+v, model %+v", no, got, c.Claim)
		}
		all = append(all, no)
		by, against := stats[c.Claimant], stats[c.Seller]
		by.Filed++
		against.Against++
		switch c.Status {
		case ledger.ClaimUpheld:
			by.Upheld++
			against.Lost++
		case ledger.ClaimRejected:
			by.Rejected++
		case ledger.ClaimWithdrawn:
			by.Withdrawn++
		default:
			by.Pending++
			pending = append(pending, no)
		}
		stats[c.Claimant], stats[c.Seller] = by, against
		of[c.Claimant], of[c.Seller] = append(of[c.Claimant], no), append(of[c.Seller], no)
		for _, content := range c.about() {
			about[content] = append(about[content], no)
		}
	}
	for a := range m.available {
		if got := s.ClaimStats(a); got != stats[a] {
			return fmt.Errorf("account %v: claims: ledger %+v, model %+v", a, got, stats[a])
		}
		if err := listed(s, ledger.ClaimQuery{Account: a}, of[a]); err != nil {
			return err
		}
	}
	for no, c := range m.contents[1:] {
		if err := listed(s, ledger.ClaimQuery{Content: c.id}, about[uint32(no+1)]); err != nil {
			return err
		}
	}
	if err := listed(s, ledger.ClaimQuery{Pending: true}, pending); err != nil {
		return err
	}
	return listed(s, ledger.ClaimQuery{}, all)
}

// plain is a claim without what only the ledger has.
func plain(c ledger.Claim) ledger.Claim {
	return ledger.Claim{Claimant: c.Claimant, Seller: c.Seller, Status: c.Status, ID: c.ID, Seq: c.Seq, Filed: c.Filed, Deadline: c.Deadline,
		Contents: c.Contents, Evidence: c.Evidence, Answered: c.Answered, Answer: c.Answer, Ended: c.Ended, Price: c.Price, Reason: c.Reason}
}

// listed reads a list whole and in pages of two.
func listed(s *ledger.State, q ledger.ClaimQuery, want []ledger.ClaimNo) error {
	var paged []ledger.ClaimNo
	for next := q; ; next.After = paged[len(paged)-1] {
		next.Limit = 2
		page := s.Claims(next)
		if paged = append(paged, page...); len(page) < 2 {
			break
		}
	}
	q.Limit = math.MaxInt32
	if got := s.Claims(q); !slices.Equal(got, want) || !slices.Equal(paged, want) {
		return fmt.Errorf("claims of %+v: ledger %v, in pages %v, model %v", q, got, paged, want)
	}
	return nil
}
