package generator

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is the largest latency that histograms tell from larger ones, in microseconds: ten minutes.
const longest = 600_000_000

// newWaits makes a histogram of microseconds, exact to one in a hundred.
func newWaits() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, 2) }

func record(h *hdrhistogram.Histogram, wait time.Duration) {
	_ = h.RecordValue(min(max(wait.Microseconds(), 1), longest)) // it only fails beyond its bounds
}

// counts are what happened in some time.
type counts struct {
	Requests uint64 // that were answered
	Ops      uint64 // in them that were done, or were done before
	Refused  uint64 // in them that were not
	Retried  uint64 // attempts beyond the first
	Failed   uint64 // ops of requests that were given up
	Dropped  uint64 // requests that could not be sent in time
	Errors   uint64 // attempts without an answer
}

func (c *counts) add(o counts) {
	c.Requests += o.Requests
	c.Ops += o.Ops
	c.Refused += o.Refused
	c.Retried += o.Retried
	c.Failed += o.Failed
	c.Dropped += o.Dropped
	c.Errors += o.Errors
}

// gauge is what one worker has measured since it was read last.
type gauge struct {
	mu      sync.Mutex
	counts  counts
	waits   *hdrhistogram.Histogram // from due to answered
	service *hdrhistogram.Histogram // from sent first to answered
	late    *hdrhistogram.Histogram // from due to sent, where the worker waited for it to be due
	reasons map[string]uint64       // of attempts without an answer, by the error's text
}

// maxReasons bounds the texts that a gauge tells apart.
const maxReasons = 20

func newGauge() *gauge {
	return &gauge{waits: newWaits(), service: newWaits(), late: newWaits(), reasons: make(map[string]uint64)}
}

// drain adds what was measured to others, and forgets it.
func (g *gauge) drain(into *gauge) {
	g.mu.Lock()
	defer g.mu.Unlock()
	into.counts.add(g.counts)
	g.counts = counts{}
	for _, h := range [...]struct{ from, to *hdrhistogram.Histogram }{{g.waits, into.waits}, {g.service, into.service}, {g.late, into.late}} {
		if h.from.TotalCount() > 0 {
			h.to.Merge(h.from)
			h.from.Reset()
		}
	}
	for text, n := range g.reasons {
		if _, ok := into.reasons[text]; !ok && len(into.reasons) >= maxReasons {
			text = "others"
		}
		into.reasons[text] += n
	}
	clear(g.reasons)
}

// wrong counts an attempt without an answer.
func (g *gauge) wrong(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counts.Errors++
	text := err.Error()
	if len(text) > 200 {
		text = text[:200]
	}
	if _, ok := g.reasons[text]; !ok && len(g.reasons) >= maxReasons {
		text = "others"
	}
	g.reasons[text]++
}
