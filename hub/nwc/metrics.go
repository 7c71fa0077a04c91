package nwc

import "github.com/prometheus/client_golang/prometheus"

// metrics name no account and no connection.
type metrics struct {
	requests *prometheus.CounterVec
	lost     prometheus.Counter
	dropped  prometheus.Counter
	gauges   []prometheus.Collector
}

func newMetrics(s *Service) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "millrace_nwc_requests_total",
			Help: "Requests of wallets' applications that were answered, by method and outcome: ok, or the code of NIP-47."}, []string{"method", "outcome"}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_nwc_notifications_lost_total",
			Help: "Notifications that came faster than they could be sent."}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_nwc_events_dropped_total",
			Help: "Events that a relay refused, or did not take in time."}),
	}
	m.gauges = []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "millrace_nwc_relays_connected", Help: "Relays that there is a connection to."},
			func() float64 { return float64(s.Connected()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "millrace_nwc_connections", Help: "Connections of wallets' applications."},
			func() float64 { return float64(len(s.all())) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "millrace_nwc_payments_open", Help: "Payments that nobody knows the end of yet."},
			func() float64 {
				n := 0
				for _, l := range s.all() {
					l.mu.Lock()
					n += len(l.open)
					l.mu.Unlock()
				}
				return float64(n)
			}),
	}
	return m
}

// Collectors are the service's metrics, for a registry.
func (s *Service) Collectors() []prometheus.Collector {
	return append(s.metrics.gauges, s.metrics.requests, s.metrics.lost, s.metrics.dropped)
}

// Connected is how many relays there is a connection to.
func (s *Service) Connected() (n int) {
	for _, r := range s.relays {
		r.mu.Lock()
		if r.up {
			n++
		}
		r.mu.Unlock()
	}
	return n
}
