// Package ledgertest is what the ledger is tested against: a slow Model written from its rules, a Generator of ops that
// favours the interesting, and a Proposer that cuts ops into blocks. Other packages' tests may use it too.
package ledgertest

import "github.com/millrace/millrace/ledger"

// Step is an op at a time in milliseconds since 1970, with its detail.
type Step struct {
	Time   uint64
	Op     ledger.Op
	Detail []byte
}

// Outcome is what an op came to, in plain fields.
type Outcome struct {
	Result ledger.Result
	Seq    uint64
	Amount ledger.Msat
	Object uint32
}

// OutcomeOf reads what the ledger found.
func OutcomeOf(a ledger.Applied) Outcome {
	return Outcome{Result: a.Result(), Seq: a.Seq(), Amount: a.Amount(), Object: a.Object()}
}
