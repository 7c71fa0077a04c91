package channels

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/ledger"
)

// Policy is how the rails go about it. The zero value is a sensible one.
type Policy struct {
	Concurrency int           // Lightning payments that are begun at once; zero: 50, where the node has its best speed
	PayFor      time.Duration // how long the node looks for a way to pay; zero: a minute
	SlotFor     time.Duration // how long one of Concurrency waits for a payment; then it is asked about now and then. Zero: 15 s
	CallFor     time.Duration // what any other call to a node may take; zero: 20 s
	Quiet       time.Duration // in which a node has begun, or dropped, what was handed to it, though it gave no answer; zero: ten minutes
	StuckAfter  time.Duration // after which a payment that is in none of the node's channels is an incident; zero: an hour
	Retry       time.Duration // before what was in vain is tried again, the first time; zero: a second
	RetryMost   time.Duration // and after many; zero: a minute
	Patience    time.Duration // within which a payout is sent, if the request names no time, or fails; zero: three days
	MaxOpen     int           // payouts under way, some 2 KiB of memory each; zero: 100,000
	MaxOpenEach int           // of one account; zero: 25,000

	BatchEvery   time.Duration // between two on-chain batches, if Flush asks for none before; zero: ten minutes
	BatchOutputs int           // of one transaction; zero: 2,000
	BatchWeight  int64         // of its outputs, in weight units; zero: 352,000, which leaves 12,000 virtual bytes for inputs
	Target       int           // blocks within which a batch should be confirmed; zero: 6
	HubFee       Sat           // of a batch's fee, at most, what is beyond the limits of its payouts: the hub's; zero: 100,000; negative: nothing
	MaxRate      FeeRate       // of a batch, bumps included; zero: 500 sat per virtual byte
	Confirmed    int64         // confirmations that end a payout; zero: 3
	BumpAfter    time.Duration // without a confirmation, until a batch pays more; negative: never by itself; zero: two hours

	Depths []Depth       // confirmations of a deposit; nil: DefaultDepths
	Poll   time.Duration // between looks at the chain, beside those that Block asks for; zero: 30 s
}

// Depth says how many confirmations an on-chain deposit needs.
type Depth struct {
	Below         Sat // of deposits below this; zero: of all others
	Confirmations int64
}

// DefaultDepths ask for more where more can be won by undoing blocks.
func DefaultDepths() []Depth { return []Depth{{10_000_000, 2}, {1_000_000_000, 3}, {0, 6}} }

// buried is how many confirmations nobody expects to be undone any more. What is below is not watched.
const buried = 100

// maxHubFee is a bitcoin: whoever wants to pay more for a batch names a rate for it.
const maxHubFee Sat = 100_000_000

func (p *Policy) fill() error {
	for _, d := range []struct {
		field     *time.Duration
		otherwise time.Duration
	}{
		{&p.PayFor, time.Minute}, {&p.SlotFor, 15 * time.Second}, {&p.CallFor, 20 * time.Second}, {&p.Quiet, 10 * time.Minute},
		{&p.Retry, time.Second}, {&p.RetryMost, time.Minute}, {&p.Patience, 72 * time.Hour}, {&p.BatchEvery, 10 * time.Minute},
		{&p.StuckAfter, time.Hour}, {&p.BumpAfter, 2 * time.Hour}, {&p.Poll, 30 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.otherwise
		}
		if *d.field < 0 && d.field != &p.BumpAfter {
			return fmt.Errorf("a time of %v in the policy", *d.field)
		}
	}
	for _, n := range []struct {
		field     *int
		otherwise int
	}{{&p.Concurrency, 50}, {&p.MaxOpen, 100_000}, {&p.MaxOpenEach, 25_000}, {&p.BatchOutputs, 2000}, {&p.Target, 6}} {
		if *n.field == 0 {
			*n.field = n.otherwise
		}
		if *n.field < 0 {
			return fmt.Errorf("a number of %d in the policy", *n.field)
		}
	}
	if p.BatchWeight == 0 {
		p.BatchWeight = 352_000
	}
	if p.HubFee == 0 {
		p.HubFee = 100_000
	}
	if p.MaxRate == 0 {
		p.MaxRate = 500_000
	}
	if p.Confirmed == 0 {
		p.Confirmed = 3
	}
	if p.Depths == nil {
		p.Depths = DefaultDepths()
	}
	return p.check()
}

func (p *Policy) check() error {
	switch {
	case p.BatchOutputs > 2500 || p.BatchWeight < 2000 || p.BatchWeight > 380_000:
		return errors.New("a batch that would be larger than nodes pass on, or too small for one payment")
	case p.HubFee > maxHubFee:
		return errors.New("the hub's part of a fee is without a bound")
	case p.MaxRate < 1000 || p.Confirmed < 1 || p.Confirmed > buried:
		return errors.New("a fee rate or a number of confirmations out of bounds")
	case p.Retry > p.RetryMost || p.SlotFor > p.PayFor+time.Minute:
		return errors.New("times that do not fit together")
	case len(p.Depths) == 0 || p.Depths[len(p.Depths)-1].Below != 0:
		return errors.New("the confirmations of large deposits are not said")
	}
	for i, d := range p.Depths {
		if d.Confirmations < 1 || d.Confirmations > buried || i > 0 && d.Below != 0 && d.Below <= p.Depths[i-1].Below {
			return fmt.Errorf("confirmations of deposits: entry %d is out of order or out of bounds", i+1)
		}
	}
	return nil
}

// hubFee is HubFee as the ledger counts.
func (p *Policy) hubFee() ledger.Msat { return ledger.Msat(max(0, p.HubFee)) * msatPerSat }

// depth is how many confirmations a deposit needs.
func (p *Policy) depth(amount Sat) int64 {
	i := slices.IndexFunc(p.Depths, func(d Depth) bool { return d.Below == 0 || amount < d.Below })
	return p.Depths[i].Confirmations
}
