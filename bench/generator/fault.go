package generator

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/bench/scenario"
)

// due is a fault at a time.
type due struct {
	at    time.Duration // since the warm-up was over
	fault scenario.Fault
}

// timetable is all faults of a scenario, in order.
func timetable(s *scenario.Scenario) (all []due) {
	for _, f := range s.Faults {
		for at := f.At.Duration; at < s.Length(); at += f.Every.Duration {
			all = append(all, due{at, f})
			if f.Every.Duration == 0 {
				break
			}
		}
	}
	slices.SortStableFunc(all, func(a, b due) int { return cmp.Compare(a.at, b.at) })
	return all
}

// breaks makes the faults happen, one after the other, and mends what is broken when the load ends.
func (g *Generator) breaks(ctx context.Context, s *scenario.Scenario, warm time.Time, workers []*worker) (happened []Happened) {
	for _, d := range timetable(s) {
		if !sleep(ctx, time.Until(warm.Add(d.at))) {
			return happened
		}
		h := Happened{Kind: d.fault.Kind, At: time.Since(warm).Seconds()}
		if err := g.fault(ctx, d.fault, workers); err != nil {
			h.Err = err.Error()
		}
		h.Until = time.Since(warm).Seconds()
		happened = append(happened, h)
	}
	return happened
}

func (g *Generator) fault(ctx context.Context, f scenario.Fault, workers []*worker) error {
	if f.Kind == scenario.Vanish {
		for i, w := range workers {
			if f.Share == 0 || i*100/len(workers) < f.Share {
				w.vanish.Store(true)
			}
		}
		return nil
	}
	p, ok := g.cfg.Target.(Process)
	if !ok {
		return fmt.Errorf("%w: %s was not started by the suite", ErrNoFault, g.cfg.Target.Name())
	}
	var begin, end func() error
	switch f.Kind {
	case scenario.Kill:
		begin, end = p.Kill, p.Start
	case scenario.Freeze:
		begin, end = func() error { return p.Freeze(true) }, func() error { return p.Freeze(false) }
	case scenario.SlowSync:
		begin, end = func() error { return p.Slow(f.Delay.Duration) }, func() error { return p.Slow(0) }
	case scenario.StopDisk:
		begin, end = func() error { return p.Slow(-1) }, func() error { return p.Slow(0) }
	}
	if err := begin(); err != nil {
		return err
	}
	sleep(ctx, f.For.Duration) // and mended even when the load is over
	return end()
}
