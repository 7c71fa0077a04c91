package ledgertest

import (
	"fmt"
	"reflect"

	"github.com/millrace/millrace/ledger"
)

// Compare names the first thing in which a ledger is not what the model says, or returns nil.
func (m *Model) Compare(s *ledger.State) error {
	if s.Seq() != m.Seq || s.Now() != m.Now || s.Supply() != m.supply() {
		return fmt.Errorf("seq, now, supply: ledger %d, %d, %d; model %d, %d, %d", s.Seq(), s.Now(), s.Supply(), m.Seq, m.Now, m.supply())
	}
	got, want := s.Counts(), ledger.Counts{
		Accounts: uint64(len(m.opened)), Channels: uint64(len(m.channels) - 1), Holds: uint64(len(m.holds) - 1),
		Contents: uint64(len(m.contents) - 1), Unlocks: uint64(len(m.owners)),
	}
	if got != want {
		return fmt.Errorf("counts: ledger %+v, model %+v", got, want)
	}
	if err := m.compareAccounts(s); err != nil {
		return err
	}
	for i, c := range m.channels[1:] {
		got, ok := s.Channel(ledger.ChannelNo(i + 1))
		want := ledger.Channel{Payer: c.payer, Payee: c.payee, Funded: c.funded, Total: c.total, Expiry: uint32(c.expiry / 1000), Status: c.status,
			Mode: c.terms.Mode, Limited: c.terms.PerMinute > 0}
		if !ok || got != want || !m.sameTerms(s, ledger.ChannelNo(i+1), c) {
			return fmt.Errorf("channel %d: ledger %+v, model %+v", i+1, got, want)
		}
	}
	for i, h := range m.holds[1:] {
		got, ok := s.Hold(ledger.HoldNo(i + 1))
		want := ledger.Hold{Account: h.account, To: h.to, Amount: h.amount, Captured: h.captured, Status: h.status}
		if !ok || got != want {
			return fmt.Errorf("hold %d: ledger %+v, model %+v", i+1, got, want)
		}
	}
	if err := m.compareRates(s); err != nil {
		return err
	}
	if err := m.compareClaims(s); err != nil {
		return err
	}
	return m.compareContents(s)
}

func (m *Model) compareAccounts(s *ledger.State) error {
	for no, available := range m.available {
		want := ledger.Account{Available: available, Held: m.held(no), Opened: m.opened[no]}
		for _, c := range m.channels[1:] {
			if c.payer == no && c.status == ledger.Open {
				want.Channels++
			}
		}
		for _, h := range m.holds[1:] {
			if h.account == no && h.status == ledger.Open {
				want.Holds++
			}
		}
		if got, ok := s.Account(no); !ok || got != want {
			return fmt.Errorf("account %v: ledger %+v, model %+v", no, got, want)
		}
	}
	return nil
}

func (m *Model) compareContents(s *ledger.State) error {
	for i, c := range m.contents[1:] {
		got, ok := s.Content(c.id)
		status := ledger.Open
		if c.retired {
			status = ledger.Closed
		}
		if !ok || got.Seller != c.seller || got.Price != c.price || got.PriceVersion != c.version || got.Status != status ||
			got.Registered != c.at || got.Terms != c.terms || got.Claim != ledger.ClaimNo(c.claim) || got.Seq != c.seq || !reflect.DeepEqual(got.Registration, c.present()) {
			return fmt.Errorf("content %d: ledger %+v, model %+v", i+1, got, *c)
		}
		if err := m.compareSales(s, uint32(i+1)); err != nil {
			return err
		}
		for no := range m.available {
			bought, owns := m.owners[ownership{no, uint32(i + 1), whole}]
			owns = owns || no == c.seller
			op := ledger.Op{Kind: ledger.OpUnlock, Actor: no, ID: c.id, Amount: ledger.MaxMsat}
			a := s.Check(&op, nil, m.Now)
			if owns != (a.Result() == ledger.Repeated) || owns && (a.Seq() != bought.seq || a.Amount() != bought.paid) {
				return fmt.Errorf("content %d, account %v: ledger %+v; in the model it owns it: %v, %+v", i+1, no, OutcomeOf(a), owns, bought)
			}
			if id, wrapped, ok := s.WrappedKey(a); ok != owns || owns && (id != c.id || wrapped != c.Wrapped) {
				return fmt.Errorf("content %d, account %v: wrapped key given: %v, should: %v", i+1, no, ok, owns)
			}
		}
	}
	return nil
}
