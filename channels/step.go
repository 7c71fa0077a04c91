package channels

import (
	"fmt"
	"time"

	"github.com/millrace/millrace/ledger"
)

// event is something that happened to a payout.
type event struct {
	kind eventKind
	at   time.Time

	hold   uint32      // evHeld
	id     ID          // evReissued: of the hold's op. evJoined: of the batch
	fee    ledger.Msat // evArrived: the account's part
	proof  Hash        // evArrived
	tx     Hash        // evArrived
	reason string      // of what ends it, or holds it up
	until  time.Time   // evTakenUp, evLost: by then the node has begun, or dropped, what was handed to it
	before bool        // evCleared: the node knows a payment of this hash that failed
	asked  bool        // evFailed: the node was asked about the hash; it did not answer a call to pay
	by     bool        // evRefused: by an operator, who takes it back
}

type eventKind uint8

const (
	evTakenUp    eventKind = iota + 1 // the process has started, and found it in the records
	evHeld                            // the ledger has set the money aside
	evReissued                        // the hold's op is too old to be sent, and was never applied: it gets another id
	evRefused                         // the ledger refuses the hold, or a rule of the operator's the payout
	evWaits                           // it may not be sent now
	evForeign                         // the node knows a payment of this identity, and we have not sent one
	evCleared                         // it may be sent, and its identity is free
	evJoined                          // it is part of a batch, which is written with it
	evLeft                            // its batch was given up before anything was signed
	evArrived                         // the payee has it
	evFailed                          // the node tried, and it did not arrive; this try never will
	evTurnedAway                      // the node did not try: it wrote nothing down
	evUnderWay                        // the node tries
	evUnheardOf                       // the node was asked, and knows nothing of it
	evLost                            // it was handed over, and no answer came
	evCaptured                        // the ledger has let go of the money
	evVoided                          // the ledger has given it back
	evGranted                         // the operator has found that it arrived
	evDenied                          // the operator has found that it never will
	evCancelled                       // the operator takes it back, while the ledger may have been asked to set the money aside
)

// action is what is to be done next. Everything but actReport ends in an event.
type action struct {
	kind  actionKind
	after time.Time // not before; zero: at once
	again bool      // it was done in vain before: let some time pass
	turn  uint64    // given by the driver: see flight. Zero: by none of its steps
}

type actionKind uint8

const (
	actNone    actionKind = iota
	actHold               // set the money aside
	actClear              // find out whether it may be sent, and whether its identity is free
	actSend               // hand it over
	actTrack              // ask the node about it
	actCapture            // let the money leave the ledger
	actVoid               // give it back
	actReport             // tell the operator, who decides
)

// step is the machine of one payout: what it becomes by an event, and what is to be done then. It is a function of its arguments alone.
//
//	            evHeld          evCleared, evJoined        evArrived            evCaptured
//	Asked ─────────────▶ Held ─────────────────────▶ InTransit ──────▶ Paid ───────────────▶ Done
//	  │                   │  ◀───────────────────── │
//	  │ evRefused         │ evRefused    evLeft      │ evFailed, evTurnedAway: for sure
//	  ▼                   ▼                          ▼
//	Voided ◀─────────── Dropped ◀────────────────────┘
//	          evVoided
//
// When Rev has grown, the payout is written before the action is carried out. Events that do not belong to a status (late, or for the
// second time) change nothing.
//
// InTransit is the status in which money may be lost: there, only what can never arrive any more is given back. A call to the node that got
// no answer may still be on its way into it; should the same hash fail meanwhile, by another call, the node would begin the late one
// as a new try. So as long as such calls can be about, a failure is not believed until time has passed and the node is asked again.
func step(p Payout, e event) (Payout, action) {
	switch p.Status {
	case Asked:
		return stepAsked(p, e)
	case Held:
		return stepHeld(p, e)
	case InTransit:
		return stepSent(p, e)
	case Paid:
		switch e.kind {
		case evTakenUp:
			return p, action{kind: actCapture}
		case evCaptured:
			return p.become(Done, e), action{}
		}
	case Dropped:
		switch e.kind {
		case evTakenUp:
			return p, action{kind: actVoid}
		case evVoided:
			return p.become(Voided, e), action{}
		}
	}
	return p, action{}
}

func stepAsked(p Payout, e event) (Payout, action) {
	switch e.kind {
	case evTakenUp:
		return p, action{kind: actHold}
	case evReissued:
		p.HoldID = e.id
		return p.become(Asked, e), action{kind: actHold}
	case evHeld:
		if p.Hold = e.hold; p.Cancelled {
			return p.become(Dropped, e), action{kind: actVoid}
		}
		return p.become(Held, e), action{kind: actClear}
	case evWaits:
		p.because(e)
		return p, action{kind: actHold, again: true}
	case evRefused:
		p.because(e)
		p.Decided = p.Decided || e.by
		return p.become(Voided, e), action{}
	case evCancelled:
		// What the ledger may hold is found out by asking again, as after a start; and then it goes back.
		p.because(e)
		p.Cancelled, p.Decided = true, true
		return p.become(Asked, e), action{kind: actHold}
	}
	return p, action{}
}

// because notes what holds a payout up, or ends it: once it is taken back, that it was.
func (p *Payout) because(e event) {
	if !p.Cancelled {
		p.Reason = e.reason
	}
}

func stepHeld(p Payout, e event) (Payout, action) {
	switch e.kind {
	case evTakenUp:
		return p, action{kind: actClear}
	case evWaits:
		p.Reason = e.reason
		return p, action{kind: actClear, again: true}
	case evRefused, evDenied:
		p.Reason, p.Decided = e.reason, e.by || e.kind == evDenied
		return p.become(Dropped, e), action{kind: actVoid}
	case evGranted:
		p.Decided = true
		return p.arrive(e)
	case evForeign:
		p.Reason, p.Foreign = e.reason, true
		return p.become(Held, e), action{kind: actReport}
	case evCleared:
		p.Reason, p.Foreign, p.doubt, p.before = "", false, doubt{}, e.before
		return p.become(InTransit, e), action{kind: actSend}
	case evJoined:
		p.Reason, p.Batch = "", e.id
		return p.become(InTransit, e), action{}
	}
	return p, action{}
}

func stepSent(p Payout, e event) (Payout, action) {
	if !p.doubt.until.After(e.at) {
		p.doubt = doubt{}
	}
	if e.asked && p.doubt.calls == 1 && !p.before { // this is the call that got no answer
		p.doubt = doubt{}
	}
	switch e.kind {
	case evTakenUp:
		// The process that sent it may have handed it over any number of times.
		p.doubt = doubt{calls: 2, until: e.until}
		return p, p.ask()
	case evArrived, evGranted:
		p.Decided = e.kind == evGranted
		return p.arrive(e)
	case evDenied:
		p.Reason, p.Decided = e.reason, true
		return p.become(Dropped, e), action{kind: actVoid}
	case evFailed, evTurnedAway:
		p.Reason = e.reason
		if p.doubt.calls > 0 && p.Rail == Lightning {
			return p, action{kind: actTrack, after: p.doubt.until}
		}
		return p.become(Dropped, e), action{kind: actVoid}
	case evUnderWay:
		return p, action{kind: actTrack, again: true}
	case evUnheardOf:
		return p, action{kind: actSend}
	case evLost:
		if e.until.After(p.doubt.until) { // a call to pay; of a question nothing remains
			p.doubt = doubt{calls: p.doubt.calls + 1, until: e.until}
		}
		next := p.ask()
		next.again = true
		return p, next
	case evLeft:
		p.Reason, p.Batch = e.reason, ID{}
		return p.become(Held, e), action{kind: actClear, again: true}
	}
	return p, action{}
}

// arrive takes what is captured from what was set aside: the fee beyond the limit is not the account's.
func (p Payout) arrive(e event) (Payout, action) {
	p.Reason, p.Fee, p.Proof, p.Tx = "", min(e.fee, p.FeeLimit), e.proof, e.tx
	return p.become(Paid, e), action{kind: actCapture}
}

// ask is how one finds out about a payout that was sent. The batch of an on-chain one tells by itself; that of an internal one is done again.
func (p *Payout) ask() action {
	switch p.Rail {
	case Lightning:
		return action{kind: actTrack}
	case Internal:
		return action{kind: actSend}
	}
	return action{}
}

// become is the payout in another status, or in the same with something to be written.
func (p Payout) become(s Status, e event) Payout {
	if p.Status != s {
		p.Status, p.Changed, p.Foreign = s, e.at, false // what an operator was to decide is decided
	}
	p.Rev++
	return p
}

var eventNames = [...]string{
	evTakenUp: "taken-up", evHeld: "held", evReissued: "reissued", evRefused: "refused", evWaits: "waits", evForeign: "foreign",
	evCleared: "cleared", evJoined: "joined", evLeft: "left", evArrived: "arrived", evFailed: "failed", evTurnedAway: "turned-away",
	evUnderWay: "under-way", evUnheardOf: "unheard-of", evLost: "lost", evCaptured: "captured", evVoided: "voided",
	evGranted: "granted", evDenied: "denied", evCancelled: "cancelled",
}

func (k eventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return fmt.Sprintf("event(%d)", uint8(k))
}

var actionNames = [...]string{
	actNone: "-", actHold: "hold", actClear: "clear", actSend: "send", actTrack: "track", actCapture: "capture", actVoid: "void",
	actReport: "report",
}

func (k actionKind) String() string { return actionNames[k] }
