package channels

import (
	"context"
	"strings"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// TestPageSize: a page of payouts ends before it is too large for who asked, and the next goes on there.
func TestPageSize(t *testing.T) {
	r := newRig(t, nil)
	from, to := r.account(1_000_000), r.account(0)
	r.stop()
	r.cfg.Resolve = func(context.Context, string, ledger.Msat) (string, error) { return to.String(), nil }
	r.start()
	want := make(map[ID]bool)
	for range 7 {
		q := r.request(from, "?"+strings.Repeat("<", MaxTo-1), 1000, 0)
		r.ends(r.withdraw(q).Key, Done)
		want[q.ID] = true
	}
	g := Page{Size: 3 * 10_000}
	for pages := 1; ; pages++ {
		list, next, err := r.Payouts(from, g)
		if err != nil || len(list) == 0 || len(list) > 3 {
			t.Fatalf("a page of %d, %v", len(list), err)
		}
		for _, p := range list {
			if !want[p.ID] {
				t.Errorf("%s is on two pages", p.ID)
			}
			delete(want, p.ID)
		}
		if next == nil {
			break
		}
		g.Before = next
	}
	if len(want) != 0 {
		t.Errorf("%d are on no page", len(want))
	}
	if list, _, err := r.Payouts(from, Page{Size: 1}); err != nil || len(list) != 1 {
		t.Errorf("a page of %d, %v", len(list), err)
	}
}

// TestDecidedOnce: what an operator has decided does not wait for him any more.
func TestDecidedOnce(t *testing.T) {
	for _, kind := range []eventKind{evGranted, evDenied} {
		p, _ := step(Payout{Rail: Lightning, Status: Held}, event{kind: evForeign})
		if !p.Foreign {
			t.Fatal("it does not wait for an operator")
		}
		if p, _ = step(p, event{kind: kind}); p.Foreign {
			t.Errorf("%s: it waits for an operator still", kind)
		}
	}
}
