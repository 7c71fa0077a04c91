package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
)

const secret = "sixteen bytes or more"

// till is a payment system with nothing but totals of channels. Those who joined it share it.
type till struct {
	plan   *workload.Plan
	mu     sync.Mutex
	totals []uint64
	lie    bool
}

func (t *till) Name() string { return "till" }

func (t *till) Connect(int) (generator.Session, error) { return &visit{t}, nil }

func (t *till) Share() ([]byte, error) { return []byte(`"till"`), nil }

func (t *till) Close() error { return nil }

func (t *till) Books(context.Context) (*workload.Books, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := &workload.Books{Balances: make([]int64, t.plan.Accounts()), Totals: t.totals, Owned: -1, Kept: -1}
	for i := range t.plan.Scenario.Population.Payers {
		b.Balances[i] = int64(t.plan.Available)
	}
	for c, total := range t.totals {
		b.Balances[t.plan.Payee[c]] += int64(total)
	}
	return b, nil
}

type visit struct{ *till }

func (v *visit) Close() error { return nil }

func (v *visit) Do(r *workload.Request, _ time.Time) error {
	time.Sleep(time.Millisecond)
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, op := range r.Ops {
		r.Outcomes[i] = workload.Done
		if !v.lie {
			v.totals[op.Object] = op.Amount
		}
	}
	return nil
}

// crowd is a coordinator with agents of its own.
func crowd(t *testing.T, duration string, agents int) (*Crowd, *till) {
	t.Helper()
	s, err := scenario.Parse([]byte("workers = 5\nwarmup = \"30ms\"\nduration = \""+duration+"\"\n[population]\npayers = 20\npayees = 3\nchannels = 40\n[mix]\nadvance = 1\n"), "test")
	if err != nil {
		t.Fatal(err)
	}
	p := workload.NewPlan(s)
	there := &till{plan: p, totals: make([]uint64, len(p.Payee))}
	c := &Crowd{Secret: secret, Plan: p, Target: there, Log: io.Discard, Lead: 100 * time.Millisecond}
	for range agents {
		a, err := NewServer(secret, func(text []byte) (generator.Target, error) {
			if string(text) != `"till"` {
				return nil, errors.New("not a till")
			}
			return there, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(a.Handler())
		t.Cleanup(server.Close)
		c.Agents = append(c.Agents, server.URL)
	}
	return c, there
}

func TestCrowd(t *testing.T) {
	c, there := crowd(t, "300ms", 3)
	r, err := c.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var paid uint64
	for _, total := range there.totals {
		paid += total
	}
	if !r.Verdict.Agree || r.Counts.Ops == 0 || paid < r.Counts.Ops || r.Wait.N != r.Counts.Requests {
		t.Errorf("%+v %+v, %d msat paid", r.Verdict, r.Counts, paid)
	}
	c, there = crowd(t, "100ms", 2)
	there.lie = true
	if r, err := c.Run(t.Context()); err != nil || r.Verdict.Agree {
		t.Errorf("a target that lies: %+v, %v", r, err)
	}
}

// TestStopped holds that a load that is ended early has what was measured so far, and a verdict.
func TestStopped(t *testing.T) {
	c, _ := crowd(t, "1h", 2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	r, err := c.Run(ctx)
	if err != nil || !r.Stopped || !r.Verdict.Agree || r.Counts.Ops == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestLost holds that an agent that goes ends the load, by its name.
func TestLost(t *testing.T) {
	c, _ := crowd(t, "1h", 1)
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/clock") {
			answer(w, map[string]int64{"now_ns": time.Now().UnixNano()})
			return
		}
		panic(http.ErrAbortHandler)
	}))
	defer gone.Close()
	c.Agents = append(c.Agents, gone.URL)
	if r, err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), gone.URL) {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestClock holds that an agent's clock that is off by an hour is found out, and that its part begins with the others all the same.
func TestClock(t *testing.T) {
	c, _ := crowd(t, "100ms", 1)
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]int64{"now_ns": time.Now().Add(-time.Hour).UnixNano()})
	}))
	defer behind.Close()
	m := &member{url: behind.URL, crowd: c, http: &http.Client{}}
	if err := m.clock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if off := (m.offset + time.Hour).Abs(); off > m.within+10*time.Millisecond {
		t.Errorf("the clock is %v ahead, give or take %v", m.offset, m.within)
	}
}

func TestRefused(t *testing.T) {
	if _, err := NewServer("short", nil); err == nil {
		t.Error("a short secret is accepted")
	}
	c, _ := crowd(t, "1h", 1)
	ask := func(path, key string, body any) int {
		t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), "POST", c.Agents[0]+path, strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", key)
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		return a.StatusCode
	}
	s := c.Plan.Scenario
	bad := *s
	bad.Workers = 0
	for name, l := range map[string]load{
		"no scenario":         {Part: 0, Parts: 1},
		"a bad scenario":      {Scenario: &bad, Parts: 1},
		"part 2 of 2":         {Scenario: s, Part: 2, Parts: 2},
		"more than there are": {Scenario: s, Part: 0, Parts: 6},
	} {
		if status := ask("/v1/load", secret, l); status != 400 {
			t.Errorf("%s: status %d", name, status)
		}
	}
	if status := ask("/v1/load", secret, load{Scenario: s, Parts: 1, Target: []byte(`"shop"`)}); status != 502 {
		t.Errorf("another target: status %d", status)
	}
	if status := ask("/v1/stop", "guess", nil); status != 401 {
		t.Errorf("another secret: status %d", status)
	}
	c.Agents = append(c.Agents, "http://127.0.0.1:1")
	if _, err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("an agent that is not there: %v", err)
	}
	c.Agents = make([]string, 6)
	if _, err := c.Run(t.Context()); err == nil {
		t.Error("more agents than workers are accepted")
	}
}

// TestBusy holds that an agent takes one load at a time.
func TestBusy(t *testing.T) {
	c, _ := crowd(t, "1h", 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := c.Run(ctx)
		ended <- err
	}()
	m := &member{url: c.Agents[0], crowd: c, http: &http.Client{}}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var done []generator.Interval
		if err := m.call(t.Context(), "GET", "/v1/progress", nil, &done); err != nil {
			t.Fatal(err)
		} else if len(done) > 0 {
			break
		} else if time.Now().After(end) {
			t.Fatal("no load is on")
		}
	}
	if _, err := (&Crowd{Agents: c.Agents, Secret: secret, Plan: c.Plan, Target: c.Target, Log: io.Discard}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another load") {
		t.Errorf("a second load: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
