package ledgertest

import (
	"encoding/binary"
	"math/big"
	"slices"
	"sort"
	"strings"

	"github.com/millrace/millrace/ledger"
)

func (m *Model) openChannel(r *ruling, op ledger.Op) {
	const fiveYears = 5 * 365 * 86_400_000
	m.payer(r, op)
	m.payee(r, op)
	expiry := 1000 * uint64(op.Version)
	r.when(expiry <= m.Now || expiry-m.Now > fiveYears, ledger.ExpiryInvalid)
	r.effect = func() Outcome {
		m.available[op.Actor] -= int64(op.Amount)
		m.channels = append(m.channels, &channel{payer: op.Actor, payee: ledger.AccountNo(op.Target), funded: op.Amount,
			expiry: expiry, status: ledger.Open})
		return Outcome{Amount: op.Amount, Object: uint32(len(m.channels) - 1)}
	}
}

// useChannel is for the ops that name one.
func (m *Model) useChannel(r *ruling, op ledger.Op, detail []byte) {
	if op.Kind == ledger.OpVoucher {
		r.when(strings.Trim(string(detail), "\x00") == "" || len(detail) != 64, ledger.VoucherInvalid)
	}
	if op.Target == 0 || int(op.Target) >= len(m.channels) {
		r.when(true, ledger.ChannelUnknown)
		return
	}
	c := m.channels[op.Target]
	due := m.Now >= c.expiry
	end := func(status ledger.Status) func() Outcome {
		return func() Outcome {
			m.available[c.payer] += int64(c.funded - c.total)
			c.status = status
			return Outcome{Amount: c.funded - c.total, Object: op.Target}
		}
	}
	ended := &Outcome{Amount: c.funded - c.total, Object: op.Target}
	switch op.Kind {
	case ledger.OpAdvance, ledger.OpVoucher:
		m.advance(r, op, detail, c)
	case ledger.OpRenew:
		m.renew(r, op, c)
	case ledger.OpTopUp:
		r.when(op.Actor != c.payer, ledger.NotPermitted)
		r.when(c.status == ledger.Closed, ledger.ChannelClosed)
		r.when(c.status == ledger.Expired || c.status == ledger.Open && due, ledger.ChannelExpired)
		r.when(c.funded+op.Amount > maxMsat, ledger.TotalAbove)
		r.when(m.poor(c.payer, op.Amount), ledger.InsufficientFunds)
		r.effect = func() Outcome {
			m.available[c.payer] -= int64(op.Amount)
			c.funded += op.Amount
			return Outcome{Amount: op.Amount, Object: op.Target}
		}
	case ledger.OpCloseChannel:
		r.when(op.Actor != c.payer && op.Actor != c.payee, ledger.NotPermitted)
		r.when(c.terms.Mode == ledger.Signed && op.Actor == c.payer && c.status == ledger.Open && !due, ledger.WrongMode)
		r.when(c.status == ledger.Expired, ledger.ChannelExpired)
		if c.status == ledger.Closed {
			r.repeat = ended
		}
		r.effect = end(ledger.Closed)
	case ledger.OpExpireChannel:
		r.when(!due, ledger.ExpiryInvalid)
		r.when(c.status == ledger.Closed, ledger.ChannelClosed)
		if c.status == ledger.Expired {
			r.repeat = ended
		}
		r.effect = end(ledger.Expired)
	}
}

func (m *Model) setAside(r *ruling, op ledger.Op) {
	m.payer(r, op)
	r.effect = func() Outcome {
		m.available[op.Actor] -= int64(op.Amount)
		m.holds = append(m.holds, &hold{account: op.Actor, amount: op.Amount, status: ledger.Open})
		return Outcome{Amount: op.Amount, Object: uint32(len(m.holds) - 1)}
	}
}

// endHold is capture and void.
func (m *Model) endHold(r *ruling, op ledger.Op) {
	to, capture := ledger.AccountNo(op.Version), op.Kind == ledger.OpCapture
	if capture {
		r.when(!m.holder(to) && !to.External(), ledger.PayeeUnknown)
		m.external(r, to, op.Amount)
	}
	if op.Target == 0 || int(op.Target) >= len(m.holds) {
		r.when(true, ledger.HoldUnknown)
		return
	}
	h := m.holds[op.Target]
	r.when(h.account != op.Actor, ledger.NotPermitted)
	r.when(h.status != ledger.Open, ledger.HoldClosed)
	if !capture {
		if h.status == ledger.Voided {
			r.repeat = &Outcome{Amount: h.amount, Object: op.Target}
		}
		r.effect = func() Outcome {
			h.status = ledger.Voided
			m.available[h.account] += int64(h.amount)
			return Outcome{Amount: h.amount, Object: op.Target}
		}
		return
	}
	r.when(op.Amount > h.amount, ledger.TotalAbove)
	if h.status == ledger.Closed && h.to == to && h.captured == op.Amount {
		r.repeat = &Outcome{Amount: op.Amount, Object: op.Target}
	}
	r.effect = func() Outcome {
		h.status, h.to, h.captured = ledger.Closed, to, op.Amount
		m.available[h.account] += int64(h.amount - op.Amount)
		m.available[to] += int64(op.Amount)
		return Outcome{Amount: op.Amount, Object: op.Target}
	}
}

func (m *Model) register(r *ruling, op ledger.Op, detail []byte) {
	reg, ok := parseRegistration(detail)
	r.when(!ok || op.ID == [16]byte{}, ledger.OpMalformed)
	r.when(!m.holder(op.Actor), ledger.AccountUnknown)
	m.payees(r, reg.Payees)
	for no, c := range m.contents {
		if c == nil {
			continue
		}
		if c.id == op.ID && c.same(op, reg) {
			r.repeat = &Outcome{Seq: c.seq, Object: uint32(no)}
		}
		r.when(c.id == op.ID, ledger.ContentExists)
		r.when(c.Commitment == reg.Commitment, ledger.CommitmentTaken)
	}
	r.effect = func() Outcome {
		m.contents = append(m.contents, &content{id: op.ID, seller: op.Actor, by: op.Actor, price: op.Amount, first: op.Amount, version: 1,
			at: m.Now, Registration: reg, splits: []ledger.Split{{Content: uint32(len(m.contents)), Number: 1, Since: m.Now, Payees: reg.Payees}}})
		return Outcome{Object: uint32(len(m.contents) - 1)}
	}
}

// same says whether a registration is the one that made the content. The wrapped key may differ.
func (c *content) same(op ledger.Op, reg ledger.Registration) bool {
	return c.by == op.Actor && c.first == op.Amount && c.Commitment == reg.Commitment &&
		c.HeaderSHA256 == reg.HeaderSHA256 && c.FileSHA256 == reg.FileSHA256 && c.Size == reg.Size &&
		slices.Equal(c.Payees, reg.Payees) && c.Title == reg.Title
}

// parseRegistration reads the layout that Registration documents.
func parseRegistration(b []byte) (r ledger.Registration, ok bool) {
	short := false
	take := func(n int) []byte {
		if n > len(b) {
			short = true
			return make([]byte, n)
		}
		part := b[:n]
		b = b[n:]
		return part
	}
	copy(r.Commitment[:], take(32))
	copy(r.HeaderSHA256[:], take(32))
	copy(r.FileSHA256[:], take(32))
	copy(r.Wrapped[:], take(48))
	r.Size = binary.LittleEndian.Uint64(take(8))
	n := int(take(1)[0])
	r.Payees = parsePayees(n, take)
	r.Title = string(take(int(take(1)[0])))
	return r, !short && len(b) == 0 && n <= 16 && titleOK(r.Title)
}

// useContent is for the ops that name one.
func (m *Model) useContent(r *ruling, op ledger.Op) {
	no := m.numberOf(op.ID)
	if no < 0 {
		r.when(true, ledger.ContentUnknown)
		return
	}
	c := m.contents[no]
	switch op.Kind {
	case ledger.OpReprice:
		r.when(op.Actor != c.seller, ledger.NotPermitted)
		r.when(c.retired, ledger.ContentRetired)
		r.when(op.Version != c.version, ledger.PriceChanged)
		if op.Version > 0 && uint64(c.version) == uint64(op.Version)+1 && c.price == op.Amount {
			r.repeat = &Outcome{Object: c.version}
		}
		r.effect = func() Outcome {
			c.price = op.Amount
			c.version++
			return Outcome{Object: c.version}
		}
	case ledger.OpRetire:
		r.when(op.Actor != c.seller, ledger.NotPermitted)
		if c.retired {
			r.repeat = &Outcome{Object: uint32(no)}
		}
		r.effect = func() Outcome {
			c.retired = true
			return Outcome{Object: uint32(no)}
		}
	}
}

// FeeOf is price times ppm over a million, rounded down.
func FeeOf(price ledger.Msat, ppm uint32) ledger.Msat {
	x := new(big.Int).SetUint64(uint64(price))
	x.Mul(x, big.NewInt(int64(ppm)))
	x.Quo(x, big.NewInt(1_000_000))
	return ledger.Msat(x.Uint64())
}

// Split divides an amount by largest remainder, the earlier payee first among equals.
func Split(amount ledger.Msat, payees []ledger.Payee) []ledger.Msat {
	sum := new(big.Int)
	for _, p := range payees {
		sum.Add(sum, big.NewInt(int64(p.Share)))
	}
	parts := make([]ledger.Msat, len(payees))
	remainders := make([]*big.Int, len(payees))
	order := make([]int, len(payees))
	left := amount
	for i, p := range payees {
		x := new(big.Int).SetUint64(uint64(amount))
		x.Mul(x, big.NewInt(int64(p.Share)))
		quotient, remainder := x.QuoRem(x, sum, new(big.Int))
		parts[i], remainders[i], order[i] = ledger.Msat(quotient.Uint64()), remainder, i
		left -= parts[i]
	}
	sort.SliceStable(order, func(i, j int) bool { return remainders[order[i]].Cmp(remainders[order[j]]) > 0 })
	for _, i := range order[:left] {
		parts[i]++
	}
	return parts
}
