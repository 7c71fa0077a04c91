package channels

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/millrace/millrace/ledger"
)

// TestStep is transcripts of the machine: one event a line, and what it comes to.
func TestStep(t *testing.T) {
	datadriven.Walk(t, "testdata/step", func(t *testing.T, path string) {
		var p Payout
		begin := time.Unix(1_800_000_000, 0)
		at := begin
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var minutes int
			d.MaybeScanArgs(t, "after", &minutes)
			at = at.Add(time.Duration(minutes) * time.Minute)
			if d.Cmd == "payout" {
				var rail string
				d.ScanArgs(t, "rail", &rail)
				p = Payout{Rail: Rail(rail), Pays: 1000, Status: Asked, Rev: 1}
				p.FeeLimit = 50
				return "asked\n"
			}
			e := event{kind: kindOf(t, d.Cmd), at: at, until: at.Add(10 * time.Minute), asked: d.HasArg("asked")}
			var hold, fee uint64
			d.MaybeScanArgs(t, "hold", &hold)
			d.MaybeScanArgs(t, "fee", &fee)
			d.MaybeScanArgs(t, "reason", &e.reason)
			e.hold, e.fee = uint32(hold), ledger.Msat(fee)
			if d.HasArg("question") {
				e.until = time.Time{}
			}
			if e.kind == evJoined || e.kind == evReissued {
				e.id = ID{1}
			}
			next, act := step(p, e)
			out := string(next.Status)
			if next.Rev != p.Rev {
				out += ", written"
			}
			if next.Reason != "" {
				out += fmt.Sprintf(" (%s)", next.Reason)
			}
			if next.Status == Paid {
				out += fmt.Sprintf(", fee %d", next.Fee)
			}
			if p = next; act.kind != actNone {
				out += ": " + act.kind.String()
			}
			if act.again {
				out += " again"
			}
			if !act.after.IsZero() {
				out += fmt.Sprintf(" at minute %d", act.after.Sub(begin)/time.Minute)
			}
			return out + "\n"
		})
	})
}

func kindOf(t *testing.T, name string) eventKind {
	for k := evTakenUp; int(k) < len(eventNames); k++ {
		if k.String() == name {
			return k
		}
	}
	t.Fatalf("no event %q", name)
	return 0
}

// TestStepIgnores: an event that does not belong to a status changes nothing.
func TestStepIgnores(t *testing.T) {
	belong := map[Status][]eventKind{
		Asked:     {evTakenUp, evReissued, evHeld, evWaits, evRefused, evCancelled},
		Held:      {evTakenUp, evWaits, evRefused, evDenied, evGranted, evForeign, evCleared, evJoined},
		InTransit: {evTakenUp, evArrived, evGranted, evDenied, evFailed, evTurnedAway, evUnderWay, evUnheardOf, evLost, evLeft},
		Paid:      {evTakenUp, evCaptured},
		Dropped:   {evTakenUp, evVoided},
		Done:      {},
		Voided:    {},
	}
	for status, kinds := range belong {
		for k := evTakenUp; k <= evCancelled; k++ {
			p := Payout{Status: status, Rail: Lightning, Pays: 1000, Rev: 3}
			next, act := step(p, event{kind: k, reason: "x", hold: 9, id: ID{4}, fee: 1})
			known := false
			for _, b := range kinds {
				known = known || b == k
			}
			same := act == (action{}) && next.Status == status && next.Rev == 3 && next.Reason == "" && next.Hold == 0 && next.Batch == (ID{})
			if same == known {
				t.Errorf("%s, %v: %+v, %+v", status, k, next, act)
			}
		}
	}
}

// outside is a node, and a ledger, as they may behave at worst.
type outside struct {
	rng   *rand.Rand
	now   time.Time
	calls []time.Time // calls to pay that the node has not begun; it drops them at these times
	state Stage       // of the hash; zero: never heard of
	paid  int
	held  bool
	taken int
	back  int
	sends int
}

const quiet = 10 * time.Minute

// pass lets something happen that the driver does not see.
func (o *outside) pass() {
	o.now = o.now.Add(time.Duration(o.rng.IntN(90)) * time.Second)
	for i := 0; i < len(o.calls); i++ {
		if gone := !o.now.Before(o.calls[i]); gone || o.rng.IntN(4) == 0 {
			o.calls = append(o.calls[:i], o.calls[i+1:]...)
			if !gone {
				o.begin()
			}
			i--
		}
	}
	if o.state == Pending && o.rng.IntN(3) == 0 {
		o.resolve()
	}
}

// begin is the node that has a call: a hash that failed may be tried anew.
func (o *outside) begin() {
	if o.state == 0 || o.state == Failed {
		o.state = Pending
	}
}

func (o *outside) resolve() {
	if o.rng.IntN(2) == 0 {
		o.state = Failed
		return
	}
	o.state = Succeeded
	o.paid++
}

// do carries out an action, as the driver does, and says what came of it.
func (o *outside) do(t *testing.T, p *Payout, a action) event {
	e := event{at: o.now, until: o.now.Add(quiet)}
	if a.kind == actHold || a.kind == actCapture || a.kind == actVoid {
		if o.rng.IntN(5) == 0 && a.kind == actHold {
			e.kind = evWaits
			return e
		}
	}
	switch a.kind {
	case actHold:
		if e.kind = evHeld; !o.held && o.rng.IntN(10) == 0 {
			e.kind = evRefused
			return e
		}
		o.held = true
	case actClear:
		switch {
		case o.rng.IntN(5) == 0:
			e.kind = evWaits
		case o.rng.IntN(20) == 0:
			e.kind = evRefused
		case o.state == 0, o.state == Failed && o.sends == 0:
			e.kind, e.before = evCleared, o.state == Failed
		default:
			t.Fatal("the node knows a payment before it was sent")
		}
	case actSend:
		if p.Status != InTransit {
			t.Fatalf("sent as %s", p.Status)
		}
		o.sends++
		e.kind = o.send(&e)
	case actTrack:
		e.until = time.Time{}
		switch {
		case o.rng.IntN(5) == 0:
			e.kind = evLost
		case o.state == 0:
			e.kind = evUnheardOf
		case o.state == Pending:
			e.kind = evUnderWay
		case o.state == Failed:
			e.kind, e.asked = evFailed, true
		default:
			e.kind = evArrived
		}
	case actCapture:
		if o.paid == 0 {
			t.Fatal("captured, and nobody was paid")
		}
		o.taken, e.kind = 1, evCaptured
	case actVoid:
		o.back, e.kind = 1, evVoided
	}
	return e
}

// send is a call to pay: begun at once, later or never; answered or not.
func (o *outside) send(e *event) eventKind {
	switch o.rng.IntN(5) {
	case 0: // it hangs on its way
		o.calls = append(o.calls, o.now.Add(quiet))
		return evLost
	case 1: // it never comes
		return evLost
	case 2: // the node has it, and the connection breaks
		o.begin()
		return evLost
	case 3: // the node refuses it, without writing anything down
		if o.state == 0 {
			return evTurnedAway
		}
	}
	o.begin()
	for o.state == Pending && o.rng.IntN(3) > 0 {
		o.resolve()
	}
	switch o.state {
	case Succeeded:
		return evArrived
	case Failed:
		return evFailed
	}
	e.until = o.now.Add(quiet)
	return evLost
}

// TestStepModel: whatever the node does, when it does it, and whenever the process ends: who was paid is paid for, once, and who was
// not is not.
func TestStepModel(t *testing.T) {
	var ends [3]int
	for seed := range uint64(20_000) {
		o := &outside{rng: rand.New(rand.NewPCG(seed, 3)), now: time.Unix(1_800_000_000, 0)}
		if seed%4 == 0 {
			o.state = Failed // another payout of the same invoice
		}
		p := Payout{Rail: Lightning, Pays: 1000, Status: Asked, Rev: 1}
		written, next := p, action{kind: actHold}
		crash := func() {
			p = written
			p.doubt, p.before = doubt{}, false
			p, next = step(p, event{kind: evTakenUp, at: o.now, until: o.now.Add(quiet)})
		}
		for steps := 0; !written.Status.Over(); steps++ {
			if steps > 5000 {
				t.Fatalf("seed %d: no end: %+v", seed, p)
			}
			o.pass()
			if next.again {
				o.pass()
			}
			if o.now.Before(next.after) {
				if o.rng.IntN(50) == 0 {
					crash()
				}
				continue
			}
			if next.kind == actNone {
				t.Fatalf("seed %d: %s, and nothing to do", seed, p.Status)
			}
			e := o.do(t, &p, next)
			if o.rng.IntN(12) == 0 { // before what came of it is known
				crash()
				continue
			}
			after, act := step(p, e)
			if after.Rev != p.Rev {
				if o.rng.IntN(12) == 0 { // before it is written
					crash()
					continue
				}
				written = after
			}
			p, next = after, act
			if o.rng.IntN(12) == 0 { // after
				crash()
			}
		}
		for range 100 { // the world goes on
			o.pass()
		}
		switch {
		case written.Status == Done && (o.paid != 1 || o.taken != 1 || o.back != 0):
			t.Fatalf("seed %d: done: paid %d, captured %d, voided %d", seed, o.paid, o.taken, o.back)
		case written.Status == Voided && (o.paid != 0 || o.taken != 0 || o.held && o.back != 1):
			t.Fatalf("seed %d: failed: paid %d, captured %d, held %v, voided %d, called %d times", seed, o.paid, o.taken, o.held, o.back, o.sends)
		}
		switch {
		case written.Status == Done:
			ends[0]++
		case o.sends > 0:
			ends[1]++
		default:
			ends[2]++
		}
	}
	for i, n := range ends {
		if n < 500 {
			t.Errorf("of the ends %v number %d is too rare for the test to mean much", ends, i)
		}
	}
}
