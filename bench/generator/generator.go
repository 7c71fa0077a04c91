package generator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
)

// Config says whom to load, and who looks on.
type Config struct {
	Plan   *workload.Plan
	Target Target
	// Live is told of each interval as it ends. May be nil.
	Live func(Interval)
	// Every is the length of an interval. Zero: a second, or more where that makes more than a thousand.
	Every time.Duration
	// Settle is how long what was never answered is asked again when the load is over. Zero: a minute.
	Settle time.Duration
	// Parts is among how many generators the workers are shared out, and Part which of them this one is. Zero: one does it all.
	Part, Parts int
	// Begun is told when the workers of a load really begin. May be nil.
	Begun func(time.Time)
}

// Generator puts one target under one load after the other, all of them from the same population, and verifies the books at the end.
type Generator struct {
	cfg     Config
	sources []*workload.Source // of the part's workers
	numbers []int              // of these workers
	shared  bool               // with other generators
}

// New makes one. The plan's scenario says how many workers there are.
func New(cfg Config) *Generator {
	if cfg.Settle == 0 {
		cfg.Settle = time.Minute
	}
	g := &Generator{cfg: cfg, shared: cfg.Parts > 0}
	g.cfg.Parts = max(cfg.Parts, 1)
	for i := cfg.Part; i < cfg.Plan.Scenario.Workers; i += g.cfg.Parts {
		g.sources, g.numbers = append(g.sources, cfg.Plan.Source(i)), append(g.numbers, i)
	}
	return g
}

// Run is one load and its verification. The result is there, with what was measured so far, when the context ends before the load does.
func (g *Generator) Run(ctx context.Context) (*Result, error) {
	r, err := g.Load(ctx, g.cfg.Plan.Scenario)
	if r == nil {
		return nil, err
	}
	// What was begun is brought to its end even if somebody has had enough: without it nothing could be verified.
	g.verify(ctx, r)
	return r, err
}

// verify takes the time to settle, whether or not the context has ended.
func (g *Generator) verify(ctx context.Context, r *Result) {
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.settling(r))
	defer cancel()
	g.Verify(settle, r)
}

// How long it takes at most, once somebody has had enough, until nothing is asked of the target any more: requests that are under way have their
// grace, and then are abandoned as unanswered; and those that were not answered are asked again.
const (
	grace    = 2 * time.Second
	hasty    = 10 * time.Second
	Stopping = grace + hasty
)

// settling is how long what was never answered is asked again.
func (g *Generator) settling(r *Result) time.Duration {
	if r.Stopped || r.silent() { // one that has answered nothing so far is not waited for long
		return min(g.cfg.Settle, hasty)
	}
	return g.cfg.Settle
}

// hurry lets requests that are under way end, and cuts them off after their grace.
func hurry(workers []*worker, ended <-chan struct{}) {
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case <-ended:
	case <-patience.C:
		for _, w := range workers {
			w.line.abort()
		}
	}
}

// newResult is that of a load which has not begun.
func (g *Generator) newResult(s *scenario.Scenario, began time.Time) *Result {
	r := &Result{Scenario: s, Target: g.cfg.Target.Name(), Began: began, Refusals: make(map[string]uint64)}
	if t, ok := g.cfg.Target.(Described); ok {
		about := t.Traits()
		r.Inside, r.Durability = about.Inside, about.Durability
	}
	return r
}

// Load sends what a scenario says, which has the population of the plan's and as many workers.
func (g *Generator) Load(ctx context.Context, s *scenario.Scenario) (*Result, error) {
	p, err := g.Prepare(s)
	if err != nil {
		return nil, err
	}
	return p.load(ctx, time.Time{})
}

// load is what Load does once there are sessions. The warm-up begins at a time; zero: at once.
func (p *Prepared) load(ctx context.Context, began time.Time) (*Result, error) {
	g, s, workers := p.generator, p.scenario, p.workers
	if now := time.Now(); began.After(now) {
		sleepUntil(ctx, began)
	} else if began.IsZero() {
		began = now
	}
	start := time.Now()
	if g.cfg.Begun != nil {
		g.cfg.Begun(start)
	}
	for _, w := range workers {
		w.began = began
	}
	warm := began.Add(s.Warmup.Duration)
	r := g.newResult(s, warm)
	r.start = start
	stopped, ended := make(chan struct{}), make(chan struct{})
	patient := context.AfterFunc(ctx, func() {
		defer close(stopped)
		hurry(workers, ended)
	})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var faults sync.WaitGroup
	faults.Go(func() { r.Faults = g.breaks(ctx, g.own(s), warm, workers) })
	watch := g.newWatch(s, warm, workers)
	watching, enough := context.WithCancel(context.Background())
	var watched sync.WaitGroup
	watched.Go(func() { watch.run(watching) })
	var running sync.WaitGroup
	for _, w := range workers {
		running.Go(func() { w.run(ctx) })
	}
	running.Wait()
	if close(ended); !patient() {
		<-stopped
	}
	r.Stopped = ctx.Err() != nil
	end := time.Now()
	cancel()
	faults.Wait()
	enough()
	watched.Wait()
	if r.Seconds = max(end.Sub(warm).Seconds(), 0); s.Arrival.Loop == scenario.Open && !r.Stopped { // the last request of an open loop comes before its end
		r.Seconds = max(r.Seconds, s.Length().Seconds())
	}
	watch.finish(r)
	var errs []error
	for _, w := range workers {
		if w.err != nil {
			errs = append(errs, w.err)
		}
	}
	r.saturation(g.cfg.Parts)
	r.judge()
	if len(errs) > 0 {
		r.Failed = errs[0].Error()
		return r, errs[0]
	}
	return r, nil
}

// Verify asks again what was never answered, and then holds the books against the tally.
func (g *Generator) Verify(ctx context.Context, r *Result) {
	if t, ok := g.cfg.Target.(Mortal); ok {
		if err := t.Died(); err != nil { // nobody answers any more
			g.testify(r)
			r.Verdict.Unverified = err.Error()
			return
		}
	}
	still, err := g.settle(ctx, r)
	g.testify(r)
	if still > 0 {
		r.Verdict.Unverified = fmt.Sprintf("nobody knows what became of %d requests: %v", still, err)
		return
	}
	g.audit(ctx, r)
}

// settle sends again what was never answered, until it is. It returns how many requests are still open, and why.
func (g *Generator) settle(ctx context.Context, r *Result) (still int, why error) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	for i, src := range g.sources {
		wait.Go(func() {
			w := &worker{number: g.numbers[i], scenario: g.cfg.Plan.Scenario, target: g.cfg.Target, source: src, gauge: newGauge()}
			defer w.line.drop()
			for _, q := range src.Open() {
				for pause := time.Millisecond; ctx.Err() == nil; pause = min(2*pause, 200*time.Millisecond) {
					q.Forget()
					err := w.once(ctx, q)
					if err == nil {
						src.Answered(q)
						break
					}
					mu.Lock()
					if why == nil || ctx.Err() == nil { // at the end it is that the time was up
						why = err
					}
					mu.Unlock()
					sleep(ctx, pause)
				}
				mu.Lock()
				if ctx.Err() != nil {
					still++
				} else {
					r.Resolved++
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if still > 0 && why == nil {
		why = errors.New("no time was left")
	}
	return still, why
}

// CPUTime is what this process has used so far on all cores.
func CPUTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
