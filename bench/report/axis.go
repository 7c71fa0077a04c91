package report

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// axis is one of a chart's two.
type axis struct {
	label    string // with the unit
	min, max float64
	log      bool
	ticks    []tick
}

// tick is a place on an axis with a word.
type tick struct {
	at   float64
	text string
}

// widest bounds what is on an axis, whatever a document says.
const widest = 1e15

// within is a number in its bounds; what is none is the lower one.
func within(v, low, high float64) float64 {
	if math.IsNaN(v) {
		return low
	}
	return min(max(v, low), high)
}

// linear is an axis from a value to another, which are moved out to ticks: n or so of them, at multiples of 1, 2 or 5.
func linear(label string, low, high float64, n int) axis {
	low, high = within(low, -widest, widest), within(high, -widest, widest)
	if !(high > low) {
		high = low + max(1, math.Abs(low)/1e6)
	}
	raw := (high - low) / float64(n)
	power, step := math.Pow(10, math.Floor(math.Log10(raw))), 0.0
	for _, k := range [...]float64{1, 2, 5, 10} {
		if step = k * power; step >= raw*0.999 {
			break
		}
	}
	a := axis{label: label, min: math.Floor(low/step+1e-9) * step, max: math.Ceil(high/step-1e-9) * step}
	for i := 0; i <= 4*n; i++ {
		v := a.min + float64(i)*step
		if v > a.max+step/2 {
			break
		}
		a.ticks = append(a.ticks, tick{v, tickText(v)})
	}
	return a
}

// tight is a linear axis that ends where its values do.
func tight(label string, low, high float64, n int) axis {
	low, high = within(low, -widest, widest), within(high, -widest, widest)
	a := linear(label, low, high, n)
	if high > low {
		a.min, a.max = low, high
	}
	a.ticks = slices.DeleteFunc(a.ticks, func(t tick) bool { return t.at < a.min-1e-9 || t.at > a.max+1e-9 })
	return a
}

// logarithmic is an axis of powers of ten; where there are few, with 2 and 5 between. What is not above 0 is not on it.
func logarithmic(label string, low, high float64) axis {
	low, high = within(low, 1/widest, widest/10), within(high, 1/widest, widest)
	high = max(high, low*1.01)
	first, last := math.Floor(math.Log10(low)+1e-9), math.Ceil(math.Log10(high)-1e-9)
	between := []float64{1, 2, 5}
	a := axis{label: label, log: true, min: low, max: high}
	if last-first > 3 {
		between = between[:1]
	}
	// The ends are moved out to the nearest ticks.
	a.min, a.max = math.Pow(10, first), math.Pow(10, last)
	for e := first; e <= last; e++ {
		for _, k := range between {
			v := k * math.Pow(10, e)
			if v <= low*1.0001 {
				a.min = v
			}
			if v >= high*0.9999 {
				a.max = min(a.max, v)
			}
		}
	}
	every := math.Ceil((last - first) / 7)
	for e := first; e <= last; e++ {
		for _, k := range between {
			if v := k * math.Pow(10, e); v >= a.min*0.999 && v <= a.max*1.001 && math.Mod(e-first, max(every, 1)) == 0 {
				a.ticks = append(a.ticks, tick{v, tickText(v)})
			}
		}
	}
	return a
}

// place is where a value lies, from 0 at the axis' beginning to 1 at its end.
func (a *axis) place(v float64) float64 {
	low, high := a.min, a.max
	if a.log {
		v, low, high = math.Log10(max(v, a.min)), math.Log10(low), math.Log10(high)
	}
	return min(max((v-low)/(high-low), 0), 1)
}

// tickText is a number as it stands at an axis.
func tickText(v float64) string {
	unit := ""
	switch a := math.Abs(v); {
	case a >= 1e9:
		v, unit = v/1e9, " G"
	case a >= 1e6:
		v, unit = v/1e6, " M"
	case a >= 1e4:
		v, unit = v/1e3, " k"
	case a < 1e-9:
		return "0"
	}
	text := strconv.FormatFloat(v, 'f', 4, 64)
	return strings.Replace(strings.TrimRight(strings.TrimRight(text, "0"), "."), "-", "−", 1) + unit
}
