package bench

import (
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a case came to. Rates are payments a second, medians over the rounds. A case that has none has figures alone,
// and the first of them in Value.
type Result struct {
	Name   string    `json:"name"`
	Value  float64   `json:"value"`
	Unit   string    `json:"unit"`
	Limit  float64   `json:"limit,omitempty"` // the first of Limits
	Ratio  float64   `json:"ratio,omitempty"` // of Value to it
	Limits []Limit   `json:"limits,omitempty"`
	Rounds []float64 `json:"rounds"`
	Spread float64   `json:"spread"` // from the slowest round to the fastest, as a part of the median

	Ops     uint64  `json:"ops"` // in all rounds, the warm-up left out
	Call    string  `json:"call"`
	Calls   uint64  `json:"calls"` // whose latencies follow
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	P999    float64 `json:"p999_ms"`
	CPU     float64 `json:"cpu_seconds"` // of hub and generator, on all cores
	CPUOp   float64 `json:"cpu_us_per_op"`
	Mallocs float64 `json:"allocs_per_op"`   // of hub and generator
	PerCall float64 `json:"allocs_per_call"` // the same

	LogBytes   float64 `json:"log_bytes_per_op,omitempty"`          // of blocks, as given to pebble
	Disk       float64 `json:"disk_bytes_per_op,omitempty"`         // of the ledger's folder at the next start
	Running    float64 `json:"disk_bytes_per_op_running,omitempty"` // lengths of its files before the hub stopped: what is in a table already may lie in a log, too
	CommitOps  float64 `json:"ops_per_commit,omitempty"`            // of durable
	Committing float64 `json:"committing_share,omitempty"`          // of durable: the part of the time in which the log wrote and synced
	Index      float64 `json:"index_bytes_per_op,omitempty"`        // of the folder of all that is derived from the log, checkpoints included

	Figures []Figure `json:"figures,omitempty"` // whatever else was measured
}

// Figure is one more number, as it is printed.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// add puts a figure behind the others.
func (r *Result) add(value float64, unit, format string, args ...any) {
	r.Figures = append(r.Figures, Figure{fmt.Sprintf(format, args...), value, unit})
}

// addWaits puts two quantiles behind the others, in milliseconds.
func (r *Result) addWaits(of string, waits *hdrhistogram.Histogram) {
	for _, q := range [...]struct {
		name string
		at   float64
	}{{"p50", 50}, {"p99", 99}} {
		r.add(float64(waits.ValueAtQuantile(q.at))/1000, "ms", "%s, %s", of, q.name)
	}
}

// Limit is what could at best be expected, measured in turns with the case.
type Limit struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Ratio float64 `json:"ratio"` // median over the rounds of the case's rate to the limit's
}

// newResult sums up. The call is what the latencies are of.
func newResult(call string, own *trial, limits ...*trial) Result {
	all, rates := own.sum(), own.rates()
	r := Result{
		Value: median(rates), Unit: "payments/s", Rounds: rates, Spread: spread(rates), Ops: all.ops,
		Call: call, Calls: uint64(all.waits.TotalCount()),
		P50:  float64(all.waits.ValueAtQuantile(50)) / 1000,
		P99:  float64(all.waits.ValueAtQuantile(99)) / 1000,
		P999: float64(all.waits.ValueAtQuantile(99.9)) / 1000,
		CPU:  all.cpu.Seconds(),
	}
	r.CPUOp = all.cpu.Seconds() * 1e6 / float64(max(all.ops, 1))
	r.Mallocs = float64(all.mallocs) / float64(max(all.ops, 1))
	r.PerCall = float64(all.mallocs) / float64(max(r.Calls, 1))
	for _, l := range limits {
		ratios := make([]float64, 0, len(rates))
		for i, s := range l.rounds {
			ratios = append(ratios, rates[i]/s.rate())
		}
		r.Limits = append(r.Limits, Limit{Name: l.name, Value: median(l.rates()), Ratio: median(ratios)})
	}
	if len(r.Limits) > 0 {
		r.Limit, r.Ratio = r.Limits[0].Value, r.Limits[0].Ratio
	}
	return r
}
