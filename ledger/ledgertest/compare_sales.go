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
	var want ledger.Tally
	for _, b := range m.bought {
		if b.content == no {
			want.Sold++
			want.Income += b.paid
		}
	}
	if got, ok := s.Tally(c.id); !ok || got != want {
		return fmt.Errorf("content %d: tally: ledger %+v, model %+v", no, got, want)
	}
	return nil
}
