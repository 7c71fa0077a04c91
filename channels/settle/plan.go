package settle

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Reason says why an account is not paid, or a payment was not made.
type Reason string

// Why an account is not in a plan. The order is that of the checks.
const (
	NoDestination  Reason = "no_destination"      // nobody said how it is to be settled
	Paused         Reason = "paused"              // by its own settings
	NotNow         Reason = "not_scheduled"       // its time has not come
	UnderWay       Reason = "under_way"           // a payment of it is planned or on its way
	BackingOff     Reason = "backing_off"         // it failed, and is not tried by itself before a while
	NothingDue     Reason = "nothing_due"         // no money above the reserve
	BelowThreshold Reason = "below_threshold"     //
	AbovePayoutCap Reason = "above_payout_cap"    // the operator has to raise the cap
	AboveDayCap    Reason = "above_day_cap"       // of the account
	AboveRunCap    Reason = "above_run_cap"       // it comes first in the next run, when those before it have been paid
	Dust           Reason = "dust"                // less than the rail carries
	TooLarge       Reason = "above_lightning_max" // no Lightning channel can carry it, and there is no address
	FeeTooHigh     Reason = "fee_above_limit"     //
	NoLiquidity    Reason = "no_liquidity"        // the Lightning channels cannot send it now
	NoCoins        Reason = "no_coins"            // the wallet has not enough
)

// Due is one payment of a plan. A million of them are in memory.
type Due struct {
	Account  ledger.AccountNo
	Rail     channels.Rail
	Amount   ledger.Msat // what the payee gets
	FeeLimit ledger.Msat // what it may cost beside; the amount and this are within what is due
	Version  uint32      // of the settings that it was made by
}

// Left is an account that is not in a plan though it has settings, and why.
type Left struct {
	Account ledger.AccountNo
	Reason  Reason
	Amount  ledger.Msat // what would be due
}

// Tally counts accounts and their money.
type Tally struct {
	Count  int         `json:"count"`
	Amount ledger.Msat `json:"amount_msat"`
}

func (t *Tally) add(amount ledger.Msat) {
	t.Count++
	t.Amount += amount
}

type byRail map[channels.Rail]Tally

func (b byRail) add(rail channels.Rail, amount ledger.Msat) {
	t := b[rail]
	t.add(amount)
	b[rail] = t
}

// Plan is what a run would pay. It depends on what it is made of alone: the same accounts, settings, rules and market make the same plan.
type Plan struct {
	Due    []Due // by account
	Total  Tally
	Fees   ledger.Msat // the limits
	ByRail byRail
	NotDue map[Reason]Tally
	Left   []Left // the first maxLeft of them
}

// owedEvery is after how many minutes a payee whose time came when there was no liquidity, or while it was paid, is looked at again.
const owedEvery = 10

// owes says whether a payee whose time has come is looked at again before its next time.
func (r Reason) owes() bool { return r == NoLiquidity || r == NoCoins || r == UnderWay }

// maxLeft bounds the accounts that a plan names though they are not paid.
const maxLeft = 1000

// Scope says whom a plan is for.
type Scope struct {
	// Tick makes it a plan by schedule: the times from After on (not included) until Until have come. Minutes since 1970. Without it,
	// everybody above the threshold is due.
	Tick         bool
	After, Until uint32
}

// planner nets accounts one after the other. Its methods are called in this order: add for each account, finish once.
type planner struct {
	scope  Scope
	rules  Rules
	market Market
	roomy  func(ledger.AccountNo, ledger.Msat) bool // whether the cap of the account's day leaves room; nil: it does
	plan   Plan
	later  []candidate // those with an address: they wait until it is known whether there are enough for a batch
	batch  bool        // there are
	run    ledger.Msat
	owed   []ledger.AccountNo
}

// candidate is a payee that is due. Its row stays where it is while a plan is made.
type candidate struct {
	*row
	due ledger.Msat
}

// offer is a payment over a rail, or why that rail cannot carry it. The zero value is no rail at all.
type offer struct {
	rail        channels.Rail
	reason      Reason
	amount, fee ledger.Msat
}

// noSettings counts an account of which nobody said how it is to be settled.
func (p *planner) noSettings(a *ledger.Account) {
	if a.Available > 0 {
		p.leave(0, NoDestination, ledger.Msat(a.Available))
	}
}

func (p *planner) leave(no ledger.AccountNo, why Reason, amount ledger.Msat) {
	if p.scope.Tick && why.owes() {
		p.owed = append(p.owed, no)
	}
	if p.plan.NotDue == nil {
		p.plan.NotDue = make(map[Reason]Tally)
	}
	t := p.plan.NotDue[why]
	t.add(amount)
	p.plan.NotDue[why] = t
	if no != 0 && len(p.plan.Left) < maxLeft {
		p.plan.Left = append(p.plan.Left, Left{no, why, amount})
	}
}

// add decides about an account that has settings. Accounts come in the order of their numbers.
func (p *planner) add(r *row, a *ledger.Account) {
	var due ledger.Msat
	if a.Available > int64(r.reserve) {
		due = ledger.Msat(a.Available) - r.reserve
	}
	if why := p.excuse(r, due); why != "" {
		p.leave(r.account, why, due)
		return
	}
	c := candidate{r, due}
	if r.ways&hasChain != 0 {
		p.later = append(p.later, c)
		return
	}
	p.take(c)
}

// excuse is why a payee is not due, whatever the rails, or empty.
func (p *planner) excuse(r *row, due ledger.Msat) Reason {
	switch {
	case r.ways&(hasInternal|hasLightning|hasChain) == 0:
		return NoDestination
	case r.ways&isPaused != 0:
		return Paused
	case p.scope.Tick && !p.scope.now(r, due):
		return NotNow
	case r.busy:
		return UnderWay
	case p.scope.Tick && r.retry > p.scope.Until:
		return BackingOff
	case due == 0:
		return NothingDue
	case due < r.threshold:
		return BelowThreshold
	}
	return ""
}

// now says whether a time of a payee's schedule has come.
func (s *Scope) now(r *row, due ledger.Msat) bool {
	if r.beat.kind == atBalance {
		return due >= r.beat.balance
	}
	if r.owed && s.Until%owedEvery == 0 {
		return true
	}
	return r.beat.within(max(s.After, r.changed), s.Until)
}

// offers is what a payee gets on the one or two rails that lead to it: first the one that it takes if that can carry it.
func (p *planner) offers(r *row, due ledger.Msat) (out [2]offer) {
	switch {
	case r.ways&hasInternal != 0:
		out[0] = offer{rail: channels.Internal, amount: due}
	case r.ways&hasChain == 0:
		out[0] = p.overLightning(r, due)
	case r.ways&hasLightning == 0:
		out[0] = p.onChain(r, due)
	default:
		l, c := p.overLightning(r, due), p.onChain(r, due)
		if p.chainFirst(r, &l, &c) {
			l, c = c, l
		}
		out = [2]offer{l, c}
	}
	return out
}

func (p *planner) chainFirst(r *row, l, c *offer) bool {
	switch {
	case r.ways&wantsChain != 0 || r.failures > 0: // what failed over Lightning is tried the other way
		return true
	case r.ways&wantsLightning != 0:
		return false
	case p.rules.LargeAbove != 0 && c.amount > p.rules.LargeAbove:
		return true
	}
	return c.fee/chainMargin < l.fee
}

// overLightning divides what is due into a payment of whole satoshis and the limit of its fee.
func (p *planner) overLightning(r *row, due ledger.Msat) offer {
	base, ppm := p.rules.lightning()
	ppm = min(ppm, p.rules.maxFee(r.maxFee))
	o := offer{rail: channels.Lightning}
	if due > base {
		o.amount = mulDiv(due-base, ledger.PPM, ledger.PPM+uint64(ppm)) / satoshi * satoshi
	}
	if o.amount < leastLightning {
		o.reason = Dust
		return o
	}
	most := mulDiv(o.amount, uint64(p.rules.maxFee(r.maxFee)), ledger.PPM)
	o.fee = min(base+mulDiv(o.amount, uint64(ppm), ledger.PPM), most)
	if o.amount > p.market.LightningMost {
		o.reason = TooLarge
		if p.market.LightningMost == 0 {
			o.reason = NoLiquidity
		}
	}
	return o
}

// onChain does the same for the chain.
func (p *planner) onChain(r *row, due ledger.Msat) offer {
	cost := p.market.chainFee(r.vsize, p.batch)
	o := offer{rail: channels.Chain, fee: cost * chainMargin}
	if due > o.fee {
		o.amount = (due - o.fee) / satoshi * satoshi
	}
	switch {
	case o.amount < ledger.Msat(r.dust)*satoshi || o.amount == 0:
		o.reason = Dust
	case p.market.Rate <= 0:
		o.reason = NoCoins
	case cost > mulDiv(o.amount, uint64(p.rules.maxFee(r.maxFee)), ledger.PPM):
		o.reason = FeeTooHigh
	}
	return o
}

// take puts a candidate into the plan by the first of its rails that can carry it. Of two that cannot, the first one's reason counts.
func (p *planner) take(c candidate) {
	var why Reason
	offers := p.offers(c.row, c.due)
	for i := range offers {
		o := &offers[i]
		if o.rail == "" {
			break
		}
		if o.reason == "" {
			o.reason = p.room(c.account, o)
		}
		if o.reason == "" {
			p.accept(c, o)
			return
		}
		if why == "" {
			why = o.reason
		}
	}
	p.leave(c.account, why, c.due)
}

// room says whether caps and funds leave room for a payment.
func (p *planner) room(no ledger.AccountNo, o *offer) Reason {
	r := &p.rules
	switch {
	case o.rail == channels.Internal: // caps are for what leaves the hub
		return ""
	case r.MaxPayout != 0 && o.amount+o.fee > r.MaxPayout:
		return AbovePayoutCap
	case p.roomy != nil && !p.roomy(no, o.amount+o.fee):
		return AboveDayCap
	case r.MaxRun != 0 && p.run+o.amount > r.MaxRun:
		return AboveRunCap
	case o.rail == channels.Lightning && o.amount+o.fee > p.market.Lightning:
		return NoLiquidity
	case o.rail == channels.Chain && o.amount+o.fee > p.market.Coins:
		return NoCoins
	}
	return ""
}

func (p *planner) accept(c candidate, o *offer) {
	switch o.rail {
	case channels.Lightning:
		p.market.Lightning -= o.amount + o.fee
	case channels.Chain:
		p.market.Coins -= o.amount + o.fee
	}
	if o.rail != channels.Internal {
		p.run += o.amount
	}
	p.plan.Fees += o.fee
	p.plan.Due = append(p.plan.Due, Due{c.account, o.rail, o.amount, o.fee, c.version})
}

// finish decides about those that have an address. The plan is whole then.
func (p *planner) finish() {
	p.batch = true
	onChain := 0
	for _, c := range p.later {
		if o := p.offers(c.row, c.due); o[0].rail == channels.Chain && o[0].reason == "" {
			onChain++
		}
	}
	p.batch = onChain >= fewOthers
	for _, c := range p.later {
		p.take(c)
	}
	slices.SortFunc(p.plan.Due, func(a, b Due) int { return cmp.Compare(a.Account, b.Account) })
	p.plan.ByRail = make(byRail)
	for i := range p.plan.Due {
		d := &p.plan.Due[i]
		p.plan.ByRail.add(d.Rail, d.Amount)
		p.plan.Total.add(d.Amount)
	}
}

// mulDiv is a*b/c rounded down. The quotient must fit.
func mulDiv(a ledger.Msat, b, c uint64) ledger.Msat {
	hi, lo := bits.Mul64(uint64(a), b)
	quotient, _ := bits.Div64(hi, lo, c)
	return ledger.Msat(quotient)
}
