package ledger

// Record is what one block did, for those who follow the log: the history index, the transparency log, the stream of events.
// It is a function of the blocks up to this one, so whoever follows can be rebuilt from the log alone.
type Record struct {
	Index   uint64   // of the block
	Time    uint64   // of its entries, milliseconds since 1970
	First   uint64   // seq of its first entry; there may be none
	Entries int      // their number
	Legs    []Leg    // in the order of their entries, at least one for each
	Block   []byte   // as it stands in the log
	Head    [32]byte // of the ledger after it
}

// Last is the seq of the last entry up to this block.
func (r *Record) Last() uint64 { return r.First + uint64(r.Entries) - 1 }

// Op decodes the op that a leg comes from. The detail points into the block.
func (r *Record) Op(l *Leg) (op Op, detail []byte) {
	detail, _, _ = DecodeOp(r.Block[HeaderSize+int(l.At):], &op)
	return op, detail
}

// ID is that of the op which a leg comes from; zero for kinds that carry none.
func (r *Record) ID(l *Leg) OpID {
	if !l.Kind.remembered() {
		return OpID{}
	}
	op, _ := r.Op(l)
	return op.ID
}

// Remembered is what is remembered of an op that carries an OpID: enough to tell a repeat from a reuse, and to give a repeat
// the original outcome. An id counts for its sender alone, so nobody can spoil another's by using it first.
type Remembered struct {
	ID     OpID
	Actor  AccountNo
	Sum    uint64 // of the op's body
	Seq    uint64
	Object uint32 // the account, channel, hold or claim that the op made or touched
}

// Owned says that an account owns a content, or a unit of it, for ever, and what was paid for that in which entry.
type Owned struct {
	Account AccountNo
	Content uint32
	Unit    uint32 // counted from one; zero: the work itself
	Seq     uint64
	Paid    Msat // zero for who registered it, or was given it by who did
}

// Remembered calls f with what is to be remembered of the block's ops, in order.
func (r *Record) Remembered(f func(Remembered)) {
	last := uint32(1<<32 - 1)
	for i := range r.Legs {
		l := &r.Legs[i]
		if l.Entry == last || !l.Kind.remembered() {
			continue
		}
		last = l.Entry
		op, _ := r.Op(l)
		f(Remembered{ID: op.ID, Actor: op.Actor, Sum: op.sum(), Seq: r.First + uint64(l.Entry), Object: l.Object})
	}
}

// remembered says whether ops of the kind carry an OpID.
func (k Kind) remembered() bool {
	switch k {
	case OpTransfer, OpOpenAccount, OpOpenChannel, OpTopUp, OpCredit, OpDebit, OpHold, OpOpenTerms, OpClaim:
		return true
	}
	return false
}

// Owned calls f with what accounts came to own in the block, in order.
func (r *Record) Owned(f func(Owned)) {
	for i := 0; i < len(r.Legs); {
		first := &r.Legs[i]
		o := Owned{Account: first.From, Content: first.Object, Seq: r.First + uint64(first.Entry)}
		owned := first.Kind == OpUnlock || first.Kind == OpUnlockPaying || first.Kind == OpRegister
		for ; i < len(r.Legs) && r.Legs[i].Entry == first.Entry; i++ {
			switch l := &r.Legs[i]; {
			case l.Move == MoveOwned: // by others than the one who pays, or not the whole
				o.Account, o.Unit, owned = l.From, uint32(l.Amount), true
			case l.pays():
				o.Paid += l.Amount
			}
		}
		if owned {
			f(o)
		}
	}
}
