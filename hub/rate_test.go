package hub_test

import (
	"testing"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
)

// TestQuote: whoever buys at what he was quoted is charged no more, however the rate moves in between.
func TestQuote(t *testing.T) {
	r := newRig(t, setup{})
	seller, other, buyer := r.account(0), r.account(0), r.account(10_000_000)
	id := r.register(r.seal(seller, "a work", 500))
	euro, until := ledger.Currency{'E', 'U', 'R'}, uint32(r.Latest().Unix())+3600
	done := func(a ledger.Applied, err error) {
		t.Helper()
		if err != nil || a.Result() != ledger.Done {
			t.Fatalf("%v, %v", a.Result(), err)
		}
	}
	done(r.SetTerms(seller, id, 1, 2_500_000, ledger.Terms{Currency: euro}))
	if _, _, result := r.Quote(id); result != ledger.RateStale {
		t.Errorf("a price without a rate: %v", result)
	}
	if _, ok := r.Rate(euro); ok {
		t.Error("a rate before the first")
	}
	done(r.SetRate(euro, 1_000_000_000_000, until))
	quoted, rate, result := r.Quote(id)
	if quoted != 2_500_000 || rate != 1_000_000_000_000 || result != ledger.Undecided {
		t.Fatalf("quoted %d by %d, %v", quoted, rate, result)
	}
	done(r.SetRate(euro, 2_000_000_000_000, until))
	if now, _, _ := r.Quote(id); now != 5_000_000 {
		t.Errorf("quoted %d at twice the rate", now)
	}
	done(r.SetSplit(seller, id, []ledger.Payee{{Account: seller, Share: 3}, {Account: other, Share: 1}}))
	a, key, err := r.Unlock(&hub.Batch{}, hub.Purchase{Buyer: buyer, Content: id, PriceVersion: 2, Max: quoted})
	if err != nil || a.Result() != ledger.Done || a.Amount() != quoted || key == [16]byte{} {
		t.Errorf("%v, %d msat, %v", a.Result(), a.Amount(), err)
	}
	if r.balance(seller) != 1_875_000 || r.balance(other) != 625_000 || len(r.Splits(id)) != 2 {
		t.Errorf("the seller has %d, the other %d", r.balance(seller), r.balance(other))
	}
	if tally, ok := r.Tally(id); !ok || tally != (ledger.Tally{Sold: 1, Income: quoted}) {
		t.Errorf("%+v", tally)
	}
}
