package generator

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/millrace/millrace/bench/scenario"
)

// profile says when the k-th request of an open loop is due. Times are from the beginning of the warm-up.
type profile struct {
	parts []part
	total float64 // requests in all
	end   time.Duration
}

// part is a stage: from a rate to another, evenly.
type part struct {
	at, long float64 // seconds
	from, to float64 // requests a second
	before   float64 // requests before it
	requests float64 // in it
}

// newProfile puts the warm-up, at the rate of the first stage's beginning, before the stages.
func newProfile(s *scenario.Scenario) *profile {
	p := &profile{}
	add := func(from, to float64, long time.Duration) {
		q := part{at: p.end.Seconds(), long: long.Seconds(), from: from, to: to, before: p.total}
		q.requests = (from + to) / 2 * q.long
		p.parts = append(p.parts, q)
		p.end += long
		p.total += q.requests
	}
	if s.Warmup.Duration > 0 {
		add(s.Arrival.Stages[0].Rate, s.Arrival.Stages[0].Rate, s.Warmup.Duration)
	}
	for _, g := range s.Arrival.Stages {
		add(g.Rate, g.End(), g.For.Duration)
	}
	return p
}

// due is when so many requests have been due before; false: never.
func (p *profile) due(k float64) (time.Duration, bool) {
	for i := range p.parts {
		q := &p.parts[i]
		if k >= q.before+q.requests || q.requests == 0 {
			continue
		}
		return time.Duration((q.at + q.when(k-q.before)) * float64(time.Second)), true
	}
	return 0, false
}

// when is how far into a stage n requests were due: the root of (to-from)/(2 long) t^2 + from t = n, in the form that is exact where the
// rate hardly changes.
func (q *part) when(n float64) float64 {
	bend := (q.to - q.from) / q.long
	root := math.Sqrt(max(q.from*q.from+2*bend*n, 0))
	if q.from+root == 0 {
		return 0
	}
	return min(2*n/(q.from+root), q.long)
}

// arrivals are those of one worker: every so many-th request, or, at random, as many on average.
type arrivals struct {
	profile *profile
	random  *rand.Rand // nil: evenly
	step    float64
	k       float64
}

func newArrivals(p *profile, s *scenario.Scenario, worker int) *arrivals {
	a := &arrivals{profile: p, step: float64(s.Workers), k: float64(worker)}
	if s.Arrival.Random {
		a.random = rand.New(rand.NewPCG(s.Seed, uint64(worker)+1<<32))
		a.k = a.random.ExpFloat64() * a.step
	}
	return a
}

// next is when the worker's next request is due; false: there is none any more.
func (a *arrivals) next() (time.Duration, bool) {
	at, ok := a.profile.due(a.k)
	if a.random != nil {
		a.k += a.random.ExpFloat64() * a.step
	} else {
		a.k += a.step
	}
	return at, ok
}
