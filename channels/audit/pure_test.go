package audit

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// TestSheet: what explains what is held, and by how much it does not.
func TestSheet(t *testing.T) {
	whole := totals{
		assets: channels.Assets{Local: 5_000_123, Pending: 1000, Confirmed: 3000, Unconfirmed: 500, Leased: 100}, tied: 660_000,
		lightning: flow{moved: 1_500_123, owed: 1_400_123, uncredited: 200_000, uncaptured: 100_000},
		chain:     flow{moved: 400_000, owed: 300_000, uncredited: 150_000, uncaptured: 50_000},
		before:    700_000, adjusted: -50_000, earned: 20, costs: 20, unexplained: 50_000,
	}
	whole.capital = 5_000_123 + 1000 + 3_600_000 + 660_000 - (700_000 + 1_700_123 + 350_000 - 150_000 - 50_000 + 50_000)
	for _, tt := range []struct {
		name                          string
		change                        func(*totals)
		difference, lightning, onchan int64
	}{
		{"balanced", func(*totals) {}, 0, 0, 0},
		{"a msat that nobody knows", func(t *totals) { t.assets.Local++ }, 1, 0, 0},
		{"a satoshi that is missing", func(t *totals) { t.assets.Confirmed-- }, -1000, 0, 0},
		{"credited twice", func(t *totals) { t.lightning.owed += 7 }, -7, -7, 0},
		{"captured twice", func(t *totals) { t.chain.owed -= 7 }, 7, 0, 7},
		{"paid, and not captured", func(t *totals) {
			t.assets.Local -= 9
			t.lightning.moved -= 9
			t.lightning.uncaptured += 9
		}, 0, 0, 0},
		{"captured then", func(t *totals) {
			t.assets.Local -= 9
			t.lightning.moved -= 9
			t.lightning.owed -= 9
		}, 0, 0, 0},
		{"came, and not credited", func(t *totals) {
			t.assets.Unconfirmed += 2
			t.chain.moved += 2000
			t.chain.uncredited += 2000
		}, 0, 0, 0},
		{"behind the hub's back", func(t *totals) {
			t.assets.Local -= 9
			t.unexplained -= 9
		}, 0, 0, 0},
		{"and explained", func(t *totals) {
			t.assets.Local -= 9
			t.adjusted -= 9
		}, 0, 0, 0},
		{"earned", func(t *totals) {
			t.assets.Local += 5
			t.earned += 5
		}, 0, 0, 0},
		{"from the wallet into a channel", func(t *totals) {
			t.assets.Confirmed -= 1100
			t.assets.Local += 400_000
			t.tied += 600_000
			t.costs += 100_000
		}, 0, 0, 0},
		{"a node without anything", func(t *totals) { t.assets, t.tied = channels.Assets{}, 0 }, -(5_000_123 + 1000 + 3_600_000 + 660_000), 0, 0},
	} {
		all := whole
		tt.change(&all)
		s := all.sheet()
		if s.Difference != tt.difference || s.Lightning != tt.lightning || s.Chain != tt.onchan {
			t.Errorf("%s: differences of %d, %d and %d", tt.name, s.Difference, s.Lightning, s.Chain)
		}
		if got, want := s.balanced(6), tt.difference == 0 && tt.lightning == 0 && tt.onchan == 0 || tt.difference == 1; got != want {
			t.Errorf("%s: balanced within 6 msat: %v", tt.name, got)
		}
	}
	s := whole.sheet()
	if backing, due := int64(5_000_123+1000+3_600_000-350_000), int64(2_400_123-150_000); s.Backing != backing || s.Due != due || s.Ratio != float64(backing)/float64(due) {
		t.Errorf("%d for %d: %v", s.Backing, s.Due, s.Ratio)
	}
	whole.undone = 5
	if again := whole.sheet(); again.Difference != 0 || again.Backing != s.Backing-5 {
		t.Errorf("%+v", again)
	}
	if s := (&totals{created: 1000}).sheet(); s.Ratio != 0 {
		t.Errorf("nothing for what was made up: %v", s.Ratio)
	}
	if s := (&totals{}).sheet(); s.Ratio != MaxRatio || !s.balanced(0) {
		t.Errorf("nothing for nothing: %v", s.Ratio)
	}
}

func TestTied(t *testing.T) {
	all := []channels.Line{
		{Tied: 3470, Initiator: true, Stage: channels.LineOpen}, {Tied: 500, Initiator: true, Stage: channels.LineOpening},
		{Tied: 9000, Initiator: true, Stage: channels.LineClosing}, {Tied: 9000, Stage: channels.LineOpen},
	}
	if got := tied(all); got != 3_970_000 {
		t.Errorf("%d", got)
	}
}

// TestCompare: against sets that are compared one by one.
func TestCompare(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for range 500 {
		a, b := randomFacts(rng), randomFacts(rng)
		index := func(list []fact) map[[32]byte]fact {
			m := make(map[[32]byte]fact)
			for _, f := range list {
				m[f.key] = f
			}
			return m
		}
		inA, inB := index(a), index(b)
		want := make(map[[32]byte]bool)
		for k, f := range inA {
			g, both := inB[k]
			want[k] = both && (f.amount != g.amount || f.fee != g.fee) || !both && !f.alone
		}
		for k, g := range inB {
			if _, both := inA[k]; !both {
				want[k] = !g.alone
			}
		}
		got := make(map[[32]byte]bool)
		var last [32]byte
		compare(a, b, func(d difference) {
			f := d.a
			if f == nil {
				f = d.b
			}
			_, isA := inA[f.key]
			_, isB := inB[f.key]
			if got[f.key] || isA != (d.a != nil) || isB != (d.b != nil) || slices.Compare(f.key[:], last[:]) < 0 {
				t.Fatalf("%v", d)
			}
			got[f.key], last = true, f.key
		})
		for k, w := range want {
			if got[k] != w {
				t.Fatalf("%x: %v, want %v", k, got[k], w)
			}
		}
	}
}

func randomFacts(rng *rand.Rand) (list []fact) {
	taken := make(map[byte]bool)
	for range rng.IntN(20) {
		k := byte(rng.IntN(24))
		if taken[k] {
			continue
		}
		taken[k] = true
		list = append(list, fact{key: [32]byte{k}, amount: int64(rng.IntN(2)), fee: int64(rng.IntN(2)), alone: rng.IntN(3) == 0})
	}
	return list
}

func TestShare(t *testing.T) {
	for _, parts := range []int{1, 4, 16, 64, 256} {
		for first := range 256 {
			n := 0
			for part := range parts {
				if share(&[32]byte{byte(first)}, part, parts) {
					n++
				}
			}
			if n != 1 {
				t.Fatalf("%d of %d parts have %d", n, parts, first)
			}
		}
	}
}

// TestExplain: what transactions of the wallet are.
func TestExplain(t *testing.T) {
	credited := channels.Deposit{Amount: 5_000_000, Status: channels.DepositCredited}
	pending := channels.Deposit{Amount: 7_000_000, Status: channels.DepositPending}
	undone := channels.Deposit{Amount: 2_000_000, Status: channels.DepositCredited, Undone: true}
	half := settled{cost: 1_000_000, captured: 400_000}
	closed := settled{cost: 1_000_000, captured: 1_000_000, closed: true}
	for _, tt := range []struct {
		name     string
		m        channels.Movement
		deposits []channels.Deposit
		batch    *settled
		want     meaning
	}{
		{"a deposit", channels.Movement{Amount: 5000}, []channels.Deposit{credited}, nil, meaning{deposits: 5_000_000, final: true}},
		{"two, one of them pending", channels.Movement{Amount: 12_000}, []channels.Deposit{credited, pending}, nil, meaning{deposits: 12_000_000, uncredited: 7_000_000}},
		{"one that was undone", channels.Movement{Amount: 7000}, []channels.Deposit{credited, undone}, nil, meaning{deposits: 7_000_000, undone: 2_000_000}},
		{"and something for the operator", channels.Movement{Amount: 5100}, []channels.Deposit{credited}, nil, meaning{deposits: 5_000_000, rest: 100_000, final: true}},
		{"a batch", channels.Movement{Amount: -1000, Fee: 10}, nil, &half, meaning{batch: 1_000_000, uncaptured: 600_000}},
		{"a closed one", channels.Movement{Amount: -1000, Fee: 10}, nil, &closed, meaning{batch: 1_000_000, final: true}},
		{"one that pays somebody else, too", channels.Movement{Amount: -1001, Fee: 10}, nil, &closed, meaning{batch: 1_000_000, rest: -1000, final: true}},
		{"from an account to another", channels.Movement{Amount: 4000, Fee: 10}, []channels.Deposit{credited}, &closed, meaning{deposits: 5_000_000, batch: 1_000_000, final: true}},
		{"one that was replaced", channels.Movement{Amount: -1000}, nil, &settled{cost: 1_000_000, lost: true}, meaning{rest: -1_000_000, final: true}},
		{"a channel opened", channels.Movement{Amount: -500_250, Fee: 250, Label: "0:openchannel:shortchanid-123"}, nil, nil, meaning{costs: 250_000, final: true}},
		{"a channel closed", channels.Movement{Amount: 400_000, Label: "0:closechannel:shortchanid-123"}, nil, nil, meaning{final: true}},
		{"swept", channels.Movement{Amount: 400_000, Label: "0:sweep"}, nil, nil, meaning{final: true}},
		{"a label that somebody chose", channels.Movement{Amount: -400, Label: "my 0:sweep"}, nil, nil, meaning{rest: -400_000, final: true}},
		{"coins of the operator's", channels.Movement{Amount: 400}, nil, nil, meaning{rest: 400_000, final: true}},
	} {
		if got := explain(&tt.m, tt.deposits, tt.batch); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	id := channels.ID{1, 2, 3}
	if got, ok := batchOf("millrace " + id.String()); !ok || got != id {
		t.Errorf("%v, %v", got, ok)
	}
	for _, label := range []string{"", "millrace", "millrace ", "millrace x", id.String(), "Millrace " + id.String()} {
		if _, ok := batchOf(label); ok {
			t.Errorf("%q is a batch's", label)
		}
	}
}

// TestSettle: what the ledger knows of a batch, from its signature to its end.
func TestSettle(t *testing.T) {
	one, two := channels.Key{Account: 16, ID: channels.ID{1}}, channels.Key{Account: 17, ID: channels.ID{2}}
	b := channels.Batch{Tries: []channels.Signed{{Fee: 100}, {Fee: 300}}, Parts: []channels.Part{{Key: one, Amount: 1000, Fee: 90_000}, {Key: two, Amount: 2000, Fee: 150_000}},
		Winner: 1, Rest: 60_000, Status: channels.BatchSigned}
	both, none := map[channels.Key]bool{one: true, two: true}, map[channels.Key]bool{}
	for _, tt := range []struct {
		name     string
		status   channels.BatchStatus
		try      int
		underway map[channels.Key]bool
		debited  bool
		want     settled
	}{
		{"signed", channels.BatchSigned, 0, both, false, settled{cost: 3_100_000}},
		{"bumped", channels.BatchSigned, 1, both, false, settled{cost: 3_300_000}},
		{"confirmed", channels.BatchConfirmed, 1, both, false, settled{cost: 3_300_000}},
		{"one captured", channels.BatchConfirmed, 1, map[channels.Key]bool{two: true}, false, settled{cost: 3_300_000, captured: 1_090_000}},
		{"both", channels.BatchConfirmed, 1, none, false, settled{cost: 3_300_000, captured: 3_240_000}},
		{"and the hub's part", channels.BatchConfirmed, 1, none, true, settled{cost: 3_300_000, captured: 3_300_000}},
		{"closed", channels.BatchClosed, 1, none, true, settled{cost: 3_300_000, captured: 3_300_000, closed: true}},
		{"the other try", channels.BatchClosed, 0, none, true, settled{cost: 3_100_000, captured: 3_300_000, closed: true, lost: true}},
	} {
		c := b
		c.Status, c.Debited = tt.status, tt.debited
		if got := settle(&c, tt.try, tt.underway); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestOpinions: what the records say of a receipt and of a payment.
func TestOpinions(t *testing.T) {
	taken := channels.Key{Account: 16, ID: channels.ID{1}}
	for _, tt := range []struct {
		name string
		d    channels.Deposit
		want opinion
		ok   bool
	}{
		{"credited", channels.Deposit{Status: channels.DepositCredited, Amount: 9}, opinion{known: true, final: true}, true},
		{"arrived", channels.Deposit{Status: channels.DepositArrived, Amount: 9}, opinion{known: true, waiting: true}, true},
		{"nobody's", channels.Deposit{Status: channels.DepositUnassigned, Amount: 9}, opinion{known: true, waiting: true}, true},
		{"not told yet", channels.Deposit{Status: channels.DepositOpen}, opinion{known: true, waiting: true, soon: true}, false},
		{"credited with more", channels.Deposit{Status: channels.DepositCredited, Amount: 10}, opinion{known: true}, false},
		{"paid twice", channels.Deposit{Status: channels.DepositCredited, Amount: 9, Taken: taken}, opinion{}, false},
	} {
		got := receiptIs(&tt.d, 9)
		if ok := got.wrong == ""; ok != tt.ok {
			t.Errorf("%s: %s", tt.name, got.wrong)
		}
		if got.wrong = ""; got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	i := item{Amount: 9, Fee: 1}
	for _, tt := range []struct {
		name string
		p    channels.Payout
		want opinion
		ok   bool
	}{
		{"done", channels.Payout{Status: channels.Done, Pays: 9, Fee: 1}, opinion{known: true, final: true}, true},
		{"paid", channels.Payout{Status: channels.Paid, Pays: 9, Fee: 1}, opinion{known: true, waiting: true}, true},
		{"in transit", channels.Payout{Status: channels.InTransit, Pays: 9}, opinion{known: true, waiting: true}, true},
		{"with another fee", channels.Payout{Status: channels.Done, Pays: 9, Fee: 2}, opinion{known: true}, false},
		{"given back", channels.Payout{Status: channels.Voided, Pays: 9}, opinion{}, false},
		{"about to be given back", channels.Payout{Status: channels.Dropped, Pays: 9}, opinion{}, false},
		{"not sent", channels.Payout{Status: channels.Held, Pays: 9}, opinion{}, false},
		{"not held", channels.Payout{Status: channels.Asked, Pays: 9}, opinion{}, false},
	} {
		got := paymentIs(&tt.p, &i)
		if ok := got.wrong == ""; ok != tt.ok {
			t.Errorf("%s: %s", tt.name, got.wrong)
		}
		if got.wrong = ""; got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestLiquidity(t *testing.T) {
	lines := []channels.Line{
		{Capacity: 1_000_000, Local: 600_000, Remote: 400_000, Active: true, Stage: channels.LineOpen},
		{Capacity: 1_000_000, Local: 5000, Remote: 995_000, Active: true, Stage: channels.LineOpen},
		{Capacity: 1_000_000, Local: 900_000, Remote: 100_000, Stage: channels.LineOpen},
		{Capacity: 1_000_000, Local: 900_000, Active: true, Stage: channels.LineOpening},
	}
	l := liquidity(channels.Assets{Confirmed: 5000, Unconfirmed: 70, Leased: 80, Reserved: 1000}, lines)
	want := Liquidity{Send: 590_000_000, Largest: 590_000_000, Receive: 390_000_000 + 985_000_000, Coins: 4000, Coming: 70, Leased: 80, Reserved: 1000, Active: 2, Inactive: 1}
	if l != want {
		t.Errorf("%+v, want %+v", l, want)
	}
	if all := l.warnings(Thresholds{Send: 590_000_001, Receive: 1 << 60, Coins: 4001}); len(all) != 4 {
		t.Errorf("%q", all)
	}
	if all := l.warnings(Thresholds{Send: 590_000_000, Receive: 1, Coins: 4000}); len(all) != 1 {
		t.Errorf("%q", all)
	}
	if l := liquidity(channels.Assets{Confirmed: 5, Reserved: 10}, nil); l != (Liquidity{Reserved: 10}) {
		t.Errorf("%+v", l)
	}
}

// TestVerdict: payouts go on only when all was seen and nothing is wrong.
func TestVerdict(t *testing.T) {
	wrong := []Mismatch{{Kind: KindPayment, Subject: "x", Text: "why"}, {Kind: KindTotal}}
	for _, tt := range []struct {
		name   string
		r      Report
		before string
		deep   bool
		want   string
	}{
		{"in order", Report{Steady: true}, "", false, ""},
		{"in order again", Report{Steady: true}, "it was wrong", false, ""},
		{"wrong", Report{Steady: true, Mismatches: wrong, More: 3}, "", false, "payment x: why; and 4 more"},
		{"never still", Report{}, "", false, ""},
		{"never still, and wrong before", Report{}, "it was wrong", false, "it was wrong"},
		{"never still, and an item", Report{Mismatches: wrong[:1]}, "", false, "payment x: why"},
		{"less than the tolerance", Report{Steady: true, Sheet: Sheet{Difference: 10, Chain: -10}}, "it was wrong", false, ""},
		{"more", Report{Steady: true, Sheet: Sheet{Lightning: -11}}, "it was wrong", false, "it was wrong"},
		{"not looked for", Report{Steady: true}, "it was wrong", true, "it was wrong"},
		{"looked for", Report{Steady: true, Full: true}, "it was wrong", true, ""},
	} {
		if got := verdict(&tt.r, tt.before, tt.deep, &Config{Tolerance: 10}); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestKeys(t *testing.T) {
	id := ledger.NewOpID(1_700_000_000_000, [10]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	if got := opOf(opKey(id)); got != string(id.Append(nil)) {
		t.Errorf("%s instead of %s", got, id)
	}
	if got := holdOf(holdKey(70_000)); got != "hold 70000" {
		t.Errorf("%s", got)
	}
}
