package hub

import (
	"time"

	"github.com/millrace/millrace/ledger"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what an operator watches. Hot paths touch them once for a block, not once for an op.
type metrics struct {
	outcomes *prometheus.CounterVec
	byResult [256]prometheus.Counter
	notTaken prometheus.Counter
	released prometheus.Counter
	blockOps prometheus.Histogram
	commit   prometheus.Histogram
	bytes    prometheus.Counter
	gauges   []prometheus.Collector
}

func newMetrics(h *Hub) *metrics {
	m := &metrics{
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "millrace_ops_total",
			Help: "Ops decided, by result: applied, repeated, or the name of the refusal."}, []string{"result"}),
		notTaken: prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_ops_not_taken_total",
			Help: "Ops told to come back, because too many waited, the disk was full or the hub was stopping."}),
		released: prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_secrets_released_total",
			Help: "File keys handed out, repeats included."}),
		blockOps: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "millrace_block_ops",
			Help: "Ops in a block.", Buckets: prometheus.ExponentialBuckets(1, 4, 9)}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "millrace_commit_seconds",
			Help: "Time to make blocks durable.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 15)}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_block_bytes_total",
			Help: "Bytes of blocks made durable."}),
	}
	for _, r := range ledger.Results() {
		m.byResult[r] = m.outcomes.WithLabelValues(r.String())
	}
	gauge := func(name, help string, value func(*ledger.State) uint64) {
		m.gauges = append(m.gauges, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			h.mu.RLock()
			defer h.mu.RUnlock()
			return float64(value(h.state))
		}))
	}
	gauge("millrace_ledger_index", "Index of the last block applied: the watermark.", (*ledger.State).Index)
	gauge("millrace_ledger_seq", "Entries in the ledger.", (*ledger.State).Seq)
	gauge("millrace_ledger_supply_msat", "Money inside, in msat.", func(s *ledger.State) uint64 { return uint64(s.Supply()) })
	gauge("millrace_accounts", "Accounts of customers.", func(s *ledger.State) uint64 { return s.Counts().Accounts })
	gauge("millrace_channels", "Channels ever opened.", func(s *ledger.State) uint64 { return s.Counts().Channels })
	gauge("millrace_contents", "Contents ever registered.", func(s *ledger.State) uint64 { return s.Counts().Contents })
	gauge("millrace_unlocks", "Contents owned by somebody, each owner counted.", func(s *ledger.State) uint64 { return s.Counts().Unlocks })
	gauge("millrace_remembered_ids", "Ids of ops in memory; older ones are in the index.", func(s *ledger.State) uint64 { ids, _ := s.InMemory(); return ids })
	lag := func(name, help string, value func() float64) {
		m.gauges = append(m.gauges, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	lag("millrace_index_lag_blocks", "Blocks applied and not yet durable in the index; readers see them in memory.", func() float64 {
		blocks, _ := h.cfg.Index.Lag()
		return float64(blocks)
	})
	lag("millrace_index_lag_entries", "Their entries.", func() float64 {
		_, entries := h.cfg.Index.Lag()
		return float64(entries)
	})
	lag("millrace_transparency_lag_blocks", "Blocks applied that have no leaf in the transparency log yet.", func() float64 {
		leaves, _ := h.cfg.Index.Behind()
		return float64(leaves)
	})
	lag("millrace_index_unmerged_eras", "Parts of the histories that wait to be merged.", func() float64 {
		_, eras := h.cfg.Index.Behind()
		return float64(eras)
	})
	m.gauges = append(m.gauges, &rateMetrics{h,
		prometheus.NewDesc("millrace_rate_age_seconds", "Since a currency's rate was set.", []string{"currency"}, nil),
		prometheus.NewDesc("millrace_rate_left_seconds", "Until a currency's rate is stale; below zero: nothing is sold by it.", []string{"currency"}, nil)})
	m.gauges = append(m.gauges, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "millrace_queue_ops",
		Help: "Ops that wait for the sequencer."}, func() float64 { return float64(h.queue.depth()) }))
	return m
}

// results adds the counts by result, and sets them back to zero.
func (m *metrics) results(counts *[256]uint32) {
	for r := range counts {
		if counts[r] != 0 {
			m.byResult[r].Add(float64(counts[r]))
			counts[r] = 0
		}
	}
}

// Committed is for the log to report a write.
func (h *Hub) Committed(blocks, bytes int, took time.Duration) {
	h.metrics.commit.Observe(took.Seconds())
	h.metrics.bytes.Add(float64(bytes))
}

// WatchLag adds gauges for what the log says of its lags, in blocks: proposed and not applied, applied and in no snapshot.
func (h *Hub) WatchLag(lag func() (watermark, snapshot uint64)) {
	for i, g := range [...]struct{ name, help string }{
		{"millrace_watermark_lag_blocks", "Blocks proposed and not yet applied."},
		{"millrace_snapshot_lag_blocks", "Blocks that a start would replay: applied and in no snapshot."},
	} {
		h.metrics.gauges = append(h.metrics.gauges, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help}, func() float64 {
			watermark, snapshot := lag()
			return float64([...]uint64{watermark, snapshot}[i])
		}))
	}
}

// WatchSpace adds a gauge for the bytes that are left on the disk, -1 if that is not known, and lets Full tell whether ops are
// refused for want of them. It must be called before anybody asks.
func (h *Hub) WatchSpace(space func() (free int64, full bool)) {
	h.space = space
	h.metrics.gauges = append(h.metrics.gauges, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "millrace_disk_free_bytes",
		Help: "Bytes left on the disk of the data folder, or of the log's, whichever has less; -1: not known."}, func() float64 {
		free, _ := space()
		return float64(free)
	}))
}

// Full says whether ops are refused because the disk is.
func (h *Hub) Full() bool {
	if h.space == nil {
		return false
	}
	_, full := h.space()
	return full
}

func (m *metrics) all() []prometheus.Collector {
	return append([]prometheus.Collector{m.outcomes, m.notTaken, m.released, m.blockOps, m.commit, m.bytes}, m.gauges...)
}

// rateMetrics are a gauge for each currency that has a rate.
type rateMetrics struct {
	hub       *Hub
	age, left *prometheus.Desc
}

// Describe is of prometheus.Collector.
func (m *rateMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.age
	out <- m.left
}

// Collect is of prometheus.Collector.
func (m *rateMetrics) Collect(out chan<- prometheus.Metric) {
	now := float64(m.hub.now()) / 1000
	for _, r := range m.hub.Rates() {
		out <- prometheus.MustNewConstMetric(m.age, prometheus.GaugeValue, now-float64(r.Since)/1000, r.Currency.String())
		out <- prometheus.MustNewConstMetric(m.left, prometheus.GaugeValue, float64(r.Until)-now, r.Currency.String())
	}
}
