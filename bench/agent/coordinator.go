package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/workload"
)

// Sharer is a target that can say where it is and what is in it, for others to connect to.
type Sharer interface {
	generator.Target
	Share() ([]byte, error) // JSON
}

// Crowd is several agents with one load.
type Crowd struct {
	Agents []string // their URLs
	Secret string
	Plan   *workload.Plan
	Target Sharer
	Log    io.Writer                // says how far each clock is off
	Live   func(generator.Interval) // is told of each second. May be nil
	Lead   time.Duration            // from when all clocks are known until all begin; zero: 2 s. The load has to reach all agents meanwhile
}

const (
	pings     = 20
	pingWait  = 5 * time.Second
	stopWait  = 10 * time.Second
	maxAnswer = 4 << 30 // a share: the tally of twenty million accounts is a few hundred megabytes
)

// member is one agent.
type member struct {
	url    string
	crowd  *Crowd
	http   *http.Client
	offset time.Duration // of its clock from ours
	within time.Duration // which is known so exactly
}

// Run has all agents begin at one time, makes the target's faults happen, puts the shares together and holds the books against them. An agent that
// is lost ends the load, without a result: what it has paid, nobody knows.
func (c *Crowd) Run(ctx context.Context) (*generator.Result, error) {
	s := c.Plan.Scenario
	if len(c.Agents) == 0 || len(c.Agents) > s.Workers {
		return nil, fmt.Errorf("%d agents for %d workers: each has one at least", len(c.Agents), s.Workers)
	}
	where, err := c.Target.Share()
	if err != nil {
		return nil, fmt.Errorf("saying where %s is: %w", c.Target.Name(), err)
	}
	members := make([]*member, 0, len(c.Agents))
	for _, url := range c.Agents {
		m := &member{url: strings.TrimSuffix(url, "/"), crowd: c, http: &http.Client{}}
		if err := m.clock(ctx); err != nil {
			return nil, fmt.Errorf("agent %s: %w", url, err)
		}
		fmt.Fprintf(c.Log, "agent %s: its clock is %v ahead, give or take %v\n", url, m.offset.Round(time.Microsecond), m.within.Round(time.Microsecond))
		members = append(members, m)
	}
	lead := c.Lead
	if lead == 0 {
		lead = 2 * time.Second
	}
	begin := time.Now().Add(lead)
	warm := begin.Add(s.Warmup.Duration)
	loading, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	shares, errs := make([]*generator.Share, len(members)), make([]error, len(members))
	var wait sync.WaitGroup
	for i, m := range members {
		wait.Go(func() {
			l := load{Scenario: s, Part: i, Parts: len(members), Begin: begin.Add(m.offset).UnixNano(), Target: where}
			if errs[i] = m.call(loading, "POST", "/v1/load", l, &shares[i]); errs[i] != nil {
				errs[i] = fmt.Errorf("agent %s: %w", m.url, errs[i])
				cancel() // the others' load would not be verified
			}
		})
	}
	faulting, enough := context.WithCancel(ctx)
	defer enough()
	g := generator.New(generator.Config{Plan: c.Plan, Target: c.Target, Parts: len(members)})
	var beside sync.WaitGroup
	var faults []generator.Happened
	beside.Go(func() { faults = g.Break(faulting, warm) })
	beside.Go(func() { c.watch(faulting, members) })
	stopped := context.AfterFunc(ctx, func() { stopAll(members) })
	wait.Wait()
	stopped()
	enough()
	beside.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	audit, done := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer done()
	return g.Combine(audit, warm, faults, shares)
}

func stopAll(members []*member) {
	ctx, cancel := context.WithTimeout(context.Background(), stopWait)
	defer cancel()
	var wait sync.WaitGroup
	for _, m := range members {
		wait.Go(func() { _ = m.call(ctx, "POST", "/v1/stop", struct{}{}, &struct{}{}) }) // one that is not there has stopped
	}
	wait.Wait()
}

// watch adds up the agents' intervals as they end, for a person to look at.
func (c *Crowd) watch(ctx context.Context, members []*member) {
	if c.Live == nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for shown := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		lists := make([][]generator.Interval, len(members))
		least := -1
		for i, m := range members {
			if m.call(ctx, "GET", "/v1/progress", nil, &lists[i]) != nil {
				lists[i] = nil // shown with the next
			}
			if least < 0 || len(lists[i]) < least {
				least = len(lists[i])
			}
		}
		for ; shown < least; shown++ {
			sum := generator.Interval{}
			for _, l := range lists {
				i := l[shown]
				sum.At, sum.Seconds = i.At, i.Seconds
				sum.Ops, sum.Refused, sum.Errors, sum.Dropped, sum.CPU = sum.Ops+i.Ops, sum.Refused+i.Refused, sum.Errors+i.Errors, sum.Dropped+i.Dropped, sum.CPU+i.CPU
				sum.P50, sum.P99, sum.Max = max(sum.P50, i.P50), max(sum.P99, i.P99), max(sum.Max, i.Max) // the worst agent's: the report has them merged
			}
			c.Live(sum)
		}
	}
}

// clock finds how far an agent's clock is off: by the answer that came fastest, in the middle of whose way the agent looked at it, give or take half
// the way (Cristian, "Probabilistic clock synchronization", 1989).
func (m *member) clock(ctx context.Context) error {
	for i := range pings {
		one, cancel := context.WithTimeout(ctx, pingWait)
		var said struct {
			Now int64 `json:"now_ns"`
		}
		asked := time.Now()
		err := m.call(one, "GET", "/v1/clock", nil, &said)
		way := time.Since(asked)
		cancel()
		if err != nil {
			return err
		}
		if i == 0 || way/2 < m.within {
			m.within = way / 2
			m.offset = time.Unix(0, said.Now).Sub(asked.Add(way / 2))
		}
	}
	return nil
}

// call sends JSON, and reads the JSON that is answered.
func (m *member) call(ctx context.Context, method, path string, body, into any) error {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		text = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, m.url+path, text)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", m.crowd.Secret)
	a, err := m.http.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(a.Body, 1000)) // as much of it as there is
		return fmt.Errorf("%s: %s", a.Status, bytes.TrimSpace(why))
	}
	if err := json.NewDecoder(io.LimitReader(a.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("%s: reading the answer: %w", path, err)
	}
	return nil
}
