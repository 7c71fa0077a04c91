package ledgertest

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/millrace/millrace/ledger"
)

// Generator makes ops that favour the interesting: few hot accounts, repeats, amounts at their bounds, and things that are
// closed, expired, unknown or somebody else's. It runs a Model beside to know what there is.
type Generator struct {
	Model *Model

	rng  *rand.Rand
	now  uint64
	past []Step // for repeats: what was applied, and some of what was not
}

// NewGenerator starts a sequence that depends on the seed alone, its params included.
func NewGenerator(seed uint64) *Generator {
	rng := rand.New(rand.NewPCG(seed, 0x6d696c6c))
	return &Generator{
		rng: rng,
		now: 1_760_000_000_000 + rng.Uint64N(7_200_000),
		Model: NewModel(ledger.Params{
			FeePPM:   pick[uint32](rng, 0, 1, 25_000, 333_333, 1_000_000),
			IDWindow: pick[uint64](rng, 1000, 60_000, 2*3_600_000, 24*3_600_000),
			IDAhead:  pick[uint64](rng, 0, 500, 30_000, 3_600_000),
		}),
	}
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// Next makes a step, and says what it comes to.
func (g *Generator) Next() (Step, Outcome) {
	g.tick()
	step := Step{Time: g.now}
	if n := len(g.past); n > 0 && g.rng.IntN(8) == 0 {
		old := g.past[n-1-min(g.rng.IntN(n), g.rng.IntN(n))] // rather a recent one
		step.Op, step.Detail = old.Op, old.Detail
		if g.rng.IntN(2) == 0 {
			g.spoil(&step)
		}
	} else {
		step.Op, step.Detail = g.op()
	}
	outcome := g.Model.Do(step.Time, step.Op, step.Detail)
	if outcome.Result == ledger.Done || g.rng.IntN(8) == 0 {
		g.past = append(g.past, step)
	}
	return step, outcome
}

// Steps makes n steps.
func (g *Generator) Steps(n int) ([]Step, []Outcome) {
	steps, outcomes := make([]Step, n), make([]Outcome, n)
	for i := range steps {
		steps[i], outcomes[i] = g.Next()
	}
	return steps, outcomes
}

// tick moves the clock: mostly not at all, seldom far, sometimes back.
func (g *Generator) tick() {
	switch p := g.rng.IntN(100); {
	case p < 60:
	case p < 85:
		g.now += g.rng.Uint64N(20)
	case p < 96:
		g.now += g.rng.Uint64N(2000)
	case p < 97:
		g.now -= g.rng.Uint64N(5000)
	case p < 98:
		g.now += g.rng.Uint64N(2 * 3_600_000)
	case p == 98 && g.rng.IntN(2) == 0:
		g.now += g.Model.Params.IDWindow + pick[uint64](g.rng, 0, 1, 3_600_000)
	}
}

// spoil changes one field of an op, so that it is another under the same id.
func (g *Generator) spoil(s *Step) {
	switch g.rng.IntN(4) {
	case 0:
		s.Op.Amount += ledger.Msat(g.rng.IntN(3)) - 1
	case 1:
		s.Op.Target++
	case 2:
		s.Op.Actor = g.account()
	case 3:
		s.Op.Version++
	}
	s.Op = normal(s.Op)
}

// normal clears what a block does not carry.
func normal(op ledger.Op) ledger.Op {
	var plain ledger.Op
	if _, _, err := ledger.DecodeOp(ledger.AppendOp(nil, &op, nil), &plain); err != nil {
		panic(err)
	}
	return plain
}

func (g *Generator) op() (ledger.Op, []byte) {
	op := ledger.Op{Kind: g.kind(), Actor: g.account(), Target: uint32(g.account())}
	var detail []byte
	if hasID(op.Kind) {
		op.ID = g.id()
	}
	switch op.Kind {
	case ledger.OpTransfer, ledger.OpHold:
		op.Amount = g.amount(g.purse(op.Actor))
	case ledger.OpCredit:
		op.Actor = pick(g.rng, ledger.Dev, ledger.Lightning, ledger.Chain, op.Actor)
		op.Amount = g.amount(pick[ledger.Msat](g.rng, 1_000_000, maxMsat-g.Model.supply()))
	case ledger.OpDebit:
		op.Target = uint32(pick(g.rng, ledger.Dev, ledger.Lightning, ledger.Chain, g.account()))
		op.Amount = g.amount(g.purse(op.Actor))
	case ledger.OpOpenChannel:
		op.Amount = g.amount(g.purse(op.Actor))
		op.Version = g.expiry()
	case ledger.OpOpenTerms:
		op.Amount = g.amount(g.purse(op.Actor))
		op.Version = g.expiry()
		detail = g.channelTerms()
	case ledger.OpAdvance, ledger.OpTopUp, ledger.OpCloseChannel, ledger.OpExpireChannel, ledger.OpVoucher, ledger.OpRenew:
		g.onChannel(&op)
		if op.Kind == ledger.OpVoucher {
			detail = g.signature()
		}
	case ledger.OpCapture, ledger.OpVoid:
		op.Target = g.number(len(g.Model.holds))
		op.Version = uint32(g.account())
		if h := g.Model.holds[min(int(op.Target), len(g.Model.holds)-1)]; h != nil {
			op.Amount = g.amount(h.amount)
			if g.rng.IntN(8) > 0 {
				op.Actor = h.account
			}
		}
	case ledger.OpRegister:
		op.Amount = g.amount(500_000)
		op.ID = g.content()
		detail = g.registration()
	case ledger.OpSplit:
		g.onContent(&op)
		detail = g.split(op.ID)
	case ledger.OpRate:
		op.Version = currencies[g.rng.IntN(4)/3].Version() + pick[uint32](g.rng, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1<<5, 1<<30)
		op.Amount = g.amount(16_000_000_000_000)
		op.Target = uint32(g.now/1000) + pick[uint32](g.rng, 0, 1, 30, 600, 3600, 100_000)
	case ledger.OpTerms:
		g.onContent(&op)
		detail = g.terms(op.ID)
		if g.rng.IntN(6) == 0 {
			op.Amount = ledger.MaxMsat
		}
	case ledger.OpClaim:
		detail = g.claim(&op)
	case ledger.OpAnswer, ledger.OpDecide, ledger.OpWithdrawClaim:
		detail = g.onClaim(&op)
	default:
		g.onContent(&op)
	}
	return normal(op), detail
}

// kinds says how often each kind is made.
var kinds = [ledger.Kinds]int{
	ledger.OpTransfer: 6, ledger.OpAdvance: 14, ledger.OpUnlock: 10, ledger.OpOpenAccount: 2, ledger.OpOpenChannel: 7,
	ledger.OpTopUp: 4, ledger.OpCloseChannel: 2, ledger.OpExpireChannel: 4, ledger.OpRegister: 6, ledger.OpReprice: 6,
	ledger.OpRetire: 1, ledger.OpCredit: 12, ledger.OpDebit: 4, ledger.OpHold: 6, ledger.OpCapture: 6, ledger.OpVoid: 3,
	ledger.OpOpenTerms: 5, ledger.OpVoucher: 7, ledger.OpRenew: 3, ledger.OpSplit: 4, ledger.OpRate: 10, ledger.OpTerms: 8,
	ledger.OpUnlockPaying: 3, ledger.OpGift: 3, ledger.OpGrant: 2, ledger.OpUnlockUnit: 6,
	ledger.OpClaim: 5, ledger.OpAnswer: 3, ledger.OpDecide: 5, ledger.OpWithdrawClaim: 1,
}

func (g *Generator) kind() ledger.Kind {
	if len(g.Model.opened) < 3 && g.rng.IntN(2) == 0 {
		return ledger.OpOpenAccount
	}
	total := 0
	for _, n := range kinds {
		total += n
	}
	i := g.rng.IntN(total)
	for k, n := range kinds {
		if i < n {
			return ledger.Kind(k)
		}
		i -= n
	}
	panic("kinds do not add up")
}

// account: mostly one of the first customers, then any, the hub's own, and unknown ones.
func (g *Generator) account() ledger.AccountNo {
	n := len(g.Model.opened)
	switch p := g.rng.IntN(40); {
	case p < 28 && n > 0:
		return ledger.FirstAccount + ledger.AccountNo(g.rng.IntN(min(n, 4)))
	case p < 36:
		return ledger.FirstAccount + ledger.AccountNo(g.rng.IntN(n+1))
	case p < 39:
		return ledger.AccountNo(g.rng.IntN(int(ledger.FirstAccount)))
	}
	return ledger.AccountNo(g.rng.Uint32())
}

// number names a thing by number: a recent one, any, zero, the next, or far off.
func (g *Generator) number(n int) uint32 {
	switch p := g.rng.IntN(20); {
	case p < 12:
		return uint32(max(0, n-1-g.rng.IntN(4)))
	case p < 18:
		return uint32(g.rng.IntN(n + 1))
	}
	return pick(g.rng, 0, uint32(n), g.rng.Uint32())
}

func (g *Generator) purse(a ledger.AccountNo) ledger.Msat {
	return ledger.Msat(max(0, g.Model.available[a]))
}

// amount: mostly well within a limit, or just around it, or at the bounds of all amounts.
func (g *Generator) amount(limit ledger.Msat) ledger.Msat {
	switch p := g.rng.IntN(48); {
	case p < 38:
		return 1 + ledger.Msat(g.rng.Uint64N(max(1, uint64(limit)/4)))
	case p < 46:
		return limit + ledger.Msat(g.rng.IntN(3)) - 1 // below zero wraps: far too large
	}
	return pick(g.rng, 0, 1, ledger.MaxMsat, ledger.MaxMsat+1)
}

// id: mostly of now, or around the window's ends; a few are no UUIDv7.
func (g *Generator) id() ledger.OpID {
	at := max(g.now, g.Model.Now)
	switch p := g.rng.IntN(36); {
	case p < 4:
		at += g.Model.Params.IDAhead + uint64(g.rng.IntN(3)) - 1
	case p < 8:
		at -= g.Model.Params.IDWindow + uint64(g.rng.IntN(3)) - 1
	case p < 12:
		at -= g.rng.Uint64N(g.Model.Params.IDWindow)
	}
	var random [10]byte
	binary.LittleEndian.PutUint64(random[:], g.rng.Uint64())
	id := ledger.NewOpID(at, random)
	if g.rng.IntN(50) == 0 {
		id[pick(g.rng, 6, 8)] ^= pick[byte](g.rng, 0x10, 0x80, 0x40)
	}
	return id
}

func (g *Generator) onChannel(op *ledger.Op) {
	op.Target = g.number(len(g.Model.channels))
	op.Amount = g.amount(1000)
	if int(op.Target) >= len(g.Model.channels) || op.Target == 0 {
		return
	}
	c := g.Model.channels[op.Target]
	if op.Kind == ledger.OpRenew {
		op.Version = pick(g.rng, uint32(c.expiry/1000), uint32(c.expiry/1000)+1, uint32(c.expiry/1000)+600, g.expiry())
	}
	if g.rng.IntN(10) > 0 {
		op.Actor = pick(g.rng, c.payer, c.payer, c.payer, c.payee)
		if op.Kind == ledger.OpAdvance && c.terms.Mode == ledger.PayeeAdvances && g.rng.IntN(8) > 0 {
			op.Actor = c.payee
		}
	}
	switch {
	case op.Kind == ledger.OpTopUp:
		op.Amount = g.amount(g.purse(op.Actor))
	case g.rng.IntN(3) == 0:
		op.Amount = g.amount(c.funded)
	case c.terms.PerMinute > 0 && g.rng.IntN(2) == 0:
		op.Amount = c.total + c.terms.PerMinute + ledger.Msat(g.rng.IntN(3)) - 1
	case g.rng.IntN(2) == 0:
		op.Amount = c.total + ledger.Msat(g.rng.IntN(3)) - 1
	default:
		op.Amount = min(c.funded, c.total+1+ledger.Msat(g.rng.IntN(100)))
	}
}

// content is the id of a known content or of one not yet known: few, so that they meet.
func (g *Generator) content() (id ledger.ContentID) {
	binary.LittleEndian.PutUint64(id[:], uint64(max(0, len(g.Model.contents)+1-g.rng.IntN(8))))
	return id
}

func (g *Generator) onContent(op *ledger.Op) {
	op.ID = g.content()
	if op.Kind == ledger.OpOpenAccount {
		op.ID = g.id()
		return
	}
	i := slices.IndexFunc(g.Model.contents, func(c *content) bool { return c != nil && c.id == op.ID })
	op.Amount = g.amount(500_000)
	if i < 0 {
		return
	}
	c := g.Model.contents[i]
	if !buys(op.Kind) && g.rng.IntN(8) > 0 {
		op.Actor = c.seller
	}
	switch g.rng.IntN(5) {
	case 0, 1, 2:
		op.Version = c.version
	case 3:
		op.Version = c.version + uint32(g.rng.IntN(3)) - 1
	}
	if buys(op.Kind) {
		price, fault := g.Model.priceOf(c)
		if fault != ledger.Undecided {
			price = 1 << 40
		}
		op.Amount = price + ledger.Msat(g.rng.IntN(4)) - 1
		if op.Kind == ledger.OpUnlockUnit {
			op.Target = pick(g.rng, 0, 1, 1, 2, c.terms.Units, g.rng.Uint32(), 1<<32-1)
		}
	} else if g.rng.IntN(4) == 0 {
		op.Amount = c.price
	}
}

func (g *Generator) registration() []byte {
	r := ledger.Registration{Size: g.rng.Uint64(), Title: pick(g.rng, "a song", "ein Lied für dich", "歌", "x\x00", "")}
	if g.rng.IntN(4) > 0 {
		r.Title = "a song"
	}
	binary.LittleEndian.PutUint64(r.Commitment[:], uint64(g.rng.IntN(4*len(g.Model.contents))))
	binary.LittleEndian.PutUint64(r.Wrapped[:], g.rng.Uint64())
	r.FileSHA256[0] = byte(g.rng.IntN(2))
	r.Payees = g.payees()
	b := ledger.AppendRegistration(nil, &r)
	if g.rng.IntN(40) == 0 {
		b = b[:g.rng.IntN(len(b))]
	}
	return b
}
