package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/millrace/millrace/bench/generator"
)

// waits are the latencies of all rounds together, from the least up.
func (t *Target) waits() (all generator.Histogram, total float64) {
	sum := make(map[int64]int64)
	for _, r := range t.results() {
		for _, b := range r.Histogram {
			if b.Count > 0 && b.Micros > 0 {
				sum[b.Micros] += b.Count
				total += float64(b.Count)
			}
		}
	}
	for micros := range maps.Keys(sum) {
		all = append(all, generator.Bar{Micros: micros, Count: sum[micros]})
	}
	slices.SortFunc(all, func(a, b generator.Bar) int { return cmp.Compare(a.Micros, b.Micros) })
	return all, total
}

// percentiles is the latency against the part of all requests that had it or a lower one. The axis is that of HdrHistogram's plots: 1/(1-q),
// so that each nine takes as much room as the one before. Nil: nothing was answered.
func (r *Report) percentiles() *chart {
	c := &chart{id: "percentiles", title: "Latency by percentile", about: "Latency against the percentile:"}
	last := 10.0
	for i := range r.Targets {
		all, total := r.Targets[i].waits()
		if total == 0 {
			continue
		}
		s := series{name: r.Targets[i].short(), style: i}
		before := 0.0
		for n, b := range all {
			if n == 0 {
				s.x, s.y = append(s.x, 1), append(s.y, float64(b.Micros)/1000)
			}
			q := (before + float64(b.Count)/2) / total // the middle of those that waited so long
			s.x, s.y = append(s.x, 1/(1-q)), append(s.y, float64(b.Micros)/1000)
			before += float64(b.Count)
			last = max(last, 1/(1-q))
		}
		c.series = append(c.series, s)
		if one := r.Targets[i].typical(); one != nil {
			c.about += fmt.Sprintf(" %s p50 %s, p99 %s, p99.9 %s ms.", s.name, short(one.Wait.P50), short(one.Wait.P99), short(one.Wait.P999))
		}
	}
	if len(c.series) == 0 {
		return nil
	}
	c.x = axis{label: "percentile", log: true, min: 1, max: last}
	for x, text := 1.0, ""; x <= last*1.0001 && x < 1e10; x *= 10 {
		switch x {
		case 1:
			text = "0%"
		case 10:
			text = "90%"
		case 100:
			text = "99%"
		case 1000:
			text = "99.9%"
		default:
			text = text[:len(text)-1] + "9%"
		}
		c.x.ticks = append(c.x.ticks, tick{x, text})
	}
	c.y = logarithmic("ms, from due to answered", least(c.series), most(c.series))
	return c
}

// histogram is how many requests had which latency. Nil: none was answered.
func (t *Target) histogram(id string) *chart {
	all, total := t.waits()
	if total == 0 {
		return nil
	}
	low, high := math.Log10(float64(all[0].Micros)/1000), math.Log10(float64(all[len(all)-1].Micros)/1000)
	each := 0.1 // of a power of ten
	if high-low < 1 {
		each = 0.05
	}
	from := math.Floor(low / each)
	s := series{name: t.Name}
	for n := from; n <= math.Floor(high/each)+1; n++ {
		s.x, s.y = append(s.x, math.Pow(10, n*each)), append(s.y, 0)
	}
	for _, b := range all {
		n := int(math.Floor(math.Log10(float64(b.Micros)/1000)/each) - from)
		s.y[min(max(n, 0), len(s.y)-2)] += 100 * float64(b.Count) / total
	}
	x := logarithmic("ms, from due to answered", s.x[0], s.x[len(s.x)-1])
	return &chart{id: id + "-histogram", title: "Histogram of latencies", x: x, y: linear("% of requests", 0, most([]series{s}), 5), series: []series{s}, bars: true,
		about: fmt.Sprintf("Histogram of %.0f latencies of %s.", total, t.Name)}
}
