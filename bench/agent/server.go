// Package agent lets generators on several machines share a load. Each machine runs an agent; a coordinator, which starts the target and knows its
// books, shares the workers out among them, over plain HTTP:
//
//	GET  /v1/clock      what time it is there, and what version: the coordinator asks several times, and takes the answer that came fastest
//	POST /v1/join       a scenario, which part of the workers, and where the target is; answered when the plan of the population is made
//	POST /v1/ready      a load, which may be another one of the same population; answered when all sessions are there
//	POST /v1/begin      when to begin, by the agent's clock
//	GET  /v1/progress   the intervals so far, and when the load really began
//	POST /v1/stop       ends the load early
//	GET  /v1/share      counts and whole histograms, when the load is over
//	GET  /v1/testimony  the tally, when what was never answered has been asked again
//	POST /v1/leave      ends everything, and the agent is free
//
// From join to leave an agent belongs to one coordinator, which asks for progress each second, with the number that it gave the load. Where nobody has
// asked for fifteen seconds, the coordinator is gone: the agent ends everything, and is free again. Where the agent has not answered for ten seconds,
// or nobody listens there any more, it is lost: the others end the load, and what the lost one has paid, nobody knows.
//
// An agent sends whatever load to whatever address it is told, so every request carries a secret that both sides know, in Authorization. What
// goes over the wire, tokens of the accounts that pay among it, is not encrypted: use it in a network of your own.
package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
)

// MinSecret is how long a secret is at least, in bytes.
const MinSecret = 16

// protocol is the number of what the package comment says. Another one is not understood.
const protocol = 2

const (
	maxLoad  = 4 << 30          // bounds the body of a load: tokens and numbers of twenty million accounts are a few gigabytes, those of a usual load megabytes
	maxID    = 100              // of the letters of a load's number
	patience = 15 * time.Second // after which a coordinator that asks nothing is gone
	holding  = 10 * time.Second // for which a question waits for what is not there yet
)

// Join makes a target of what the coordinator's target says of itself.
type Join func(target []byte) (generator.Target, error)

// Server is an agent.
type Server struct {
	Version  string        // of the program: the coordinator's has to be the same
	Patience time.Duration // after which a coordinator that asks nothing is gone; zero: 15 s
	Log      io.Writer     // says what goes on; nil: nowhere

	secret [32]byte // its SHA-256
	join   Join

	mu  sync.Mutex
	job *job // nil: free
}

// NewServer makes an agent.
func NewServer(secret string, join Join) (*Server, error) {
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("the secret has %d bytes; want %d at least", len(secret), MinSecret)
	}
	return &Server{secret: sha256.Sum256([]byte(secret)), join: join}, nil
}

// Close ends the load that is on, if there is one.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.job != nil {
		s.job.cancel(errors.New("the agent ends"))
	}
}

// order is what an agent is asked for. Each question has the load's number, and what else it needs.
type order struct {
	ID       string             `json:"id"`
	Scenario *scenario.Scenario `json:"scenario,omitempty"` // join, ready
	Part     int                `json:"part"`               // join
	Parts    int                `json:"parts"`              // join
	Target   json.RawMessage    `json:"target,omitempty"`   // join
	Begin    int64              `json:"begin_ns,omitempty"` // begin: since 1970, by the agent's clock
}

// validate names what is wrong with one to join.
func (o *order) validate() error {
	if o.ID == "" || len(o.ID) > maxID {
		return fmt.Errorf("the load's number has %d letters; want 1 to %d", len(o.ID), maxID)
	}
	if o.Scenario == nil {
		return errors.New("no scenario")
	}
	if err := o.Scenario.Validate(); err != nil {
		return err
	}
	if o.Parts < 1 || o.Part < 0 || o.Part >= o.Parts || o.Parts > o.Scenario.Workers {
		return fmt.Errorf("part %d of %d, with %d workers", o.Part, o.Parts, o.Scenario.Workers)
	}
	return nil
}

// clock is an agent's answer to who it is, and what time it is there.
type clock struct {
	Now      int64  `json:"now_ns"`
	Protocol int    `json:"protocol"`
	Version  string `json:"version"`
}

// Handler answers the coordinator.
func (s *Server) Handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /v1/clock", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, clock{time.Now().UnixNano(), protocol, s.Version})
	})
	m.HandleFunc("POST /v1/join", s.joins)
	for path, do := range map[string]func(*job, *order) (any, error){
		"POST /v1/ready":    (*job).ready,
		"POST /v1/begin":    (*job).begin,
		"GET /v1/progress":  (*job).progress,
		"POST /v1/stop":     (*job).stops,
		"GET /v1/share":     (*job).shares,
		"GET /v1/testimony": (*job).testifies,
		"POST /v1/leave":    (*job).leave,
	} {
		m.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { s.ask(w, r, do) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if subtle.ConstantTimeCompare(given[:], s.secret[:]) != 1 {
			http.Error(w, "the coordinator's secret is not the agent's", http.StatusUnauthorized)
			return
		}
		m.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // the coordinator has hung up
}

// read takes an order from a body, or, where there is none, from the URL.
func read(r *http.Request) (*order, error) {
	o := &order{ID: r.URL.Query().Get("load")}
	if r.Method == http.MethodGet {
		from, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("from"), "0"))
		o.Part = from
		return o, err
	}
	return o, json.NewDecoder(io.LimitReader(r.Body, maxLoad)).Decode(o)
}

func (s *Server) joins(w http.ResponseWriter, r *http.Request) {
	o, err := read(r)
	if err == nil {
		err = o.validate()
	}
	if err != nil {
		http.Error(w, "no load: "+err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	if s.job != nil {
		s.mu.Unlock()
		http.Error(w, "another load is on", http.StatusConflict)
		return
	}
	j := newJob(o, cmp.Or(s.Patience, patience))
	s.job = j
	s.mu.Unlock()
	s.say("a load of %s: part %d of %d", o.Scenario.Name, o.Part+1, o.Parts)
	go func() {
		why := j.end()
		s.mu.Lock()
		s.job = nil
		s.mu.Unlock()
		close(j.ended)
		s.say("free again: %v", why)
	}()
	// A coordinator that hangs up meanwhile has ended the load.
	gone := context.AfterFunc(r.Context(), func() { j.cancel(errGone) })
	defer gone()
	if err := j.plan(s.join, o); err != nil {
		j.cancel(err)
		<-j.ended
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	gone()
	j.touch()
	answer(w, struct{}{})
}

func (s *Server) say(format string, args ...any) {
	if s.Log != nil {
		fmt.Fprintf(s.Log, format+"\n", args...)
	}
}

// ask finds the load that a question is about, whose coordinator is there, as one can see.
func (s *Server) ask(w http.ResponseWriter, r *http.Request, do func(*job, *order) (any, error)) {
	o, err := read(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	j := s.job
	s.mu.Unlock()
	if j == nil || j.id != o.ID || j.ctx.Err() != nil {
		http.Error(w, "the agent knows nothing of this load any more: it was started again, or has heard nothing of its coordinator for too long", http.StatusNotFound)
		return
	}
	j.touch()
	value, err := do(j, o)
	switch {
	case errors.Is(err, errNotYet):
		w.WriteHeader(http.StatusAccepted)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadGateway)
	default:
		answer(w, value)
	}
}
