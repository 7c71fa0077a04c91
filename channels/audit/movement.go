package audit

import (
	"regexp"
	"strings"

	"github.com/millrace/millrace/channels"
)

// meaning is what a transaction of the wallet is, by the records.
type meaning struct {
	deposits   int64 // msat that came by it for accounts
	uncredited int64 // of these, what no account has yet
	undone     int64 // of these, what was credited and is not in the chain any more: it may not be there
	batch      int64 // msat that left by it for accounts, its fee included
	uncaptured int64 // of these, what is still set aside
	costs      int64 // msat of fee, where the node has opened, closed or swept a channel
	rest       int64 // msat that nothing explains
	final      bool  // the records are done with it
}

// explain says what a transaction of the wallet is: deposits, a batch, both (an account withdraws to the address of another), or what the
// node does by itself with its channels.
func explain(m *channels.Movement, deposits []channels.Deposit, batch *settled) (e meaning) {
	e.final = true
	for i := range deposits {
		d := &deposits[i]
		e.deposits += int64(d.Amount)
		switch {
		case d.Status != channels.DepositCredited:
			e.uncredited += int64(d.Amount)
			e.final = false
		case d.Undone:
			e.undone += int64(d.Amount)
			e.final = false
		}
	}
	if batch != nil && !batch.lost {
		e.batch, e.uncaptured = batch.cost, batch.cost-batch.captured
		e.final = e.final && batch.closed
	}
	if batch == nil && len(deposits) == 0 && channelLabel.MatchString(m.Label) {
		// The coins went into a channel, or came out of one: what is lost is the fee.
		e.costs = int64(m.Fee) * msatPerSat
		return e
	}
	e.rest = int64(m.Amount)*msatPerSat - (e.deposits - e.batch)
	return e
}

// surplus says whether what nothing explains is coins that came in. Anybody can send some to an address of the wallet, such as that of the
// change of a batch, and so they stop nothing: no account lacks them. They count as unexplained until the operator explains them.
func (e *meaning) surplus(batch *settled) bool { return e.rest > 0 && (batch == nil || !batch.lost) }

// channelLabel is how lnd labels the transactions that it makes for its channels (its package labels).
var channelLabel = regexp.MustCompile(`^[0-9]+:(openchannel|closechannel|justicetx|sweep)(:|$)`)

// batchLabel is what the rails publish a batch with, before its id.
const batchLabel = "millrace "

// batchOf reads the id of a batch out of a label.
func batchOf(label string) (id channels.ID, ok bool) {
	text, ok := strings.CutPrefix(label, batchLabel)
	return id, ok && id.UnmarshalText([]byte(text)) == nil
}

// settled is what a transaction of a batch cost, and how far the ledger knows.
type settled struct {
	cost     int64 // msat that it pays, its fee included
	captured int64 // of these, what the ledger has let go
	closed   bool
	lost     bool // another transaction of the batch is what was paid: this one cannot be any more
}

// settle says how far a batch is by the ledger, whose transaction try is in the wallet. underway are the payouts that are not over.
func settle(b *channels.Batch, try int, underway map[channels.Key]bool) (s settled) {
	s.cost = int64(b.Tries[try].Fee) * msatPerSat
	for i := range b.Parts {
		s.cost += int64(b.Parts[i].Amount) * msatPerSat
	}
	if b.Status != channels.BatchConfirmed && b.Status != channels.BatchClosed {
		return s
	}
	s.lost = b.Winner != try
	s.closed = b.Status == channels.BatchClosed
	for i := range b.Parts {
		if p := &b.Parts[i]; s.closed || !underway[p.Key] {
			s.captured += int64(p.Amount)*msatPerSat + int64(p.Fee)
		}
	}
	if b.Debited {
		s.captured += int64(b.Rest)
	}
	return s
}
