package channels

import (
	"fmt"
	"time"

	"github.com/millrace/millrace/ledger"
)

// An op's id makes it happen once, for as long as the ledger remembers ids: a day. The rails are asked for more: an op that was written
// down, and perhaps applied, before a hub was stopped for a week must not be applied again. So an id that has expired is looked for in
// the account's history, which remembers for ever; and only where it is not there does the op get another id, which is written first.

// idSlack is by how much an entry's time may lie behind its id's: the largest ledger.Params.IDAhead, and somewhat.
const idSlack = 2 * time.Hour

// applied finds the entry of an op of an account's that was sent under an id some time ago.
func (r *Rails) applied(no ledger.AccountNo, kind ledger.Kind, id ID) (line ledger.Line, found bool, err error) {
	until := ledger.OpID(id).Millis() - min(ledger.OpID(id).Millis(), uint64(idSlack.Milliseconds()))
	err = r.ledger.AccountLines(no, ledger.Range{Newest: true}, func(l *ledger.Line) bool {
		if l.ID == ledger.OpID(id) && l.Kind == kind {
			line, found = *l, true
		}
		return !found && l.Time >= until
	})
	if err != nil {
		return line, false, fmt.Errorf("looking for an op in the history of %s: %w", no, err)
	}
	return line, found, nil
}

// newID is the id of an op that was never sent.
func (r *Rails) newID() ID { return ID(r.ledger.NewID()) }

// hold sets a payout's money aside.
func (r *Rails) hold(f *flight) action {
	p := f.payout()
	switch e, ok := r.verdict(&p); {
	case ok, p.Cancelled:
	case e.kind == evRefused && f.mayBeHeld():
		// What is over now would never give back what the ledger may have set aside. So it is asked once more, and then that is given back.
	default:
		return r.advance(f, e)
	}
	if !f.askHold() {
		return action{}
	}
	op := ledger.Op{Kind: ledger.OpHold, Actor: p.Account, Amount: p.Aside(), ID: p.HoldID}
	a, err := r.ledger.Submit(op)
	if err != nil { // the same op again is the same hold
		return r.advance(f, event{kind: evWaits, reason: err.Error()})
	}
	switch result := a.Result(); {
	case result.OK():
		return r.held(f, a.Object())
	case result == ledger.IDAhead:
		return r.advance(f, event{kind: evWaits, reason: result.String()})
	case result == ledger.IDExpired:
		line, found, err := r.applied(p.Account, ledger.OpHold, p.HoldID)
		switch {
		case err != nil:
			return r.advance(f, event{kind: evWaits, reason: err.Error()})
		case found:
			return r.held(f, line.Object)
		}
		return r.advance(f, event{kind: evReissued, id: r.newID()})
	default:
		return r.advance(f, event{kind: evRefused, reason: result.String()})
	}
}

// held is what follows when the money is set aside. A payment inside the hub has arrived then, if nothing forbids it: there is no node that is
// handed anything, so that it may be sent, was sent and has arrived is one write.
func (r *Rails) held(f *flight, hold uint32) action {
	events := []event{{kind: evHeld, hold: hold}}
	if f.rail == Internal && !f.ours {
		p := f.payout()
		p.Status, p.Hold = Held, hold
		if _, ok := r.verdict(&p); ok {
			events = append(events, event{kind: evCleared}, event{kind: evArrived})
		}
	}
	return r.advanceBy(f, events)
}

// capture lets what was paid, and what that cost, leave the ledger; the rest goes back by itself.
func (r *Rails) capture(f *flight) action {
	p := f.payout()
	op := ledger.Op{Kind: ledger.OpCapture, Actor: p.Account, Target: p.Hold, Amount: p.Pays + p.Fee, Version: uint32(p.external())}
	return r.finish(f, &p, op, evCaptured)
}

// void gives back what was set aside.
func (r *Rails) void(f *flight) action {
	p := f.payout()
	return r.finish(f, &p, ledger.Op{Kind: ledger.OpVoid, Actor: p.Account, Target: p.Hold}, evVoided)
}

// finish captures or voids: both are idempotent by the hold, for ever.
func (r *Rails) finish(f *flight, p *Payout, op ledger.Op, then eventKind) action {
	again := action{kind: actCapture, again: true}
	if then == evVoided {
		again.kind = actVoid
	}
	switch a, err := r.ledger.Submit(op); {
	case err != nil:
		r.warn("a hold is not ended yet", "payout", p.Key.String(), "err", err)
		return again
	case !a.Result().OK():
		r.Raise(Incident{Kind: "hold", Subject: p.Key.String(), Account: p.Account, Amount: p.Aside(),
			Text: fmt.Sprintf("the ledger refuses to %s hold %d: %v", op.Kind, p.Hold, a.Result())})
		return again
	}
	if !f.ours {
		return r.advance(f, event{kind: then})
	}
	defer r.hashes.lock(p.Hash)()
	rows, paid, err := r.endOurs(p, then == evCaptured)
	if err != nil {
		r.warn("an invoice of ours is not ended yet", "payout", p.Key.String(), "err", err)
		return again
	}
	act := r.advance(f, event{kind: then}, rows...)
	if paid {
		r.countInvoice(p.Into, -1)
	}
	return act
}
