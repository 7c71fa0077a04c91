package bench

import (
	"fmt"

	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
)

// plenty is a rate of ops that no target of the suite reaches on one machine: funds that last for it are not spoken of.
const plenty = 10_000_000

// lasts says whether a scenario's funds last for its load, before anything is made for it. That they are used up is an error where payers run out of
// channels, for the load would end there, and else a warning: what is refused may be what somebody wants to see. Of a closed loop, whose rate
// nobody knows before, the warning is at what rate they would be used up. Works, which nobody buys twice, are left out.
func lasts(s *scenario.Scenario) (warning string, err error) {
	n, m := s.Population, s.Mix
	shares := float64(m.Advance + m.Transfer + m.Unlock)
	if shares == 0 {
		return "", nil
	}
	// What the payer has to spend that pays most often, by each kind of money, and what an op takes of it on average.
	channel, beside := workload.Purse(s)
	mean := (float64(s.Request.Least) + float64(s.Request.Most)) / 2
	often := s.Skew.Payers.Largest(max(n.Payers/s.Workers, 1)) / float64(s.Workers)
	open := s.Arrival.Loop == scenario.Open
	ops := requests(s) * (1 - reading(s)) * float64(s.Request.Ops) // all of the load, but for histories
	for _, purse := range []struct {
		what       string
		have, each float64
		ends       bool
	}{
		{"channels", float64(channel) * float64(n.Channels/n.Payers), often * float64(m.Advance) / shares * mean, true},
		{"balances", float64(beside), often * float64(m.Transfer) / shares * mean, false},
	} {
		if purse.each == 0 {
			continue
		}
		last := purse.have / purse.each // ops until it is used up
		seconds := (s.Warmup.Duration + s.Length()).Seconds()
		switch {
		case open && last < ops && purse.ends:
			return "", fmt.Errorf("%w %s: population.funds_msat: %d is too little: the payers' channels are used up after %s of %s ops",
				scenario.ErrScenario, s.Name, n.Funds, count(last), count(ops))
		case open && last < ops:
			return fmt.Sprintf("the payers' %s are used up after %s of %s ops, and the rest will be refused: give the scenario more funds_msat", purse.what, count(last), count(ops)), nil
		case !open && last/seconds < plenty:
			return fmt.Sprintf("the payers' %s are used up before the end if the target does more than %s ops/s: give the scenario more funds_msat", purse.what, count(last/seconds)), nil
		}
	}
	return "", nil
}

// requests are those of an open loop, with its warm-up.
func requests(s *scenario.Scenario) (n float64) {
	for i, g := range s.Arrival.Stages {
		if i == 0 {
			n = g.Rate * s.Warmup.Seconds()
		}
		n += (g.Rate + g.End()) / 2 * g.For.Seconds()
	}
	return n
}

// reading is the part of the requests that are histories: see workload.Source.
func reading(s *scenario.Scenario) float64 {
	m := s.Mix
	histories := float64(m.History * s.Request.Ops)
	return histories / (histories + float64(m.Advance+m.Transfer+m.Unlock))
}
