package api

import (
	"github.com/millrace/millrace/channels"
	"github.com/prometheus/client_golang/prometheus"
)

// railsMetrics are counted when they are asked for.
type railsMetrics struct {
	rails     *channels.Rails
	came, now *prometheus.Desc
	held      *prometheus.Desc
	queue     *prometheus.Desc
	batches   *prometheus.Desc
	incidents *prometheus.Desc
}

func newRailsMetrics(r *channels.Rails) *railsMetrics {
	desc := prometheus.NewDesc
	return &railsMetrics{rails: r,
		came:      desc("millrace_payouts_total", "Payouts that came to a status since the process started.", []string{"rail", "status"}, nil),
		now:       desc("millrace_payouts", "Payouts under way.", []string{"rail", "status"}, nil),
		held:      desc("millrace_payouts_held_msat", "Money set aside for payouts under way, in msat.", []string{"rail"}, nil),
		queue:     desc("millrace_payout_queue", "Payouts that wait: for the ledger, for their turn, for the node, for a batch.", []string{"queue"}, nil),
		batches:   desc("millrace_batches", "On-chain batches that are not buried yet.", []string{"status"}, nil),
		incidents: desc("millrace_incidents_open", "What an operator must look at.", nil, nil),
	}
}

// Describe is of prometheus.Collector.
func (m *railsMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.came, m.now, m.held, m.queue, m.batches, m.incidents} {
		to <- d
	}
}

// Collect is of prometheus.Collector.
func (m *railsMetrics) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	c := m.rails.Counts()
	for rail, came := range c.Came {
		for status, n := range came {
			to <- prometheus.MustNewConstMetric(m.came, prometheus.CounterValue, float64(n), string(rail), string(status))
		}
	}
	for rail, now := range c.Now {
		for status, n := range now {
			gauge(m.now, float64(n), string(rail), string(status))
		}
	}
	for rail, held := range c.Held {
		gauge(m.held, float64(held), string(rail))
	}
	for queue, n := range c.Queue {
		gauge(m.queue, float64(n), queue)
	}
	statuses := map[channels.BatchStatus]int{channels.BatchCut: 0, channels.BatchSigned: 0, channels.BatchConfirmed: 0, channels.BatchClosed: 0}
	for _, b := range m.rails.Batches() {
		statuses[b.Status]++
	}
	for status, n := range statuses {
		gauge(m.batches, float64(n), string(status))
	}
	if open, err := m.rails.Incidents(0); err == nil {
		gauge(m.incidents, float64(len(open)))
	}
}
