package agent

import (
	"context"
	"time"

	"github.com/millrace/millrace/bench/generator"
)

// see notes what the target used.
func (p *party) see(i generator.Interval) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = i
}

// show adds up the agents' intervals as they end, for a person to look at.
func (p *party) show(ctx context.Context) {
	if p.Live == nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for shown := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		lists, least := make([][]generator.Interval, len(p.members)), -1
		for i, m := range p.members {
			m.mu.Lock()
			lists[i] = m.intervals
			m.mu.Unlock()
			if least < 0 || len(lists[i]) < least {
				least = len(lists[i])
			}
		}
		for ; shown < least; shown++ {
			p.mu.Lock()
			sum := generator.Interval{System: p.seen.System, Memory: p.seen.Memory, Disk: p.seen.Disk}
			p.mu.Unlock()
			for _, l := range lists {
				i := l[shown]
				sum.At, sum.Seconds = i.At, i.Seconds
				sum.Ops, sum.Refused, sum.Errors, sum.Dropped, sum.CPU = sum.Ops+i.Ops, sum.Refused+i.Refused, sum.Errors+i.Errors, sum.Dropped+i.Dropped, sum.CPU+i.CPU
				sum.P50, sum.P99, sum.Max = max(sum.P50, i.P50), max(sum.P99, i.P99), max(sum.Max, i.Max) // the worst agent's: the report has them merged
			}
			p.Live(sum)
		}
	}
}
