package generator

import (
	"regexp"
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
	queued  *hdrhistogram.Histogram // from due to sent or dropped, where its connection was busy then
	reasons map[string]uint64       // of attempts without an answer, by the error's text
}

// maxReasons bounds the texts that a gauge tells apart.
const maxReasons = 20

func newGauge() *gauge {
	return &gauge{waits: newWaits(), service: newWaits(), late: newWaits(), queued: newWaits(), reasons: make(map[string]uint64)}
}

// drain adds what was measured to others, and forgets it.
func (g *gauge) drain(into *gauge) {
	g.mu.Lock()
	defer g.mu.Unlock()
	into.counts.add(g.counts)
	g.counts = counts{}
	for _, h := range [...]struct{ from, to *hdrhistogram.Histogram }{{g.waits, into.waits}, {g.service, into.service}, {g.late, into.late}, {g.queued, into.queued}} {
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

// sent notes how long after it was due a request of an open loop was sent, or dropped, and whether the connection was free when it was due.
func (g *gauge) sent(late time.Duration, free, dropped bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if dropped {
		g.counts.Dropped++
	}
	if free {
		record(g.late, late)
	} else {
		record(g.queued, late)
	}
}

// ownPort is this side's port in an error of package net, which is another for each connection.
var ownPort = regexp.MustCompile(`:[0-9]+->`)

// reason is an error's text, the same for all errors of a kind.
func reason(err error) string {
	text := ownPort.ReplaceAllString(err.Error(), ":*->")
	if len(text) > 200 {
		text = text[:200]
	}
	return text
}

// wrong counts an attempt without an answer.
func (g *gauge) wrong(err error) {
	text := reason(err)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counts.Errors++
	if _, ok := g.reasons[text]; !ok && len(g.reasons) >= maxReasons {
		text = "others"
	}
	g.reasons[text]++
}
