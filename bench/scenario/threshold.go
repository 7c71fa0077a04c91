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

// Unit is what a measure is given in.
type Unit uint8

// The units.
const (
	Rate  Unit = iota // a second
	Time              // microseconds inside, a duration in the file
	Share             // of all, in a hundred
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
var measures = map[string]Unit{
	"rate": Rate, "requests": Rate,
	"p50": Time, "p90": Time, "p99": Time, "p999": Time, "max": Time,
	"service_p50": Time, "service_p90": Time, "service_p99": Time, "service_p999": Time, "service_max": Time,
	"late_p99": Time,
	"refused":  Share, "failed": Share, "dropped": Share, "retried": Share,
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
	case kind == Time:
		d, err := time.ParseDuration(number + m[4])
		if err != nil {
			return fmt.Errorf("%q: want a time, such as 50ms", b)
		}
		value = float64(d.Nanoseconds()) / 1000
	case kind == Share && m[4] == "%":
	case kind == Share && m[4] == "" && value == 0:
	case kind == Share:
		return fmt.Errorf("%q: want a share, such as 0.1%%", b)
	case kind == Rate && m[4] != "" && m[4] != "/s":
		return fmt.Errorf("%q: want a number a second, such as 1000/s", b)
	}
	*t = Threshold{Measure: m[1], Compare: m[2], Value: value, Text: strings.TrimSpace(string(b))}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (t Threshold) MarshalText() ([]byte, error) { return []byte(t.Text), nil }

// Unit is that of its measure.
func (t Threshold) Unit() Unit { return measures[t.Measure] }

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
