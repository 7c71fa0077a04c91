package audit

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// TestFound: what only one of the books says is found, stops payouts over a restart, and is over when the operator has explained it.
func TestFound(t *testing.T) {
	for _, tt := range []struct {
		name    string
		do      func(w *world)
		full    bool // it is a full run that finds it
		want    []Kind
		explain []Adjustment
	}{
		{"a payment past the hub", func(w *world) { w.paid(1, 5000, 7, channels.Succeeded) }, false, []Kind{KindPayment},
			[]Adjustment{{Amount: -5007, Ref: hashOf(1).String()}}},
		{"a payment whose money was given back", func(w *world) {
			w.paid(1, 5000, 7, channels.Succeeded)
			w.paidOut(1, 5000, 0, channels.Voided)
		}, false, []Kind{KindPayment}, []Adjustment{{Amount: -5007, Ref: hashOf(1).String()}}},
		{"a payment that cost more than was taken", func(w *world) {
			w.paid(1, 5000, 7, channels.Succeeded)
			w.paidOut(1, 5000, 6, channels.Done)
		}, false, []Kind{KindPayment, KindTotal, KindTotal}, nil},
		{"a receipt without a record", func(w *world) { w.received(1, 5000) }, false, []Kind{KindReceipt},
			[]Adjustment{{Amount: 5000, Ref: hashOf(1).String()}}},
		{"a receipt of an invoice that is still open", func(w *world) {
			w.received(1, 5000)
			w.recorded(1, 0, channels.DepositOpen)
		}, false, []Kind{KindReceipt}, nil},
		{"a receipt credited with more", func(w *world) {
			w.received(1, 5000)
			w.recorded(1, 6000, channels.DepositCredited)
		}, false, []Kind{KindReceipt, KindTotal, KindTotal}, nil},
		{"a circle", func(w *world) { // out and in again, for a fee
			w.paid(1, 5000, 7, channels.Succeeded)
			w.received(1, 5000)
		}, false, []Kind{KindPayment, KindReceipt}, []Adjustment{{Amount: -7, Ref: hashOf(1).String()}}},
		{"coins that left", func(w *world) { w.arrived(1, -700, 0, "external") }, false, []Kind{KindMovement},
			[]Adjustment{{Amount: -700_000, Ref: hashOf(1).TxID()}}},
		{"money that is gone", func(w *world) { w.assets.Local -= 9 }, false, []Kind{KindTotal}, []Adjustment{{Amount: -9}}},
		{"money that nobody knows", func(w *world) { w.assets.Confirmed += 9 }, false, []Kind{KindTotal}, []Adjustment{{Amount: 9000}}},
		{"credited without a record", func(w *world) {
			w.enter(ledger.Lightning, ledger.OpCredit, ledger.OpID(opID(5)), 0, -800)
		}, true, []Kind{KindEntry, KindTotal, KindTotal},
			[]Adjustment{{Amount: 800, Rail: channels.Lightning, Ref: opID(5).String()}, {Amount: -800}}},
		{"credited by hand, for coins", func(w *world) {
			w.arrived(1, 700, 301, "")
			w.enter(ledger.Chain, ledger.OpCredit, ledger.OpID(opID(5)), 0, -700_000)
		}, true, []Kind{KindEntry, KindTotal, KindTotal},
			[]Adjustment{{Amount: 700_000, Rail: channels.Chain, Ref: hashOf(1).TxID()}, {Ref: opID(5).String()}}},
		{"taken out by hand", func(w *world) {
			w.enter(ledger.Chain, ledger.OpDebit, ledger.OpID(opID(6)), 0, 800)
		}, true, []Kind{KindEntry, KindTotal, KindTotal}, []Adjustment{{Amount: -800, Rail: channels.Chain, Ref: opID(6).String()}, {Amount: 800}}},
		{"captured without a record", func(w *world) {
			w.enter(ledger.Lightning, ledger.OpCapture, ledger.OpID{}, 4711, 800)
		}, true, []Kind{KindEntry, KindTotal, KindTotal}, []Adjustment{{Amount: -800, Rail: channels.Lightning, Ref: "hold 4711"}, {Amount: 800}}},
		{"a record that the ledger does not know", func(w *world) {
			w.deposit(1, 5000)
			lines := w.ledger[ledger.Lightning]
			w.ledger[ledger.Lightning] = lines[:len(lines)-1]
		}, true, []Kind{KindDeposit, KindTotal, KindTotal}, nil},
		{"a deposit that the node does not know", func(w *world) { w.recorded(1, 5000, channels.DepositCredited) }, true, []Kind{KindDeposit, KindTotal, KindTotal}, nil},
		{"a payout that the node does not know", func(w *world) { w.paidOut(1, 5000, 5, channels.Done) }, true, []Kind{KindPayout, KindTotal, KindTotal}, nil},
		{"coins that the wallet does not know", func(w *world) { w.coin(1, 0, 50, channels.DepositCredited) }, true, []Kind{KindDeposit, KindTotal, KindTotal}, nil},
		{"a record that was lost", func(w *world) {
			delete(w.deposits, channels.Ref{Hash: hashOf(1000), Output: 1<<32 - 1})
		}, true, []Kind{KindReceipt, KindEntry}, nil},
		{"a payout's record that was lost", func(w *world) { delete(w.payouts, hashOf(2000)) }, true, []Kind{KindPayment, KindEntry}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			a := w.auditor()
			w.check(a, false, 0)
			for n := range 10 {
				w.deposit(1000+n, 1_000_000)
				w.payout(2000+n, 10_000, 10)
			}
			w.check(a, true, 0)
			tt.do(w)
			r := w.check(a, tt.full, len(tt.want))
			var got []Kind
			for _, m := range r.Mismatches {
				got = append(got, m.Kind)
			}
			slices.Sort(got)
			want := slices.Sorted(slices.Values(tt.want))
			if !slices.Equal(got, want) {
				t.Fatalf("%v instead of %v: %+v", got, want, r.Mismatches)
			}
			if len(w.raised)-len(r.Surplus) != len(tt.want) || w.changed != 1 {
				t.Errorf("raised %v; %d changes", w.raised, w.changed)
			}
			a = w.auditor()
			if err := a.Stopped(); !errors.Is(err, ErrStopped) || !strings.Contains(err.Error(), r.Mismatches[0].Subject) {
				t.Errorf("after a restart: %v", err)
			}
			if last, ok := a.Last(); !ok || len(last.Mismatches) != len(tt.want) {
				t.Errorf("after a restart: %+v", last)
			}
			if r, err := a.Check(t.Context(), false); err != nil || r.Stopped == "" || len(w.raised) == 0 { // it stays, though this one may not see it
				t.Errorf("%+v, %v", r, err)
			}
			w.check(a, true, len(tt.want))
			if tt.explain == nil {
				return
			}
			for i, j := range tt.explain {
				j.ID, j.Reason = string(rune('a'+i)), "for a test"
				if _, err := a.Adjust(j); err != nil {
					t.Fatal(err)
				}
			}
			r = w.check(w.auditor(), true, 0)
			if len(w.raised) != 0 || w.changed != 2 || r.Stopped != "" {
				t.Errorf("raised %v; %d changes; %s", w.raised, w.changed, r.Stopped)
			}
			w.check(w.auditor(), false, 0)
		})
	}
}
