package agent

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
)

// Sharer is a target that can say where it is and what is in it, for others to connect to.
type Sharer interface {
	generator.Target
	Share() ([]byte, error) // JSON
}

// Crowd is several agents with one load.
type Crowd struct {
	Agents  []string // their URLs
	Secret  string
	Version string // of the program: the agents' has to be the same
	Plan    *workload.Plan
	Target  Sharer
	Log     io.Writer                // says how far each clock is off
	Live    func(generator.Interval) // is told of each second. May be nil
	Lead    time.Duration            // from when all are ready until all begin; zero: 1 s. All have to be told meanwhile
	Late    time.Duration            // how much later than that one may begin; zero: generator.MaxLate
}

// verifying bounds what comes after the load. An agent asks for a minute what was never answered; its tally may be large.
const verifying = 10 * time.Minute

// Run has all agents begin a load at one time, makes the target's faults happen, watches what the target uses, puts the shares together and holds the
// books against them. When the context ends, the agents end the load, and the result is what was measured so far. An agent that is lost ends it, too:
// the result says so, and is not verified, for what that agent has paid, nobody knows.
func (c *Crowd) Run(ctx context.Context) (*generator.Result, error) {
	p, err := c.gather(ctx)
	if err != nil {
		return nil, err
	}
	defer p.dismiss()
	r, err := p.Load(ctx, c.Plan.Scenario)
	if r == nil {
		return nil, err
	}
	verify, cancel := context.WithTimeout(context.WithoutCancel(ctx), verifying)
	defer cancel()
	p.Verify(verify, r)
	return r, err
}

// Knee looks for the highest rate at which an objective holds that all agents together make: see generator.Seek.
func (c *Crowd) Knee(ctx context.Context, s generator.Search) (*generator.Knee, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	p, err := c.gather(ctx)
	if err != nil {
		return nil, err
	}
	defer p.dismiss()
	return generator.Seek(ctx, p, c.Plan.Scenario, s, verifying)
}

// Look finds out whether the agents are there, of this version, and with clocks that can be compared. It is asked before there is a population, which may
// take long to make.
func (c *Crowd) Look(ctx context.Context) error {
	for _, url := range c.Agents {
		m, err := newMember(ctx, url, "", c.Secret)
		if err != nil {
			return err
		}
		err = m.look(ctx, c.Version, cmp.Or(c.Late, generator.MaxLate))
		m.cancel(nil)
		m.http.CloseIdleConnections()
		if err != nil {
			return m.fail(err)
		}
	}
	return nil
}

// party is the agents that have joined.
type party struct {
	*Crowd
	generator *generator.Generator // has no workers: it puts together what the agents have measured
	members   []*member
	late      time.Duration

	mu   sync.Mutex
	seen generator.Interval // what the target used in the last one
}

// gather has all agents make their plans.
func (c *Crowd) gather(ctx context.Context) (*party, error) {
	s := c.Plan.Scenario
	if len(c.Agents) == 0 || len(c.Agents) > s.Workers {
		return nil, fmt.Errorf("%d agents for %d workers: each has one at least", len(c.Agents), s.Workers)
	}
	where, err := c.Target.Share()
	if err != nil {
		return nil, fmt.Errorf("saying where %s is: %w", c.Target.Name(), err)
	}
	p := &party{Crowd: c, late: cmp.Or(c.Late, generator.MaxLate)}
	p.generator = generator.New(generator.Config{Plan: c.Plan, Target: c.Target, Part: s.Workers, Parts: len(c.Agents), Live: p.see})
	id := rand.Text()
	for i, url := range c.Agents {
		m, err := newMember(ctx, url, id, c.Secret)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(p.members, func(o *member) bool { return o.url == m.url }) {
			return nil, fmt.Errorf("agent %s is named twice", url)
		}
		p.members = append(p.members, m)
		if err := m.look(ctx, c.Version, p.late); err != nil {
			return nil, m.fail(err)
		}
		fmt.Fprintf(c.Log, "agent %s: its clock is %v ahead, give or take %v; it makes %d of %d connections\n",
			url, m.offset.Round(time.Microsecond), m.within.Round(time.Microsecond), (s.Workers-i+len(c.Agents)-1)/len(c.Agents), s.Workers)
	}
	err = p.each(func(i int, m *member) error {
		err := m.call(ctx, "POST", "/v1/join", order{ID: id, Scenario: s, Part: i, Parts: len(p.members), Target: where}, &struct{}{})
		if err == nil {
			m.joined = true
			go m.keep()
		}
		return err
	})
	if err != nil {
		p.dismiss()
		return nil, cmp.Or(ctx.Err(), err)
	}
	return p, nil
}

// each does something with all agents at once. The error names the agents.
func (p *party) each(do func(i int, m *member) error) error {
	errs := make([]error, len(p.members))
	var wait sync.WaitGroup
	for i, m := range p.members {
		wait.Go(func() {
			if err := do(i, m); err != nil {
				errs[i] = m.fail(err)
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// dismiss lets all agents go that have joined.
func (p *party) dismiss() {
	ctx, cancel := context.WithTimeout(context.Background(), stopWait)
	defer cancel()
	_ = p.each(func(_ int, m *member) error {
		defer m.http.CloseIdleConnections()
		defer m.cancel(nil)
		if !m.joined {
			return nil // it has heard that we have hung up, or belongs to somebody else
		}
		wait := stopWait
		if m.ctx.Err() != nil {
			wait = again // it is lost, and may be there
		}
		one, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		return m.call(one, "POST", "/v1/leave", order{ID: m.id}, &struct{}{}) // one that is told in vain hears nothing more, and leaves by itself
	})
}

// stop ends the load of all agents.
func (p *party) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopWait)
	defer cancel()
	_ = p.each(func(_ int, m *member) error {
		if m.ctx.Err() != nil {
			return nil // one that is lost has stopped, or will
		}
		return m.call(ctx, "POST", "/v1/stop", order{ID: m.id}, &struct{}{})
	})
}

// Load has all agents make one load. The result is there, with what was measured so far, when the context ends before the load does, or an agent is lost.
func (p *party) Load(ctx context.Context, s *scenario.Scenario) (*generator.Result, error) {
	begin, err := p.start(ctx, s)
	if err != nil {
		return nil, err
	}
	j := &generator.Joint{Scenario: s, Begin: begin, Late: p.late, Shares: make([]*generator.Share, len(p.members)), Lost: make([]error, len(p.members))}
	beside, enough := context.WithCancel(ctx)
	defer enough()
	watching, seen := context.WithCancel(context.WithoutCancel(ctx))
	defer seen()
	var wait sync.WaitGroup
	wait.Go(func() { j.Faults = p.generator.Break(beside, s, begin.Add(s.Warmup.Duration)) })
	wait.Go(func() { j.Seen = p.generator.Observe(watching, s, begin) })
	wait.Go(func() { p.show(watching) })
	stopped := context.AfterFunc(ctx, p.stop)
	var once sync.Once
	lost := p.each(func(i int, m *member) error {
		err := m.await("/v1/share", &j.Shares[i])
		if err == nil {
			j.Shares[i].Began -= int64(m.offset)
			return nil
		}
		j.Shares[i], j.Lost[i] = nil, err
		once.Do(p.stop)
		return err
	})
	stopped()
	enough()
	seen()
	wait.Wait()
	for _, m := range p.members {
		j.Names = append(j.Names, m.url)
	}
	if errors.Is(lost, generator.ErrApart) || !slices.ContainsFunc(j.Shares, func(s *generator.Share) bool { return s != nil }) {
		return nil, lost
	}
	r, err := p.generator.Combine(j)
	return r, errors.Join(err, lost)
}

// start has all agents make their sessions, and tells them when to begin, by their own clocks.
func (p *party) start(ctx context.Context, s *scenario.Scenario) (begin time.Time, err error) {
	if err := p.each(func(_ int, m *member) error {
		if err := m.call(ctx, "POST", "/v1/ready", order{ID: m.id, Scenario: s}, &struct{}{}); err != nil {
			return m.why(err)
		}
		return m.look(ctx, p.Version, p.late) // again: it may have drifted, or been set, while the population was made
	}); err != nil {
		return begin, cmp.Or(ctx.Err(), err)
	}
	begin = time.Now().Add(cmp.Or(p.Lead, time.Second))
	if err := p.each(func(_ int, m *member) error {
		one, cancel := context.WithTimeout(ctx, pingWait)
		defer cancel()
		m.loads(begin, p.late)
		return m.call(one, "POST", "/v1/begin", order{ID: m.id, Begin: begin.Add(m.offset).UnixNano()}, &struct{}{})
	}); err != nil {
		return begin, cmp.Or(ctx.Err(), err)
	}
	if late := time.Since(begin); late > p.late {
		return begin, fmt.Errorf("%w: they were told to begin %v after the time, for their network is slow", generator.ErrApart, late.Round(time.Millisecond))
	}
	return begin, nil
}

// Verify holds the books against what all agents were told.
func (p *party) Verify(ctx context.Context, r *generator.Result) {
	all := make([]*generator.Testimony, len(p.members))
	err := p.each(func(i int, m *member) error {
		defer context.AfterFunc(ctx, func() { m.cancel(context.Cause(ctx)) })()
		return m.await("/v1/testimony", &all[i])
	})
	for i, a := range r.Agents {
		if a.Lost != "" {
			all[i] = nil
		}
	}
	if failed := p.generator.Conclude(ctx, r, all); failed != nil {
		r.Verdict.Unverified = failed.Error()
	} else if err != nil {
		r.Verdict.Unverified += ": " + err.Error()
	}
}
