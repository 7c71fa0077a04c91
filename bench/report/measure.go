package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/millrace/millrace/bench/generator"
)

// measure is one figure of a load.
type measure struct {
	key, name, unit string
	better          int  // 1: more is; -1: less is; 0: neither
	main            bool // and not a detail
	of              func(*generator.Result) (v float64, known bool)
}

// measures are all of them, in order.
var measures = []measure{
	{"ops_per_second", "payments", "ops/s", 1, true, func(r *generator.Result) (float64, bool) { return r.Rate, true }},
	{"requests_per_second", "requests", "requests/s", 1, false, func(r *generator.Result) (float64, bool) { return r.Requests, true }},
	{"latency_p50_ms", "latency p50", "ms", -1, true, func(r *generator.Result) (float64, bool) { return r.Wait.P50, r.Wait.N > 0 }},
	{"latency_p90_ms", "latency p90", "ms", -1, false, func(r *generator.Result) (float64, bool) { return r.Wait.P90, r.Wait.N > 0 }},
	{"latency_p99_ms", "latency p99", "ms", -1, true, func(r *generator.Result) (float64, bool) { return r.Wait.P99, r.Wait.N > 0 }},
	{"latency_p999_ms", "latency p99.9", "ms", -1, true, func(r *generator.Result) (float64, bool) { return r.Wait.P999, r.Wait.N > 0 }},
	{"latency_max_ms", "latency max", "ms", -1, false, func(r *generator.Result) (float64, bool) { return r.Wait.Max, r.Wait.N > 0 }},
	{"service_p50_ms", "service p50", "ms", -1, false, func(r *generator.Result) (float64, bool) { return r.Service.P50, r.Service.N > 0 }},
	{"service_p99_ms", "service p99", "ms", -1, false, func(r *generator.Result) (float64, bool) { return r.Service.P99, r.Service.N > 0 }},
	{"late_p99_ms", "sent late p99", "ms", -1, false, func(r *generator.Result) (float64, bool) { return r.Late.P99, r.Late.N > 0 }},
	{"refused_percent", "refused", "% of ops", 0, true, func(r *generator.Result) (float64, bool) { return share(r.Counts.Refused, ops(r)), ops(r) > 0 }},
	{"failed_percent", "failed", "% of ops", -1, true, func(r *generator.Result) (float64, bool) { return share(r.Counts.Failed, ops(r)), ops(r) > 0 }},
	{"dropped_percent", "dropped", "% of requests", -1, true, func(r *generator.Result) (float64, bool) {
		all := r.Counts.Dropped + r.Counts.Requests
		return share(r.Counts.Dropped, all), all > 0
	}},
	{"errors", "attempts without an answer", "", -1, false, func(r *generator.Result) (float64, bool) { return float64(r.Counts.Errors), true }},
	{"target_cores", "target's CPU", "cores", 0, true, func(r *generator.Result) (float64, bool) { return system(r).Cores, r.System != nil }},
	{"target_cpu_us_per_op", "target's CPU per op", "µs", -1, false, func(r *generator.Result) (float64, bool) { return system(r).PerOpCPU, r.System != nil }},
	{"target_memory_mb", "target's memory", "MB", -1, true, func(r *generator.Result) (float64, bool) { return float64(system(r).Memory) / 1e6, r.System != nil }},
	{"target_disk_bytes_per_op", "target's disk per op", "B", -1, true, func(r *generator.Result) (float64, bool) { return system(r).PerOpDsk, system(r).PerOpDsk > 0 }},
	{"generator_cores", "generator's CPU", "cores", 0, true, func(r *generator.Result) (float64, bool) { return r.Generator.Cores, r.Generator.CPU > 0 }},
	{"generator_cpu_us_per_op", "generator's CPU per op", "µs", -1, false, func(r *generator.Result) (float64, bool) { return r.Generator.PerOpCPU, r.Generator.CPU > 0 }},
}

func ops(r *generator.Result) uint64 { return r.Counts.Ops + r.Counts.Refused + r.Counts.Failed }

func share(part, whole uint64) float64 { return 100 * float64(part) / float64(max(whole, 1)) }

func system(r *generator.Result) generator.Use {
	if r.System == nil {
		return generator.Use{}
	}
	return *r.System
}

// values are a measure's, round by round. Rounds that do not have it are left out, and one that was stopped unless there is no other.
func (t *Target) values(m *measure) (all []float64) {
	rounds := t.complete()
	if len(rounds) == 0 {
		rounds = t.results()
	}
	for _, r := range rounds {
		if v, known := m.of(r); known && finite(v) {
			all = append(all, v)
		}
	}
	return all
}

// complete are the rounds that came to their end.
func (t *Target) complete() []*generator.Result {
	return slices.DeleteFunc(t.results(), func(r *generator.Result) bool { return r.Stopped })
}

// ratios are one target's values by another's, each within a round that neither was stopped in.
func ratios(m *measure, of, by *Target) (all []float64) {
	for i := range min(len(of.Rounds), len(by.Rounds)) {
		if of.Rounds[i] == nil || by.Rounds[i] == nil || of.Rounds[i].Stopped || by.Rounds[i].Stopped {
			continue
		}
		a, known := m.of(of.Rounds[i])
		b, also := m.of(by.Rounds[i])
		if known && also && b != 0 && finite(a/b) {
			all = append(all, a/b)
		}
	}
	return all
}

// Spread is a figure over the rounds.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	N      int     `json:"rounds"`
}

func spreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return Spread{Median: (v[(n-1)/2] + v[n/2]) / 2, Low: v[0], High: v[n-1], N: n}
}

// text is the median, and the range behind it where there is one.
func (s Spread) text() string {
	switch {
	case s.N == 0:
		return "–"
	case s.N == 1 || s.Low == s.High:
		return short(s.Median)
	}
	dash := "–"
	if s.Low < 0 {
		dash = " to "
	}
	return short(s.Median) + " (" + short(s.Low) + dash + short(s.High) + ")"
}

// short is a number in three digits or so.
func short(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a >= 999_500_000:
		return fmt.Sprintf("%.2f G", v/1e9)
	case a >= 999_500:
		return fmt.Sprintf("%.2f M", v/1e6)
	case a >= 9_999.5:
		return fmt.Sprintf("%.1f k", v/1e3)
	case a >= 99.95 || a >= 9.995 && a == math.Trunc(a):
		return fmt.Sprintf("%.0f", v)
	case a >= 9.995:
		return fmt.Sprintf("%.1f", v)
	case a >= 0.01:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.1g", v)
}

// bytesText is a number of bytes, in powers of a thousand.
func bytesText(n int64) string {
	v := float64(n)
	for _, unit := range [...]string{"B", "kB", "MB", "GB"} {
		if math.Abs(v) < 999.5 {
			return fmt.Sprintf("%.3g %s", v, unit)
		}
		v /= 1000
	}
	return fmt.Sprintf("%.3g TB", v)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
