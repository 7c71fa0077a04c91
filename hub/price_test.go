package hub_test

import (
	"errors"
	"testing"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/currency"
	"github.com/millrace/millrace/ledger"
)

// TestRegisterInACurrency: it takes two entries. Who registers again after a crash between the two finishes it, and until then nobody buys.
func TestRegisterInACurrency(t *testing.T) {
	r := newRig(t, setup{})
	seller, buyer := r.account(0), r.account(10_000_000)
	w := r.seal(seller, "a work", 500)
	euro := currency.Code([]byte("EUR"))
	own := w.offer
	own.Price, own.Currency = 50_000, euro
	var unsold *hub.Unsold
	if _, _, err := r.Register(own); !errors.As(err, &unsold) || unsold.Result != ledger.RateStale {
		t.Fatalf("without a rate: %v", err)
	}
	if a, err := r.SetRate(ledger.Currency(euro), 1_500_000_000_000, uint32(r.Latest().Unix())+3600); err != nil || !a.Result().OK() {
		t.Fatalf("%v, %v", a.Result(), err)
	}
	half := w.offer
	half.Price = ledger.MaxMsat // as the first of the two entries has it
	id, first, err := r.Register(half)
	if err != nil || first.Result() != ledger.Done {
		t.Fatalf("%v, %v", first.Result(), err)
	}
	if a, _, err := r.Unlock(&hub.Batch{}, hub.Purchase{Buyer: buyer, Content: id, PriceVersion: 1}); err != nil || a.Result() != ledger.InsufficientFunds {
		t.Errorf("bought between the two: %v, %v", a.Result(), err)
	}
	for range 2 {
		_, a, err := r.Register(own)
		if err != nil || a.Result() != ledger.Repeated || a.Seq() != first.Seq() {
			t.Fatalf("again: %v, %v", a.Result(), err)
		}
		if c, _ := r.Content(id); c.PriceVersion != 2 || c.Price != 50_000 || c.Terms.Currency != ledger.Currency(euro) {
			t.Fatalf("%+v", c)
		}
	}
	q, result := r.Quoted(id)
	if result != ledger.Undecided || q.Price != 75_000 || q.Rate != 1_500_000_000_000 || q.Expires.After(r.Latest().Add(time.Minute)) {
		t.Errorf("quoted %+v, %v", q, result)
	}
	if a, err := r.SetTerms(seller, id, 2, 7, ledger.Terms{}); err != nil || !a.Result().OK() {
		t.Fatal(err)
	}
	if _, a, err := r.Register(own); err != nil || a.Result() != ledger.Repeated {
		t.Fatalf("once more: %v, %v", a.Result(), err)
	}
	if c, _ := r.Content(id); c.Price != 7 || c.PriceVersion != 3 { // what was set since is not set back
		t.Errorf("%+v", c)
	}
}
