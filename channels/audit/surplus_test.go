package audit

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/channels"
)

// TestSurplus: coins that only came in stop nothing. They are told of, in one incident however many there are, and the totals agree, with
// them and when they are explained; what is missing besides is still found.
func TestSurplus(t *testing.T) {
	w := newWorld(t)
	w.deposit(1, 900_000_000)
	a := w.auditor()
	w.check(a, false, 0)
	for n := range 30 { // strangers pay the address of a batch's change
		w.arrived(100+n, 1, int64(n%2)*301, "")
	}
	w.coin(200, 0, 50, channels.DepositCredited) // one that pays an account, and something besides
	w.arrived(200, 57, 301, "")
	b := channels.Batch{ID: opID(5), Status: channels.BatchSigned, Tries: []channels.Signed{{ID: hashOf(50), Fee: 500}}, Debit: opID(6)}
	p := channels.Payout{Request: channels.Request{Key: channels.Key{Account: someone, ID: opID(60)}}, Rail: channels.Chain, Pays: 10_000_000, Status: channels.InTransit, Hold: 7}
	w.payouts[hashOf(60)] = p
	b.Parts = append(b.Parts, channels.Part{Key: p.Key, Amount: 10_000})
	w.batches[b.ID] = b
	w.arrived(50, -500, 301, "millrace "+b.ID.String()) // somebody withdraws to that address: only the fee left the wallet
	const sum = 30*1000 + 7*1000 + 10_000_000
	for _, full := range []bool{false, true, false} {
		r := w.check(a, full, 0)
		if r.Sheet.Unexplained != sum || r.Sheet.Difference != 0 || r.Sheet.Chain != 0 || r.Stopped != "" || len(r.Surplus) != 32 {
			t.Errorf("%+v, %q, %d", r.Sheet, r.Stopped, len(r.Surplus))
		}
		if len(w.raised) != 1 || !w.raised["surplus"] || w.changed != 0 {
			t.Errorf("raised %v; %d changes", w.raised, w.changed)
		}
		if text := strings.Join(r.Warnings, "; "); !strings.Contains(text, hashOf(100).TxID()) || !strings.Contains(text, "12 transactions more") {
			t.Errorf("%s", text)
		}
		a = w.auditor()
	}
	w.height = 600 // long buried, and still the operator's to explain
	w.check(a, true, 0)

	w.arrived(300, -5, 599, "external")
	if r := w.check(a, false, 1); r.Mismatches[0].Subject != hashOf(300).TxID() {
		t.Errorf("%+v", r.Mismatches)
	}
	for i, m := range w.moves {
		amount := int64(m.Amount) * 1000
		switch m.ID {
		case hashOf(50):
			amount = 10_000_000
		case hashOf(200):
			amount = 7000
		}
		if _, err := a.Adjust(Adjustment{ID: string(rune('A' + i)), Amount: amount, Ref: m.ID.TxID(), Reason: "for a test"}); err != nil {
			t.Fatal(err)
		}
	}
	r := w.check(a, true, 0)
	if r.Sheet.Unexplained != 0 || r.Sheet.Difference != 0 || len(r.Surplus) != 0 || len(w.raised) != 0 {
		t.Errorf("%+v, raised %v", r.Sheet, w.raised)
	}
	w.check(w.auditor(), false, 0)
}
