package channels

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// flight is a payout under way, in memory.
type flight struct {
	key  Key
	rail Rail
	ours bool // it pays an invoice of our own node

	mu      sync.Mutex // held over a step and its write
	p       Payout
	tries   int           // actions in vain, one after the other
	changed chan struct{} // closed when the status is another
	asked   bool          // the ledger may have been asked to set the money aside
	turn    uint64        // of what is to be done next: tasks of those before it are not carried out any more
}

func newFlight(p Payout) *flight {
	return &flight{key: p.Key, rail: p.Rail, ours: p.Rail == Internal && p.Hash != Hash{}, p: p, changed: make(chan struct{})}
}

// payout is the payout as it is now.
func (f *flight) payout() Payout {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.p
}

// mayBeHeld says whether the ledger may have been asked to set the money aside, by this process or one before.
func (f *flight) mayBeHeld() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// askHold notes that the ledger is about to be asked. False: it is not to be, since the payout was taken back.
func (f *flight) askHold() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = f.asked || f.p.Status == Asked
	return f.p.Status == Asked
}

// isTurn says whether a task is the one that was dispatched last.
func (f *flight) isTurn(turn uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.turn == turn
}

// watch is the payout as it is now, and what is closed when its status is another.
func (f *flight) watch() (Payout, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.p, f.changed
}

// advance is a step of a payout: its machine is asked, what it says is written, and then counts. Rows that belong to the step are
// written with it. Where nothing can be written any more, nothing is done any more.
func (r *Rails) advance(f *flight, e event, with ...Row) action {
	return r.advanceBy(f, []event{e}, with...)
}

// advanceBy is steps that follow one another at once, in one write: only for such that nothing is done between. A crash finds it before the
// first of them, or after the last.
func (r *Rails) advanceBy(f *flight, events []event, with ...Row) (act action) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return r.advanceLocked(f, events, with...)
}

// advanceLocked is advanceBy where f.mu is held.
func (r *Rails) advanceLocked(f *flight, events []event, with ...Row) (act action) {
	next, through := f.p, make([]Status, 0, len(events))
	for i, e := range events {
		e.at = r.now()
		p, a := step(next, e)
		if i > 0 && p.Rev == next.Rev { // somebody else has stepped meanwhile: this one does not belong to what it is now
			break
		}
		next, act, through = p, a, append(through, p.Status)
	}
	if next.Rev != f.p.Rev {
		next.Rev = f.p.Rev + 1
		rows, err := payoutRows(&next)
		if err == nil {
			err = r.write(append(rows, with...)...)
		}
		if err != nil {
			return action{}
		}
	}
	for _, s := range through[:len(through)-1] {
		r.count(f.rail, s)
	}
	r.take(f, next)
	return f.next(act)
}

// next makes an action the one that is to be done next: what was to be done before is not dispatched any more, or not carried out. It is
// made so together with the step that it comes of, so that two who step at once do not dispatch the older step's last. f.mu must be held.
func (f *flight) next(act action) action {
	if act.kind != actNone {
		f.turn++
		act.turn = f.turn
	}
	return act
}

// take makes a payout's next state the present one, when it is durable. f.mu must be held.
func (r *Rails) take(f *flight, next Payout) {
	was := f.p.Status
	f.p = next
	if was == next.Status {
		return
	}
	f.tries = 0
	close(f.changed)
	f.changed = make(chan struct{})
	r.count(f.rail, next.Status)
	r.moved(&next)
	if next.Status.Over() {
		r.mu.Lock()
		delete(r.flights, f.key)
		if r.perAccount[f.key.Account]--; r.perAccount[f.key.Account] <= 0 {
			delete(r.perAccount, f.key.Account)
		}
		r.mu.Unlock()
	}
}

// write makes rows durable. After an error nobody knows what is, and the rails stop where they are: the next start finds out. Only of
// ErrTooLarge everybody knows: nothing was written, and all goes on.
func (r *Rails) write(rows ...Row) error {
	size := 0
	for i := range rows {
		size += len(rows[i].Key) + len(rows[i].Value)
	}
	if size > MaxWrite {
		return fmt.Errorf("%w: %d records of %d bytes: at most %d", ErrTooLarge, len(rows), size, MaxWrite)
	}
	select {
	case <-r.dead:
		return ErrStopped
	default:
	}
	if err := r.records.Write(rows...); err != nil {
		r.fail(fmt.Errorf("writing the rails' records: %w", err))
		return err
	}
	return nil
}

// fail is the end of the rails in this process.
func (r *Rails) fail(err error) {
	r.dying.Do(func() {
		r.log.Error("the rails cannot go on", "err", err)
		close(r.dead)
		r.stop()
		if r.cfg.Fatal != nil {
			r.cfg.Fatal(err)
		}
	})
}

// warn logs what is tried again, at most once a minute for each text: texts are constants, so there are few.
func (r *Rails) warn(text string, args ...any) {
	r.mu.Lock()
	last, now := r.warned[text], r.now()
	again := now.Sub(last) >= time.Minute
	if again {
		r.warned[text] = now
	}
	r.mu.Unlock()
	if again {
		r.log.Warn(text, args...)
	}
}

// payoutRows are the payout's record, and its place among those under way.
func payoutRows(p *Payout) ([]Row, error) {
	record, err := rowOf(rowKey(keyPayout, p.Key.bytes()), p)
	if err != nil {
		return nil, err
	}
	place := Row{Key: append([]byte(keyOpen), p.Key.bytes()...), Value: []byte{}}
	if p.Status.Over() {
		place.Value = nil
	}
	return []Row{record, place}, nil
}

// dispatch has an action carried out by the workers of its lane, when its time has come.
func (r *Rails) dispatch(f *flight, act action) {
	wait := time.Duration(0)
	switch act.kind {
	case actNone:
		return
	case actReport:
		r.report(f)
		return
	}
	f.mu.Lock()
	if act.turn == 0 {
		act = f.next(act)
	}
	if act.turn != f.turn { // there is something newer
		f.mu.Unlock()
		return
	}
	if act.again {
		wait = r.backoff(f.tries)
		f.tries++
	}
	t := task{f, act.kind, act.turn}
	f.mu.Unlock()
	if !act.after.IsZero() {
		wait = max(wait, act.after.Sub(r.now()))
	}
	l := r.laneOf(f, act.kind)
	if wait <= 0 {
		l.put(t)
		return
	}
	// There are hardly more of these than payouts: each is dispatched once for every one that is carried out. Put does nothing after Close.
	time.AfterFunc(wait, func() { l.put(t) })
}

// backoff is how long to wait after so many actions in vain: twice as long each time, give or take a tenth.
func (r *Rails) backoff(tries int) time.Duration {
	d := r.cfg.RetryMost
	if tries < 20 {
		d = min(d, r.cfg.Retry<<tries)
	}
	return d - d/10 + rand.N(d/5+1)
}

// laneOf is where an action waits. What waits for the node has lanes of its own, so that a node that hangs holds up no others.
func (r *Rails) laneOf(f *flight, kind actionKind) *lane {
	switch {
	case kind == actHold || kind == actCapture || kind == actVoid:
		return r.books
	case f.rail == Lightning && (kind == actClear || kind == actSend):
		return r.pays
	case f.rail == Chain, f.rail == Internal && !f.ours:
		return r.books
	}
	return r.asks
}

// work is a worker of a lane.
func (r *Rails) work(l *lane) {
	for {
		t, ok := l.take()
		if !ok {
			return
		}
		if !t.f.isTurn(t.turn) {
			continue
		}
		next := r.carryOut(t.f, t.kind)
		for next.kind != actNone && next.kind != actReport && !next.again && next.after.IsZero() && r.laneOf(t.f, next.kind) == l {
			next = r.carryOut(t.f, next.kind)
		}
		r.dispatch(t.f, next)
	}
}

// carryOut carries out an action, and returns the next one.
func (r *Rails) carryOut(f *flight, kind actionKind) action {
	select {
	case <-r.ctx.Done(): // the next start goes on from what is written
		return action{}
	default:
	}
	switch kind {
	case actHold:
		return r.hold(f)
	case actClear:
		return r.clear(f)
	case actSend:
		return r.send(f)
	case actTrack:
		return r.track(f)
	case actCapture:
		return r.capture(f)
	case actVoid:
		return r.void(f)
	}
	return action{}
}

// admit asks whether a payout may go on. If not, the step is made, and what it returns is the next action.
func (r *Rails) admit(f *flight, p *Payout) (act action, ok bool) {
	e, ok := r.verdict(p)
	if !ok {
		act = r.advance(f, e)
	}
	return act, ok
}

// verdict is admit without the step: the event that it would be made by.
func (r *Rails) verdict(p *Payout) (e event, ok bool) {
	if err := r.heldBack(); err != nil && p.Status == Held { // it does not come too late meanwhile: see Pause
		return event{kind: evWaits, reason: err.Error()}, false
	}
	if r.now().After(p.Deadline) {
		return event{kind: evRefused, reason: reasonLate}, false
	}
	if r.cfg.Gate == nil {
		return event{}, true
	}
	err := r.cfg.Gate(*p)
	switch {
	case err == nil:
		return event{}, true
	case errors.Is(err, ErrNotAllowed):
		return event{kind: evRefused, reason: err.Error()}, false
	}
	return event{kind: evWaits, reason: err.Error()}, false
}

// Why a payout failed, beside what the node and the ledger say: see Attempt.Reason and ledger.Result.
const (
	reasonLate = "not_sent_in_time"
	reasonPaid = "paid_before"

	// And why one waits.
	reasonFee   = "fee_above_limit"
	reasonCoins = "insufficient_coins"
)
