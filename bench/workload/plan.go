// Package workload turns a scenario into requests, and keeps a tally of what a payment system says about them, to hold its books
// against at the end. It knows no payment system, and no clock: what it draws, it draws from the scenario's seed.
//
//	Plan     who there is: payers, payees, channels, works
//	Source   the requests of one worker, which has payers of its own, and the tally of what was answered
//	Books    what a system says it has, after all
//	Verify   holds the books against the tallies: to the msat, account by account
package workload

import (
	"math/rand/v2"
	"sync/atomic"

	"github.com/millrace/millrace/bench/scenario"
)

// Plan is the population of a scenario, and the tally of all workers. Accounts are numbered from 0: first the payers, then the payees.
type Plan struct {
	Scenario *scenario.Scenario

	// Payee is, for each channel, the account that it pays. Its payer is the channel's number modulo the payers.
	Payee []uint32

	PerPayer     int    // channels that each payer has
	ChannelFunds uint64 // msat that each channel is opened with
	Available    uint64 // msat that each payer has beside

	// The tally. What belongs to a payer is written by the worker that the payer belongs to, and read by others when all have ended.
	spent  []int64        // by payer: transfers, and works that were bought
	asked  []uint64       // by channel: the highest total that was sent
	acked  []uint64       // by channel: the highest total that was acknowledged
	income []atomic.Int64 // by payee: transfers
	sold   []atomic.Int64 // by payee: works
	owned  []uint64       // bits, by payer and work
	stride int            // words of owned for each payer
	open   atomic.Int64   // ops of requests whose outcome is, or was, not known
}

// NewPlan draws a population.
func NewPlan(s *scenario.Scenario) *Plan {
	n := s.Population
	p := &Plan{
		Scenario: s, Payee: make([]uint32, n.Channels), PerPayer: n.Channels / n.Payers, stride: (n.Works + 63) / 64,
		spent: make([]int64, n.Payers), asked: make([]uint64, n.Channels), acked: make([]uint64, n.Channels),
		income: make([]atomic.Int64, n.Payees), sold: make([]atomic.Int64, n.Payees),
	}
	p.owned = make([]uint64, n.Payers*p.stride)
	p.ChannelFunds, p.Available = Purse(s)
	payee := p.payees(rand.New(rand.NewPCG(s.Seed, 0)))
	for i := range p.Payee {
		p.Payee[i] = uint32(payee())
	}
	return p
}

// Purse is what each channel of a scenario is opened with, and what each payer has beside: where both are needed, half of the funds go to each.
func Purse(s *scenario.Scenario) (channel, beside uint64) {
	n := s.Population
	per := uint64(n.Channels / n.Payers)
	if per == 0 {
		return 0, n.Funds
	}
	if channel = n.Funds / per; s.Mix.Transfer+s.Mix.Unlock > 0 {
		channel /= 2
	}
	return channel, n.Funds - channel*per
}

// Accounts is how many there are.
func (p *Plan) Accounts() int { return p.Scenario.Population.Payers + p.Scenario.Population.Payees }

// Payer is the account that a channel pays from.
func (p *Plan) Payer(channel int) int { return channel % p.Scenario.Population.Payers }

// Seller is the account that sells a work.
func (p *Plan) Seller(work int) int {
	return p.Scenario.Population.Payers + work%p.Scenario.Population.Payees
}

// payees draws accounts that are paid.
func (p *Plan) payees(random *rand.Rand) func() int {
	s := p.Scenario
	draw := s.Skew.Payees.Draw(random, s.Population.Payees)
	return func() int {
		if s.Skew.HotShare > 0 && random.IntN(100) < s.Skew.HotShare {
			return s.Population.Payers + random.IntN(s.Skew.HotPayees)
		}
		return s.Population.Payers + draw()
	}
}
