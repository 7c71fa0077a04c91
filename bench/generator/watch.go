package generator

import (
	"cmp"
	"context"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
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
	recent    *hdrhistogram.Histogram // the latencies of the last interval
	keep      bool                    // what intervals are merged by
	between   [][]byte                // the histogram of each interval
	last      time.Time
	cpu       time.Duration // of this process at last
	inside    bool          // the target runs in this process
	using     Using         // of the target when it was known last
	asked     time.Time     // which was then
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
	if t, ok := w.target.(Described); ok {
		w.inside = t.Traits().Inside
	}
	m := w.mark()
	w.cpu, w.using, w.asked = m.cpu, m.using, m.at
	if !warm.After(m.at) { // there is no warm-up: all that follows is measured
		w.first = &m
	}
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
		w.interval(!more)
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

// interval ends one. The final one is what is left: a short rest is part of the interval before it.
func (w *watch) interval(final bool) {
	m := w.mark()
	g := newGauge()
	for _, k := range w.workers {
		k.gauge.drain(g)
	}
	long := m.at.Sub(w.last).Seconds()
	i := Interval{
		At: m.at.Sub(w.warm).Seconds(), Seconds: long, Ops: g.counts.Ops, Refused: g.counts.Refused, Errors: g.counts.Errors, Dropped: g.counts.Dropped,
	}
	if long > 0 {
		i.CPU = (m.cpu - w.cpu).Seconds() / long
	}
	w.about(&i, &m)
	n := len(w.intervals)
	rest := final && n > 0 && long < w.every.Seconds()/2 && w.intervals[n-1].At > w.intervals[n-1].Seconds/2
	if rest {
		n--
		i = w.intervals[n].with(i)
	} else {
		w.recent = newWaits()
	}
	w.recent.Merge(g.waits)
	i.P50, i.P99, i.Max = float64(w.recent.ValueAtQuantile(50))/1000, float64(w.recent.ValueAtQuantile(99))/1000, float64(w.recent.Max())/1000
	w.intervals = append(w.intervals[:n], i)
	if w.keep {
		text, err := encode(w.recent)
		if err != nil {
			text = nil // it cannot be merged then, which is said when it is
		}
		w.between = append(w.between[:n], text)
	}
	w.last, w.cpu, w.end = m.at, m.cpu, m
	g.drain(w.all)
	if w.first == nil && !m.at.Before(w.warm) {
		w.first = &m
		w.all.reasons = make(map[string]uint64) // of the warm-up
		w.all.counts.Errors = 0
	}
	if w.live != nil && !rest {
		w.live(i)
	}
}

// about adds what the target has used in an interval. After a time in which that was not known it is the mean since it was.
func (w *watch) about(i *Interval, m *mark) {
	switch {
	case w.inside:
		i.Apart = Within
		return
	case !m.known:
		i.Apart, i.Disk = Hidden, w.using.Disk
		return
	}
	m.using.CPU = max(m.using.CPU, w.using.CPU) // less: a process has ended whose share nobody has taken down
	if long := m.at.Sub(w.asked).Seconds(); long > 0 {
		i.System = (m.using.CPU - w.using.CPU).Seconds() / long
	}
	i.Memory, i.Disk = m.using.Memory, m.using.Disk
	w.using, w.asked = m.using, m.at
}

// with is an interval and the rest that follows it, but for the latencies.
func (i Interval) with(rest Interval) Interval {
	both := rest
	both.Seconds = i.Seconds + rest.Seconds
	both.Ops, both.Refused, both.Errors, both.Dropped = i.Ops+rest.Ops, i.Refused+rest.Refused, i.Errors+rest.Errors, i.Dropped+rest.Dropped
	mean := func(a, b float64) float64 { return (a*i.Seconds + b*rest.Seconds) / max(both.Seconds, 1e-9) }
	both.CPU, both.System = mean(i.CPU, rest.CPU), mean(i.System, rest.System)
	return both
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
	u := Use{CPU: cpu.Seconds(), Cores: cpu.Seconds() / long}
	if ops > 0 {
		u.PerOpCPU = cpu.Seconds() * 1e6 / float64(ops)
	}
	return u
}

// system is what the target has used; nil: nobody knows.
func (w *watch) system(ops uint64) *Use {
	if w.inside || w.first == nil || !w.first.known || !w.asked.After(w.first.at) {
		return nil
	}
	u := w.use(w.using.CPU-w.first.using.CPU, ops)
	u.Memory = w.using.Memory
	if grown := w.using.Disk - w.first.using.Disk; grown > 0 { // files are reserved ahead, and old ones removed: in a short time it may not grow at all
		u.Disk, u.PerOpDsk = grown, float64(grown)/float64(max(ops, 1))
	}
	return &u
}
