package rates

import (
	"errors"
	"time"

	"github.com/millrace/millrace/hub/currency"
	"github.com/prometheus/client_golang/prometheus"
)

// Status is how a currency's rate is found.
type Status struct {
	Currency currency.Code
	Problem  string // why the last round had no new rate; empty: it had, or the old one is good
	Sources  []Seen
}

// Seen is what a source said last.
type Seen struct {
	Source  string
	Msat    uint64    // for a million units; zero: nothing yet
	At      time.Time // of that; the zero time: never
	Fresh   bool      // it counts
	Problem string    // with its last answer
}

// Status tells how a currency does; false: it has no source.
func (d *Desk) Status(code currency.Code) (Status, bool) {
	now := d.cfg.Clock()
	d.mu.Lock()
	defer d.mu.Unlock()
	st, ok := d.state[code]
	if !ok {
		return Status{}, false
	}
	out := Status{Currency: code}
	if st.err != nil {
		out.Problem = st.err.Error()
	}
	for _, s := range d.sources {
		text, asked := st.errs[s.Name]
		if !asked {
			continue
		}
		seen := Seen{Source: s.Name, Problem: text}
		if v, ok := st.voices[s.Name]; ok {
			seen.Msat, seen.At, seen.Fresh = nearest(v.msat), v.at, now.Sub(v.at) <= s.Stale
		}
		out.Sources = append(out.Sources, seen)
	}
	return out, true
}

// metrics name sources and currencies, never URLs.
type metrics struct {
	d           *Desk
	read        *prometheus.CounterVec
	fresh, held *prometheus.Desc
}

func newMetrics(d *Desk) *metrics {
	labels := []string{"currency"}
	return &metrics{
		d: d,
		read: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "millrace_rate_readings_total",
			Help: "What sources of rates were asked for: read, or failed (also what was too old)."}, []string{"source", "outcome"}),
		fresh: prometheus.NewDesc("millrace_rate_sources", "Sources with a fresh reading of a currency.", labels, nil),
		held:  prometheus.NewDesc("millrace_rate_held", "1: a rate is far from the last, and waits to be confirmed.", labels, nil),
	}
}

// Describe is of prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.fresh
	out <- m.held
}

// Collect is of prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	now := m.d.cfg.Clock()
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	for code, st := range m.d.state {
		held := 0.0
		if errors.Is(st.err, ErrHeld) {
			held = 1
		}
		out <- prometheus.MustNewConstMetric(m.fresh, prometheus.GaugeValue, float64(len(m.d.fresh(st, now))), code.String())
		out <- prometheus.MustNewConstMetric(m.held, prometheus.GaugeValue, held, code.String())
	}
}

// Collectors are the desk's metrics, for a registry.
func (d *Desk) Collectors() []prometheus.Collector {
	return []prometheus.Collector{d.metrics, d.metrics.read}
}
