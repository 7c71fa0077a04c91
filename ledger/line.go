package ledger

// Line is one entry as it stands in the history of an account or a channel: one line for each entry that touches it, however
// many legs the entry has.
type Line struct {
	Seq    uint64
	Time   uint64 // milliseconds since 1970
	Kind   Kind
	Object uint32    // as in Leg: the account, channel, hold or content that the entry is about, or zero
	Other  AccountNo // the other side, when there is exactly one; otherwise zero
	ID     OpID      // of ops that carry one; otherwise zero

	// What the entry changed, and what there was after it, in msat. Of an account: at hand, and held. Of a channel: left in it,
	// and paid through it.
	Change, After [2]int64
}

// Entry is one entry as it stands in the log.
type Entry struct {
	Seq   uint64
	Time  uint64 // milliseconds since 1970
	Index uint64 // of its block
	Kind  Kind
	ID    OpID  // of ops that carry one; otherwise zero
	Legs  []Leg // at least one; Entry and At in them mean nothing here
}

// Range says which entries a reader of history wants, by their seqs; both ends belong to it.
type Range struct {
	From, To uint64 // zero in To: to the newest
	Newest   bool   // the newest first
}

// ChannelEffect is what a leg with a Channel does to what is left in it, and to what was paid through it.
func (l *Leg) ChannelEffect() (left, paid int64) {
	n := int64(l.Amount)
	switch l.Move {
	case MoveSetAside:
		return n, 0
	case MovePaidHeld:
		return -n, n
	case MoveGiveBack:
		return -n, 0
	}
	return 0, 0
}
