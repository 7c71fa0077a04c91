package audit

import (
	"fmt"
	"time"

	"github.com/millrace/millrace/ledger"
)

// Report is what a run found. Amounts are in msat.
type Report struct {
	Time   time.Time `json:"time"`
	Full   bool      `json:"full"`
	Millis int64     `json:"millis"` // how long it took
	Height int64     `json:"height"` // of the node's newest block

	Sheet  Sheet `json:"sheet"`
	Steady bool  `json:"steady"` // nothing moved while it was read: the sheet's differences mean something

	Mismatches []Mismatch `json:"mismatches"` // at most MaxMismatches
	More       int        `json:"more,omitempty"`
	Surplus    []Mismatch `json:"surplus,omitempty"` // coins that came in and that nothing explains, which stop nothing; at most MaxMismatches

	Liquidity Liquidity `json:"liquidity"`
	Warnings  []string  `json:"warnings,omitempty"` // what needs no stop: liquidity below its thresholds, ...
	Stopped   string    `json:"stopped,omitempty"`  // why payouts are stopped after this run; empty: they are not
}

// MaxMismatches bounds the list in a report. What is beyond is only counted.
const MaxMismatches = 1000

// Mismatch is something that one of the books says and another does not.
type Mismatch struct {
	Kind    Kind        `json:"kind"`
	Subject string      `json:"subject"` // payment hash, transaction's id, op's id, number of a hold, ...
	Amount  ledger.Msat `json:"amount"`  // that it is about
	Text    string      `json:"text"`
}

// surplus adds coins that came in; what is beyond the bound of the list is in the sheet's sum alone.
func (r *Report) surplus(m Mismatch) {
	if len(r.Surplus) < MaxMismatches {
		r.Surplus = append(r.Surplus, m)
	}
}

// warnOfSurplus says by which transactions coins came in, of the first few.
func (r *Report) warnOfSurplus() {
	const most = 20
	for i, m := range r.Surplus {
		if i == most {
			r.Warnings = append(r.Warnings, fmt.Sprintf("and by %d transactions more", len(r.Surplus)-most))
			return
		}
		r.Warnings = append(r.Warnings, fmt.Sprintf("transaction %s brought %d msat that nothing explains: an adjustment with it as its ref does", m.Subject, m.Amount))
	}
}

// Kind is what a mismatch is about.
type Kind string

const (
	KindReceipt  Kind = "receipt"  // the node was paid over Lightning
	KindPayment  Kind = "payment"  // the node paid over Lightning
	KindMovement Kind = "movement" // the node's wallet moved coins
	KindDeposit  Kind = "deposit"  // the records say that something came in
	KindPayout   Kind = "payout"   // the records say that something was paid out
	KindBatch    Kind = "batch"    // the records say that much was paid out at once
	KindEntry    Kind = "entry"    // the ledger says that money came in or went out
	KindTotal    Kind = "total"    // a sum, of the sheet
	KindRatio    Kind = "ratio"    // less is held than is owed
)

// mismatch adds one.
func (r *Report) mismatch(m Mismatch) {
	for _, other := range r.Mismatches {
		if other.Kind == m.Kind && other.Subject == m.Subject {
			return
		}
	}
	if len(r.Mismatches) == MaxMismatches {
		r.More++
		return
	}
	r.Mismatches = append(r.Mismatches, m)
}
