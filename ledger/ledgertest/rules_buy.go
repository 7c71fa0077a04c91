package ledgertest

import "github.com/millrace/millrace/ledger"

// mayNameVersion says whether ops of a kind may name a price version instead of an amount.
func mayNameVersion(k ledger.Kind) bool {
	return k == ledger.OpUnlock || k == ledger.OpGift || k == ledger.OpUnlockUnit
}

// wanted is what an op makes somebody own.
func (m *Model) wanted(op ledger.Op, content uint32) ownership {
	switch op.Kind {
	case ledger.OpGift, ledger.OpGrant:
		return ownership{ledger.AccountNo(op.Target), content, whole}
	case ledger.OpUnlockUnit:
		return ownership{op.Actor, content, int64(op.Target)}
	}
	return ownership{op.Actor, content, whole}
}

// buy: a content, or a unit of it, for oneself or for somebody else.
func (m *Model) buy(r *ruling, op ledger.Op) {
	to := ledger.AccountNo(op.Target)
	r.when(mayNameVersion(op.Kind) && op.Version == 0 && op.Amount == 0, ledger.OpMalformed)
	r.when(op.Kind == ledger.OpUnlockUnit && op.Target == 0xffffffff, ledger.OpMalformed)
	r.when(!m.holder(op.Actor), ledger.AccountUnknown)
	if op.Kind == ledger.OpGift {
		r.when(!m.holder(to), ledger.PayeeUnknown)
		r.when(to == op.Actor, ledger.SameAccount)
	}
	no := m.numberOf(op.ID)
	if no < 0 {
		r.when(true, ledger.ContentUnknown)
		return
	}
	c, want := m.contents[no], m.wanted(op, uint32(no))
	price := m.onSale(r, op, c, uint32(no))
	if op.Kind == ledger.OpUnlockPaying {
		price = op.Amount
	}
	r.when(m.holder(op.Actor) && m.poor(op.Actor, price), ledger.InsufficientFunds)
	if want.account == c.seller {
		r.repeat = &Outcome{Object: uint32(no)}
	}
	if want.unit == whole {
		r.when(c.terms.Units > 0, ledger.UnitUnknown)
	} else {
		r.when(want.unit >= int64(c.terms.Units), ledger.UnitUnknown)
		if want.unit < int64(c.terms.FreeUnits) {
			r.repeat = &Outcome{Object: uint32(no)}
		}
		if p, owns := m.owners[ownership{want.account, want.content, whole}]; owns {
			r.repeat = &Outcome{Seq: p.seq, Amount: p.paid, Object: uint32(no)}
		}
	}
	if p, owns := m.owners[want]; owns {
		r.repeat = &Outcome{Seq: p.seq, Amount: p.paid, Object: uint32(no)}
	}
	r.effect = func() Outcome {
		if c.claim != 0 {
			m.pay(op.Actor, ledger.Escrow, price)
		} else {
			m.share(op.Actor, price, c.payees())
		}
		return Outcome{Amount: price, Object: uint32(no)}
	}
}

// share pays a price: the fee to the hub, the rest to the payees.
func (m *Model) share(from ledger.AccountNo, price ledger.Msat, payees []ledger.Payee) {
	fee := FeeOf(price, m.Params.FeePPM)
	m.pay(from, ledger.Fees, fee)
	for i, part := range Split(price-fee, payees) {
		m.pay(from, payees[i].Account, part)
	}
}

// grant: the seller gives the work away.
func (m *Model) grant(r *ruling, op ledger.Op) {
	to := ledger.AccountNo(op.Target)
	r.when(!m.holder(to), ledger.PayeeUnknown)
	r.when(to == op.Actor, ledger.SameAccount)
	no := m.numberOf(op.ID)
	if no < 0 {
		r.when(true, ledger.ContentUnknown)
		return
	}
	c := m.contents[no]
	r.when(op.Actor != c.seller, ledger.NotPermitted)
	r.when(c.retired, ledger.ContentRetired)
	if p, owns := m.owners[ownership{to, uint32(no), whole}]; owns {
		r.repeat = &Outcome{Seq: p.seq, Object: uint32(no)}
	}
	r.effect = func() Outcome { return Outcome{Object: uint32(no)} }
}
