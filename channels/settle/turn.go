package settle

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/millrace/millrace/channels"
)

// collect takes in what the workers have done and, when it is time for that, what became of the payouts that the rails have: these are
// thousands, and the workers do thousands of tasks a second.
func (r *runner) collect() error {
	r.mu.Lock()
	answers := r.answers
	r.answers = nil
	r.mu.Unlock()
	rules := r.d.Rules()
	tries := rules.tries()
	now := r.d.now()
	var steps []moved
	step := func(f *flight, e event) {
		e.now, e.tries = now, tries
		if next := f.item.step(e); next.Stage != f.item.Stage || next.ReturnID != f.item.ReturnID {
			steps = append(steps, moved{f.number, f.item, next})
		}
	}
	for _, a := range answers {
		f := r.flights[a.number]
		switch {
		case f == nil:
		case a.event.kind != 0:
			step(f, a.event)
		case a.handed:
			f.handed = true
			if laneOf(&f.item) == slow {
				r.flushing = flushing{unasked: true}
			}
		default:
			r.later(a)
		}
	}
	if err := r.save(steps); err != nil {
		return err
	}
	if !r.look {
		return nil
	}
	r.look, steps = false, nil
	r.looks++
	look := r.looks%slowLooks == 0
	held := 0
	for _, f := range r.flights {
		if !f.handed || f.item.Stage != Begun || laneOf(&f.item) == slow && !look {
			continue
		}
		p, err := r.d.payouts().Payout(channels.Key{Account: f.item.Account, ID: payoutID(r.id, f.number, f.item.Try)})
		if err != nil {
			r.d.cfg.Logger.Warn("how a payout stands is not known", "run", r.id.String(), "item", f.number, "err", err)
			f.handed = false
			r.later(answer{again: time.Second, task: &task{f.number, f.item}})
			continue
		}
		if laneOf(&f.item) == slow && p.Status == channels.Held {
			held++
		}
		step(f, r.d.outcome(&p))
	}
	if look {
		r.flush(held)
	}
	slices.SortFunc(steps, func(a, b moved) int { return int(a.number) - int(b.number) })
	return r.save(steps)
}

// slowLooks is with how many looks at what is quick comes one at what is on-chain.
const slowLooks = 10

// later has a task done again after a time. A task at a time is waited for by each item, so there are no more of these than items under way.
func (r *runner) later(a answer) {
	t := a.task
	time.AfterFunc(a.again, func() {
		select {
		case r.todo <- t:
		case <-r.d.ctx.Done():
		}
	})
}

// outcome is what became of a payout, as an event. Its kind is zero while it is under way.
func (d *Desk) outcome(p *channels.Payout) event {
	switch p.Status {
	case channels.Done:
		e := event{kind: evArrived, fee: p.Fee, id: channels.ID(d.cfg.Ledger.NewID())}
		switch {
		case p.Rail == channels.Chain:
			e.hash = p.Tx.TxID()
		case p.Hash != channels.Hash{}:
			e.hash = p.Hash.String()
		}
		if (p.Proof != channels.Hash{}) {
			e.proof = p.Proof.String()
		}
		return e
	case channels.Voided:
		return event{kind: evFailed, why: reasonText(p.Reason), ended: p.Decided}
	}
	return event{}
}

// begin begins what there is room for: first what waits for another try, then what comes next.
func (r *runner) begin(run *Run) error {
	now := r.d.now()
	var due []uint32
	for number, at := range maps.All(r.retries) {
		if at <= now {
			due = append(due, number)
		}
	}
	slices.Sort(due)
	for len(due) > 0 {
		part := due[:min(chunk, len(due))]
		due = due[len(part):]
		var steps []moved
		for _, number := range part {
			var i Item
			if found, err := get(r.d.rec, numberKey(r.id, number), &i); err != nil || !found {
				return errors.Join(err, errors.New("an item is gone"))
			}
			if l := &r.lanes[laneOf(&i)]; l.count+len(steps) < l.most {
				steps = append(steps, moved{number, i, i.step(r.turnOf(run, &i, now))})
			}
		}
		if err := r.save(steps); err != nil {
			return err
		}
	}
	for kind := range r.lanes {
		for more := true; more; {
			var err error
			if more, err = r.beginNext(run, kind, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// turnOf is what happens to an item whose turn has come.
func (r *runner) turnOf(run *Run, i *Item, now uint64) event {
	if run.File == nil && r.d.book.version(i.Account) != i.Settings {
		return event{kind: evDropped, now: now, why: SettingsChanged}
	}
	return event{kind: evBegin, now: now}
}

// beginNext begins the next items of a lane, at most a write full of them, and says whether there may be more for which there is room.
func (r *runner) beginNext(run *Run, kind int, now uint64) (more bool, err error) {
	l := &r.lanes[kind]
	room := min(chunk, l.most-l.count)
	if room <= 0 || l.end {
		return false, nil
	}
	steps, end, err := r.waiting(l.next, func(i *Item) bool { return laneOf(i) == kind && i.Try == 0 }, room)
	if err != nil {
		return false, err
	}
	l.end = end
	for n := range steps {
		steps[n].now = steps[n].was.step(r.turnOf(run, &steps[n].was, now))
		l.next = steps[n].number + 1
	}
	return !end, r.save(steps)
}

// waiting reads items that wait and that match, from a number on. End: there are no others.
func (r *runner) waiting(from uint32, match func(*Item) bool, most int) (steps []moved, end bool, err error) {
	end = true
	var failed error
	err = r.d.rec.Scan(itemsOf(r.id), numberKey(r.id, from), func(key, value []byte) bool {
		var i Item
		if failed = decode(value, &i); failed != nil {
			return false
		}
		if i.Stage == Waiting && match(&i) {
			if len(steps) == most {
				end = false
				return false
			}
			steps = append(steps, moved{number: last4(key), was: i})
		}
		return true
	})
	return steps, end, errors.Join(err, failed)
}

// flushing is how far a run has come with having its on-chain payouts sent.
type flushing struct {
	unasked bool // some were handed over since the rails were last asked to send them
	ripe    bool // at the last look all had been
	wait    int  // looks until the rails are asked again, if some still wait
	again   int  // how many that was the last time
}

// longestFlush is after how many looks the rails are asked again about payouts that wait for coins, or for lower fees.
const longestFlush = 32

// flush has the rails send what is on-chain, once all that can be is with them: as few transactions as can be. It is called with each look
// at what is on-chain, with how many payouts the rails have and have not sent. The rails queue a payout just after they say that they have
// it: so it is the look after that counts, and what is left over after all is asked for again.
func (r *runner) flush(held int) {
	l, f := &r.lanes[slow], &r.flushing
	if held == 0 || !l.end && l.count < l.most {
		return
	}
	for _, g := range r.flights {
		if !g.handed && laneOf(&g.item) == slow && g.item.Stage == Begun {
			f.ripe = false
			return
		}
	}
	switch {
	case !f.ripe:
		f.ripe = true
	case f.unasked || f.wait == 0:
		r.d.payouts().Flush()
		f.again = min(max(1, 2*f.again), longestFlush)
		f.unasked, f.wait = false, f.again
	default:
		f.wait--
	}
}

// dropWaiting ends what has not begun of a run that was cancelled: all of it the first time, and then what would have another try.
func (r *runner) dropWaiting() error {
	drop := func(steps []moved) error {
		for n := range steps {
			steps[n].now = steps[n].was.step(event{kind: evDropped, now: r.d.now(), why: Cancelled})
		}
		return r.save(steps)
	}
	for from := uint32(0); !r.dropped; {
		steps, end, err := r.waiting(from, func(*Item) bool { return true }, chunk)
		if err == nil {
			err = drop(steps)
		}
		if err != nil {
			return err
		}
		if r.dropped = end; !end {
			from = steps[len(steps)-1].number + 1
		}
	}
	var steps []moved
	for number := range r.retries {
		var i Item
		if found, err := get(r.d.rec, numberKey(r.id, number), &i); err != nil || !found {
			return errors.Join(err, errors.New("an item is gone"))
		}
		steps = append(steps, moved{number: number, was: i})
	}
	return drop(steps)
}
