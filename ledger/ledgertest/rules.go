package ledgertest

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/millrace/millrace/ledger"
)

// maxMsat is 21 million bitcoin in msat, written out.
const maxMsat = 2_100_000_000_000_000_000

// rule says what the rules have to say about an op in the present state.
func (m *Model) rule(op ledger.Op, detail []byte) *ruling {
	r := &ruling{wins: states}
	if hasAmount(op.Kind) {
		r.when(op.Amount == 0 && !mayNameVersion(op.Kind) && op.Kind != ledger.OpDecide, ledger.AmountZero)
		r.when(op.Amount > maxMsat, ledger.AmountTooLarge)
	}
	if hasID(op.Kind) {
		m.ruleID(r, op, detail)
	}
	switch op.Kind {
	case ledger.OpOpenAccount:
		r.effect = m.openAccount
	case ledger.OpTransfer:
		m.transfer(r, op)
	case ledger.OpCredit:
		m.credit(r, op)
	case ledger.OpDebit:
		m.debit(r, op)
	case ledger.OpOpenChannel:
		m.openChannel(r, op)
	case ledger.OpOpenTerms:
		m.openTerms(r, op, detail)
	case ledger.OpAdvance, ledger.OpTopUp, ledger.OpCloseChannel, ledger.OpExpireChannel, ledger.OpVoucher, ledger.OpRenew:
		m.useChannel(r, op, detail)
	case ledger.OpHold:
		m.setAside(r, op)
	case ledger.OpCapture, ledger.OpVoid:
		m.endHold(r, op)
	case ledger.OpRegister:
		m.register(r, op, detail)
	case ledger.OpSplit:
		m.split(r, op, detail)
	case ledger.OpRate:
		m.rate(r, op)
	case ledger.OpTerms:
		m.terms(r, op, detail)
	case ledger.OpReprice, ledger.OpRetire:
		m.useContent(r, op)
	case ledger.OpUnlock, ledger.OpUnlockPaying, ledger.OpGift, ledger.OpUnlockUnit:
		m.buy(r, op)
	case ledger.OpGrant:
		m.grant(r, op)
	case ledger.OpClaim:
		m.fileClaim(r, op, detail)
	case ledger.OpAnswer, ledger.OpDecide, ledger.OpWithdrawClaim:
		m.useClaim(r, op, detail)
	default:
		r.when(true, ledger.OpMalformed)
	}
	return r
}

func hasAmount(k ledger.Kind) bool {
	switch k {
	case ledger.OpOpenAccount, ledger.OpCloseChannel, ledger.OpExpireChannel, ledger.OpRetire, ledger.OpVoid,
		ledger.OpRenew, ledger.OpSplit, ledger.OpGrant,
		ledger.OpClaim, ledger.OpAnswer, ledger.OpWithdrawClaim:
		return false
	}
	return true
}

// ruleID: version and variant of a UUIDv7, a time within the window, and either new or the very same op.
func (m *Model) ruleID(r *ruling, op ledger.Op, detail []byte) {
	at := ledger.OpID(op.ID).Millis()
	r.when(op.ID[6]&0xf0 != 0x70 || op.ID[8]&0xc0 != 0x80, ledger.IDInvalid)
	r.when(m.Now > m.Params.IDWindow && at < m.Now-m.Params.IDWindow, ledger.IDExpired)
	r.when(at > m.Now+m.Params.IDAhead, ledger.IDAhead)
	r.wins = ledger.IDReused
	before, known := m.ids[sentID{op.ID, op.Actor}]
	switch {
	case known && before.op == op && before.detail == string(detail):
		r.repeat = &before.outcome
	case known:
		r.when(true, ledger.IDReused)
	default:
	}
}

func (m *Model) openAccount() Outcome {
	no := ledger.FirstAccount + ledger.AccountNo(len(m.opened))
	m.available[no] = 0
	m.opened[no] = m.Now
	return Outcome{Object: uint32(no)}
}

// payer and payee are the faults that every op between two holders shares.
func (m *Model) payer(r *ruling, op ledger.Op) {
	r.when(!m.holder(op.Actor), ledger.AccountUnknown)
	r.when(m.holder(op.Actor) && m.poor(op.Actor, op.Amount), ledger.InsufficientFunds)
}

func (m *Model) poor(a ledger.AccountNo, amount ledger.Msat) bool {
	return uint64(amount) > uint64(m.available[a]) // a holder's is never below zero
}

func (m *Model) payee(r *ruling, op ledger.Op) {
	r.when(!m.holder(ledger.AccountNo(op.Target)), ledger.PayeeUnknown)
	r.when(op.Actor == ledger.AccountNo(op.Target), ledger.SameAccount)
}

func (m *Model) transfer(r *ruling, op ledger.Op) {
	m.payer(r, op)
	m.payee(r, op)
	r.effect = func() Outcome {
		m.pay(op.Actor, ledger.AccountNo(op.Target), op.Amount)
		return Outcome{Amount: op.Amount}
	}
}

// credit: neither may all the money inside exceed the maximum, nor what one external account owes.
func (m *Model) credit(r *ruling, op ledger.Op) {
	to := ledger.AccountNo(op.Target)
	r.when(!op.Actor.External() || !m.holder(to), ledger.AccountUnknown)
	if op.Actor.External() && op.Amount <= maxMsat {
		r.when(m.supply()+op.Amount > maxMsat || m.available[op.Actor]-int64(op.Amount) < -maxMsat, ledger.SupplyExceeded)
	}
	r.effect = func() Outcome {
		m.pay(op.Actor, to, op.Amount)
		return Outcome{Amount: op.Amount}
	}
}

func (m *Model) debit(r *ruling, op ledger.Op) {
	m.payer(r, op)
	to := ledger.AccountNo(op.Target)
	r.when(!to.External(), ledger.AccountUnknown)
	m.external(r, to, op.Amount)
	r.effect = func() Outcome {
		m.pay(op.Actor, to, op.Amount)
		return Outcome{Amount: op.Amount}
	}
}

// external: what an external account is owed is bounded too.
func (m *Model) external(r *ruling, to ledger.AccountNo, amount ledger.Msat) {
	if to.External() && amount <= maxMsat {
		r.when(m.available[to]+int64(amount) > maxMsat, ledger.SupplyExceeded)
	}
}

func titleOK(title string) bool {
	return title != "" && len(title) <= 200 && utf8.ValidString(title) && !strings.ContainsFunc(title, unicode.IsControl)
}
