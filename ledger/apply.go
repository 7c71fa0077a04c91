package ledger

import (
	"fmt"
)

// Check says what an op would meet at a time: a refusal, a repeat with its original outcome, or Undecided when it would be
// applied. It changes nothing.
func (s *State) Check(op *Op, detail []byte, now uint64) Applied {
	if op.strays() {
		return refuse(OpMalformed)
	}
	a := s.check(op, detail, max(now, s.now))
	if a.result == unreadable {
		return Applied{} // Apply decides, or fails
	}
	return a
}

func (s *State) check(op *Op, detail []byte, now uint64) Applied {
	switch op.Kind {
	case OpAdvance:
		return s.checkAdvance(op, now)
	case OpTransfer:
		return s.checkTransfer(op, now)
	case OpUnlock, OpUnlockPaying, OpGift, OpUnlockUnit:
		return s.checkUnlock(op, now)
	case OpGrant:
		return s.checkGrant(op)
	case OpOpenAccount:
		return s.checkOpenAccount(op, now)
	case OpOpenChannel:
		return s.checkOpenChannel(op, now)
	case OpTopUp:
		return s.checkTopUp(op, now)
	case OpCloseChannel:
		return s.checkClose(op, now)
	case OpExpireChannel:
		return s.checkExpire(op, now)
	case OpRegister:
		return s.checkRegister(op, detail)
	case OpReprice:
		return s.checkReprice(op)
	case OpRetire:
		return s.checkRetire(op)
	case OpCredit:
		return s.checkCredit(op, now)
	case OpDebit:
		return s.checkDebit(op, now)
	case OpHold:
		return s.checkHold(op, now)
	case OpCapture:
		return s.checkCapture(op)
	case OpVoid:
		return s.checkVoid(op)
	case OpOpenTerms:
		return s.checkOpenTerms(op, detail, now)
	case OpVoucher:
		return s.checkVoucher(op, detail, now)
	case OpRenew:
		return s.checkRenew(op, now)
	case OpSplit:
		return s.checkSplit(op, detail)
	case OpRate:
		return s.checkRate(op, now)
	case OpTerms:
		return s.checkTerms(op, detail)
	case OpClaim:
		return s.checkClaim(op, detail, now)
	case OpAnswer:
		return s.checkAnswer(op, detail, now)
	case OpDecide:
		return s.checkDecide(op, detail, now)
	case OpWithdrawClaim:
		return s.checkWithdrawClaim(op)
	}
	return refuse(OpMalformed)
}

// mutate does what check left undecided. It cannot fail.
func (s *State) mutate(op *Op, detail []byte) Applied {
	switch op.Kind {
	case OpAdvance:
		return s.advance(op)
	case OpTransfer, OpCredit, OpDebit:
		return s.transfer(op)
	case OpUnlock, OpUnlockPaying, OpGift, OpUnlockUnit:
		return s.unlock(op)
	case OpGrant:
		return s.grant(op)
	case OpOpenAccount:
		return s.openAccount(op, s.now)
	case OpOpenChannel:
		return s.openChannel(op)
	case OpTopUp:
		return s.topUp(op)
	case OpCloseChannel:
		return s.closeChannel(op, Closed)
	case OpExpireChannel:
		return s.closeChannel(op, Expired)
	case OpRegister:
		return s.register(op, detail, s.now)
	case OpReprice:
		return s.reprice(op)
	case OpRetire:
		return s.retire(op)
	case OpHold:
		return s.hold(op)
	case OpCapture:
		return s.capture(op)
	case OpVoid:
		return s.void(op)
	case OpOpenTerms:
		return s.openTerms(op, detail)
	case OpVoucher:
		return s.voucher(op, detail)
	case OpRenew:
		return s.renew(op)
	case OpSplit:
		return s.split(op, detail)
	case OpRate:
		return s.rate(op)
	case OpTerms:
		return s.terms(op, detail)
	case OpClaim:
		return s.fileClaim(op, detail)
	case OpAnswer:
		return s.answer(op, detail)
	case OpDecide:
		return s.decide(op, detail)
	case OpWithdrawClaim:
		return s.withdrawClaim(op)
	}
	panic("ledger: an op that was checked has no kind")
}

// Apply does what a durable block says, op after op, and appends an outcome for each to out. The index must be later than
// the last block's. An error means that the block is not what it should be, nothing was changed, and the ledger must not
// go on: it is wrapped ErrBlock or ErrOp; or ErrArchive, and then a part of the block was applied.
func (s *State) Apply(index uint64, block []byte, out []Applied) ([]Applied, error) {
	h, count, ops, err := DecodeHeader(block)
	if err != nil {
		return out, err
	}
	if err := s.checkChain(index, h); err != nil {
		return out, err
	}
	if err := checkOps(ops, count); err != nil {
		return out, err
	}
	// From here on it must succeed.
	s.index = index
	s.now = max(s.now, h.Time)
	s.ids.expire(s.now)
	s.legs = s.legs[:0]
	first := s.seq + 1
	run := 0 // where the applied ops that the chain has not seen begin
	for at := 0; at < len(ops); {
		for _, d := range s.decodeSome(ops[at:]) {
			a := s.check(&d.op, d.detail, s.now)
			switch a.result {
			case unreadable:
				return out, fmt.Errorf("block %d: %w", index, ErrArchive)
			case Undecided:
				n := len(s.legs)
				a = s.mutate(&d.op, d.detail)
				s.place(n, at, a, first)
			default:
				s.chain.write(ops[run:at], s.now)
				run = at + d.size
			}
			out = append(out, a)
			at += d.size
		}
	}
	s.chain.write(ops[run:], s.now)
	copy(s.recent[:], s.recent[1:])
	newest := &s.recent[MaxInFlight-1]
	newest.index = index
	s.chain.sumTo(&newest.head)
	s.last = Record{Index: index, Time: s.now, First: first, Entries: int(s.seq + 1 - first), Legs: s.legs, Block: block, Head: newest.head}
	return out, nil
}

// Last is what the last block did. It is valid until the next Apply, and as long as the block's bytes are.
func (s *State) Last() *Record { return &s.last }

// checkChain refuses a block whose proposer knew another history than this one.
func (s *State) checkChain(index uint64, h Header) error {
	if index <= s.index {
		return fmt.Errorf("%w: index %d after %d", ErrBlock, index, s.index)
	}
	for _, p := range s.recent {
		if p.index == h.Parent && p.head != [32]byte{} {
			if p.head != h.Head {
				return fmt.Errorf("%w: block %d names head %x of block %d, which has %x", ErrBlock, index, h.Head, p.index, p.head)
			}
			return nil
		}
	}
	return fmt.Errorf("%w: block %d names block %d, which is not among the last %d", ErrBlock, index, h.Parent, MaxInFlight)
}

// checkOps makes sure that the loop of Apply meets nothing that it cannot decode.
func checkOps(ops []byte, count int) error {
	n := 0
	for at := 0; at < len(ops); n++ {
		size := 17
		if Kind(ops[at]) != OpAdvance || len(ops)-at < size {
			var op Op
			var err error
			if _, size, err = DecodeOp(ops[at:], &op); err != nil {
				return fmt.Errorf("op %d: %w", n, err)
			}
		}
		at += size
	}
	if n != count {
		return fmt.Errorf("%w: %d ops, header says %d", ErrBlock, n, count)
	}
	return nil
}

func checkAmount(amount Msat) Result {
	switch {
	case amount == 0:
		return AmountZero
	case amount > MaxMsat:
		return AmountTooLarge
	}
	return Undecided
}

// checkID is for ops that carry an OpID: a repeat gets the outcome of the first.
func (s *State) checkID(op *Op, now uint64) Applied {
	e, r := s.checkWindow(op, now)
	if r == Repeated {
		return Applied{result: Repeated, seq: e.Seq, object: e.Object, amount: op.Amount}
	}
	return refuse(r)
}

// entry counts an applied op.
func (s *State) entry(amount Msat, object uint32) Applied {
	s.seq++
	return Applied{result: Done, seq: s.seq, amount: amount, object: object}
}

// Audit recomputes what must always hold: the sum over all accounts is zero, nobody but an external account is below zero,
// what is held is what lies in open channels and holds, and what lies in escrow is what somebody will get. It reads everything:
// about a second for ten million rows.
func (s *State) Audit() error {
	held := make([]Msat, s.accounts.rows)
	for i := range s.channels.rows {
		c := s.channels.at(i)
		if c.Total > c.Funded {
			return fmt.Errorf("channel %v: total %d above its funds %d", ChannelNo(i), c.Total, c.Funded)
		}
		if c.Status == Open {
			held[c.Payer] += c.Funded - c.Total
		}
	}
	for i := range s.holds.rows {
		if h := s.holds.at(i); h.Status == Open {
			held[h.Account] += h.Amount
		}
	}
	if err := s.auditEscrow(); err != nil {
		return err
	}
	var sum int64
	for i := range s.accounts.rows {
		a, no := s.accounts.at(i), AccountNo(i)
		if a.Available < 0 && !no.External() {
			return fmt.Errorf("account %v: %d msat available", no, a.Available)
		}
		if a.Held != held[i] {
			return fmt.Errorf("account %v: %d msat held, but %d in its channels and holds", no, a.Held, held[i])
		}
		sum += a.Available + int64(a.Held)
	}
	if sum != 0 {
		return fmt.Errorf("the sum over all accounts is %d msat, not zero", sum)
	}
	return nil
}
