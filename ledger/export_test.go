package ledger

// Split is split as a slice, for tests.
func Split(amount Msat, payees []Payee) []Msat {
	var parts [MaxPayees]Msat
	split(amount, payees, &parts)
	return parts[:len(payees)]
}
