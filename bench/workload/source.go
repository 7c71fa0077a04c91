package workload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
)

// ErrDry means that the payers have no money left for what is asked of them.
var ErrDry = errors.New("the payers' channels are used up: give the scenario more funds_msat")

// ErrLied is returned, wrapped, for an answer that cannot be true.
var ErrLied = errors.New("the target lies")

// What is kept of requests whose outcome is not known is bounded: when there are more, the target is as good as gone. A worker has maxOpen requests, of
// some 200 bytes each; all workers of a plan have maxOpenOps ops, of 33 bytes each, which is 140 MB, and as much again where they are unlocks.
const (
	maxOpen    = 10_000
	maxOpenOps = 1 << 22
)

// Source makes the requests of one worker, and takes their outcomes. One goroutine uses it.
type Source struct {
	plan   *Plan
	random *rand.Rand
	worker int
	own    int // payers
	payer  func() int
	payee  func() int
	work   func() int
	kinds  [3]int // upper ends of the shares of advance, transfer and unlock
	shares int
	reads  float64 // the part of the requests that are a History

	request Request
	open    []Request       // whose outcome is, or was, not known
	sought  map[sought]bool // the works that they asked for
	Lies    []error         // answers that cannot be true; the first few
	Tally   Tally
}

// sought is a work that a payer has asked for.
type sought struct {
	payer int
	work  uint32
}

// Tally is what has become of the ops of one worker.
type Tally struct {
	Done, Repeated, Refused uint64
	Paid                    uint64 // msat that ops have moved
	Refusals                map[string]uint64
}

// Source is that of a worker: it has every payer whose number leaves the worker's when divided by the number of workers.
func (p *Plan) Source(worker int) *Source {
	s := p.Scenario
	random := rand.New(rand.NewPCG(s.Seed, uint64(worker)+1))
	src := &Source{plan: p, random: random, worker: worker, Tally: Tally{Refusals: make(map[string]uint64)}, sought: make(map[sought]bool)}
	src.own = (s.Population.Payers - worker + s.Workers - 1) / s.Workers
	src.payer = s.Skew.Payers.Draw(random, src.own)
	src.payee = p.payees(random)
	src.work = func() int { return 0 }
	if s.Population.Works > 0 {
		src.work = s.Skew.Works.Draw(random, s.Population.Works)
	}
	for i, share := range [...]int{s.Mix.Advance, s.Mix.Transfer, s.Mix.Unlock} {
		src.shares += share
		src.kinds[i] = src.shares
	}
	// A history is a request of its own, and the mix counts ops: of all requests it has as many as make its share right among ops.
	histories := float64(s.Mix.History * s.Request.Ops)
	src.reads = histories / (histories + float64(src.shares))
	return src
}

// Next draws a request, which is valid until the next call but one of Next. The time is in milliseconds since 1970, for the ids of transfers.
func (s *Source) Next(now uint64) (*Request, error) {
	r := &s.request
	r.reset(s.worker + s.payer()*s.plan.Scenario.Workers)
	if s.reads > 0 && s.random.Float64() < s.reads {
		r.Ops = append(r.Ops, Op{Kind: History})
	} else {
		for len(r.Ops) < s.plan.Scenario.Request.Ops {
			op, err := s.draw(r.Payer, now)
			if err != nil {
				return nil, err
			}
			r.Ops = append(r.Ops, op)
		}
	}
	if cap(r.Outcomes) < len(r.Ops) {
		r.Outcomes = make([]Outcome, len(r.Ops))
	}
	r.Outcomes = r.Outcomes[:len(r.Ops)]
	clear(r.Outcomes)
	return r, nil
}

func (s *Source) draw(payer int, now uint64) (Op, error) {
	k := 0
	if s.shares > s.kinds[0] {
		for at := s.random.IntN(s.shares); at >= s.kinds[k]; {
			k++
		}
	}
	switch Kind(k + 1) {
	case Advance:
		return s.advance(payer)
	case Transfer:
		op := Op{Kind: Transfer, Object: uint32(s.payee()), Amount: s.amount()}
		op.ID = newID(now, s.random)
		return op, nil
	default:
		return Op{Kind: Unlock, Object: uint32(s.work()), Amount: s.plan.Scenario.Population.Price}, nil
	}
}

// advance moves one of the payer's channels on: the next one that has room.
func (s *Source) advance(payer int) (Op, error) {
	amount, per := s.amount(), s.plan.PerPayer
	first := s.random.IntN(per)
	for i := range per {
		channel := payer + (first+i)%per*s.plan.Scenario.Population.Payers
		if total := s.plan.asked[channel] + amount; total <= s.plan.ChannelFunds {
			s.plan.asked[channel] = total
			return Op{Kind: Advance, Object: uint32(channel), Amount: total}, nil
		}
	}
	return Op{}, ErrDry
}

func (s *Source) amount() uint64 {
	q := s.plan.Scenario.Request
	if q.Least == q.Most {
		return q.Least
	}
	return q.Least + s.random.Uint64N(q.Most-q.Least+1)
}

// newID makes a UUIDv7 (RFC 9562) that nobody has to be unable to guess.
func newID(now uint64, random *rand.Rand) (id [16]byte) {
	binary.BigEndian.PutUint64(id[:], now<<16|random.Uint64()&0x0fff|0x7000)
	binary.BigEndian.PutUint64(id[8:], random.Uint64()&^(3<<62)|2<<62)
	return id
}

// Answered puts a request's outcomes into the tally.
func (s *Source) Answered(r *Request) {
	if r.settled {
		return
	}
	r.settled = true
	fresh := 0 // that cannot be repeats
	for i := range r.Ops {
		switch r.Outcomes[i] {
		case Done:
			s.Tally.Done++
			s.done(r, &r.Ops[i])
		case Repeated:
			s.Tally.Repeated++
			s.repeated(r, &r.Ops[i])
		case Either:
			s.Tally.Done++
			fresh += s.either(r, &r.Ops[i])
		case Refused:
			s.Tally.Refused++
			s.refused(r, &r.Ops[i])
		default:
			s.lie("op %d of a request that was answered has no outcome", i)
		}
	}
	s.Tally.Done -= uint64(r.Repeats)
	s.Tally.Repeated += uint64(r.Repeats)
	if r.attempts <= 1 && r.Repeats > len(r.Ops)-fresh {
		s.lie("of %d ops that were sent once %d are said to be repeats", fresh, r.Repeats-(len(r.Ops)-fresh))
	}
}

// either takes an op that was done now or before, and returns 1 if it is certain that it was not before it was sent.
func (s *Source) either(r *Request, op *Op) (fresh int) {
	switch {
	case op.Kind == Unlock && s.owns(r.Payer, op.Object):
		return 0
	case op.Kind == Unlock && s.askedFor(r.Payer, op.Object), op.Kind == Advance && len(s.open) > 0:
		s.done(r, op)
		return 0
	}
	s.done(r, op)
	return 1
}

// Lost keeps a request whose outcome is not known, to ask again at the end. It says whether there is room for more of them.
func (s *Source) Lost(r *Request) bool {
	kept := *r
	kept.Ops, kept.Outcomes = append([]Op(nil), r.Ops...), append([]Outcome(nil), r.Outcomes...)
	s.open = append(s.open, kept)
	for i := range kept.Ops {
		if op := &kept.Ops[i]; op.Kind == Unlock {
			s.sought[sought{r.Payer, op.Object}] = true
		}
	}
	all := s.plan.open.Add(int64(len(kept.Ops)))
	return len(s.open) < maxOpen && all < maxOpenOps
}

// Open are the requests that nobody has answered, to be sent again as they were: those that Answered takes then are no more.
func (s *Source) Open() []*Request {
	all := make([]*Request, 0, len(s.open))
	for i := range s.open {
		if !s.open[i].settled {
			all = append(all, &s.open[i])
		}
	}
	return all
}

func (s *Source) done(r *Request, op *Op) {
	p := s.plan
	switch op.Kind {
	case Advance:
		s.advanced(op)
	case Transfer:
		p.spent[r.Payer] += int64(op.Amount)
		p.income[int(op.Object)-p.Scenario.Population.Payers].Add(int64(op.Amount))
		s.Tally.Paid += op.Amount
	case Unlock:
		if s.owns(r.Payer, op.Object) {
			s.lie("payer %d has bought work %d twice", r.Payer, op.Object)
		}
		s.buy(r, op)
	}
}

func (s *Source) repeated(r *Request, op *Op) {
	switch op.Kind {
	case Unlock: // owned, or bought by an attempt whose answer was lost
		if !s.owns(r.Payer, op.Object) {
			if r.attempts <= 1 && !s.askedFor(r.Payer, op.Object) {
				s.lie("payer %d is said to own work %d, which it never bought", r.Payer, op.Object)
			}
			s.buy(r, op)
		} else {
			s.secret(r, op)
		}
		return
	case Advance:
		s.advanced(op)
	case Transfer:
		s.done(r, op)
	}
	if r.attempts <= 1 && !(op.Kind == Advance && len(s.open) > 0) {
		s.lie("what was sent once is said to be a repeat")
	}
}

func (s *Source) refused(r *Request, op *Op) {
	s.Tally.Refusals[r.Refusal]++
	if op.Kind == Unlock && r.Secret {
		s.lie("an unlock that was refused (%s) came with the secret", r.Refusal)
	}
}

func (s *Source) advanced(op *Op) {
	if before := s.plan.acked[op.Object]; op.Amount > before { // a later total may have been acknowledged before an earlier request was asked again
		s.Tally.Paid += op.Amount - before
		s.plan.acked[op.Object] = op.Amount
	}
}

func (s *Source) buy(r *Request, op *Op) {
	p := s.plan
	p.owned[r.Payer*p.stride+int(op.Object/64)] |= 1 << (op.Object % 64)
	p.spent[r.Payer] += int64(op.Amount)
	p.sold[p.Seller(int(op.Object))-p.Scenario.Population.Payers].Add(1)
	s.Tally.Paid += op.Amount
	s.secret(r, op)
}

// secret holds that what was paid for was delivered.
func (s *Source) secret(r *Request, op *Op) {
	if len(r.Ops) == 1 && !r.Secret {
		s.lie("payer %d has paid for work %d and not got its secret", r.Payer, op.Object)
	}
}

func (s *Source) owns(payer int, work uint32) bool {
	return s.plan.owned[payer*s.plan.stride+int(work/64)]>>(work%64)&1 == 1
}

// askedFor says whether an open request may have bought a work.
func (s *Source) askedFor(payer int, work uint32) bool { return s.sought[sought{payer, work}] }

// maxLies is how many are kept.
const maxLies = 10

func (s *Source) lie(format string, args ...any) {
	if len(s.Lies) < maxLies {
		s.Lies = append(s.Lies, fmt.Errorf("%w: %s", ErrLied, fmt.Sprintf(format, args...)))
	}
}
