package ledger

import "fmt"

// Account is a holder of money. The row is 32 bytes.
type Account struct {
	Available int64  // msat; below zero only for external accounts
	Held      Msat   // set aside in channels and holds, still the account's own
	Opened    uint64 // milliseconds since 1970
	Channels  uint32 // open ones that it pays
	Holds     uint32 // open ones
}

// holder says whether the account can pay and be paid inside: the hub's fees and every customer.
func (s *State) holder(a AccountNo) bool {
	return uint32(a) < s.accounts.rows && (a >= FirstAccount || a == Fees)
}

// auditEscrow recomputes what lies in escrow.
func (s *State) auditEscrow() error {
	var want Msat
	for i := range s.tallies.rows {
		disputed := s.tallies.at(i).Disputed
		if disputed > 0 && s.contents.at(i).Claim == 0 {
			return fmt.Errorf("%d msat are disputed of content %d, which nobody claims", disputed, i)
		}
		want += disputed
	}
	if a := s.accounts.at(uint32(Escrow)); a.Available != int64(want) {
		return fmt.Errorf("%d msat in escrow, but %d are owed", a.Available, want)
	}
	return nil
}

// canPay says whether the account has an amount at hand. It is a holder.
func (s *State) canPay(a AccountNo, amount Msat) bool {
	return s.accounts.at(uint32(a)).Available >= int64(amount)
}

// move is the only way in which money changes its owner: what one account loses the other gains.
func (s *State) move(from, to AccountNo, amount Msat) {
	s.accounts.edit(uint32(from)).Available -= int64(amount)
	s.accounts.edit(uint32(to)).Available += int64(amount)
}

// setAside and giveBack move money between what an account can spend and what is held for it.
func (s *State) setAside(a AccountNo, amount Msat) {
	row := s.accounts.edit(uint32(a))
	row.Available -= int64(amount)
	row.Held += amount
}

func (s *State) giveBack(a AccountNo, amount Msat) {
	row := s.accounts.edit(uint32(a))
	row.Held -= amount
	row.Available += int64(amount)
}

// moveHeld pays out of what is held.
func (s *State) moveHeld(from, to AccountNo, amount Msat) {
	s.accounts.edit(uint32(from)).Held -= amount
	s.accounts.edit(uint32(to)).Available += int64(amount)
}

func (s *State) checkOpenAccount(op *Op, now uint64) Applied {
	return s.checkID(op, now)
}

func (s *State) openAccount(op *Op, now uint64) Applied {
	no, row := s.accounts.add()
	row.Opened = now
	s.leg(Leg{Kind: op.Kind, From: AccountNo(no), Object: no})
	return s.remember(op, no)
}
