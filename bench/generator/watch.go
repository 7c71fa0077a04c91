package generator

import (
	"cmp"
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
	w := &watch{target: g.cfg.Target, live: g.cfg.Live, workers: workers, warm: warm, every: g.every(s), all: newGauge(), last: time.Now()}
	w.keep = g.shared
	m := w.mark()
	w.cpu, w.using = m.cpu, m.using
	return w
}

// every is the length of an interval.
func (g *Generator) every(s *scenario.Scenario) time.Duration {
	return cmp.Or(g.cfg.Every, max(time.Second, s.Length()/1000))
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

// run ends an interval at each multiple of its length from the end of the warm-up, there too, until the context does.
func (w *watch) run(ctx context.Context) {
	for {
		more := sleep(ctx, time.Until(w.next()))
		w.interval()
		if !more {
			return
		}
	}
}

// next is when the interval that is on ends. One that would be shorter than a tenth of the others is a part of the one behind it.
func (w *watch) next() time.Time {
	at := w.last.Sub(w.warm)
	next := at.Truncate(w.every) // towards the end of the warm-up
	if next <= at {
		next += w.every
	}
	if next-at < w.every/10 && next != 0 {
		next += w.every
	}
	return w.warm.Add(next)
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
	if w.first != nil {
		r.Generator = w.use(w.end.cpu-w.first.cpu, r.Counts.Ops)
	}
	r.System = w.system(r.Counts.Ops)
}

// use is what was used for so many ops since the warm-up was over.
func (w *watch) use(cpu time.Duration, ops uint64) Use {
	long := max(w.end.at.Sub(w.first.at).Seconds(), 1e-9)
	return Use{CPU: cpu.Seconds(), Cores: cpu.Seconds() / long, PerOpCPU: cpu.Seconds() * 1e6 / float64(max(ops, 1))}
}

// system is what the target has used; nil: nobody knows.
func (w *watch) system(ops uint64) *Use {
	if w.first == nil || !w.first.known || !w.end.known || w.end.using.CPU < w.first.using.CPU {
		return nil
	}
	u := w.use(w.end.using.CPU-w.first.using.CPU, ops)
	u.Memory, u.Disk = w.end.using.Memory, w.end.using.Disk-w.first.using.Disk
	u.PerOpDsk = float64(u.Disk) / float64(max(ops, 1))
	return &u
}
