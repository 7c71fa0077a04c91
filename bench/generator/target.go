// Package generator puts a payment system under the load of a scenario, measures what it does, and holds its books against what it has
// acknowledged.
//
// Latencies are taken from the time at which a request was due, not from the time at which it was sent: a system that stalls is
// charged for all that had to wait meanwhile (coordinated omission, after Gil Tene). In a closed loop the two are the same.
//
// The life of a request: a worker draws it (workload.Source), waits until it is due, sends it on its own connection, and sends it again, as it was,
// until it is answered or its attempts are used up. What was never answered is asked again when the load is over; only what is still
// not known then counts as failed.
package generator

import (
	"context"
	"errors"
	"time"

	"github.com/millrace/millrace/bench/workload"
)

// ErrBusy is returned, wrapped, by a session when the target had no room for the request and has certainly not taken it.
var ErrBusy = errors.New("the target is busy")

// ErrAnswer is returned, wrapped, by a session for an answer that cannot be read.
var ErrAnswer = errors.New("not an answer")

// Target is a payment system, with the population of a plan in it.
type Target interface {
	Name() string                                       // with its version
	Connect(worker int) (Session, error)                // may be called again after a session has failed
	Books(ctx context.Context) (*workload.Books, error) // when all sessions are closed
	Close() error                                       // ends what was started
}

// Session is one connection, used by one worker.
type Session interface {
	// Do sends a request, and fills in what was answered. After any error but ErrBusy nobody knows what became of it.
	Do(r *workload.Request, deadline time.Time) error
	Close() error
}

// Aborter is what a session has beside, if another goroutine can end a Do that is under way, which then returns an error soon. Nothing is asked of the
// session afterwards.
type Aborter interface{ Abort() }

// Traits are what one has to know of a target to read its figures.
type Traits struct {
	Inside     bool   // it runs in the generator's process: what it uses is in the generator's share
	Durability string // of what it acknowledges. Empty: it syncs to disk before each answer
}

// Described is what a target has beside, if there is something to know.
type Described interface{ Traits() Traits }

// Mortal is a target that the suite has started, and that may end by itself. Died is then how, and nil while it runs.
type Mortal interface {
	Died() error
}

// ErrAway is returned, wrapped, where a target is not there, or does not answer.
var ErrAway = errors.New("the target does not answer")

// Process is what a target has beside, if it runs in a process that the suite started: faults need it.
type Process interface {
	Kill() error                   // as a crash does
	Start() error                  // again, where it was; returns when it serves
	Freeze(stopped bool) error     // no thread of it runs
	Slow(each time.Duration) error // each sync takes longer by so much; negative: for ever; 0: no more. ErrNoFault where it cannot
}

// Restarter is what a target has beside, if the suite has started it and its Books are those of a system that still runs: they are then read again
// when it was stopped, as somebody who looks after it would, and was started again.
type Restarter interface {
	Restart(ctx context.Context) error
}

// ErrNoFault is returned for a fault that a target does not know.
var ErrNoFault = errors.New("the target cannot do this fault")

// Using is what a target says of the resources it uses.
type Using struct {
	CPU    time.Duration // so far
	Memory int64         // bytes
	Disk   int64         // bytes
}

// Meter is what a target has beside, if it can tell what it uses.
type Meter interface{ Using() (Using, error) }
