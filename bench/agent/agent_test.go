package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
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
	used   time.Duration
}

func (t *till) Name() string { return "till" }

func (t *till) Connect(int) (generator.Session, error) { return &visit{t}, nil }

func (t *till) Share() ([]byte, error) { return []byte(`"till"`), nil }

// Using counts how often it was asked.
func (t *till) Using() (generator.Using, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.used += time.Millisecond
	return generator.Using{CPU: t.used, Memory: 5, Disk: 7}, nil
}

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

// crowd is a coordinator with agents of its own. These may begin late, as they do on a busy machine.
func crowd(t *testing.T, duration string, agents int) (*Crowd, *till) {
	t.Helper()
	s, err := scenario.Parse([]byte("workers = 5\nwarmup = \"30ms\"\nduration = \""+duration+"\"\n[population]\npayers = 20\npayees = 3\nchannels = 40\n[mix]\nadvance = 1\n"), "test")
	if err != nil {
		t.Fatal(err)
	}
	p := workload.NewPlan(s)
	there := &till{plan: p, totals: make([]uint64, len(p.Payee))}
	c := &Crowd{Secret: secret, Version: "v1", Plan: p, Target: there, Log: io.Discard, Lead: 200 * time.Millisecond, Late: time.Minute}
	for range agents {
		url, _ := serve(t, there, nil)
		c.Agents = append(c.Agents, url)
	}
	return c, there
}

// serve starts an agent for a till, which may be bent, and returns how it is killed.
func serve(t *testing.T, there *till, bend func(http.Handler) http.Handler) (url string, kill func()) {
	t.Helper()
	a, err := NewServer(secret, func(text []byte) (generator.Target, error) {
		if string(text) != `"till"` {
			return nil, errors.New("not a till")
		}
		return there, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	a.Version = "v1"
	h := a.Handler()
	if bend != nil {
		h = bend(h)
	}
	return listen(t, a, h)
}

func listen(t *testing.T, a *Server, h http.Handler) (url string, kill func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(ln) // until it is closed
	}()
	kill = func() {
		_ = server.Close()
		<-ended
		a.Close()
	}
	t.Cleanup(kill)
	return "http://" + ln.Addr().String(), kill
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
	var requests uint64
	for i, a := range r.Agents {
		if requests += a.Requests; a.Name != c.Agents[i] || a.Requests == 0 || a.Late < 0 {
			t.Errorf("%+v", a)
		}
	}
	if len(r.Agents) != 3 || requests != r.Counts.Requests {
		t.Errorf("%d agents made %d requests of %d", len(r.Agents), requests, r.Counts.Requests)
	}
	if r.System == nil || r.System.CPU <= 0 || r.System.Memory != 5 {
		t.Errorf("the target used %+v", r.System)
	}
	if last := r.Intervals[len(r.Intervals)-1]; last.Memory != 5 || last.Disk != 7 || last.System <= 0 {
		t.Errorf("the target used in the last interval: %+v", last)
	}
	for _, url := range c.Agents {
		free(t, c, url)
	}
	c, there = crowd(t, "100ms", 2)
	there.lie = true
	if r, err := c.Run(t.Context()); err != nil || r.Verdict.Agree {
		t.Errorf("a target that lies: %+v, %v", r, err)
	}
}

// TestKnee holds that agents make several loads of one population, after which the books agree.
func TestKnee(t *testing.T) {
	c, _ := crowd(t, "1h", 2)
	var h scenario.Threshold
	if err := h.UnmarshalText([]byte("p50 < 10s")); err != nil {
		t.Fatal(err)
	}
	k, err := c.Knee(t.Context(), generator.Search{Objective: []scenario.Threshold{h}, From: 100, Most: 200, Step: 150 * time.Millisecond, Precision: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if len(k.Tried) < 2 || !k.Last.Verdict.Agree || len(k.Last.Agents) != 2 {
		t.Errorf("%d rates tried, %+v, by %+v", len(k.Tried), k.Last.Verdict, k.Last.Agents)
	}
	free(t, c, c.Agents[0])
}

// TestStopped holds that a load that is ended early has what was measured so far, and a verdict.
func TestStopped(t *testing.T) {
	c, _ := crowd(t, "1h", 2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.Live = func(i generator.Interval) {
		if i.Ops > 0 && i.At > 0 {
			cancel()
		}
	}
	r, err := c.Run(ctx)
	if err != nil || !r.Stopped || !r.Verdict.Agree || r.Counts.Ops == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	free(t, c, c.Agents[1])
	if r, err := c.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped before it began: %+v, %v", r, err)
	}
	free(t, c, c.Agents[1])
}

// TestClock holds that an agent's clock that is off by an hour is found out, and that its part begins with the others all the same.
func TestClock(t *testing.T) {
	c, there := crowd(t, "100ms", 1)
	url, _ := serve(t, there, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hourBehind(w, r, h) })
	})
	c.Agents = append(c.Agents, url)
	var said strings.Builder
	c.Log = &said
	r, err := c.Run(t.Context())
	if err != nil || !r.Verdict.Agree {
		t.Fatalf("%+v, %v", r, err)
	}
	if !strings.Contains(said.String(), "agent "+url+": its clock is -") {
		t.Error(said.String())
	}
}

// hourBehind is an agent whose clock is an hour behind.
func hourBehind(w http.ResponseWriter, r *http.Request, h http.Handler) {
	change := map[string]int64{"/v1/clock": -1, "/v1/begin": 1, "/v1/progress": -1, "/v1/share": -1}[r.URL.Path] * int64(time.Hour)
	if r.URL.Path == "/v1/begin" {
		shiftBody(r, change)
		h.ServeHTTP(w, r)
		return
	}
	if change == 0 {
		h.ServeHTTP(w, r)
		return
	}
	got := httptest.NewRecorder()
	h.ServeHTTP(got, r)
	text := got.Body.Bytes()
	if got.Code == http.StatusOK {
		for _, field := range []string{"now_ns", "began_ns"} {
			text = shift(text, field, change)
		}
	}
	w.WriteHeader(got.Code)
	_, _ = w.Write(text) // the test sees it
}

func shiftBody(r *http.Request, by int64) {
	text, _ := io.ReadAll(r.Body) // what is missing is seen
	r.Body = io.NopCloser(bytes.NewReader(shift(text, "begin_ns", by)))
}

// shift adds to a number in a JSON object, where it is and is not 0.
func shift(text []byte, field string, by int64) []byte {
	return regexp.MustCompile(`"`+field+`":([0-9]+)`).ReplaceAllFunc(text, func(found []byte) []byte {
		n, err := strconv.ParseInt(string(found[len(field)+3:]), 10, 64)
		if err != nil || n == 0 {
			return found
		}
		return fmt.Appendf(nil, "%q:%d", field, n+by)
	})
}

// ask sends something to an agent as a coordinator does.
func ask(t *testing.T, c *Crowd, url, path string, body any) error {
	t.Helper()
	m, err := newMember(t.Context(), url, "another", c.Secret)
	if err != nil {
		t.Fatal(err)
	}
	defer m.http.CloseIdleConnections()
	method := "POST"
	if body == nil {
		method = "GET"
	}
	return m.call(t.Context(), method, path, body, &struct{}{})
}

// free waits until an agent takes a load.
func free(t *testing.T, c *Crowd, url string) {
	t.Helper()
	o := order{ID: "another", Scenario: c.Plan.Scenario, Parts: 1, Target: []byte(`"till"`)}
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if err = ask(t, c, url, "/v1/join", o); err == nil {
			if err := ask(t, c, url, "/v1/leave", order{ID: "another"}); err != nil && !strings.Contains(err.Error(), "nothing of this load") { // or it has lost its patience
				t.Error(err)
			}
			return
		}
	}
	t.Errorf("the agent does not get free: %v", err)
}
