package generator

import (
	"context"
	"fmt"
	"time"

	"github.com/millrace/millrace/bench/scenario"
)

// Prepared is a load that can begin at once: its sessions are there. It is loaded once, or closed.
type Prepared struct {
	generator *Generator
	scenario  *scenario.Scenario
	workers   []*worker
}

// Prepare makes the sessions of a load of what a scenario says, which has the population of the plan's and as many workers.
func (g *Generator) Prepare(s *scenario.Scenario) (*Prepared, error) {
	p := &Prepared{generator: g, scenario: s}
	var times *profile
	if s.Arrival.Loop == scenario.Open {
		times = newProfile(s)
	}
	for i, src := range g.sources {
		w := &worker{number: g.numbers[i], scenario: s, target: g.cfg.Target, source: src, gauge: newGauge()}
		if _, err := w.line.get(func() (Session, error) { return g.cfg.Target.Connect(w.number) }); err != nil {
			p.Close()
			return nil, fmt.Errorf("connecting to %s: %w", g.cfg.Target.Name(), err)
		}
		if times != nil {
			w.arrivals = newArrivals(times, s, w.number)
		}
		p.workers = append(p.workers, w)
	}
	return p, nil
}

// Close hangs up: the load will not be.
func (p *Prepared) Close() {
	for _, w := range p.workers {
		w.line.drop()
	}
	p.workers = nil
}

// Contribute is the load, as one part of several: it begins at a time that all parts are told, by this machine's clock. What has become of each
// request, Testify says when all loads are over.
func (p *Prepared) Contribute(ctx context.Context, begin time.Time) (*Share, error) {
	r, failed := p.load(ctx, begin)
	return r.share(begin, failed)
}
