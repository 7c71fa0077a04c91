package hub

import "github.com/millrace/millrace/ledger"

// Book is the ledger for those who make ops of the hub's own, one at a time: the rails (channels.Ledger).
type Book struct{ h *Hub }

// Book gives access to the ledger past tokens and their limits.
func (h *Hub) Book() Book { return Book{h} }

// Submit has an op decided: what it did is durable when Submit returns. On an error see Hub.Submit.
func (b Book) Submit(op ledger.Op) (ledger.Applied, error) { return b.h.submit(op, nil) }

// Account reads an account.
func (b Book) Account(no ledger.AccountNo) (ledger.Account, bool) { return b.h.Account(no) }

// AccountLines reads an account's history: see Hub.AccountLines.
func (b Book) AccountLines(no ledger.AccountNo, g ledger.Range, f func(*ledger.Line) bool) error {
	return b.h.AccountLines(no, g, f)
}

// NewID is the id of an op that was never sent.
func (b Book) NewID() ledger.OpID { return b.h.newID() }
