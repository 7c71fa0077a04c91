package ledger

// decoded is an op as it stands in a block.
type decoded struct {
	op     Op
	detail []byte
	size   int
}

// warmOps is how many ops are looked at together. What they are about, some three rows each, fits in the first-level cache.
const warmOps = 64

// decodeSome decodes the next ops of a block that checkOps has passed, and warms what they are about.
func (s *State) decodeSome(ops []byte) []decoded {
	n := 0
	for ; n < warmOps && len(ops) > 0; n++ {
		d := &s.some[n]
		d.detail, d.size, _ = DecodeOp(ops, &d.op)
		ops = ops[d.size:]
	}
	some := s.some[:n]
	var sum uint32
	for i := range some {
		sum += s.warmTarget(&some[i].op)
	}
	for i := range some {
		sum += s.warmAccounts(&some[i].op)
	}
	keep(sum)
	return some
}

// warmTarget reads what an op names directly, and warmAccounts the accounts behind that. Done for many ops in a row, the
// reads do not wait for each other and overlap in the memory system; one op after the other would pay for each miss in turn.
// With a million channels it makes Apply about three times as fast: see BenchmarkApplyAdvances. The sum is of no use, but
// keeps the reads from being optimised away.
func (s *State) warmTarget(op *Op) uint32 {
	switch {
	case op.Kind == OpAdvance && op.Target < s.channels.rows:
		return uint32(s.channels.at(op.Target).Payer)
	case op.Kind == OpTransfer:
		return s.ids.warm(s.seed.hashID(op.ID, op.Actor), OpID(op.ID).Millis())
	}
	return 0
}

func (s *State) warmAccounts(op *Op) uint32 {
	payer, payee := op.Actor, AccountNo(op.Target)
	switch {
	case op.Kind == OpAdvance && op.Target < s.channels.rows:
		c := s.channels.at(op.Target)
		payer, payee = c.Payer, c.Payee
	case op.Kind != OpTransfer || uint32(payer) >= s.accounts.rows || uint32(payee) >= s.accounts.rows:
		return 0
	}
	return s.accounts.at(uint32(payer)).Channels + s.accounts.at(uint32(payee)).Channels
}

// CheckAll is Check for many ops of one time: it sets the outcome of each in out, and returns how many would be applied. Their
// details stand one behind the other: see Op.CutDetail.
func (s *State) CheckAll(ops []Op, details []byte, now uint64, out []Applied) (undecided int) {
	now = max(now, s.now)
	var sum uint32
	for at := 0; at < len(ops); at += warmOps {
		end := min(at+warmOps, len(ops))
		for i := range ops[at:end] {
			sum += s.warmTarget(&ops[at+i])
		}
		for i := at; i < end; i++ {
			var own []byte
			if len(details) > 0 {
				own, details = ops[i].CutDetail(details)
			}
			if out[i] = s.Check(&ops[i], own, now); out[i].result == Undecided {
				undecided++
			}
		}
	}
	keep(sum)
	return undecided
}

// keep makes the compiler believe that a value is of use.
//
//go:noinline
func keep(uint32) {}
