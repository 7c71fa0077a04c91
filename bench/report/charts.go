package report

import (
	"fmt"
	"math"

	"github.com/millrace/millrace/bench/generator"
)

// together are the charts that all targets are in.
func (r *Report) together() (all []*chart) {
	if len(r.Targets) > 1 {
		all = append(all, r.rates())
	}
	if c := r.percentiles(); c != nil {
		all = append(all, c)
	}
	return all
}

// charts are those of one target alone: the round in the middle, by its rate, and the others' throughput.
func (t *Target) charts(id string) (all []*chart) {
	one := t.typical()
	if one == nil || len(one.Intervals) == 0 {
		return nil
	}
	c := charted{id: id, of: t.Name, r: one, x: timeAxis(one)}
	all = append(all, c.throughput(t), c.latency())
	if h := t.histogram(id); h != nil {
		all = append(all, h)
	}
	all = append(all, c.cores())
	if one.System != nil {
		all = append(all, c.bytes("memory", "Memory of the target", func(i *generator.Interval) int64 { return i.Memory }),
			c.bytes("disk", "Disk of the target", func(i *generator.Interval) int64 { return i.Disk }))
	}
	if n := one.Counts; n.Refused+n.Errors+n.Dropped > 0 {
		all = append(all, c.troubles())
	}
	return all
}

// charted is what the charts of a result over time share.
type charted struct {
	id, of string
	r      *generator.Result
	x      axis
}

func timeAxis(results ...*generator.Result) axis {
	low, high := 0.0, 0.0
	for _, r := range results {
		if len(r.Intervals) > 0 {
			first, last := r.Intervals[0], r.Intervals[len(r.Intervals)-1]
			low, high = min(low, first.At-first.Seconds), max(high, last.At)
		}
	}
	return tight("seconds since the warm-up", low, high, 6)
}

// over makes a series of a value of each interval, at the interval's middle.
func over(r *generator.Result, name string, style int, value func(*generator.Interval) float64) series {
	s := series{name: name, style: style}
	longest := 0.0
	for _, i := range r.Intervals {
		longest = max(longest, i.Seconds)
	}
	for n := range r.Intervals {
		i := &r.Intervals[n]
		if i.Seconds < longest/8 && len(r.Intervals) > 1 { // what was left at the end: of a moment there is no rate
			continue
		}
		s.x, s.y = append(s.x, i.At-i.Seconds/2), append(s.y, value(i))
	}
	return s
}

func rateOf(i *generator.Interval) float64 { return float64(i.Ops) / max(i.Seconds, 1e-9) }

// warming says whether an interval is of the warm-up, whose payments are not counted.
func warming(i *generator.Interval) bool { return i.At-i.Seconds/2 < 0 }

// measuredRate is the rate of an interval, or none where it is not measured.
func measuredRate(i *generator.Interval) float64 {
	if warming(i) {
		return math.NaN()
	}
	return rateOf(i)
}

// measured is a latency of an interval, or none where nothing was measured.
func measured(i *generator.Interval, v float64) float64 {
	if warming(i) {
		return math.NaN()
	}
	return positive(v)
}

// positive is a value, or none where it is 0: a latency of no requests, or the memory of a target that is down.
func positive(v float64) float64 {
	if v > 0 {
		return v
	}
	return math.NaN()
}

// bands are the warm-up and the faults.
func (c *charted) bands() (all []band) {
	if c.x.min < -1e-9 {
		all = append(all, band{from: c.x.min, to: 0, name: "warm-up", quiet: true})
	}
	for _, f := range c.r.Faults {
		name := string(f.Kind)
		if f.Err != "" {
			name += " (failed)"
		}
		all = append(all, band{from: f.At, to: f.Until, name: name})
	}
	return all
}

// most is the largest value of all series that is one, and least the smallest above 0.
func most(all []series) (v float64) {
	for _, s := range all {
		for _, y := range s.y {
			if finite(y) {
				v = max(v, y)
			}
		}
	}
	return v
}

func least(all []series) float64 {
	v := math.Inf(1) // where there is none, axes begin somewhere
	for _, s := range all {
		for _, y := range s.y {
			if y > 0 {
				v = min(v, y)
			}
		}
	}
	return v
}

func (c *charted) throughput(t *Target) *chart {
	main := over(c.r, c.of, 0, measuredRate)
	main.filled = true
	all := []series{main}
	x := timeAxis(t.results()...)
	for _, other := range t.results() {
		if other != c.r {
			s := over(other, c.of, 0, measuredRate)
			s.faint = true
			all = append(all, s)
		}
	}
	c.x = x
	about := fmt.Sprintf("Throughput of %s over time: %s ops/s on the whole.", c.of, short(c.r.Rate))
	if len(all) > 1 {
		about += " The other rounds are drawn thin."
	}
	k := &chart{id: c.id + "-throughput", title: "Throughput", about: about, x: x, y: linear("ops/s", 0, most(all), 5), series: all, bands: c.bands()}
	if len(all) > 1 {
		k.series[0].name = "median round"
	}
	return k
}

func (c *charted) latency() *chart {
	all := []series{
		over(c.r, "max", 2, func(i *generator.Interval) float64 { return measured(i, i.Max) }),
		over(c.r, "p99", 1, func(i *generator.Interval) float64 { return measured(i, i.P99) }),
		over(c.r, "p50", 0, func(i *generator.Interval) float64 { return measured(i, i.P50) }),
	}
	return &chart{id: c.id + "-latency", title: "Latency over time", x: c.x, y: logarithmic("ms, from due to answered", least(all), most(all)), series: all, bands: c.bands(),
		about: fmt.Sprintf("Latency of %s over time: on the whole p50 %s, p99 %s, at most %s ms.", c.of, short(c.r.Wait.P50), short(c.r.Wait.P99), short(c.r.Wait.Max))}
}

func (c *charted) cores() *chart {
	all := []series{over(c.r, "generator", 1, func(i *generator.Interval) float64 { return i.CPU })}
	about := fmt.Sprintf("CPU over time: on the whole %s cores of the generator", short(c.r.Generator.Cores))
	if c.r.System != nil {
		all = append([]series{over(c.r, "target", 0, func(i *generator.Interval) float64 {
			if i.Apart != generator.Measured {
				return math.NaN()
			}
			return i.System
		})}, all...)
		about += fmt.Sprintf(", %s of %s", short(c.r.System.Cores), c.of)
	}
	title := "CPU"
	if len(all) == 1 {
		title = "CPU of the generator"
	}
	return &chart{id: c.id + "-cpu", title: title, about: about + ".", x: c.x, y: linear("cores", 0, most(all), 5), series: all, bands: c.bands()}
}

func (c *charted) bytes(name, title string, of func(*generator.Interval) int64) *chart {
	s := over(c.r, name, 0, func(i *generator.Interval) float64 { return positive(float64(of(i))) })
	unit, by := "bytes", 1.0
	for _, u := range [...]struct {
		unit string
		by   float64
	}{{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}} {
		if most([]series{s}) >= u.by {
			unit, by = u.unit, u.by
		}
	}
	for i := range s.y {
		s.y[i] /= by
	}
	s.filled = true
	high := most([]series{s})
	return &chart{id: c.id + "-" + name, title: title, x: c.x, y: linear(unit, 0, high, 5), series: []series{s}, bands: c.bands(),
		about: fmt.Sprintf("%s, %s, over time: at most %s %s.", title, c.of, short(high), unit)}
}

func (c *charted) troubles() *chart {
	n := c.r.Counts
	var all []series
	each := func(name string, sum uint64, of func(*generator.Interval) uint64) {
		if sum > 0 {
			all = append(all, over(c.r, name, len(all), func(i *generator.Interval) float64 { return float64(of(i)) / max(i.Seconds, 1e-9) }))
		}
	}
	each("refused ops", n.Refused, func(i *generator.Interval) uint64 { return i.Refused })
	each("no answer", n.Errors, func(i *generator.Interval) uint64 { return i.Errors })
	each("dropped", n.Dropped, func(i *generator.Interval) uint64 { return i.Dropped })
	title := "Refused, dropped, without an answer"
	return &chart{id: c.id + "-troubles", title: title, x: c.x, y: linear("a second", 0, most(all), 5), series: all, bands: c.bands(),
		about: fmt.Sprintf("%d ops refused, %d attempts without an answer, %d requests dropped, over time.", n.Refused, n.Errors, n.Dropped)}
}

// rates is the throughput of all targets over time: of each the round in the middle.
func (r *Report) rates() *chart {
	var all []series
	var of []*generator.Result
	for i := range r.Targets {
		if one := r.Targets[i].typical(); one != nil {
			all, of = append(all, over(one, r.Targets[i].short(), i, measuredRate)), append(of, one)
		}
	}
	c := &chart{id: "throughput", title: "Throughput", about: "Throughput of all targets over time.", x: timeAxis(of...), series: all}
	low := math.Inf(1)
	for _, s := range all {
		low = min(low, most([]series{s}))
	}
	if high := most(all); low > 0 && high > 20*low {
		c.y = logarithmic("ops/s, logarithmic", max(least(all), low/10), high)
	} else {
		c.y = linear("ops/s", 0, high, 5)
	}
	return c
}
