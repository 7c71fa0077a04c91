package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/workload"
)

var (
	errNotYet = errors.New("it is not there yet")
	errGone   = errors.New("its coordinator is gone")
	errLeft   = errors.New("the load is over")
	errOrder  = errors.New("that is not due now")
)

// job is what an agent does for one coordinator, from join to leave.
type job struct {
	id        string
	generator *generator.Generator // once it has a plan
	ctx       context.Context      // ends with the job
	cancel    context.CancelCauseFunc
	patience  time.Duration
	working   sync.WaitGroup
	ended     chan struct{} // closed when the agent is free again

	mu        sync.Mutex
	over      bool        // nothing is begun any more
	lease     *time.Timer // ends the job; nil: the plan is being made
	load      *turn       // the last one
	testimony *pending[*generator.Testimony]
}

// turn is one load.
type turn struct {
	prepared  *generator.Prepared // nil: it has begun
	ctx       context.Context
	stop      context.CancelFunc
	share     *pending[*generator.Share]
	began     time.Time
	intervals []generator.Interval
}

// pending is something that somebody is at.
type pending[T any] struct {
	done  chan struct{}
	value T
	err   error
}

func newPending[T any]() *pending[T] { return &pending[T]{done: make(chan struct{})} }

// wait waits for it, not for long.
func (p *pending[T]) wait(ctx context.Context) (any, error) {
	soon := time.NewTimer(holding)
	defer soon.Stop()
	select {
	case <-p.done:
		return p.value, p.err
	case <-soon.C:
		return nil, errNotYet
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func newJob(o *order, patience time.Duration) *job {
	j := &job{id: o.ID, patience: patience, ended: make(chan struct{})}
	j.ctx, j.cancel = context.WithCancelCause(context.Background())
	j.working.Add(1) // plan ends it
	return j
}

// plan makes the population's plan.
func (j *job) plan(join Join, o *order) error {
	defer j.working.Done()
	t, err := join(o.Target)
	if err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	g := generator.New(generator.Config{
		Plan: workload.NewPlan(o.Scenario), Target: t, Part: o.Part, Parts: o.Parts,
		Live: func(i generator.Interval) {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.load.intervals = append(j.load.intervals, i)
		},
		Begun: func(at time.Time) {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.load.began = at
		},
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	j.generator = g
	return nil
}

// touch notes that the coordinator is there.
func (j *job) touch() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.lease == nil {
		j.lease = time.AfterFunc(j.patience, func() { j.cancel(errGone) })
	} else {
		j.lease.Reset(j.patience)
	}
}

// end waits until the job is over and nothing of it runs any more, and says why.
func (j *job) end() error {
	<-j.ctx.Done()
	j.mu.Lock()
	j.over = true
	if j.lease != nil {
		j.lease.Stop()
	}
	load := j.load
	j.mu.Unlock()
	j.working.Wait()
	if load != nil && load.prepared != nil {
		load.prepared.Close()
	}
	return context.Cause(j.ctx)
}

// ready makes the sessions of a load.
func (j *job) ready(o *order) (any, error) {
	if o.Scenario == nil {
		return nil, errors.New("no scenario")
	}
	if err := o.Scenario.Validate(); err != nil {
		return nil, err
	}
	j.mu.Lock()
	if j.over || j.generator == nil || j.testimony != nil || j.load != nil && !j.load.share.is() {
		j.mu.Unlock()
		return nil, errOrder
	}
	load := &turn{share: newPending[*generator.Share]()}
	load.ctx, load.stop = context.WithCancel(j.ctx)
	j.load = load
	j.working.Add(1)
	j.mu.Unlock()
	defer j.working.Done()
	p, err := j.generator.Prepare(o.Scenario)
	if err != nil {
		load.share.err = err
		close(load.share.done)
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	load.prepared = p
	return struct{}{}, nil
}

// is says whether it is there.
func (p *pending[T]) is() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// begin has a load begin at a time.
func (j *job) begin(o *order) (any, error) {
	now := time.Now()
	begin := now.Add(time.Unix(0, o.Begin).Sub(now)) // with the reading of the clock that nobody sets
	j.mu.Lock()
	defer j.mu.Unlock()
	load := j.load
	if j.over || load == nil || load.prepared == nil {
		return nil, errOrder
	}
	p := load.prepared
	load.prepared = nil
	j.working.Go(func() {
		defer close(load.share.done)
		defer load.stop()
		load.share.value, load.share.err = p.Contribute(load.ctx, begin)
	})
	return struct{}{}, nil
}

// progress is how far the last load is.
type progress struct {
	Began     int64                `json:"began_ns"` // when its workers really began, by the agent's clock; 0: they have not
	Intervals []generator.Interval `json:"intervals"`
}

func (j *job) progress(o *order) (any, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := progress{Intervals: []generator.Interval{}}
	if j.load == nil {
		return p, nil
	}
	if !j.load.began.IsZero() {
		p.Began = j.load.began.UnixNano()
	}
	if from := max(o.Part, 0); from < len(j.load.intervals) {
		p.Intervals = j.load.intervals[from:]
	}
	return p, nil
}

// stops ends the load that is on.
func (j *job) stops(*order) (any, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.load != nil {
		j.load.stop()
	}
	return struct{}{}, nil
}

func (j *job) shares(*order) (any, error) {
	j.mu.Lock()
	load := j.load
	j.mu.Unlock()
	if load == nil {
		return nil, errOrder
	}
	return load.share.wait(j.ctx)
}

// testifies asks again what was never answered, once, and says what became of all.
func (j *job) testifies(*order) (any, error) {
	j.mu.Lock()
	t := j.testimony
	if t == nil {
		if j.over || j.load == nil || !j.load.share.is() {
			j.mu.Unlock()
			return nil, errOrder
		}
		t = newPending[*generator.Testimony]()
		j.testimony = t
		j.working.Go(func() {
			defer close(t.done)
			t.value, t.err = j.generator.Testify(j.ctx)
		})
	}
	j.mu.Unlock()
	return t.wait(j.ctx)
}

// leave ends everything, and waits until the agent is free for the next, or almost.
func (j *job) leave(*order) (any, error) {
	j.cancel(errLeft)
	soon := time.NewTimer(holding)
	defer soon.Stop()
	select {
	case <-j.ended:
	case <-soon.C:
	}
	return struct{}{}, nil
}
