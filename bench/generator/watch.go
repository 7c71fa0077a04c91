package generator

import (
	"context"
	"time"

	"github.com/millrace/millrace/bench/scenario"
)

// watch reads the workers' gauges at each interval's end.
type watch struct {
	target  Target
	live    func(Interval)
	workers []*worker
	warm    time.Time
	every   time.Duration

	all       *gauge
	intervals []Interval
	keep      bool     // what intervals are merged by
	between   [][]byte // the histogram of each interval
	last      time.Time
	cpu       time.Duration // of this process at last
	using     Using         // of the target at last
	first     *mark         // at the end of the warm-up
	end       mark
}

// mark is what was used up to a time.
type mark struct {
	at    time.Time
	cpu   time.Duration
	using Using
	known bool // using
}

func (g *Generator) newWatch(s *scenario.Scenario, warm time.Time, workers []*worker) *watch {
	every := g.cfg.Every
	if every == 0 {
		every = max(time.Second, s.Length()/1000)
	}
	w := &watch{target: g.cfg.Target, live: g.cfg.Live, workers: workers, warm: warm, every: every, all: newGauge(), last: time.Now()}
	w.keep = g.shared
	m := w.mark()
	w.cpu, w.using = m.cpu, m.using
	return w
}

func (w *watch) mark() mark {
	m := mark{at: time.Now(), cpu: CPUTime()}
	if t, ok := w.target.(Meter); ok {
		if u, err := t.Using(); err == nil {
			m.using, m.known = u, true
		}
	}
	return m
}

// run ends an interval at each multiple of its length, and one where the warm-up ends, until the context does.
func (w *watch) run(ctx context.Context) {
	for {
		next := w.last.Add(w.every)
		if w.first == nil && next.After(w.warm) {
			next = w.warm
		}
		more := sleep(ctx, time.Until(next))
		w.interval()
		if !more {
			return
		}
	}
}

func (w *watch) interval() {
	m := w.mark()
	if !m.known { // it is down, say; when it is there again, it has not used all of it at once
		m.using = Using{CPU: w.using.CPU, Disk: w.using.Disk}
	}
	g := newGauge()
	for _, k := range w.workers {
		k.gauge.drain(g)
	}
	long := m.at.Sub(w.last).Seconds()
	i := Interval{
		At: m.at.Sub(w.warm).Seconds(), Seconds: long, Ops: g.counts.Ops, Refused: g.counts.Refused, Errors: g.counts.Errors, Dropped: g.counts.Dropped,
		P50: float64(g.waits.ValueAtQuantile(50)) / 1000, P99: float64(g.waits.ValueAtQuantile(99)) / 1000, Max: float64(g.waits.Max()) / 1000,
		Memory: m.using.Memory, Disk: m.using.Disk,
	}
	if long > 0 {
		i.CPU = (m.cpu - w.cpu).Seconds() / long
		i.System = max((m.using.CPU-w.using.CPU).Seconds()/long, 0) // less than none: it was started again
	}
	if w.keep {
		text, err := encode(g.waits)
		if err != nil {
			text = nil // it cannot be merged then, which is said when it is
		}
		w.between = append(w.between, text)
	}
	w.last, w.cpu, w.using = m.at, m.cpu, m.using
	g.drain(w.all)
	if w.first == nil && !m.at.Before(w.warm) {
		w.first = &m
		w.all.reasons = make(map[string]uint64) // of the warm-up
		w.all.counts.Errors = 0
	}
	w.intervals, w.end = append(w.intervals, i), m
	if w.live != nil {
		w.live(i)
	}
}

// finish puts it all into the result.
func (w *watch) finish(r *Result) {
	r.Intervals, r.between = w.intervals, w.between
	r.sum(w.all)
	if w.first == nil {
		return
	}
	long := max(w.end.at.Sub(w.first.at).Seconds(), 1e-9)
	use := func(cpu time.Duration) Use {
		return Use{CPU: cpu.Seconds(), Cores: cpu.Seconds() / long, PerOpCPU: cpu.Seconds() * 1e6 / float64(max(r.Counts.Ops, 1))}
	}
	r.Generator = use(w.end.cpu - w.first.cpu)
	if w.first.known && w.end.known && w.end.using.CPU >= w.first.using.CPU {
		u := use(w.end.using.CPU - w.first.using.CPU)
		u.Memory, u.Disk = w.end.using.Memory, w.end.using.Disk-w.first.using.Disk
		u.PerOpDsk = float64(u.Disk) / float64(max(r.Counts.Ops, 1))
		r.System = &u
	}
}
