package workload

import (
	"fmt"
	"math/bits"
)

// Books are what a payment system says it has, when nothing is under way.
type Books struct {
	Balances []int64  // msat, by account; what lies in channels left out
	Totals   []uint64 // msat, by channel
	Owned    int64    // works that payers own, each counted for each; negative: nobody says
	Owners   []Owner  // who these are, in any order; nil: nobody says more than how many
	Cut      uint64   // msat that the system keeps of one work's price
	Kept     int64    // msat that the system has on an account of its own for that, of all works; negative: nobody says

	Restarted bool // they are what a start has found, and not what is still in somebody's memory
}

// Owner is a payer that owns a work, by the numbers of the plan.
type Owner struct{ Payer, Work int }

// Verify holds the books against the tally of all workers. Everything has to agree to the msat: a difference is an error, which
// says where the first ones are, and how many there are.
func (p *Plan) Verify(b *Books) error {
	n := p.Scenario.Population
	if len(b.Balances) != p.Accounts() || len(b.Totals) != n.Channels {
		return fmt.Errorf("the books have %d accounts and %d channels, the plan %d and %d", len(b.Balances), len(b.Totals), p.Accounts(), n.Channels)
	}
	var d differences
	byChannel := make([]int64, n.Payees)
	for c, total := range b.Totals {
		if want := p.acked[c]; total != want {
			d.add("channel %d has paid %d msat, %d were acknowledged", c, total, want)
		}
		byChannel[int(p.Payee[c])-n.Payers] += int64(p.acked[c])
	}
	var bought int64
	for i := range n.Payers {
		if want := int64(p.Available) - p.spent[i]; b.Balances[i] != want {
			d.add("payer %d has %d msat, by what was acknowledged %d", i, b.Balances[i], want)
		}
	}
	for i := range n.Payees {
		sold := p.sold[i].Load()
		bought += sold
		want := p.income[i].Load() + byChannel[i] + sold*int64(n.Price-b.Cut)
		if has := b.Balances[n.Payers+i]; has != want {
			d.add("payee %d has %d msat, by what was acknowledged %d", i, has, want)
		}
	}
	if b.Owned >= 0 && b.Owned != bought {
		d.add("%d works are owned, %d were bought", b.Owned, bought)
	}
	if b.Owners != nil {
		p.verifyOwners(&d, b.Owners)
	}
	if want := bought * int64(b.Cut); b.Kept >= 0 && b.Kept != want {
		d.add("the house has %d msat of what was sold, its part is %d", b.Kept, want)
	}
	return d.err()
}

// verifyOwners holds that each payer owns what it has bought, and nothing else.
func (p *Plan) verifyOwners(d *differences, owners []Owner) {
	n := p.Scenario.Population
	seen := make([]uint64, len(p.owned))
	for _, o := range owners {
		if o.Payer < 0 || o.Payer >= n.Payers || o.Work < 0 || o.Work >= n.Works {
			d.add("payer %d owns work %d, and there is no such pair", o.Payer, o.Work)
			continue
		}
		word, bit := o.Payer*p.stride+o.Work/64, uint64(1)<<(o.Work%64)
		switch {
		case seen[word]&bit != 0:
			d.add("payer %d owns work %d twice", o.Payer, o.Work)
		case p.owned[word]&bit == 0:
			d.add("payer %d owns work %d, which it never bought", o.Payer, o.Work)
		}
		seen[word] |= bit
	}
	for word, bought := range p.owned {
		for missing := bought &^ seen[word]; missing != 0; missing &= missing - 1 {
			d.add("payer %d has bought work %d, and does not own it", word/p.stride, word%p.stride*64+bits.TrailingZeros64(missing))
		}
	}
}

// differences keeps the first few.
type differences struct {
	first []string
	n     int
}

func (d *differences) add(format string, args ...any) {
	if d.n++; d.n <= 3 {
		d.first = append(d.first, fmt.Sprintf(format, args...))
	}
}

func (d *differences) err() error {
	if d.n == 0 {
		return nil
	}
	return fmt.Errorf("%w: the books differ from what was acknowledged in %d places: %q", ErrLied, d.n, d.first)
}
