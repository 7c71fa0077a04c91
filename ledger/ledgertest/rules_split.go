package ledgertest

import (
	"encoding/binary"
	"slices"

	"github.com/millrace/millrace/ledger"
)

// payees are the faults of a split.
func (m *Model) payees(r *ruling, payees []ledger.Payee) {
	seen := map[ledger.AccountNo]bool{}
	for _, p := range payees {
		r.when(!m.holder(p.Account), ledger.PayeeUnknown)
		r.when(p.Share == 0 || p.Share > 1_000_000 || seen[p.Account], ledger.SplitInvalid)
		seen[p.Account] = true
	}
	r.when(len(payees) == 0, ledger.SplitInvalid)
}

// payees are those who share the price now.
func (c *content) payees() []ledger.Payee { return c.splits[len(c.splits)-1].Payees }

// present is the registration with the payees of now.
func (c *content) present() ledger.Registration {
	r := c.Registration
	r.Payees = c.payees()
	return r
}

// split: the seller says who shares the price from now on.
func (m *Model) split(r *ruling, op ledger.Op, detail []byte) {
	short := len(detail) == 0
	var payees []ledger.Payee
	if !short {
		b := detail[1:]
		payees = parsePayees(int(detail[0]), func(n int) []byte {
			if n > len(b) {
				short = true
				return make([]byte, n)
			}
			part := b[:n]
			b = b[n:]
			return part
		})
		short = short || len(b) > 0 || len(payees) > 16
	}
	if short {
		r.when(true, ledger.OpMalformed)
		return
	}
	m.payees(r, payees)
	no := m.numberOf(op.ID)
	if no < 0 {
		r.when(true, ledger.ContentUnknown)
		return
	}
	c := m.contents[no]
	r.when(op.Actor != c.seller, ledger.NotPermitted)
	r.when(c.retired, ledger.ContentRetired)
	last := c.splits[len(c.splits)-1]
	r.when(len(c.splits) >= ledger.MaxSplits, ledger.SplitInvalid)
	r.when(c.claim != 0, ledger.ContentClaimed)
	if slices.Equal(last.Payees, payees) {
		r.repeat = &Outcome{Seq: last.Seq, Object: last.Number}
	}
	r.effect = func() Outcome {
		c.splits = append(c.splits, ledger.Split{Content: uint32(no), Number: last.Number + 1, Since: m.Now, Payees: payees})
		return Outcome{Object: last.Number + 1}
	}
}

// parsePayees reads n payees as AppendPayees documents them.
func parsePayees(n int, take func(int) []byte) (payees []ledger.Payee) {
	for range n {
		account, share := binary.LittleEndian.Uint32(take(4)), binary.LittleEndian.Uint32(take(4))
		payees = append(payees, ledger.Payee{Account: ledger.AccountNo(account), Share: share})
	}
	return payees
}
