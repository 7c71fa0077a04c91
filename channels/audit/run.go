package audit

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Run compares the books on a schedule until the context ends: soon after a start, and then every so often. What cannot be read is tried
// again sooner. It answers those who ask meanwhile, too.
func (a *Auditor) Run(ctx context.Context) {
	timer := time.NewTimer(min(time.Minute, a.cfg.Every))
	defer timer.Stop()
	for {
		var q *question
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-a.asked:
			if q = a.beginNext(); q == nil {
				continue // what was asked is answered
			}
		}
		a.mu.Lock()
		full := a.state.Deep || a.now().Sub(a.state.Full) >= a.cfg.FullEvery
		a.mu.Unlock()
		r, err := a.Check(ctx, full || q != nil && q.full)
		wait := a.cfg.Every
		if err != nil && ctx.Err() == nil {
			if q == nil {
				a.cfg.Logger.Warn("the books could not be compared; trying again", "err", err)
			}
			wait = min(time.Minute, a.cfg.Every)
		}
		timer.Reset(wait)
		if q != nil {
			a.answer(q, r, err)
		}
	}
}

// question is somebody's wish that the books be compared. Others who wish the same meanwhile wait for the same answer.
type question struct {
	full     bool
	adjusted int           // adjustments that there were when it was begun: what is written down later may change the answer
	done     chan struct{} // closed when report and err are written
	report   Report
	err      error
}

// ErrComparing means that the books are being compared still. Ask again for the answer.
var ErrComparing = errors.New("the books are being compared")

// Ask has Run compare the books now, and waits for what that finds. A comparison that finds something looks twice, and so takes more than
// Config.Late: if the context ends before it does, it goes on, and who asks the same again gets its answer. ErrComparing says so.
func (a *Auditor) Ask(ctx context.Context, full bool) (Report, error) {
	q := a.question(full)
	select {
	case a.asked <- struct{}{}:
	default: // Run was told
	}
	select {
	case <-q.done:
		return q.report, q.err
	case <-ctx.Done():
		return Report{}, fmt.Errorf("%w: %w", ErrComparing, ctx.Err())
	}
}

// question is what is being asked, if that is as much; or else what is asked next.
func (a *Auditor) question(full bool) *question {
	a.mu.Lock()
	defer a.mu.Unlock()
	if q := a.asking; q != nil && (q.full || !full) && q.adjusted == len(a.adjustments) {
		return q
	}
	if a.next == nil {
		a.next = &question{done: make(chan struct{})}
	}
	a.next.full = a.next.full || full
	return a.next
}

// beginNext makes what is asked next what is being asked.
func (a *Auditor) beginNext() *question {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asking, a.next = a.next, nil
	if a.asking != nil {
		a.asking.adjusted = len(a.adjustments)
	}
	return a.asking
}

func (a *Auditor) answer(q *question, r Report, err error) {
	a.mu.Lock()
	a.asking = nil
	a.mu.Unlock()
	q.report, q.err = r, err
	close(q.done)
}

// Fresh says whether payouts may begin: the books agree, or did not differ when they were compared last, which is at most an age ago. If it
// is longer ago they are compared now, as long as the context lasts. Otherwise the error says why not: ErrStopped, or that the books could not
// be compared.
func (a *Auditor) Fresh(ctx context.Context, age time.Duration) error {
	if err := a.Stopped(); err != nil {
		return err
	}
	if last, ok := a.Last(); ok && a.now().Sub(last.Time) < age {
		return nil
	}
	if _, err := a.Ask(ctx, false); err != nil && !errors.Is(err, ErrBusy) { // books that are not opened differ from nothing
		return fmt.Errorf("the books were not compared: %w", err)
	}
	return a.Stopped()
}
