package generator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/millrace/millrace/bench/scenario"
)

// Result is what a load came to.
type Result struct {
	Scenario *scenario.Scenario `json:"scenario"`
	Target   string             `json:"target"`
	Began    time.Time          `json:"began"`            // of what is measured, the warm-up being over
	Seconds  float64            `json:"seconds"`          // of what was measured
	Stopped  bool               `json:"stopped"`          // before its time
	Failed   string             `json:"failed,omitempty"` // why the load has ended early by itself

	Counts    Counts            `json:"counts"`
	Rate      float64           `json:"ops_per_second"`
	Requests  float64           `json:"requests_per_second"`
	Wait      Quantiles         `json:"latency_ms"` // from due to answered, retries included
	Service   Quantiles         `json:"service_ms"` // from sent first to answered
	Late      Quantiles         `json:"late_ms"`    // from due to sent, with the connection free: the generator's error. N is 0 where none ever was
	Queued    Quantiles         `json:"queued_ms"`  // from due to sent or dropped, with the connection busy: part of the latency
	Errors    map[string]uint64 `json:"errors"`     // attempts without an answer, by why
	Refusals  map[string]uint64 `json:"refusals"`   // ops, by the target's word
	Intervals []Interval        `json:"intervals"`
	Faults    []Happened        `json:"faults,omitempty"`

	Generator Use     `json:"generator"`
	System    *Use    `json:"system,omitempty"`        // the target's, if it can be told apart
	Inside    bool    `json:"target_inside,omitempty"` // the target runs in the generator's process
	Agents    []Agent `json:"agents,omitempty"`        // that made the load, if this process did not

	Durability string `json:"durability,omitempty"` // of what the target acknowledges. Empty: it syncs to disk before each answer

	Saturated []string  `json:"saturated,omitempty"` // why the figures may be the generator's, and not the target's
	Resolved  uint64    `json:"resolved"`            // requests whose outcome was learnt when the load was over
	Verdict   Verdict   `json:"verdict"`
	Held      []Held    `json:"thresholds"`
	Histogram Histogram `json:"histogram"` // of latencies

	waits, service, late, queued *hdrhistogram.Histogram
	between                      [][]byte  // see Share
	start                        time.Time // when the workers really began
}

// Counts are sums over what was measured.
type Counts struct {
	Requests uint64 `json:"requests"`
	Ops      uint64 `json:"ops"` // that were done
	Refused  uint64 `json:"refused_ops"`
	Failed   uint64 `json:"failed_ops"` // whose outcome was not learnt within the retries
	Dropped  uint64 `json:"dropped_requests"`
	Retried  uint64 `json:"retried"`
	Errors   uint64 `json:"errors"`
}

// Quantiles are in milliseconds.
type Quantiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
	N    uint64  `json:"n"`
}

// Interval is a part of the time.
type Interval struct {
	At      float64 `json:"at_s"` // its end, since the warm-up was over; negative: in it
	Seconds float64 `json:"seconds"`
	Ops     uint64  `json:"ops"`
	Refused uint64  `json:"refused"`
	Errors  uint64  `json:"errors"`
	Dropped uint64  `json:"dropped"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	Max     float64 `json:"max_ms"`
	CPU     float64 `json:"generator_cpu"` // cores
	System  float64 `json:"system_cpu"`    // cores, of the target
	Memory  int64   `json:"system_memory"` // bytes
	Disk    int64   `json:"system_disk"`   // bytes
	Apart   Apart   `json:"system_is,omitempty"`
}

// Apart says whether an interval's figures of the target are known.
type Apart string

const (
	Measured Apart = ""
	Within   Apart = "inside"  // the target runs in the generator's process
	Hidden   Apart = "unknown" // it cannot be looked at, or could not just then
)

// Use is what was used while it was measured.
type Use struct {
	CPU      float64 `json:"cpu_seconds"`
	Cores    float64 `json:"cores"` // CPU in the time
	Memory   int64   `json:"memory_bytes,omitempty"`
	Disk     int64   `json:"disk_bytes,omitempty"`        // by which it has grown
	PerOpCPU float64 `json:"cpu_us_per_op,omitempty"`     // microseconds
	PerOpDsk float64 `json:"disk_bytes_per_op,omitempty"` // 0: not measured, for it has not grown
}

// Agent is one of several generators.
type Agent struct {
	Name     string  `json:"name"`
	Late     float64 `json:"late_ms"` // after the time that all were told to begin at
	Requests uint64  `json:"requests"`
	Ops      uint64  `json:"ops"`
	Use      Use     `json:"use"`
	Lost     string  `json:"lost,omitempty"` // why it has no figures
}

// Happened is a fault.
type Happened struct {
	Kind  scenario.FaultKind `json:"kind"`
	At    float64            `json:"at_s"`
	Until float64            `json:"until_s"`
	Err   string             `json:"error,omitempty"`
}

// Verdict is whether the books agree with what was acknowledged. Exactly one of Agree, Lies and Unverified says so or why not.
type Verdict struct {
	Agree      bool     `json:"agree"`
	Restarted  bool     `json:"restarted,omitempty"`  // they were read after a restart, too
	Lies       []string `json:"lies,omitempty"`       // where they do not
	Unverified string   `json:"unverified,omitempty"` // why nobody knows
}

// Held is a threshold, and what was measured.
type Held struct {
	Threshold string  `json:"threshold"`
	Measured  float64 `json:"measured"` // times in microseconds, shares in a hundred
	Holds     bool    `json:"holds"`
	Nothing   bool    `json:"not_measured,omitempty"` // there was nothing that it could be about
}

// Histogram is how many latencies there are up to a value, in microseconds.
type Histogram []Bar

// Bar is one step of it.
type Bar struct {
	Micros int64 `json:"us"`
	Count  int64 `json:"n"`
}

func quantilesOf(h *hdrhistogram.Histogram) Quantiles {
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	return Quantiles{P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1000, N: uint64(h.TotalCount())}
}

func barsOf(h *hdrhistogram.Histogram) (all Histogram) {
	for _, b := range h.Distribution() {
		if b.Count > 0 {
			all = append(all, Bar{b.To, b.Count})
		}
	}
	return all
}

// sum takes in what all workers have measured.
func (r *Result) sum(g *gauge) {
	c := g.counts
	r.Counts = Counts{c.Requests, c.Ops, c.Refused, c.Failed, c.Dropped, c.Retried, c.Errors}
	r.waits, r.service, r.late, r.queued = g.waits, g.service, g.late, g.queued
	r.Wait, r.Service, r.Late, r.Queued = quantilesOf(g.waits), quantilesOf(g.service), quantilesOf(g.late), quantilesOf(g.queued)
	r.Histogram = barsOf(g.waits)
	r.Errors = maps.Clone(g.reasons)
	if r.Seconds > 0 {
		r.Rate, r.Requests = float64(c.Ops)/r.Seconds, float64(c.Requests)/r.Seconds
	}
}

// judge holds the thresholds against what was measured.
func (r *Result) judge() {
	r.Held = nil
	for _, t := range r.Scenario.Thresholds {
		v, nothing := r.measure(t.Measure), t.Unit() == scenario.Time && !r.timed(t.Measure)
		r.Held = append(r.Held, Held{Threshold: t.Text, Measured: v, Holds: t.Holds(v) && !nothing, Nothing: nothing})
	}
}

// timed says whether there is anything that a time can be about: of nothing, none holds.
func (r *Result) timed(measure string) bool {
	if measure == "late_p99" {
		return r.Late.N > 0
	}
	return r.Wait.N > 0
}

// measure is the value of what a threshold is about.
func (r *Result) measure(name string) float64 {
	c := r.Counts
	share := func(part, whole uint64) float64 { return 100 * float64(part) / float64(max(whole, 1)) }
	ops := c.Ops + c.Refused + c.Failed
	switch name {
	case "rate":
		return r.Rate
	case "requests":
		return r.Requests
	case "refused":
		return share(c.Refused, ops)
	case "failed":
		return share(c.Failed, ops)
	case "dropped":
		return share(c.Dropped, c.Dropped+c.Requests)
	case "retried":
		return share(c.Retried, c.Requests)
	case "late_p99":
		return 1000 * r.Late.P99
	}
	q := r.Wait
	if rest, ok := strings.CutPrefix(name, "service_"); ok {
		q, name = r.Service, rest
	}
	return 1000 * map[string]float64{"p50": q.P50, "p90": q.P90, "p99": q.P99, "p999": q.P999, "max": q.Max}[name]
}

// Passed says whether the load came to its end, was answered, the books agree and every threshold holds.
func (r *Result) Passed() bool {
	return r.Verdict.Agree && !r.Stopped && !r.silent() && r.Failed == "" && !slices.ContainsFunc(r.Held, func(h Held) bool { return !h.Holds }) &&
		!slices.ContainsFunc(r.Faults, func(h Happened) bool { return h.Err != "" })
}

// silent says that requests were sent, and none was answered.
func (r *Result) silent() bool { return r.Counts.Requests == 0 && r.Counts.Errors+r.Counts.Dropped > 0 }

// Failures are what did not hold, in words. Of a load that was stopped no threshold is judged.
func (r *Result) Failures() (all []string) {
	if r.Verdict.Unverified != "" {
		all = append(all, "the books could not be verified: "+r.Verdict.Unverified)
	}
	all = append(all, r.Verdict.Lies...)
	if r.Failed != "" {
		all = append(all, "the load ended early: "+r.Failed)
	}
	for _, h := range r.Faults {
		if h.Err != "" {
			all = append(all, fmt.Sprintf("the fault %s did not happen: %s", h.Kind, h.Err))
		}
	}
	if r.silent() {
		all = append(all, "the target has answered nothing")
	}
	if r.Stopped {
		return append(all, fmt.Sprintf("it was stopped, when %.1f s of %v were measured", r.Seconds, r.Scenario.Length()))
	}
	for _, h := range r.Held {
		if !h.Holds {
			all = append(all, fmt.Sprintf("%s does not hold: %s", h.Threshold, h.InWords()))
		}
	}
	return all
}

// InWords is what was measured, with its unit.
func (h Held) InWords() string {
	if h.Nothing {
		return "not measured"
	}
	var t scenario.Threshold
	if err := t.UnmarshalText([]byte(h.Threshold)); err != nil {
		return fmt.Sprint(h.Measured)
	}
	switch t.Unit() {
	case scenario.Time:
		return (time.Duration(h.Measured) * time.Microsecond).String()
	case scenario.Share:
		return fmt.Sprintf("%.3g%%", h.Measured)
	}
	return fmt.Sprintf("%.0f/s", h.Measured)
}
