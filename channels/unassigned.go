package channels

import (
	"fmt"

	"github.com/millrace/millrace/ledger"
)

// unassign writes that nobody knows whose a deposit is, and the incident that tells an operator: in one write, or a crash could leave money
// that nobody hears of. Meant is the account that it was to be credited to; zero: none.
func (r *Rails) unassign(d *Deposit, meant ledger.AccountNo, text string, with ...Row) error {
	d.Status, d.Account, d.Credit, d.Changed = DepositUnassigned, 0, ID{}, r.stamp()
	rows, err := r.depositRows(d)
	if err != nil {
		return err
	}
	return r.raise(Incident{Kind: "unassigned", Subject: d.Ref.String(), Account: meant, Amount: d.Amount, Text: text}, append(rows, with...)...)
}

// refused is a deposit that the ledger will never credit to its account: it is nobody's until an operator assigns it to another. The id
// of the op that was refused is not sent again.
func (r *Rails) refused(d *Deposit, result ledger.Result) error {
	no := d.Account
	if err := r.unassign(d, no, fmt.Sprintf("the ledger refuses to credit a deposit to account %s: %v", no, result), Row{Key: listed(d, no)}); err != nil {
		return err
	}
	return fmt.Errorf("%w: the ledger refuses to credit deposit %s to %s: %v", ErrTarget, d.Ref, no, result)
}

// Unassigned are the deposits that nobody knows the owner of, the newest first, and where the next page begins; nil: nowhere.
func (r *Rails) Unassigned(g Page) (list []Deposit, next []byte, err error) {
	return r.Deposits(0, false, g)
}

// Assign says whose money is that nobody knew the owner of. ErrNoItem: there is none of that name that waits for it. ErrTarget: the account
// cannot have it; it waits on.
func (r *Rails) Assign(ref Ref, no ledger.AccountNo) error {
	if a, ok := r.ledger.Account(no); !ok || no < ledger.FirstAccount && no != ledger.Fees || no >= ledger.FirstAccount && a.Opened == 0 {
		return fmt.Errorf("%w: there is no account %s", ErrTarget, no)
	}
	defer r.hashes.lock(ref.Hash)()
	d, found, err := r.deposit(ref)
	switch {
	case err != nil:
		return err
	case !found || d.Status != DepositUnassigned:
		return ErrNoItem
	case d.Undone:
		return fmt.Errorf("%w: it is not in the chain any more", ErrNoItem)
	}
	d.Account, d.Status, d.Credit, d.Changed = no, DepositArrived, r.newID(), r.stamp()
	rows, err := r.depositRows(&d)
	if err == nil {
		rows = append(rows, Row{Key: listed(&d, 0)})
		_, err = r.closeIncident("unassigned", ref.String(), "assigned to "+no.String(), rows...)
	}
	if err != nil {
		return err
	}
	return r.credit(&d)
}
