package generator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/bench/scenario"
)

// MaxLate is by how much a part may begin later than it was told, if a Joint does not say.
const MaxLate = 50 * time.Millisecond

// ErrApart is returned, wrapped, where parts of a load did not load at the same time: what they have measured does not add up.
var ErrApart = errors.New("the agents did not load at the same time")

// Joint is one load that several generators have made together.
type Joint struct {
	Scenario *scenario.Scenario
	Begin    time.Time     // that all were told, by this machine's clock
	Late     time.Duration // by how much one may begin later than that, and by how much all may overlap less than the load is long; 0: MaxLate
	Names    []string      // of the parts
	Shares   []*Share      // of the parts, which began by this machine's clock; nil: the part was lost
	Lost     []error       // why
	Faults   []Happened
	Seen     *Seen // of the target. May be nil
}

// Combine puts the shares of all parts together. ErrApart where these did not begin together.
func (g *Generator) Combine(j *Joint) (*Result, error) {
	if err := j.together(); err != nil {
		return nil, err
	}
	s := j.Scenario
	r := g.newResult(s, j.Begin.Add(s.Warmup.Duration))
	r.Faults = j.Faults
	all := newGauge()
	for i, part := range j.Shares {
		if part == nil {
			r.Agents = append(r.Agents, Agent{Name: j.Names[i], Lost: j.Lost[i].Error()})
			r.Failed = fmt.Sprintf("agent %s was lost, and what it has paid is not in the figures: %v", j.Names[i], j.Lost[i])
			continue
		}
		if err := r.take(all, part); err != nil {
			return nil, fmt.Errorf("the share of agent %s: %w", j.Names[i], err)
		}
		for _, text := range part.Saturated {
			r.Saturated = append(r.Saturated, fmt.Sprintf("agent %s: %s", j.Names[i], text))
		}
		if part.Failed != "" {
			r.Failed = fmt.Sprintf("agent %s: %s", j.Names[i], part.Failed)
		}
		late := max(time.Unix(0, part.Began).Sub(j.Begin), 0)
		r.Agents = append(r.Agents, Agent{
			Name: j.Names[i], Late: late.Seconds() * 1000, Requests: part.Counts.Requests, Ops: part.Counts.Ops, Use: part.Generator,
		})
	}
	if err := r.mergeIntervals(j.Shares, g.every(s)); err != nil {
		return nil, err
	}
	r.sum(all)
	r.Generator.PerOpCPU = r.Generator.CPU * 1e6 / float64(max(r.Counts.Ops, 1))
	if j.Seen != nil {
		j.Seen.show(r, g.every(s))
	}
	r.judge()
	return r, nil
}

// together is ErrApart where a part began late, or all overlap for too short a time, which is not looked at where one ended early.
func (j *Joint) together() error {
	allowed := j.Late
	if allowed == 0 {
		allowed = MaxLate
	}
	var first, last time.Time // the earliest end and the latest beginning
	early := false
	for i, part := range j.Shares {
		if part == nil {
			early = true
			continue
		}
		began := time.Unix(0, part.Began)
		if err := Late(j.Names[i], began.Sub(j.Begin), allowed); err != nil {
			return err
		}
		early = early || part.Stopped || part.Failed != ""
		if end := began.Add(j.Scenario.Warmup.Duration + time.Duration(part.Seconds*float64(time.Second))); first.IsZero() || end.Before(first) {
			first = end
		}
		if last.IsZero() || began.After(last) {
			last = began
		}
	}
	want := j.Scenario.Warmup.Duration + j.Scenario.Length()
	if short := want - first.Sub(last); !early && short > allowed {
		return fmt.Errorf("%w: of %v they overlap for %v", ErrApart, want, first.Sub(last).Round(time.Millisecond))
	}
	return nil
}

// Late is ErrApart for an agent that began later than it was told, by more than is allowed.
func Late(name string, late, allowed time.Duration) error {
	if late <= allowed {
		return nil
	}
	return fmt.Errorf("%w: agent %s began %v late; %v are allowed", ErrApart, name, late.Round(time.Millisecond), allowed)
}

// Seen is what the target of several generators used.
type Seen struct {
	watch *watch
}

// Observe watches what the target uses, from when a load begins until the context ends. Live is told of each interval, which has no payments.
func (g *Generator) Observe(ctx context.Context, s *scenario.Scenario, begin time.Time) *Seen {
	sleepUntil(ctx, begin)
	w := g.newWatch(s, begin.Add(s.Warmup.Duration), nil)
	w.run(ctx)
	return &Seen{w}
}

// show puts it into the intervals of the same times, and into the whole.
func (s *Seen) show(r *Result, every time.Duration) {
	seen := make(map[int]*Interval)
	for k := range s.watch.intervals {
		i := &s.watch.intervals[k]
		seen[i.slot(every)] = i
	}
	for k := range r.Intervals {
		to := &r.Intervals[k]
		if i := seen[to.slot(every)]; i != nil {
			to.System, to.Memory, to.Disk, to.Apart = i.System, i.Memory, i.Disk, i.Apart
		}
	}
	r.System = s.watch.system(r.Counts.Ops)
}
