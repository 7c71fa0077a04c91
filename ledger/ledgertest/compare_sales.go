package ledgertest

import (
	"fmt"
	"reflect"

	"github.com/millrace/millrace/ledger"
)

// compareSales compares who shared a content's price from when, and what it has come to.
func (m *Model) compareSales(s *ledger.State, no uint32) error {
	c := m.contents[no]
	splits := s.Splits(c.id)
	for i := range splits {
		splits[i].Before = 0 // where the rows lie is no part of the rules
	}
	if !reflect.DeepEqual(splits, c.splits) {
		return fmt.Errorf("content %d: splits: ledger %+v, model %+v", no, splits, c.splits)
	}
	want := m.tally(no)
	if got, ok := s.Tally(c.id); !ok || got != want {
		return fmt.Errorf("content %d: tally: ledger %+v, model %+v", no, got, want)
	}
	price, rate, r := s.Quote(c.id, m.Now)
	if low, fault := m.priceOf(c); fault != r && r != ledger.PriceOutOfRange || r == ledger.Undecided && (price < low || rate < m.lowest(c.terms.Currency)) {
		return fmt.Errorf("content %d: quote: ledger %d by %d (%v), model pays %d (%v)", no, price, rate, r, low, fault)
	}
	return nil
}

// tally adds up what a content was paid for.
func (m *Model) tally(no uint32) (want ledger.Tally) {
	for _, b := range m.bought {
		if b.content == no {
			want.Sold++
			want.Income += b.paid
			if b.claim != 0 && m.claims[b.claim].Status.Pending() {
				want.Disputed += b.paid
			}
		}
	}
	return want
}

// compareRates compares the newest rate of each currency.
func (m *Model) compareRates(s *ledger.State) error {
	for c, all := range m.rates {
		if got, ok := s.Rate(c); !ok || got != all[len(all)-1] {
			return fmt.Errorf("%v: rate: ledger %+v, model %+v", c, got, all[len(all)-1])
		}
	}
	return nil
}
