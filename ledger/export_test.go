package ledger

// Parts is split as a slice, for tests.
func Parts(amount Msat, payees []Payee) []Msat {
	var parts [MaxPayees]Msat
	split(amount, payees, &parts)
	return parts[:len(payees)]
}

// ShrinkShelves makes a shelf of so few rows full, so that small tests forget, too.
func (s *State) ShrinkShelves(rows uint32) { s.ids.size, s.owned.size = rows, rows }
