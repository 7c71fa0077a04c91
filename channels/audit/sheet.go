package audit

import (
	"math"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// flow is what moved on one rail since the books were opened, and what of it is on its way. In msat; what came in is positive.
type flow struct {
	moved      int64 // by the node's books: what it was paid less what it paid, fees included, of what the records know
	owed       int64 // by the ledger: what came in less what went out
	uncredited int64 // of moved: came in, and no account has it yet
	uncaptured int64 // of moved: went out, and is still set aside in an account
}

// difference is what the node's books have more than the ledger's.
func (f *flow) difference() int64 { return f.moved - (f.owed + f.uncredited - f.uncaptured) }

// totals is all that a sheet is made of.
type totals struct {
	assets    channels.Assets
	tied      int64 // in fees and anchors of channels' closing transactions, which the node pays or gets back
	lightning flow
	chain     flow
	before    int64 // owed, of both, when the books were opened
	created   int64 // owed to accounts for nothing: what a development hub made up

	capital     int64 // that the node had when the books were opened
	adjusted    int64 // by the operator
	earned      int64 // by forwarding
	costs       int64 // fees of opening and sweeping channels
	undone      int64 // credited, and not in the chain any more: lnd's wallet may count it all the same
	unexplained int64 // of the items that are mismatches, as they changed what the node holds
}

// Sheet is the balance of the books. What is held is what explains it, and Difference:
//
//	held          channels + pending + wallet + tied
//	explained by  owed + uncredited - uncaptured       to, and by, accounts, of both rails
//	              + capital + adjusted                 of the operator
//	              + earned - costs                     of the node by itself
//	              + unexplained                        items that are mismatches already
type Sheet struct {
	Channels int64 `json:"channels"` // our side of open Lightning channels
	Pending  int64 `json:"pending"`  // ours in channels that open or close, and in payments under way
	Wallet   int64 `json:"wallet"`
	Tied     int64 `json:"tied"`
	Held     int64 `json:"held"`

	Owed        int64 `json:"owed"`
	Uncredited  int64 `json:"uncredited"`
	Uncaptured  int64 `json:"uncaptured"`
	Capital     int64 `json:"capital"`
	Adjusted    int64 `json:"adjusted"`
	Earned      int64 `json:"earned"`
	Costs       int64 `json:"costs"`
	Unexplained int64 `json:"unexplained"`

	Difference int64 `json:"difference"`           // of all
	Lightning  int64 `json:"lightning_difference"` // of what was paid over it, between the node's books and the ledger
	Chain      int64 `json:"chain_difference"`     // likewise on-chain

	Backing int64   `json:"backing"` // what the node holds for accounts: without what is tied, undone or not theirs yet
	Due     int64   `json:"due"`     // what accounts have, the hub's own income among them, without what has left already
	Ratio   float64 `json:"ratio"`   // of the two, at most MaxRatio
}

// MaxRatio is the ratio where little or nothing is owed.
const MaxRatio = 1000.0

const msatPerSat = 1000

// sheet adds up.
func (t *totals) sheet() Sheet {
	a := &t.assets
	s := Sheet{
		Channels: int64(a.Local), Pending: int64(a.Pending), Wallet: int64(a.Confirmed+a.Unconfirmed+a.Leased) * msatPerSat, Tied: t.tied,
		Owed:       t.before + t.lightning.owed + t.chain.owed,
		Uncredited: t.lightning.uncredited + t.chain.uncredited,
		Uncaptured: t.lightning.uncaptured + t.chain.uncaptured,
		Capital:    t.capital, Adjusted: t.adjusted, Earned: t.earned, Costs: t.costs, Unexplained: t.unexplained,
		Lightning: t.lightning.difference(), Chain: t.chain.difference(),
	}
	s.Held = s.Channels + s.Pending + s.Wallet + s.Tied
	s.Difference = s.Held - (s.Owed + s.Uncredited - s.Uncaptured + s.Capital + s.Adjusted + s.Earned - s.Costs + s.Unexplained)
	s.Backing, s.Due = s.Held-s.Tied-s.Uncredited-t.undone, s.Owed+t.created-s.Uncaptured
	switch {
	case s.Due <= 0:
		s.Ratio = MaxRatio
	default:
		s.Ratio = math.Min(MaxRatio, float64(s.Backing)/float64(s.Due))
	}
	return s
}

// balanced says whether nothing differs by more than a tolerance.
func (s *Sheet) balanced(tolerance ledger.Msat) bool {
	for _, d := range [...]int64{s.Difference, s.Lightning, s.Chain} {
		if d > int64(tolerance) || d < -int64(tolerance) {
			return false
		}
	}
	return true
}

// tied is what the channels that the node opened have set aside for the transactions that would close them. It is in nobody's balance.
func tied(lines []channels.Line) (msat int64) {
	for _, l := range lines {
		if l.Initiator && l.Stage != channels.LineClosing {
			msat += int64(l.Tied) * msatPerSat
		}
	}
	return msat
}
