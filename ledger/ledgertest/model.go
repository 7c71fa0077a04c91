package ledgertest

import (
	"slices"

	"github.com/millrace/millrace/ledger"
)

// Model is the ledger written for plainness: maps, no blocks, no bytes, nothing derived is stored. Where the ledger returns
// at the first fault that it meets, the model looks for all of them and reports the one with the smallest number; so it
// checks that the order of the checks is the order of the results.
type Model struct {
	Params ledger.Params
	Now    uint64
	Seq    uint64

	available map[ledger.AccountNo]int64
	opened    map[ledger.AccountNo]uint64
	channels  []*channel // by number, from 1
	holds     []*hold    // by number, from 1
	contents  []*content // by number, from 1
	owners    map[ownership]purchase
	bought    []bought
	rates     map[ledger.Currency][]ledger.Rate // all there ever were
	claims    []*claim                          // by number, from 1
	ids       map[sentID]remembered
}

type channel struct {
	payer, payee  ledger.AccountNo
	funded, total ledger.Msat
	expiry        uint64 // ms
	status        ledger.Status
	terms         ledger.ChannelTerms
	signature     [64]byte
	payments      []payment
}

// payment is one advance of a channel.
type payment struct {
	at   uint64 // ms
	paid ledger.Msat
}

type hold struct {
	account, to      ledger.AccountNo
	amount, captured ledger.Msat
	status           ledger.Status
}

type content struct {
	id      ledger.ContentID
	seller  ledger.AccountNo
	price   ledger.Msat
	first   ledger.Msat // the price that it was registered at
	version uint32
	retired bool
	seq     uint64
	at      uint64
	splits  []ledger.Split // the last one counts
	terms   ledger.Terms
	claim   int // that which is yet to be decided, or zero
	by      ledger.AccountNo
	ledger.Registration
}

type ownership struct {
	account ledger.AccountNo
	content uint32
	unit    int64 // of the work itself less than zero
}

// whole is the unit of an ownership of all.
const whole = -1

type purchase struct {
	seq  uint64
	paid ledger.Msat
}

// bought is one time that a content was paid for.
type bought struct {
	content uint32
	paid    ledger.Msat
	claim   int // that which was yet to be decided, or zero
}

// sentID is an op's id with who sent it: an id counts for its sender alone.
type sentID struct {
	id     ledger.OpID
	sender ledger.AccountNo
}

type remembered struct {
	op      ledger.Op
	detail  string // of a channel's opening, and of a claim
	outcome Outcome
}

// NewModel is the model before its first op.
func NewModel(p ledger.Params) *Model {
	return &Model{
		Params: p,
		available: map[ledger.AccountNo]int64{
			ledger.Fees: 0, ledger.Dev: 0, ledger.Lightning: 0, ledger.Chain: 0, ledger.Escrow: 0, ledger.Market: 0,
		},
		opened:   map[ledger.AccountNo]uint64{},
		channels: []*channel{nil}, holds: []*hold{nil}, contents: []*content{nil}, claims: []*claim{nil},
		owners: map[ownership]purchase{},
		rates:  map[ledger.Currency][]ledger.Rate{},
		ids:    map[sentID]remembered{},
	}
}

// ruling is what the rules say about an op.
type ruling struct {
	faults []ledger.Result
	repeat *Outcome       // the outcome of the same op before
	wins   ledger.Result  // a repeat is one unless there is a fault below this
	effect func() Outcome // the seq is filled in later
}

// states is where the results begin that are about the state of what an op names. The same op again is a repeat whatever
// became of it since, unless what it names is not there or not the actor's.
const states = ledger.ContentExists

func (r *ruling) when(fault bool, result ledger.Result) {
	if fault {
		r.faults = append(r.faults, result)
	}
}

// Do applies an op at a time.
func (m *Model) Do(now uint64, op ledger.Op, detail []byte) Outcome {
	if now > m.Now {
		m.Now = now
	}
	r := m.rule(op, detail)
	fault := ledger.Undecided
	if len(r.faults) > 0 {
		fault = slices.Min(r.faults)
	}
	switch {
	case r.repeat != nil && (fault == ledger.Undecided || fault >= r.wins):
		o := *r.repeat
		o.Result = ledger.Repeated
		return o
	case fault != ledger.Undecided:
		return Outcome{Result: fault}
	}
	o := r.effect()
	m.Seq++
	o.Result, o.Seq = ledger.Done, m.Seq
	m.note(op, detail, o)
	return o
}

// note is for what names its entry: ids, contents and purchases.
func (m *Model) note(op ledger.Op, detail []byte, o Outcome) {
	switch op.Kind {
	case ledger.OpRegister:
		c := m.contents[o.Object]
		c.seq, c.splits[0].Seq = o.Seq, o.Seq
		m.owners[ownership{op.Actor, o.Object, whole}] = purchase{seq: o.Seq}
	case ledger.OpGrant:
		m.owners[ownership{ledger.AccountNo(op.Target), o.Object, whole}] = purchase{seq: o.Seq}
	case ledger.OpUnlock, ledger.OpUnlockPaying, ledger.OpGift, ledger.OpUnlockUnit:
		m.owners[m.wanted(op, o.Object)] = purchase{seq: o.Seq, paid: o.Amount}
		m.bought = append(m.bought, bought{o.Object, o.Amount, m.contents[o.Object].claim})
	case ledger.OpSplit:
		c := m.contents[m.numberOf(op.ID)]
		c.splits[len(c.splits)-1].Seq = o.Seq
	case ledger.OpClaim:
		m.claims[o.Object].Seq = o.Seq
	case ledger.OpDecide:
		for _, no := range m.claims[o.Object].about() {
			if c := m.contents[no]; op.Version == ledger.ForClaimant {
				c.splits[len(c.splits)-1].Seq = o.Seq
			}
		}
	}
	if hasID(op.Kind) {
		m.ids[sentID{op.ID, op.Actor}] = remembered{op, string(detail), o}
	}
}

func hasID(k ledger.Kind) bool {
	return slices.Contains([]ledger.Kind{ledger.OpTransfer, ledger.OpOpenAccount, ledger.OpOpenChannel, ledger.OpTopUp,
		ledger.OpCredit, ledger.OpDebit, ledger.OpHold, ledger.OpOpenTerms, ledger.OpClaim}, k)
}

// numberOf is the number of a content, or less than zero.
func (m *Model) numberOf(id ledger.ContentID) int {
	return slices.IndexFunc(m.contents, func(c *content) bool { return c != nil && c.id == id })
}

// holder says whether an account pays and is paid inside.
func (m *Model) holder(a ledger.AccountNo) bool {
	_, ok := m.available[a]
	return ok && !a.External() && a != ledger.Escrow && a != ledger.Market
}

// supply is what all holders have, at hand and set aside.
func (m *Model) supply() ledger.Msat {
	var sum ledger.Msat
	for a, available := range m.available {
		if !a.External() {
			sum += ledger.Msat(available) + m.held(a)
		}
	}
	return sum
}

// held adds up what lies in an account's open channels and holds.
func (m *Model) held(a ledger.AccountNo) ledger.Msat {
	var sum ledger.Msat
	for _, c := range m.channels[1:] {
		if c.payer == a && c.status == ledger.Open {
			sum += c.funded - c.total
		}
	}
	for _, h := range m.holds[1:] {
		if h.account == a && h.status == ledger.Open {
			sum += h.amount
		}
	}
	return sum
}

func (m *Model) pay(from, to ledger.AccountNo, amount ledger.Msat) {
	m.available[from] -= int64(amount)
	m.available[to] += int64(amount)
}
