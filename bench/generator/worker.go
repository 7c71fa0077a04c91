package generator

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
)

// worker has one connection, and payers of its own. Its fields are its goroutine's, but for line, gauge and vanish.
type worker struct {
	number   int
	scenario *scenario.Scenario
	target   Target
	source   *workload.Source
	line     line
	arrivals *arrivals
	began    time.Time
	gauge    *gauge
	vanish   atomic.Bool // hang up in the middle of the next request
	err      error       // why it has ended early
}

// warm says whether a time is behind the warm-up.
func (w *worker) warm(at time.Time) bool { return at.Sub(w.began) >= w.scenario.Warmup.Duration }

// overtime is how long after the load's end, and an open loop's patience, a request is still sent again. What is not answered then is left to the
// settling, or a target that is gone would be waited for as long as a scenario's retries take.
const overtime = 30 * time.Second

// run sends requests until the end.
func (w *worker) run(ctx context.Context) {
	s := w.scenario
	ctx, cancel := context.WithDeadline(ctx, w.began.Add(s.Warmup.Duration+s.Length()+s.Arrival.Patience.Duration+overtime))
	defer cancel()
	if w.arrivals != nil {
		w.open(ctx)
	} else {
		w.closed(ctx)
	}
	w.line.drop()
}

func (w *worker) closed(ctx context.Context) {
	end := w.began.Add(w.scenario.Warmup.Duration + w.scenario.Duration.Duration)
	for now := time.Now(); now.Before(end) && ctx.Err() == nil && w.err == nil; now = time.Now() {
		w.send(ctx, now, now)
		if think := w.scenario.Arrival.Think.Duration; think > 0 {
			sleep(ctx, min(think, time.Until(end)))
		}
	}
}

func (w *worker) open(ctx context.Context) {
	for ctx.Err() == nil && w.err == nil {
		at, ok := w.arrivals.next()
		if !ok {
			return
		}
		due := w.began.Add(at)
		now := time.Now()
		free := due.After(now)
		if free {
			if !sleepUntil(ctx, due) {
				return
			}
			now = time.Now()
		}
		dropped := !free && now.Sub(due) > w.scenario.Arrival.Patience.Duration
		if w.warm(due) {
			w.gauge.sent(now.Sub(due), free, dropped)
		}
		if !dropped {
			w.send(ctx, due, now)
		}
	}
}

// send draws a request and sends it until it is answered.
func (w *worker) send(ctx context.Context, due, now time.Time) {
	r, err := w.source.Next(uint64(now.UnixMilli()))
	if err != nil {
		w.err = err
		return
	}
	answered, retried := w.attempt(ctx, r, w.scenario.Retry.Attempts)
	done := time.Now()
	c := counts{Retried: retried}
	if answered {
		w.source.Answered(r)
		c.Requests = 1
		for _, o := range r.Outcomes {
			if o == workload.Refused {
				c.Refused++
			} else {
				c.Ops++
			}
		}
	} else {
		c.Failed = uint64(len(r.Ops))
		if !w.source.Lost(r) && w.err == nil {
			w.err = errors.New("too many requests were never answered")
		}
	}
	if !w.warm(due) {
		return
	}
	w.gauge.mu.Lock()
	defer w.gauge.mu.Unlock()
	w.gauge.counts.add(c)
	if answered {
		record(w.gauge.waits, done.Sub(due))
		record(w.gauge.service, done.Sub(now))
	}
}

// attempt sends a request until it is answered, so many times at most.
func (w *worker) attempt(ctx context.Context, r *workload.Request, most int) (answered bool, retried uint64) {
	backoff := w.scenario.Retry.Backoff.Duration
	for i := range most {
		if i > 0 {
			if !sleep(ctx, backoff) {
				return false, retried
			}
			backoff = min(2*backoff, time.Minute)
			retried++
		}
		r.Forget()
		err := w.once(ctx, r)
		if err == nil {
			return true, retried
		}
		w.gauge.wrong(err)
		if ctx.Err() != nil {
			return false, retried
		}
	}
	return false, retried
}

// once sends a request on the connection, which it makes anew if the last has failed. The context bounds it by its deadline alone: a request that is
// under way when somebody has had enough has its grace.
func (w *worker) once(ctx context.Context, r *workload.Request) error {
	session, err := w.line.get(func() (Session, error) { return w.target.Connect(w.number) })
	if err != nil {
		return err
	}
	deadline := time.Now().Add(w.scenario.Retry.Timeout.Duration)
	if last, ok := ctx.Deadline(); ok && last.Before(deadline) {
		deadline = last
	}
	if w.vanish.CompareAndSwap(true, false) {
		deadline = time.Now().Add(vanishAfter)
	}
	if err = session.Do(r, deadline); err == nil {
		return nil
	}
	err = w.line.why(err)
	if !errors.Is(err, ErrBusy) {
		w.line.drop()
	}
	return err
}

// vanishAfter is how long a worker that vanishes waits for its answer: so short that the request has mostly been sent, and no more.
const vanishAfter = 200 * time.Microsecond

// exact is how long before a time a worker begins to take it exactly.
const exact = 2 * time.Millisecond

// sleepUntil waits for a time, and never returns before it; false: the context ended first.
func sleepUntil(ctx context.Context, due time.Time) bool {
	if wait := time.Until(due); wait > exact && !sleep(ctx, wait-exact) {
		return false
	}
	for wait := time.Until(due); wait > 0; wait = time.Until(due) {
		nap(wait)
	}
	return ctx.Err() == nil
}

// sleep waits; false: the context ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
