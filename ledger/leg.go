package ledger

import "fmt"

// Move says what a leg does with its amount.
type Move uint8

const (
	MoveNone     Move = 0 // no money: an account opened, a content registered, repriced or retired
	MovePaid     Move = 1 // from what From has at hand to what To has at hand
	MovePaidHeld Move = 2 // from what is held for From to what To has at hand
	MoveSetAside Move = 3 // from what From has at hand to what is held for From
	MoveGiveBack Move = 4 // from what is held for From to what From has at hand
	MoveRate     Move = 5 // no money: the amount is the rate, msat for a million units, that was set, or by which From paid
	MoveOwned    Move = 6 // no money: From owns the content from now on, or the unit of it that the amount counts from one
)

var moveNames = [...]string{MoveNone: "none", MovePaid: "paid", MovePaidHeld: "paid_held", MoveSetAside: "set_aside", MoveGiveBack: "give_back",
	MoveRate: "rate", MoveOwned: "owned"}

// Known says whether a number is that of a move.
func (m Move) Known() bool { return int(m) < len(moveNames) }

func (m Move) String() string {
	if !m.Known() {
		return fmt.Sprintf("move(%d)", uint8(m))
	}
	return moveNames[m]
}

// Leg is one movement of an entry: a transfer has one, an unlock one for the fee and for each payee. An entry without money
// has one, too, so that it stands in somebody's history. 32 bytes.
type Leg struct {
	Amount Msat
	From   AccountNo // whose history it is first of all
	To     AccountNo // who is paid; of a channel's opening, top-up, renewal and end the payee, who is not; otherwise zero
	Object uint32    // the account, channel, hold, content or claim that the op is about; of transfers, credits and debits zero; of a rate the currency
	Entry  uint32    // the entry's seq is the block's first seq plus this
	At     uint32    // where in the block's ops the op begins
	Kind   Kind
	Move   Move
}

// MaxLegs bounds the legs of an entry: those of a claim's end, one for each party, for each payee, and for the hub's fee.
const MaxLegs = 2 + MaxClaimPayees + 1

// Effect is what the leg does to an account: to what it has at hand, and to what is held for it. An account may be both
// sides: who buys what he has a share in pays himself.
func (l *Leg) Effect(a AccountNo) (available, held int64) {
	n := int64(l.Amount)
	if a == l.From {
		switch l.Move {
		case MovePaid:
			available -= n
		case MovePaidHeld:
			held -= n
		case MoveSetAside:
			available, held = -n, n
		case MoveGiveBack:
			available, held = n, -n
		}
	}
	if a == l.To && l.pays() {
		available += n
	}
	return available, held
}

// pays says whether the leg's To gets its amount.
func (l *Leg) pays() bool { return l.Move == MovePaid || l.Move == MovePaidHeld }

// Touches says whether the leg belongs in the account's history.
func (l *Leg) Touches(a AccountNo) bool {
	return a == l.From || a == l.To && l.pays()
}

// Channel is the channel in whose history the leg belongs, or zero.
func (l *Leg) Channel() ChannelNo {
	switch l.Kind {
	case OpAdvance, OpOpenChannel, OpTopUp, OpCloseChannel, OpExpireChannel, OpOpenTerms, OpVoucher, OpRenew:
		return ChannelNo(l.Object)
	}
	return 0
}

// Content says whether the object of the kind's legs is a content.
func (k Kind) Content() bool {
	switch k {
	case OpUnlock, OpRegister, OpReprice, OpRetire, OpSplit, OpTerms, OpUnlockPaying, OpGift, OpGrant, OpUnlockUnit:
		return true
	}
	return false
}

// Claim says whether the object of the kind's legs is a claim.
func (k Kind) Claim() bool {
	switch k {
	case OpClaim, OpAnswer, OpDecide, OpWithdrawClaim:
		return true
	}
	return false
}

// leg adds a leg to the entry that is being made. Its place is set when the op is done: see Apply.
func (s *State) leg(l Leg) { s.legs = append(s.legs, l) }

// place says of the legs from n on to which entry and op they belong.
func (s *State) place(n int, at int, a Applied, first uint64) {
	for i := n; i < len(s.legs); i++ {
		s.legs[i].Entry, s.legs[i].At = uint32(a.seq-first), uint32(at)
	}
}
