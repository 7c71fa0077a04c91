package ledgertest

import (
	"math/rand/v2"

	"github.com/millrace/millrace/ledger"
)

// Cut packs steps into batches of one time each, at random places: of one op up to about most.
func Cut(rng *rand.Rand, steps []Step, most int) [][]Step {
	var batches [][]Step
	for len(steps) > 0 {
		limit, n := 1+rng.IntN(most), 1
		for n < len(steps) && n < limit && steps[n].Time == steps[0].Time {
			n++
		}
		batches = append(batches, steps[:n])
		steps = steps[n:]
	}
	return batches
}

// Proposer makes blocks as a hub with several in flight does: the head that a block names may lie a few blocks back. Indexes
// have gaps, as in a log with entries of its own.
type Proposer struct {
	rng     *rand.Rand
	builder ledger.Builder
	id      uint64
	number  uint64
	known   []head
}

type head struct {
	index uint64
	sum   [32]byte
}

// NewProposer begins where a ledger stands; it knows no earlier head.
func NewProposer(rng *rand.Rand, s *ledger.State) *Proposer {
	return &Proposer{rng: rng, id: rng.Uint64(), known: []head{{s.Index(), s.Head()}}}
}

// Block makes the next block for a ledger, which must have applied the last. It is valid until the next call.
func (p *Proposer) Block(s *ledger.State, steps []Step) (index uint64, block []byte) {
	if newest := (head{s.Index(), s.Head()}); newest != p.known[len(p.known)-1] {
		p.known = append(p.known, newest)
	}
	if len(p.known) > ledger.MaxInFlight {
		p.known = p.known[1:]
	}
	parent := p.known[p.rng.IntN(len(p.known))]
	p.builder.Reset()
	for i := range steps {
		p.builder.Add(&steps[i].Op, steps[i].Detail)
	}
	p.number++
	index = s.Index() + 1
	if p.rng.IntN(8) == 0 {
		index += p.rng.Uint64N(3 * ledger.MaxInFlight)
	}
	return index, p.builder.Seal(ledger.Header{
		Time: steps[0].Time, Proposer: p.id, Number: p.number, Parent: parent.index, Head: parent.sum,
	})
}
