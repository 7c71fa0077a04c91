package api

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Node is something outside that the rails go by. Losing it never stops the ledger: /readyz says degraded, and what needs the node waits.
type Node struct {
	Name string // lnd or btcd, as /readyz and the metrics call it
	// Ask says whether it answers and is up to date: nil, ErrBehind, or why not.
	Ask func(context.Context) error
}

// ErrBehind means that a node answers, and does not know the newest blocks yet.
var ErrBehind = errors.New("it is behind the chain")

// How often nodes are asked how they are, and for how long.
const (
	askEvery = 2 * time.Second
	askFor   = 5 * time.Second
)

// watched is a node and how it was when it was asked last.
type watched struct {
	Node
	mu    sync.Mutex
	down  string    // why it cannot be used; empty: it can, as far as is known
	since time.Time // when that began
}

func (w *watched) state() (down string, since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.down, w.since
}

// learn is told what the node has answered, and says whether that is news.
func (w *watched) learn(err error) (news bool) {
	down := ""
	switch {
	case errors.Is(err, ErrBehind):
		down = "behind"
	case err != nil:
		down = "no_answer"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if news = down != w.down; news {
		w.down, w.since = down, time.Now()
	}
	return news
}

// watch asks a node how it is until the server stops.
func (s *Server) watch(w *watched) {
	for s.life.Err() == nil {
		ctx, cancel := context.WithTimeout(s.life, askFor)
		err := w.Ask(ctx)
		cancel()
		if s.life.Err() != nil {
			return
		}
		if news := w.learn(err); news && err != nil {
			s.cfg.Logger.Warn("a node is lost: its rail waits, and payments go on", "node", w.Name, "err", err)
		} else if news {
			s.cfg.Logger.Info("a node is back", "node", w.Name)
		}
		select {
		case <-time.After(askEvery):
		case <-s.life.Done():
		}
	}
}

// lostNode is a node that cannot be used, in answers.
type lostNode struct {
	Node  string `json:"node"`
	Why   string `json:"why"`
	Since int64  `json:"since"`
}

func (s *Server) lostNodes() (lost []lostNode) {
	for _, w := range s.nodes {
		if down, since := w.state(); down != "" {
			lost = append(lost, lostNode{w.Name, down, since.UnixMilli()})
		}
	}
	return lost
}

// nodeMetrics are 1 for each node that can be used, and otherwise 0.
func (s *Server) nodeMetrics() (all []prometheus.Collector) {
	for _, w := range s.nodes {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "millrace_node_up",
			Help: "Whether a node that the rails go by answers and knows the newest blocks.", ConstLabels: prometheus.Labels{"node": w.Name}}, func() float64 {
			if down, _ := w.state(); down != "" {
				return 0
			}
			return 1
		}))
	}
	return all
}
