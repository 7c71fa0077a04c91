package settle

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// holder is an account with settings.
type holder struct {
	balance int64
	payee   Payee
	change  func(*row)
}

// testMarket: a payment on-chain costs (31+124) * 3.29 = 510 sat, and among others (31+20) * 3.29 = 168.
var testMarket = Market{Lightning: 50_000_000, LightningMost: 20_000_000, Coins: 5_000_000_000, Rate: 3290}

// planOf plans for accounts 16, 17, and so on.
func planOf(t testing.TB, scope Scope, rules Rules, market Market, holders ...holder) Plan {
	b := &book{rec: newDisk()}
	for i, h := range holders {
		no := ledger.FirstAccount + ledger.AccountNo(i)
		if reflect.DeepEqual(h.payee, Payee{}) && h.change == nil {
			continue
		}
		must(t, h.payee.check(no, testNet{}))
		r := h.payee.row(no)
		if h.change != nil {
			h.change(&r)
		}
		b.put(r)
	}
	return b.plan(&planner{scope: scope, rules: rules, market: market}, func(no ledger.AccountNo) (ledger.Account, bool) {
		i := int(no - ledger.FirstAccount)
		if i >= len(holders) {
			return ledger.Account{}, false
		}
		return ledger.Account{Available: holders[i].balance}, true
	})
}

// text is a plan as the tables below have it: what is paid, and why others are not.
func (p *Plan) text() string {
	var s []string
	for _, d := range p.Due {
		s = append(s, fmt.Sprintf("%d %s %d+%d", d.Account, d.Rail, d.Amount, d.FeeLimit))
	}
	for _, l := range p.Left {
		s = append(s, fmt.Sprintf("%d %s", l.Account, l.Reason))
	}
	return strings.Join(s, ", ")
}

func TestPlan(t *testing.T) {
	ln, chain := Payee{Lightning: "a@b.c"}, Payee{Address: "test1x"}
	both := Payee{Lightning: "a@b.c", Address: "test1x"}
	prefer := func(p Preference) Payee { b := both; b.Prefer = p; return b }
	to := Payee{Internal: ledger.AccountNo(99).String()}
	for _, c := range []struct {
		what   string
		rules  Rules
		market Market
		in     []holder
		want   string
	}{
		{"inside: everything, to the msat", Rules{}, Market{}, []holder{{balance: 1234, payee: to}}, "16 internal 1234+0"},
		{"Lightning: whole satoshis, and 1 sat and 0.5 % for the fee, but never more than 5 %", Rules{}, testMarket,
			[]holder{{balance: 10_000_500, payee: ln}, {balance: 10_000, payee: ln}, {balance: 1999, payee: ln}, {balance: 2010, payee: ln}},
			"16 lightning 9949000+50745, 17 lightning 8000+400, 19 lightning 1000+50, 18 dust"},
		{"chain: twice the fee of now is kept for it", Rules{}, testMarket,
			[]holder{{balance: 100_000_999, payee: chain}, {balance: 1_300_000, payee: chain}, {balance: 11_219_999, payee: chain}, {balance: 11_220_000, payee: chain}},
			"16 chain 98980000+1020000, 19 chain 10200000+1020000, 17 dust, 18 fee_above_limit"},
		{"cheapest: Lightning until its half percent is more than an output", Rules{}, testMarket,
			[]holder{{balance: 10_000_000, payee: both}, {balance: 200_000_000, payee: both}},
			"16 lightning 9949000+50745, 17 chain 198980000+1020000"},
		{"preferred, where it can be", Rules{}, testMarket,
			[]holder{{balance: 200_000_000, payee: prefer(PreferLightning)}, {balance: 15_000_000, payee: prefer(PreferLightning)},
				{balance: 15_000_000, payee: prefer(PreferChain)}, {balance: 1_000_000, payee: prefer(PreferChain)}},
			"16 chain 198980000+1020000, 17 lightning 14924000+75620, 18 chain 13980000+1020000, 19 lightning 994000+5970"},
		{"large on-chain, cheap or not", Rules{LargeAbove: 12_000_000}, testMarket,
			[]holder{{balance: 15_000_000, payee: both}, {balance: 15_000_000, payee: ln}},
			"16 chain 13980000+1020000, 17 lightning 14924000+75620"},
		{"after a failure the other way", Rules{}, testMarket,
			[]holder{{balance: 15_000_000, payee: prefer(PreferLightning), change: func(r *row) { r.failures = 1 }}}, "16 chain 13980000+1020000"},
		{"no channel is as large", Rules{}, testMarket, []holder{{balance: 30_000_000, payee: ln}}, "16 above_lightning_max"},
		{"liquidity goes first to those with Lightning alone", Rules{}, Market{Lightning: 21_000_000, LightningMost: 20_000_000, Coins: 1e9, Rate: 3290},
			[]holder{{balance: 12_000_000, payee: prefer(PreferLightning)}, {balance: 12_000_000, payee: ln}, {balance: 12_000_000, payee: ln}},
			"16 chain 10980000+1020000, 17 lightning 11939000+60695, 18 no_liquidity"},
		{"a batch is cheaper for each", Rules{}, testMarket,
			[]holder{{balance: 20_000_000, payee: chain}, {balance: 20_000_000, payee: chain}, {balance: 5_000_000, payee: chain}, {balance: 5_000_000, payee: prefer(PreferChain)}},
			"16 chain 19664000+336000, 17 chain 19664000+336000, 18 chain 4664000+336000, 19 chain 4664000+336000"},
		{"no node", Rules{}, Market{}, []holder{{balance: 12_000_000, payee: ln}, {balance: 12_000_000, payee: chain}, {balance: 12_000_000, payee: both}},
			"16 no_liquidity, 17 no_coins, 18 no_coins"},
		{"coins for one", Rules{}, Market{Coins: 30_000_000, Rate: 3290},
			[]holder{{balance: 20_000_000, payee: chain}, {balance: 20_000_000, payee: chain}}, "16 chain 18980000+1020000, 17 no_coins"},
		{"not due", Rules{}, testMarket, []holder{{balance: 500, payee: Payee{Internal: to.Internal, Threshold: 501}},
			{balance: 500, payee: Payee{Internal: to.Internal, Threshold: 500}}, {balance: 500, payee: Payee{Internal: to.Internal, Reserve: 500}},
			{balance: 501, payee: Payee{Internal: to.Internal, Reserve: 500}}, {balance: 500, payee: Payee{Paused: true, Internal: to.Internal}},
			{balance: 500, payee: Payee{Threshold: 1}}, {balance: 500, payee: to, change: func(r *row) { r.busy = true }}, {balance: -5, payee: to}},
			"17 internal 500+0, 19 internal 1+0, 16 below_threshold, 18 nothing_due, 20 paused, 21 no_destination, 22 under_way, 23 nothing_due"},
		{"caps, of what leaves the hub", Rules{MaxPayout: 101_500, MaxRun: 150_000}, testMarket,
			[]holder{{balance: 110_000, payee: ln}, {balance: 102_000, payee: ln}, {balance: 60_000, payee: ln}, {balance: 52_000, payee: ln}, {balance: 10_000, payee: ln}, {balance: 500_000, payee: to}},
			"17 lightning 100000+1500, 19 lightning 50000+1250, 21 internal 500000+0, 16 above_payout_cap, 18 above_run_cap, 20 above_run_cap"},
	} {
		p := planOf(t, Scope{}, c.rules, c.market, c.in...)
		if got := p.text(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.what, got, c.want)
		}
		checkPlan(t, &p, c.rules, c.market, c.in)
	}
}

// checkPlan checks what holds of every plan.
func checkPlan(t *testing.T, p *Plan, rules Rules, market Market, in []holder) {
	t.Helper()
	var total, fees, lightning, coins, leaving ledger.Msat
	seen := ledger.AccountNo(0)
	for _, d := range p.Due {
		h := in[d.Account-ledger.FirstAccount]
		if d.Account <= seen {
			t.Fatalf("account %d comes after %d", d.Account, seen)
		}
		seen = d.Account
		if d.Amount == 0 || int64(d.Amount+d.FeeLimit+h.payee.Reserve) > h.balance || d.Amount < h.payee.Threshold && d.Amount+d.FeeLimit+2000 < h.payee.Threshold {
			t.Fatalf("account %d has %d: %+v", d.Account, h.balance, d)
		}
		if d.Rail != channels.Internal {
			if leaving += d.Amount; rules.MaxPayout != 0 && d.Amount+d.FeeLimit > rules.MaxPayout {
				t.Fatalf("above the cap: %+v", d)
			}
		}
		switch d.Rail {
		case channels.Lightning:
			lightning += d.Amount + d.FeeLimit
		case channels.Chain:
			coins += d.Amount + d.FeeLimit
			if d.Amount < 294_000 || d.Amount%1000 != 0 {
				t.Fatalf("dust, or no whole satoshis: %+v", d)
			}
		}
		total += d.Amount
		fees += d.FeeLimit
	}
	left := 0
	for _, tally := range p.NotDue {
		left += tally.Count
	}
	if lightning > market.Lightning || coins > market.Coins || rules.MaxRun != 0 && leaving > rules.MaxRun ||
		p.Total != (Tally{len(p.Due), total}) || p.Fees != fees || left+len(p.Due) > len(in) {
		t.Fatalf("sums: %+v", p)
	}
}

func TestPlanOfRandomAccounts(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 5))
	pick := func(s ...string) string { return s[rng.IntN(len(s))] }
	for range 200 {
		var in []holder
		for range 1 + rng.IntN(60) {
			p := Payee{Lightning: pick("", "a@b.c", testNode), Address: pick("", "test1x"), Prefer: Preference(pick("", "chain", "lightning", "cheapest")),
				Threshold: ledger.Msat(rng.IntN(3) * 1_000_000), Reserve: ledger.Msat(rng.IntN(3) * 500), MaxFee: uint32(rng.IntN(2) * 20_000)}
			in = append(in, holder{balance: int64(rng.Float64() * rng.Float64() * 60_000_000), payee: p})
		}
		rules := Rules{MaxRun: ledger.Msat(rng.IntN(2) * 100_000_000), LargeAbove: ledger.Msat(rng.IntN(2) * 9_000_000)}
		market := Market{Lightning: ledger.Msat(rng.IntN(200_000_000)), LightningMost: ledger.Msat(rng.IntN(40_000_000)),
			Coins: ledger.Msat(rng.IntN(500_000_000)), Rate: channels.FeeRate(rng.IntN(50_000))}
		p := planOf(t, Scope{}, rules, market, in...)
		checkPlan(t, &p, rules, market, in)
		if again := planOf(t, Scope{}, rules, market, in...); !reflect.DeepEqual(p, again) {
			t.Fatal("the same accounts made another plan")
		}
	}
}

func TestPlanOnTick(t *testing.T) {
	to := func(s Schedule) Payee { return Payee{Internal: ledger.AccountNo(99).String(), Schedule: s} }
	in := []holder{
		{balance: 10, payee: to(Schedule{EveryMinutes: 5})}, {balance: 10, payee: to(Schedule{EveryMinutes: 60})}, {balance: 10, payee: to(Schedule{})},
		{balance: 10, payee: to(Schedule{Balance: 10})}, {balance: 10, payee: to(Schedule{Balance: 11})},
		{balance: 10, payee: to(Schedule{EveryMinutes: 5}), change: func(r *row) { r.retry = 1006 }},
		{balance: 10, payee: to(Schedule{EveryMinutes: 5}), change: func(r *row) { r.changed = 1005 }}, // was set when its time was just over
		{balance: 10}, {balance: 10, payee: to(Schedule{EveryMinutes: 5}), change: func(r *row) { r.busy = true }},
	}
	p := planOf(t, Scope{Tick: true, After: 1003, Until: 1005}, Rules{}, Market{}, in...)
	want := "16 internal 10+0, 19 internal 10+0, 17 not_scheduled, 18 not_scheduled, 20 not_scheduled, 21 backing_off, 22 not_scheduled, 24 under_way"
	if got := p.text(); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// TestPlanOwes: whose time came when there was no liquidity is paid when there is, and not only at its next time.
func TestPlanOwes(t *testing.T) {
	b := &book{rec: newDisk()}
	p := Payee{Lightning: "a@b.c", Schedule: Schedule{Daily: "00:00"}}
	must(t, p.check(20, testNet{}))
	b.put(p.row(20))
	account := func(no ledger.AccountNo) (ledger.Account, bool) {
		return ledger.Account{Available: 10_000_000}, no <= 20
	}
	var due []uint32
	last := uint32(1000*day - 1)
	for m := last + 1; m < 1000*day+45; m++ {
		market := Market{}
		if m >= 1000*day+25 {
			market = testMarket
		}
		plan := b.plan(&planner{scope: Scope{Tick: true, After: last, Until: m}, market: market}, account)
		if len(plan.Due) > 0 {
			due = append(due, m-1000*day)
			b.claim(plan.Due)
			b.free(20, nil)
		}
		last = m
	}
	if !slices.Equal(due, []uint32{30}) {
		t.Errorf("due after %d minutes", due)
	}
}

func BenchmarkNet1M(b *testing.B) {
	const n = 1_000_000
	rng := rand.New(rand.NewPCG(1, 2))
	accounts := make([]ledger.Account, n+16)
	bk := &book{rec: newDisk()}
	for i := 16; i < len(accounts); i++ {
		accounts[i].Available = int64(rng.ExpFloat64() * 20_000_000)
		p := Payee{Threshold: 5_000_000}
		if i%10 != 0 {
			p.Address = "test1x"
		}
		if i%3 != 0 {
			p.Lightning = "somebody@example.com"
		}
		must(b, p.check(ledger.AccountNo(i), testNet{}))
		bk.put(p.row(ledger.AccountNo(i)))
	}
	market := Market{Lightning: 10_000_000_000_000, LightningMost: 100_000_000_000, Coins: 10_000_000_000_000, Rate: 10_000}
	account := func(no ledger.AccountNo) (ledger.Account, bool) {
		if int(no) >= len(accounts) {
			return ledger.Account{}, false
		}
		return accounts[no], true
	}
	b.ReportAllocs()
	for b.Loop() {
		p := bk.plan(&planner{market: market}, account)
		b.ReportMetric(float64(len(p.Due)), "due")
	}
}
