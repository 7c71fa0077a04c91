package agent

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/bench/generator"
)

// TestLate holds that an agent that does not begin with the others ends the load at once, by its name, and that all are free afterwards.
func TestLate(t *testing.T) {
	c, there := crowd(t, "1h", 1)
	c.Late = 2 * time.Second
	late, _ := serve(t, there, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/begin" {
				shiftBody(r, int64(time.Minute))
			}
			h.ServeHTTP(w, r)
		})
	})
	c.Agents = append(c.Agents, late)
	r, err := c.Run(t.Context())
	if r != nil || !errors.Is(err, generator.ErrApart) || !strings.Contains(err.Error(), late+" began") {
		t.Errorf("%+v, %v", r, err)
	}
	free(t, c, c.Agents[0])
	free(t, c, late)
}

// TestLost holds that an agent that is killed ends the load, by its name, and that there is what the others have measured, which nobody can verify.
func TestLost(t *testing.T) {
	c, there := crowd(t, "1h", 1)
	url, kill := serve(t, there, nil)
	c.Agents = append(c.Agents, url)
	var once sync.Once
	c.Live = func(i generator.Interval) {
		if i.Ops > 0 && i.At > 0 {
			once.Do(kill)
		}
	}
	r, err := c.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), url) || r == nil {
		t.Fatalf("%+v, %v", r, err)
	}
	if !strings.Contains(r.Failed, url) || r.Counts.Ops == 0 || r.Verdict.Agree || r.Verdict.Unverified == "" || r.Agents[1].Lost == "" {
		t.Errorf("%+v %+v %+v: %s", r.Counts, r.Verdict, r.Agents, r.Failed)
	}
	free(t, c, c.Agents[0])
}

// TestGone holds that an agent whose coordinator asks nothing any more is free again: before the load, when it is ready, and while it loads.
func TestGone(t *testing.T) {
	c, there := crowd(t, "1h", 1)
	a, err := NewServer(secret, func([]byte) (generator.Target, error) { return there, nil })
	if err != nil {
		t.Fatal(err)
	}
	a.Patience = 50 * time.Millisecond
	url, _ := listen(t, a, a.Handler())
	steps := []struct {
		path string
		body order
	}{
		{"/v1/join", order{ID: "gone", Scenario: c.Plan.Scenario, Parts: 1}},
		{"/v1/ready", order{ID: "gone", Scenario: c.Plan.Scenario}},
		{"/v1/begin", order{ID: "gone", Begin: time.Now().UnixNano()}},
	}
	for until := range steps {
		for n, step := range steps[:until+1] {
			if n == 0 {
				joined(t, c, url, step.body)
			} else if err := ask(t, c, url, step.path, step.body); err != nil {
				t.Log(err) // the machine is so busy that the agent has lost its patience already
				break
			}
		}
		free(t, c, url)
	}
	if err := ask(t, c, url, "/v1/progress?load=gone", nil); err == nil || !strings.Contains(err.Error(), "nothing of this load") {
		t.Errorf("a load that is over: %v", err)
	}
}

// joined waits until an agent, which may be ending a load that it was left with, takes another.
func joined(t *testing.T, c *Crowd, url string, o order) {
	t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if err = ask(t, c, url, "/v1/join", o); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// TestRefused holds what an agent and a coordinator do not take.
func TestRefused(t *testing.T) {
	if _, err := NewServer("short", nil); err == nil {
		t.Error("a short secret is accepted")
	}
	c, _ := crowd(t, "1h", 1)
	s := c.Plan.Scenario
	bad := *s
	bad.Workers = 0
	till := []byte(`"till"`)
	for name, l := range map[string]struct {
		path string
		body order
		want string
	}{
		"no number":           {"/v1/join", order{Scenario: s, Parts: 1, Target: till}, "number has 0 letters"},
		"no scenario":         {"/v1/join", order{ID: "a", Parts: 1, Target: till}, "no scenario"},
		"a bad scenario":      {"/v1/join", order{ID: "a", Scenario: &bad, Parts: 1, Target: till}, "workers"},
		"part 2 of 2":         {"/v1/join", order{ID: "a", Scenario: s, Part: 2, Parts: 2, Target: till}, "part 2 of 2"},
		"more than there are": {"/v1/join", order{ID: "a", Scenario: s, Parts: 6, Target: till}, "with 5 workers"},
		"another target":      {"/v1/join", order{ID: "a", Scenario: s, Parts: 1, Target: []byte(`"shop"`)}, "not a till"},
		"what was not begun":  {"/v1/begin", order{ID: "a"}, "nothing of this load"},
	} {
		if err := ask(t, c, c.Agents[0], l.path, l.body); err == nil || !strings.Contains(err.Error(), l.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for want, change := range map[string]func(*Crowd){
		"secret is not":           func(c *Crowd) { c.Secret = "guess" },
		"version of millrace":     func(c *Crowd) { c.Version = "v2" },
		"127.0.0.1:1: ":           func(c *Crowd) { c.Agents = append(c.Agents, "http://127.0.0.1:1") },
		"want http://host:port":   func(c *Crowd) { c.Agents = append(c.Agents, "127.0.0.1:1") },
		"is named twice":          func(c *Crowd) { c.Agents = append(c.Agents, c.Agents[0]+"/") },
		"6 agents for 5 workers":  func(c *Crowd) { c.Agents = make([]string, 6) },
		"cannot be told to 1ns: ": func(c *Crowd) { c.Late = 1 },
		"0 agents for 5 workers":  func(c *Crowd) { c.Agents = nil },
	} {
		one := *c
		change(&one)
		if r, err := one.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", want, r, err)
		}
	}
}

// TestGarbage holds that an agent that answers nonsense is named, wherever it does.
func TestGarbage(t *testing.T) {
	for path, text := range map[string]string{
		"/v1/clock": "<html>", "/v1/join": "no", "/v1/ready": "[", "/v1/begin": "]", "/v1/progress": `{"intervals": 7}`, "/v1/share": `{"waits": "eA=="}`,
		"/v1/testimony": `{"tally": "eA=="}`,
	} {
		t.Run(path, func(t *testing.T) {
			duration := "1h"
			if path == "/v1/testimony" || path == "/v1/share" {
				duration = "100ms"
			}
			c, there := crowd(t, duration, 1)
			url, _ := serve(t, there, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != path {
						h.ServeHTTP(w, r)
						return
					}
					w.Header().Set("Content-Type", "application/json")
					_, _ = io.WriteString(w, text) // the test sees it
				})
			})
			c.Agents = append(c.Agents, url)
			c.Late = 2 * time.Hour // a share that begins in 1970 is early, and not late
			r, err := c.Run(t.Context())
			if path == "/v1/testimony" {
				if err != nil || r.Verdict.Agree || !strings.Contains(r.Verdict.Unverified, "part 1") {
					t.Errorf("%+v, %v", r, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), url) && !errors.Is(err, generator.ErrApart) {
				t.Errorf("%+v, %v", r, err)
			}
			free(t, c, c.Agents[0])
		})
	}
}

// TestBusy holds that an agent takes one load at a time, and that who is refused does not disturb it.
func TestBusy(t *testing.T) {
	c, _ := crowd(t, "1h", 1)
	other := *c
	var once sync.Once
	var second error
	got := make(chan struct{})
	c.Live = func(i generator.Interval) {
		if i.At > 0 {
			once.Do(func() {
				defer close(got)
				_, second = other.Run(t.Context())
			})
		}
	}
	stop, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := c.Run(stop)
		ended <- err
	}()
	<-got
	cancel()
	if second == nil || !strings.Contains(second.Error(), "another load is on") {
		t.Errorf("a second load: %v", second)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
