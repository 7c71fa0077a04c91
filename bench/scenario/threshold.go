package scenario

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Threshold is what must hold of a measure at the end: "p99 < 50ms", "rate >= 100000", "refused <= 0.1%", "dropped == 0".
type Threshold struct {
	Measure string
	Compare string // one of < <= > >= ==
	Value   float64
	Text    string
}

// unit is what a measure is given in.
type unit uint8

const (
	unitRate  unit = iota // a second
	unitTime              // microseconds inside, a duration in the file
	unitShare             // of all ops, in a hundred
	unitCount
)

// Measures are what thresholds can be about. Latencies are from the time at which a request was due to its answer, retries included;
// with "service_" before them from the time at which it was sent.
//
//	rate         payments that were done, a second
//	requests     requests that were answered, a second
//	p50 p90 p99 p999 max, and service_p50 ...
//	refused      ops that the target's rules refused
//	failed       ops whose outcome was never learnt within the retries
//	dropped      requests that an open loop could not send in time
//	retried      attempts beyond the first
//	late_p99     how late requests were sent while a connection was free: the generator's own error
var measures = map[string]unit{
	"rate": unitRate, "requests": unitRate,
	"p50": unitTime, "p90": unitTime, "p99": unitTime, "p999": unitTime, "max": unitTime,
	"service_p50": unitTime, "service_p90": unitTime, "service_p99": unitTime, "service_p999": unitTime, "service_max": unitTime,
	"late_p99": unitTime,
	"refused":  unitShare, "failed": unitShare, "dropped": unitShare, "retried": unitShare,
}

// Measures are their names, in order.
func Measures() (names []string) {
	for name := range measures {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

var thresholdForm = regexp.MustCompile(`^\s*([a-z0-9_]+)\s*(<=|>=|==|<|>)\s*([0-9][0-9_.]*)\s*([a-zµ%/]*)\s*$`)

// UnmarshalText reads one.
func (t *Threshold) UnmarshalText(b []byte) error {
	m := thresholdForm.FindStringSubmatch(string(b))
	if m == nil {
		return fmt.Errorf("%q is not a threshold such as \"p99 < 50ms\"", b)
	}
	kind, ok := measures[m[1]]
	if !ok {
		return fmt.Errorf("%q: there is no measure %q; there are %s", b, m[1], strings.Join(Measures(), ", "))
	}
	number := strings.ReplaceAll(m[3], "_", "")
	value, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return fmt.Errorf("%q: %q is not a number", b, m[3])
	}
	switch {
	case kind == unitTime:
		d, err := time.ParseDuration(number + m[4])
		if err != nil {
			return fmt.Errorf("%q: want a time, such as 50ms", b)
		}
		value = float64(d.Nanoseconds()) / 1000
	case kind == unitShare && m[4] == "%":
	case kind == unitShare && m[4] == "" && value == 0:
	case kind == unitShare:
		return fmt.Errorf("%q: want a share, such as 0.1%%", b)
	case kind == unitRate && m[4] != "" && m[4] != "/s":
		return fmt.Errorf("%q: want a number a second, such as 1000/s", b)
	}
	*t = Threshold{Measure: m[1], Compare: m[2], Value: value, Text: strings.TrimSpace(string(b))}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (t Threshold) MarshalText() ([]byte, error) { return []byte(t.Text), nil }

// Holds compares what was measured: times in microseconds, shares in a hundred.
func (t Threshold) Holds(measured float64) bool {
	switch t.Compare {
	case "<":
		return measured < t.Value
	case "<=":
		return measured <= t.Value
	case ">":
		return measured > t.Value
	case ">=":
		return measured >= t.Value
	}
	return measured == t.Value
}
