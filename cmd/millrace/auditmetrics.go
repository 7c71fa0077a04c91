package main

import (
	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/audit"
	"github.com/prometheus/client_golang/prometheus"
)

// auditMetrics are what the last comparison of the books found, and whether payouts go on. They are read when they are asked for.
type auditMetrics struct {
	last    func() (audit.Report, bool)
	stopped func() error
	paused  func() (channels.Pause, bool)

	assets, owed, ratio, at, full, mismatches, stop, pause *prometheus.Desc
}

func newAuditMetrics(last func() (audit.Report, bool), stopped func() error, paused func() (channels.Pause, bool)) *auditMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("millrace_"+name, help, labels, nil)
	}
	return &auditMetrics{last: last, stopped: stopped, paused: paused,
		assets:     desc("node_assets_msat", "What the node held when the books were compared last, in msat: what channels can send, confirmed coins, and all, with reserves and what is set aside.", "where"),
		owed:       desc("owed_msat", "What accounts were owed then, less what is on its way out, in msat."),
		ratio:      desc("backing_ratio", "What the node held for accounts then, to what they were owed."),
		at:         desc("reconciled_timestamp_seconds", "When the books were compared last; 0: never."),
		full:       desc("reconciled_full", "1: everything was compared then, 0: what was new."),
		mismatches: desc("reconciliation_mismatches", "What did not agree then."),
		stop:       desc("payouts_stopped", "1: nothing is paid out, since the books do not agree."),
		pause:      desc("payouts_paused", "1: nothing is paid out until an operator resumes it."),
	}
}

// Describe is of prometheus.Collector.
func (m *auditMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.assets, m.owed, m.ratio, m.at, m.full, m.mismatches, m.stop, m.pause} {
		to <- d
	}
}

// Collect is of prometheus.Collector.
func (m *auditMetrics) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	one := func(yes bool) float64 {
		if yes {
			return 1
		}
		return 0
	}
	_, paused := m.paused()
	gauge(m.pause, one(paused))
	gauge(m.stop, one(m.stopped() != nil))
	r, ok := m.last()
	if !ok {
		gauge(m.at, 0)
		return
	}
	gauge(m.at, float64(r.Time.UnixMilli())/1000)
	gauge(m.full, one(r.Full))
	gauge(m.mismatches, float64(len(r.Mismatches)+r.More))
	gauge(m.owed, float64(r.Sheet.Due))
	gauge(m.ratio, r.Sheet.Ratio)
	gauge(m.assets, float64(r.Sheet.Held), "all")
	gauge(m.assets, float64(r.Liquidity.Send), "lightning")
	gauge(m.assets, 1000*float64(r.Liquidity.Coins+r.Liquidity.Reserved), "chain")
}

// collectors are the rails' metrics.
func (r *rails) collectors() []prometheus.Collector {
	all := append(r.wallets.collectors(), r.meter.items, r.meter.msat)
	if r.audit != nil {
		all = append(all, newAuditMetrics(r.audit.Last, r.audit.Stopped, r.desk.Paused))
	}
	return all
}
