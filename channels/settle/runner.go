package settle

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// runner carries out a run. Its loop alone touches what is under way; what others change is guarded by mu.
type runner struct {
	d     *Desk
	id    channels.ID
	file  bool          // the run pays an import's lines, and no payees
	wake  chan struct{} // holds one word: something has changed
	turns chan struct{} // one for each worker that waits for the ledger: atLedger

	mu      sync.Mutex
	run     Run
	answers []answer // of the workers
	over    byRail   // items that are over, with their fee limits

	// Of the loop.
	flights  map[uint32]*flight
	retries  map[uint32]uint64 // items that wait for their next try, until when (milliseconds since 1970)
	lanes    [2]lane           // where the next items are looked for: quick ones, and those on-chain
	left     uint32            // items that are not over
	report   Report            // of those that are
	todo     chan *task
	look     bool // it is time to ask how payouts stand
	looks    int
	clear    readiness
	dropped  bool // a cancelled run: nothing waits any more but for another try
	flushing flushing
}

// lane is how far a run has come with the items of a kind.
type lane struct {
	next  uint32
	count int // under way
	most  int
	end   bool
}

const quick, slow = 0, 1

// laneOf says which lane an item is in.
func laneOf(i *Item) int {
	if i.Rail == channels.Chain {
		return slow
	}
	return quick
}

// flight is an item under way.
type flight struct {
	number uint32
	item   Item
	handed bool // the rails have its payout
}

// task is what a worker does: hand an item's payout over, or give back the hub's part of its fee.
type task struct {
	number uint32
	item   Item
}

// answer is what came of a task.
type answer struct {
	number uint32
	event  event         // kind zero: none
	handed bool          // the payout is with the rails
	again  time.Duration // the same once more, after a time
	task   *task
}

func newRunner(d *Desk, run Run) *runner {
	return &runner{d: d, id: run.ID, file: run.File != nil, wake: make(chan struct{}, 1), turns: make(chan struct{}, atLedger), run: run, over: make(byRail), left: run.Items,
		flights: make(map[uint32]*flight), retries: make(map[uint32]uint64), clear: readiness{answer: make(chan error, 1)}, todo: make(chan *task, maxQuick+maxChain),
		lanes: [2]lane{quick: {most: maxQuick}, slow: {most: maxChain}}}
}

// loadRuns takes up the runs that are open, and marks the payees in them.
func (d *Desk) loadRuns() error {
	var ids []channels.ID
	err := d.rec.Scan([]byte(openKey), nil, func(key, _ []byte) bool {
		ids = append(ids, channels.ID(key[len(openKey):]))
		return true
	})
	for _, id := range ids {
		if err != nil {
			break
		}
		var run Run
		if run, err = d.Run(id); err != nil {
			break
		}
		r := newRunner(d, run)
		err = r.load()
		d.open[id] = r
	}
	return err
}

// load finds out how far a run has come. What has begun is handed over once more: it is the same payout.
func (r *runner) load() error {
	var failed error
	err := r.d.rec.Scan(itemsOf(r.id), nil, func(key, value []byte) bool {
		var i Item
		if failed = decode(value, &i); failed != nil {
			return false
		}
		number := last4(key)
		switch {
		case i.Stage.Over():
			r.end(&i)
			return true
		case i.Stage == Waiting && i.Try > 0:
			r.retries[number] = i.NotBefore
		case i.Stage != Waiting:
			r.fly(number, i)
		}
		if !r.file {
			r.d.book.occupy(i.Account)
		}
		return true
	})
	if failed != nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("reading run %s: %w", r.id, err)
	}
	return nil
}

// fly puts an item under way that is written so.
func (r *runner) fly(number uint32, i Item) {
	r.flights[number] = &flight{number: number, item: i}
	r.lanes[laneOf(&i)].count++
	r.todo <- &task{number, i} // there is room for all that may be under way
}

// promised is what the items that are not over may take of each rail.
func (r *runner) promised() (lightning, chain ledger.Msat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := func(rail channels.Rail) ledger.Msat { return r.run.ByRail[rail].Amount - r.over[rail].Amount }
	return left(channels.Lightning), left(channels.Chain)
}

// end counts an item that is over.
func (r *runner) end(i *Item) {
	r.left--
	r.report.count(i)
	amount := i.Amount + i.FeeLimit
	if len(i.Problems) > 0 {
		amount = 0 // it was never planned
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over.add(i.Rail, amount)
}

func (r *runner) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// loop carries the run out, until it is closed or the desk stops.
func (r *runner) loop() {
	ctx, cancel := context.WithCancel(r.d.ctx)
	var working sync.WaitGroup
	for range workers {
		working.Go(func() { r.work(ctx) })
	}
	defer working.Wait()
	defer cancel()
	r.look = true
	poll := r.d.cfg.After(r.d.cfg.Poll)
	for ctx.Err() == nil {
		over, err := r.turn()
		if err != nil && ctx.Err() == nil { // the records cannot be read, or not be written: the next start finds out how far it came
			r.d.cfg.Logger.Error("a settlement run stops until the next start", "run", r.id.String(), "err", err)
		}
		if over || err != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-poll:
			r.look, poll = true, r.d.cfg.After(r.d.cfg.Poll)
		}
	}
}

// turn does what can be done now, and says whether the run is closed.
func (r *runner) turn() (over bool, err error) {
	if err := r.collect(); err != nil {
		return false, err
	}
	run := r.state()
	if run.Cancelled {
		if !r.dropped || len(r.retries) > 0 {
			err = r.dropWaiting()
		}
	} else if run.State == Running {
		var ready bool
		if ready, err = r.ready(); ready {
			err = r.begin(&run)
		}
	}
	if err != nil {
		return false, err
	}
	if r.left > 0 {
		return false, nil
	}
	return true, r.close()
}

func (r *runner) state() Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.run
}

// change makes a change to the run durable.
func (r *runner) change(by func(Run) (Run, error), with ...channels.Row) (Run, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next, err := by(r.run)
	if err != nil {
		return r.run, err
	}
	if err := r.d.write(append(with, put(idKey(runKey, downwards(r.id)), &next))...); err != nil {
		return r.run, err
	}
	r.run = next
	r.poke()
	return next, nil
}

// close ends a run of which every item is over.
func (r *runner) close() error {
	run, err := r.change(func(run Run) (Run, error) {
		run.State, run.Closed, run.Report, run.Waits = Closed, r.d.now(), &r.report, ""
		return run, nil
	}, channels.Row{Key: idKey(openKey, r.id)})
	if err != nil {
		return err
	}
	r.d.mu.Lock()
	delete(r.d.open, r.id)
	r.d.mu.Unlock()
	r.d.cfg.Logger.Info("a settlement run is closed", "run", r.id.String(), "paid", run.Report.Paid.Count, "msat", uint64(run.Report.Paid.Amount),
		"failed", run.Report.Failed.Count, "skipped", run.Report.Skipped.Count, "fees", uint64(run.Report.Fees))
	return nil
}

// moved is an item that has taken a step.
type moved struct {
	number   uint32
	was, now Item
}

// save makes steps durable, and then counts them. What has begun is put under way.
func (r *runner) save(steps []moved) error {
	for len(steps) > 0 {
		part := steps[:min(chunk, len(steps))]
		steps = steps[len(part):]
		rows := make([]channels.Row, 0, 2*len(part))
		statuses := make([]*Status, len(part))
		for i := range part {
			rows = append(rows, put(numberKey(r.id, part[i].number), &part[i].now))
			if !part[i].now.Stage.Over() || r.file {
				continue
			}
			s := r.status(&part[i])
			if statuses[i] = s; s != nil {
				rows = append(rows, put(accountKey(statusKey, part[i].now.Account), s))
			}
		}
		if err := r.d.write(rows...); err != nil {
			return err
		}
		for i := range part {
			r.count(&part[i], statuses[i])
		}
	}
	return nil
}

// status is how an item went, for its payee. nil: it was not begun.
func (r *runner) status(m *moved) *Status {
	if m.now.Stage == Skipped {
		return nil
	}
	s := &Status{Run: r.id, Number: m.number, Time: m.now.Ended, Paid: m.now.Stage == Paid, Reason: m.now.Reason}
	if !s.Paid {
		s.Failures = min(r.d.book.failures(m.now.Account), 254) + 1
	}
	return s
}

// count makes a step that is durable the present state.
func (r *runner) count(m *moved, s *Status) {
	if f := r.flights[m.number]; f != nil && m.now.Stage != Begun {
		f.item, f.handed = m.now, false
		if m.now.Stage != Returning {
			delete(r.flights, m.number)
			r.lanes[laneOf(&m.now)].count--
		} else {
			r.todo <- &task{m.number, m.now}
		}
	}
	switch {
	case m.now.Stage == Begun:
		delete(r.retries, m.number)
		r.fly(m.number, m.now)
	case m.now.Stage == Waiting:
		r.retries[m.number] = m.now.NotBefore
	case m.now.Stage.Over():
		delete(r.retries, m.number)
		r.end(&m.now)
		if !r.file {
			r.d.book.free(m.now.Account, s)
		}
	}
}
