package channels

import (
	"strings"

	"github.com/millrace/millrace/ledger"
)

// What an account is told of a payout whose reason is for the operator: rules, alarms and what nodes say are not the account's affair.
const (
	toldStopped   = "stopped"   // it failed
	toldDelayed   = "delayed"   // it goes on
	toldCancelled = "cancelled" // the operator has taken it back: see Cancel
)

// toldWords are the reasons that an account is told as they are: those of Attempt, and what concerns the payout alone. Others are results of
// the ledger.
var toldWords = map[string]bool{
	"timeout": true, "no_route": true, "error": true, "incorrect_details": true, "insufficient_balance": true, "canceled": true,
	"refused": true, "invoice_expired": true, reasonLate: true, reasonPaid: true, reasonFee: true,
}

// Told is Reason as the account may know it: a word.
func (p *Payout) Told() string {
	switch {
	case p.Reason == "" || toldWords[p.Reason]:
		return p.Reason
	case p.Cancelled || p.Reason == toldCancelled || strings.HasPrefix(p.Reason, toldCancelled+":"):
		return toldCancelled
	}
	for _, result := range ledger.Results() {
		if p.Reason == result.String() {
			return p.Reason
		}
	}
	if p.Status == Dropped || p.Status == Voided {
		return toldStopped
	}
	return toldDelayed
}
