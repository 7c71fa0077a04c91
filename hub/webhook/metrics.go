package webhook

import "github.com/prometheus/client_golang/prometheus"

// metrics name no account and no URL.
type metrics struct {
	delivered, failed, parked prometheus.Counter
	outcomes                  *prometheus.CounterVec
	gauges                    []prometheus.Collector
}

func newMetrics(d *Dispatcher) *metrics {
	m := &metrics{outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "millrace_webhook_attempts_total",
		Help: "Deliveries by outcome: delivered, failed (to be tried again, or parked), parked (for the last time failed, too)."}, []string{"outcome"})}
	m.delivered, m.failed, m.parked = m.outcomes.WithLabelValues("delivered"), m.outcomes.WithLabelValues("failed"), m.outcomes.WithLabelValues("parked")
	gauge := func(name, help string, f func() float64) {
		m.gauges = append(m.gauges, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	gauge("millrace_webhook_endpoints", "Webhooks, disabled ones included.", func() float64 { return d.count(func(*endpoint) int { return 1 }) })
	gauge("millrace_webhook_disabled", "Webhooks that nothing is sent to, until they are replayed.", func() float64 {
		return d.count(func(e *endpoint) int { return len(e.Disabled[:min(1, len(e.Disabled))]) })
	})
	gauge("millrace_webhook_parked", "Deliveries that did not arrive in time, and lie until they are replayed.", func() float64 {
		return d.count(func(e *endpoint) int { return len(e.Parked) })
	})
	gauge("millrace_webhook_lag_entries", "How many entries the slowest webhook that is not disabled is behind.", func() float64 { return float64(d.Lag()) })
	return m
}

func (d *Dispatcher) count(of func(*endpoint) int) float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, e := range d.endpoints {
		n += of(e)
	}
	return float64(n)
}

// Lag is how many entries the slowest webhook that is not disabled is behind.
func (d *Dispatcher) Lag() uint64 {
	newest := d.cfg.Source.Seq()
	d.mu.Lock()
	defer d.mu.Unlock()
	slowest := newest
	for _, e := range d.endpoints {
		if e.Disabled == "" {
			slowest = min(slowest, e.Cursor)
		}
	}
	return newest - slowest
}

// Collectors are the dispatcher's metrics, for a registry.
func (d *Dispatcher) Collectors() []prometheus.Collector {
	return append(d.metrics.gauges, d.metrics.outcomes)
}
