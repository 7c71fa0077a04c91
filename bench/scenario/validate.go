package scenario

import (
	"errors"
	"fmt"
	"time"
)

// What a scenario may ask for at most. The tally takes 16 bytes for each account, 16 for each channel, and a bit for each payer and work.
const (
	maxAccounts = 20_000_000
	maxWorks    = 1_000_000
	maxOwned    = 8 << 30 // payers times works: a gigabyte of bits
	maxWorkers  = 4096
	maxStages   = 1000
	maxRate     = 10_000_000 // requests a second
	maxTime     = 7 * 24 * time.Hour
	maxOps      = 8192
	maxMsat     = 21_000_000 * 100_000_000 * 1000
)

// Validate names the first thing that is wrong, with its key.
func (s *Scenario) Validate() error {
	for _, part := range []struct {
		key string
		err error
	}{
		{"population", s.Population.validate()}, {"skew", s.validateSkew()}, {"mix", s.validateMix()}, {"request", s.Request.validate()},
		{"arrival", s.Arrival.validate()}, {"retry", s.Retry.validate()}, {"http", s.validateHTTP()}, {"", s.validateTimes()}, {"", s.validateFunds()},
	} {
		if part.err != nil && part.key != "" {
			return fmt.Errorf("%w %s: %s.%w", ErrScenario, s.Name, part.key, part.err)
		} else if part.err != nil {
			return fmt.Errorf("%w %s: %w", ErrScenario, s.Name, part.err)
		}
	}
	for i, f := range s.Faults {
		if err := f.validate(); err != nil {
			return fmt.Errorf("%w %s: fault %d: %w", ErrScenario, s.Name, i+1, err)
		}
		if f.At.Duration >= s.Length() {
			return fmt.Errorf("%w %s: fault %d: at: after the end", ErrScenario, s.Name, i+1)
		}
	}
	return nil
}

// Length is how long is measured.
func (s *Scenario) Length() time.Duration {
	if s.Arrival.Loop != Open {
		return s.Duration.Duration
	}
	var sum time.Duration
	for _, g := range s.Arrival.Stages {
		sum += g.For.Duration
	}
	return sum
}

func (s *Scenario) validateTimes() error {
	switch {
	case s.Length() <= 0:
		return errors.New("duration: nothing is measured in no time")
	case s.Length() > maxTime || s.Warmup.Duration > maxTime:
		return fmt.Errorf("duration: at most %v", maxTime)
	case s.Workers < 1 || s.Workers > maxWorkers:
		return fmt.Errorf("workers: %d; want 1 to %d", s.Workers, maxWorkers)
	case s.Workers > s.Population.Payers:
		return fmt.Errorf("workers: %d, but only %d payers: each worker has payers of its own", s.Workers, s.Population.Payers)
	}
	return nil
}

func (p Population) validate() error {
	switch {
	case p.Payers < 1 || p.Payers > maxAccounts:
		return fmt.Errorf("payers: %d; want 1 to %d", p.Payers, maxAccounts)
	case p.Payees < 1 || p.Payees > maxAccounts:
		return fmt.Errorf("payees: %d; want 1 to %d", p.Payees, maxAccounts)
	case p.Channels < 0 || p.Channels > maxAccounts || p.Channels%p.Payers != 0:
		return fmt.Errorf("channels: %d; want a multiple of the %d payers, at most %d", p.Channels, p.Payers, maxAccounts)
	case p.Works < 0 || p.Works > maxWorks:
		return fmt.Errorf("works: %d; want 0 to %d", p.Works, maxWorks)
	case p.Works > 0 && p.Payers > maxOwned/p.Works:
		return fmt.Errorf("works: %d for %d payers; their product is at most %d", p.Works, p.Payers, uint64(maxOwned))
	case p.Works > 0 && (p.Price < 1 || p.Price > maxMsat):
		return fmt.Errorf("price_msat: %d", p.Price)
	case p.Funds > maxMsat/uint64(p.Payers):
		return fmt.Errorf("funds_msat: %d for each of %d payers is more than there is bitcoin", p.Funds, p.Payers)
	}
	return nil
}

func (s *Scenario) validateSkew() error {
	switch k := s.Skew; {
	case k.HotShare < 0 || k.HotShare > 100:
		return fmt.Errorf("hot_share: %d of a hundred", k.HotShare)
	case k.HotPayees < 0 || k.HotPayees > s.Population.Payees:
		return fmt.Errorf("hot_payees: %d of %d payees", k.HotPayees, s.Population.Payees)
	case (k.HotShare == 0) != (k.HotPayees == 0):
		return errors.New("hot_payees: give hot_share, too, or neither")
	}
	return nil
}

func (s *Scenario) validateMix() error {
	m := s.Mix
	for _, share := range []struct {
		key   string
		value int
	}{{"advance", m.Advance}, {"transfer", m.Transfer}, {"unlock", m.Unlock}, {"history", m.History}} {
		if share.value < 0 || share.value > 1_000_000 {
			return fmt.Errorf("%s: %d; want 0 to 1000000", share.key, share.value)
		}
	}
	switch {
	case m.Advance+m.Transfer+m.Unlock+m.History == 0:
		return errors.New("advance: nothing is asked for: give advance, transfer, unlock or history a share")
	case m.Advance > 0 && s.Population.Channels == 0:
		return errors.New("advance: there are no channels: set population.channels")
	case m.Unlock > 0 && s.Population.Works == 0:
		return errors.New("unlock: there are no works: set population.works")
	}
	return nil
}

func (r Request) validate() error {
	switch {
	case r.Ops < 1 || r.Ops > maxOps:
		return fmt.Errorf("ops: %d; want 1 to %d", r.Ops, maxOps)
	case r.Encoding != Binary && r.Encoding != Lines && r.Encoding != JSON:
		return fmt.Errorf("encoding: %q is none of binary, ndjson and json", r.Encoding)
	case r.Least < 1 || r.Most < r.Least || r.Most > maxMsat:
		return fmt.Errorf("least_msat: amounts from %d to %d", r.Least, r.Most)
	}
	return nil
}

func (a Arrival) validate() error {
	switch {
	case a.Loop != Closed && a.Loop != Open:
		return fmt.Errorf("loop: %q is neither closed nor open", a.Loop)
	case a.Loop == Closed && len(a.Stages) > 0:
		return errors.New("stages: of an open loop alone")
	case a.Loop == Closed && a.Random:
		return errors.New("random: of an open loop alone")
	case a.Loop == Open && a.Think.Duration != 0:
		return errors.New("think: of a closed loop alone")
	case a.Loop == Open && len(a.Stages) == 0:
		return errors.New("stages: an open loop needs one at least")
	case len(a.Stages) > maxStages:
		return fmt.Errorf("stages: %d; at most %d", len(a.Stages), maxStages)
	case a.Loop == Open && a.Patience.Duration <= 0:
		return errors.New("patience: an open loop needs some")
	}
	most := 0.0
	for i, g := range a.Stages {
		for _, rate := range []float64{g.Rate, g.End()} {
			if !(rate >= 0 && rate <= maxRate) {
				return fmt.Errorf("stages: the %d. has a rate of %g requests a second; want 0 to %d", i+1, rate, maxRate)
			}
			most = max(most, rate)
		}
		if g.For.Duration <= 0 {
			return fmt.Errorf("stages: the %d. takes no time", i+1)
		}
	}
	if a.Loop == Open && most == 0 {
		return errors.New("stages: none has a rate above 0")
	}
	return nil
}

func (r Retry) validate() error {
	switch {
	case r.Attempts < 1 || r.Attempts > 1000:
		return fmt.Errorf("attempts: %d; want 1 to 1000", r.Attempts)
	case r.Timeout.Duration <= 0 || r.Timeout.Duration > time.Hour:
		return fmt.Errorf("timeout: %v; want up to an hour", r.Timeout)
	case r.Backoff.Duration > time.Minute:
		return fmt.Errorf("backoff: %v; want up to a minute", r.Backoff)
	}
	return nil
}

// validateFunds refuses a population without money for a single payment of each kind.
func (s *Scenario) validateFunds() error {
	perPayer := uint64(0)
	if s.Mix.Transfer > 0 {
		perPayer += s.Request.Most
	}
	if s.Mix.Unlock > 0 {
		perPayer += s.Population.Price
	}
	if s.Mix.Advance > 0 {
		perPayer += s.Request.Most * uint64(s.Population.Channels/s.Population.Payers)
	}
	if s.Population.Funds < perPayer {
		return fmt.Errorf("population.funds_msat: %d does not pay for one op of each kind, %d msat", s.Population.Funds, perPayer)
	}
	return nil
}
