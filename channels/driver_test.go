package channels

import (
	"testing"
	"time"
)

// idle are rails that were not started: what is dispatched stays in its lane.
func idle(t *testing.T) *Rails {
	t.Helper()
	m := newMemory()
	r, err := New(Config{Records: m, Ledger: newBook(time.Now)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestNewestStep: of two who step at once, the one that stepped last says what is to be done, whoever dispatches last.
func TestNewestStep(t *testing.T) {
	r := idle(t)
	f := newFlight(Payout{Request: Request{Key: Key{Account: 20, ID: ID{1}}}, Rail: Lightning, Status: InTransit})
	underWay := r.advance(f, event{kind: evUnderWay})
	denied := r.advance(f, event{kind: evDenied})
	r.dispatch(f, denied)
	r.dispatch(f, underWay)
	task, ok := r.books.take()
	if !ok || task.kind != actVoid || !f.isTurn(task.turn) || r.asks.length() != 0 {
		t.Errorf("%v, %d questions wait: the payout's money is not given back", task.kind, r.asks.length())
	}
	f = newFlight(Payout{Request: Request{Key: Key{Account: 20, ID: ID{2}}}, Rail: Internal, Status: Paid})
	r.flights[f.key] = f
	r.dispatch(f, action{kind: actCapture})
	r.Wake()
	if task, _ := r.books.take(); !f.isTurn(task.turn) {
		t.Error("what is paid was woken, and is not captured any more")
	}
}

// TestNobodyJoins: a batch whose payouts were all taken back meanwhile is none.
func TestNobodyJoins(t *testing.T) {
	r := idle(t)
	f := newFlight(Payout{Request: Request{Key: Key{Account: 20, ID: ID{1}}}, Rail: Chain, Status: Dropped})
	if b := r.join([]*flight{f}, 1000); b != nil {
		t.Errorf("%+v", b)
	}
	for _, prefix := range []string{keyBatch, keyBatching} {
		if keys, err := r.keysUnder(prefix, nil, 10); err != nil || len(keys) != 0 {
			t.Errorf("%d records under %q, %v", len(keys), prefix, err)
		}
	}
}
