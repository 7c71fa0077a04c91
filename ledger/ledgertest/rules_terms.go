package ledgertest

import "github.com/millrace/millrace/ledger"

// openTerms is openChannel with terms that say something.
func (m *Model) openTerms(r *ruling, op ledger.Op, detail []byte) {
	t, ok := parseChannelTerms(detail)
	r.when(!ok, ledger.OpMalformed)
	m.openChannel(r, op)
	open := r.effect
	r.effect = func() Outcome {
		o := open()
		m.channels[o.Object].terms = t
		return o
	}
}

func parseChannelTerms(b []byte) (t ledger.ChannelTerms, ok bool) {
	if len(b) != 41 {
		return t, false
	}
	t.Mode = ledger.Mode(b[0])
	for i := range 8 {
		t.PerMinute |= ledger.Msat(b[1+i]) << (8 * i)
	}
	copy(t.Key[:], b[9:])
	keyed, limited := t.Key != [32]byte{}, t.PerMinute != 0
	switch t.Mode {
	case ledger.PayerAdvances:
		ok = limited && !keyed
	case ledger.PayeeAdvances:
		ok = !keyed
	case ledger.Signed:
		ok = keyed
	}
	return t, ok && t.PerMinute <= maxMsat
}

// advance is by an advance or a voucher, as the channel's mode wants it.
func (m *Model) advance(r *ruling, op ledger.Op, detail []byte, c *channel) {
	payer, payee, shown := op.Actor == c.payer, op.Actor == c.payee, op.Kind == ledger.OpVoucher
	r.when(!payer && !payee, ledger.NotPermitted)
	switch c.terms.Mode {
	case ledger.PayerAdvances:
		r.when(payee && !shown, ledger.NotPermitted)
		r.when(shown, ledger.WrongMode)
	case ledger.PayeeAdvances:
		r.when(payer || shown, ledger.WrongMode)
	case ledger.Signed:
		r.when(!shown, ledger.WrongMode)
	}
	r.when(c.status == ledger.Closed, ledger.ChannelClosed)
	r.when(c.status == ledger.Expired || c.status == ledger.Open && m.Now >= c.expiry, ledger.ChannelExpired)
	r.when(op.Amount < c.total, ledger.TotalBelow)
	r.when(op.Amount > c.funded, ledger.TotalAbove)
	if op.Amount == c.total {
		r.repeat = &Outcome{Object: op.Target}
	}
	paid := op.Amount - c.total
	if limit := c.terms.PerMinute; limit > 0 && op.Amount <= maxMsat && op.Amount > c.total {
		before := ledger.Msat(0)
		for _, p := range c.payments {
			if p.at/60_000 == m.Now/60_000 {
				before += p.paid
			}
		}
		r.when(before+paid > limit, ledger.RateExceeded)
	}
	r.effect = func() Outcome {
		c.total = op.Amount
		c.payments = append(c.payments, payment{m.Now, paid})
		if shown {
			c.signature = [64]byte(detail)
		}
		m.available[c.payee] += int64(paid)
		return Outcome{Amount: paid, Object: op.Target}
	}
}

func (m *Model) renew(r *ruling, op ledger.Op, c *channel) {
	const fiveYears = 5 * 365 * 86_400_000
	expiry := 1000 * uint64(op.Version)
	r.when(op.Actor != c.payer, ledger.NotPermitted)
	r.when(expiry < c.expiry || expiry <= m.Now || expiry-m.Now > fiveYears, ledger.ExpiryInvalid)
	r.when(c.status == ledger.Closed, ledger.ChannelClosed)
	r.when(c.status == ledger.Expired || c.status == ledger.Open && m.Now >= c.expiry, ledger.ChannelExpired)
	if expiry == c.expiry {
		r.repeat = &Outcome{Object: op.Target}
	}
	r.effect = func() Outcome {
		c.expiry = expiry
		return Outcome{Object: op.Target}
	}
}

// sameTerms compares what a ledger says of a channel's terms and of its newest voucher.
func (m *Model) sameTerms(s *ledger.State, no ledger.ChannelNo, c *channel) bool {
	terms, ok := s.ChannelTerms(no)
	v, shown := s.Voucher(no)
	if !ok || terms != c.terms || shown != (c.terms.Mode == ledger.Signed && c.total > 0) {
		return false
	}
	return !shown || v == ledger.Voucher{Channel: no, Total: c.total, Key: c.terms.Key, Signature: c.signature}
}
