// Package agent lets generators on several machines share a load. Each machine runs an agent; a coordinator, which starts the target and knows its
// books, shares the workers out among them, over plain HTTP:
//
//	GET  /v1/clock      what time it is there: the coordinator asks several times, and takes the answer that came fastest
//	POST /v1/load       a scenario, which part of the workers, where the target is, and when to begin by the agent's clock; answered when the load is over,
//	                    with the agent's share: counts, whole histograms, and its tally
//	GET  /v1/progress   the intervals so far
//	POST /v1/stop       ends the load early; its share is answered all the same
//
// An agent sends whatever load to whatever address it is told, so every request carries a secret that both sides know, in Authorization. What
// goes over the wire, tokens of the accounts that pay among it, is not encrypted: use it in a network of your own.
package agent

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
)

// MinSecret is how long a secret is at least, in bytes.
const MinSecret = 16

// maxLoad bounds the body of a load: tokens and numbers of twenty million accounts are a few gigabytes, those of a usual load megabytes.
const maxLoad = 4 << 30

// load is what an agent is asked for.
type load struct {
	Scenario *scenario.Scenario `json:"scenario"`
	Part     int                `json:"part"`
	Parts    int                `json:"parts"`
	Begin    int64              `json:"begin_ns"` // since 1970, by the agent's clock
	Target   json.RawMessage    `json:"target"`
}

// validate names what is wrong.
func (l *load) validate() error {
	if l.Scenario == nil {
		return errors.New("no scenario")
	}
	if err := l.Scenario.Validate(); err != nil {
		return err
	}
	if l.Parts < 1 || l.Part < 0 || l.Part >= l.Parts || l.Parts > l.Scenario.Workers {
		return fmt.Errorf("part %d of %d, with %d workers", l.Part, l.Parts, l.Scenario.Workers)
	}
	return nil
}

// Join makes a target of what the coordinator's target says of itself.
type Join func(target []byte) (generator.Target, error)

// Server is an agent.
type Server struct {
	secret [32]byte // its SHA-256
	join   Join

	mu        sync.Mutex
	busy      bool
	stop      context.CancelFunc // of the load that is on
	intervals []generator.Interval
}

// NewServer makes an agent.
func NewServer(secret string, join Join) (*Server, error) {
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("the secret has %d bytes; want %d at least", len(secret), MinSecret)
	}
	return &Server{secret: sha256.Sum256([]byte(secret)), join: join}, nil
}

// Handler answers the coordinator.
func (s *Server) Handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /v1/clock", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]int64{"now_ns": time.Now().UnixNano()})
	})
	m.HandleFunc("GET /v1/progress", s.progress)
	m.HandleFunc("POST /v1/stop", s.end)
	m.HandleFunc("POST /v1/load", s.load)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if subtle.ConstantTimeCompare(given[:], s.secret[:]) != 1 {
			http.Error(w, "Authorization is not the agent's secret", http.StatusUnauthorized)
			return
		}
		m.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // the coordinator has hung up
}

func (s *Server) progress(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	all := s.intervals
	s.mu.Unlock()
	answer(w, all)
}

func (s *Server) end(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.stop()
	}
	answer(w, struct{}{})
}

func (s *Server) load(w http.ResponseWriter, r *http.Request) {
	var l load
	err := json.NewDecoder(io.LimitReader(r.Body, maxLoad)).Decode(&l)
	if err == nil {
		err = l.validate()
	}
	if err != nil {
		http.Error(w, "no load: "+err.Error(), http.StatusBadRequest)
		return
	}
	// A coordinator that hangs up has ended the load, too.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if !s.begin(cancel) {
		http.Error(w, "another load is on", http.StatusConflict)
		return
	}
	defer s.over()
	share, err := s.run(ctx, &l)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	answer(w, share)
}

func (s *Server) begin(stop context.CancelFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy {
		return false
	}
	s.busy, s.stop, s.intervals = true, stop, nil
	return true
}

func (s *Server) over() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy, s.stop = false, nil
}

func (s *Server) run(ctx context.Context, l *load) (*generator.Share, error) {
	t, err := s.join(l.Target)
	if err != nil {
		return nil, fmt.Errorf("the target: %w", err)
	}
	g := generator.New(generator.Config{
		Plan: workload.NewPlan(l.Scenario), Target: t, Part: l.Part, Parts: l.Parts, Begin: time.Unix(0, l.Begin),
		Live: func(i generator.Interval) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.intervals = append(s.intervals, i)
		},
	})
	return g.Contribute(ctx)
}
