package workload

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/bench/scenario"
)

const mixed = `
seed = 7
workers = 3
[population]
payers = 20
payees = 6
channels = 40
works = 70
funds_msat = 1_000_000
[skew]
payees = "zipf 1.2"
hot_payees = 2
hot_share = 30
[mix]
advance = 3
transfer = 2
unlock = 1
history = 1
[request]
most_msat = 9
`

func newPlan(t *testing.T, text string) *Plan {
	t.Helper()
	s, err := scenario.Parse([]byte(text), "test")
	if err != nil {
		t.Fatal(err)
	}
	return NewPlan(s)
}

// draw makes so many requests of a worker, and answers each as somebody likes.
func draw(t *testing.T, p *Plan, worker, n int, answer func(*Request)) *Source {
	t.Helper()
	s := p.Source(worker)
	for range n {
		r, err := s.Next(1_700_000_000_000)
		if err != nil {
			t.Fatal(err)
		}
		r.Forget()
		answer(r)
		s.Answered(r)
	}
	return s
}

func honest(owned map[[2]int]bool) func(*Request) {
	return func(r *Request) {
		for i, op := range r.Ops {
			r.Outcomes[i] = Done
			if op.Kind == Unlock {
				r.Secret = true
				if work := [2]int{r.Payer, int(op.Object)}; owned[work] {
					r.Outcomes[i] = Repeated
				} else {
					owned[work] = true
				}
			}
		}
	}
}

// books are what a system has that has done all that the plan's tally says.
func (p *Plan) books(cut uint64) *Books {
	n := p.Scenario.Population
	b := &Books{Balances: make([]int64, p.Accounts()), Totals: slices.Clone(p.acked), Cut: cut}
	for i, spent := range p.spent {
		b.Balances[i] = int64(p.Available) - spent
	}
	for c, total := range p.acked {
		b.Balances[p.Payee[c]] += int64(total)
	}
	for i := range n.Payees {
		b.Balances[n.Payers+i] += p.income[i].Load() + p.sold[i].Load()*int64(n.Price-cut)
		b.Owned += p.sold[i].Load()
	}
	b.Kept = b.Owned * int64(cut)
	for payer := range n.Payers {
		for work := range n.Works {
			if p.owned[payer*p.stride+work/64]>>(work%64)&1 == 1 {
				b.Owners = append(b.Owners, Owner{payer, work})
			}
		}
	}
	return b
}

// TestSame holds that a scenario draws the same requests again, that another seed draws others, and that workers have payers of their own.
func TestSame(t *testing.T) {
	list := func(text string, worker int) (all []Request) {
		p := newPlan(t, text)
		draw(t, p, worker, 200, func(r *Request) {
			kept := *r
			kept.Ops = slices.Clone(r.Ops)
			all = append(all, kept)
			honest(map[[2]int]bool{})(r)
		})
		return all
	}
	same := func(a, b []Request) bool {
		return slices.EqualFunc(a, b, func(x, y Request) bool { return x.Payer == y.Payer && slices.Equal(x.Ops, y.Ops) })
	}
	first := list(mixed, 1)
	if !same(first, list(mixed, 1)) {
		t.Error("the same scenario draws other requests")
	}
	if same(first, list(strings.Replace(mixed, "seed = 7", "seed = 8", 1), 1)) || same(first, list(mixed, 2)) {
		t.Error("another seed, or another worker, draws the same requests")
	}
	kinds, ids := map[Kind]int{}, map[[16]byte]bool{}
	for _, r := range first {
		if r.Payer%3 != 1 {
			t.Fatalf("worker 1 sends for payer %d", r.Payer)
		}
		for _, op := range r.Ops {
			if kinds[op.Kind]++; op.Kind == Transfer && (ids[op.ID] || op.ID[6]>>4 != 7 || op.ID[8]>>6 != 2) {
				t.Errorf("id %x is there already, or no UUIDv7", op.ID)
			}
			ids[op.ID] = true
		}
	}
	if kinds[Advance] <= kinds[Transfer] || kinds[Transfer] <= kinds[Unlock] || kinds[History] == 0 {
		t.Errorf("kinds: %v", kinds)
	}
}

// TestVerify holds that books that have it right agree, and that any one that is wrong by a millisatoshi does not.
// notOwning is a payer that does not own a work.
func notOwning(b *Books, work int) int {
	for payer := 0; ; payer++ {
		if !slices.Contains(b.Owners, Owner{payer, work}) {
			return payer
		}
	}
}

func TestVerify(t *testing.T) {
	p := newPlan(t, mixed)
	for worker := range 3 {
		if s := draw(t, p, worker, 300, honest(map[[2]int]bool{})); len(s.Lies) > 0 || s.Tally.Paid == 0 {
			t.Fatalf("%q, %+v", s.Lies, s.Tally)
		}
	}
	if err := p.Verify(p.books(10)); err != nil {
		t.Fatal(err)
	}
	for name, bend := range map[string]func(*Books){
		"a payer has more":      func(b *Books) { b.Balances[3]++ },
		"a payee has less":      func(b *Books) { b.Balances[22]-- },
		"a channel has paid":    func(b *Books) { b.Totals[5]++ },
		"a work is not owned":   func(b *Books) { b.Owned-- },
		"the cut is another":    func(b *Books) { b.Cut++ },
		"the cut is not kept":   func(b *Books) { b.Kept-- },
		"a work is another's":   func(b *Books) { b.Owners[2].Payer = notOwning(b, b.Owners[2].Work) },
		"a work is owned twice": func(b *Books) { b.Owners[1] = b.Owners[0] },
		"a stranger owns":       func(b *Books) { b.Owners[0].Payer = 20 },
		"nobody owns anything":  func(b *Books) { b.Owners = []Owner{} },
		"an account is missing": func(b *Books) { b.Balances = b.Balances[1:] },
	} {
		b := p.books(10)
		if bend(b); p.Verify(b) == nil {
			t.Errorf("%s, and it agrees", name)
		}
	}
	b := p.books(10)
	if b.Owned = -1; p.Verify(b) != nil {
		t.Error("nobody says what is owned, and it does not agree")
	}
}

// TestShare holds that tallies made apart say together what one says that was made in one place.
func TestShare(t *testing.T) {
	whole, joined := newPlan(t, mixed), newPlan(t, mixed)
	for worker := range 3 {
		draw(t, whole, worker, 200, honest(map[[2]int]bool{}))
	}
	for part := range 2 {
		p := newPlan(t, mixed)
		for worker := part; worker < 3; worker += 2 {
			draw(t, p, worker, 200, honest(map[[2]int]bool{}))
		}
		text, err := p.Export(part, 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := joined.Import(part, 2, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := joined.Verify(whole.books(10)); err != nil {
		t.Error(err)
	}
	if err := joined.Import(0, 3, nil); err == nil {
		t.Error("nothing is taken for a tally")
	}
}

// TestLies holds what cannot be true of an answer.
func TestLies(t *testing.T) {
	only := func(kind string) string {
		return strings.NewReplacer("advance = 3", "advance = 0", "transfer = 2", "transfer = 0", "unlock = 1", "unlock = 0", "history = 1", kind+" = 1").Replace(mixed)
	}
	unlocks := strings.Replace(only("x"), "unlock = 0", "unlock = 1", 1)
	unlocks = strings.Replace(unlocks, "x = 1\n", "", 1)
	transfers := strings.Replace(strings.Replace(only("x"), "transfer = 0", "transfer = 1", 1), "x = 1\n", "", 1)
	for name, c := range map[string]struct {
		text   string
		answer func(*Request)
	}{
		"a repeat of what was sent once": {transfers, func(r *Request) { r.Outcomes[0] = Repeated }},
		"repeats that are none":          {transfers, func(r *Request) { r.Outcomes[0], r.Repeats = Either, 1 }},
		"no outcome":                     {transfers, func(*Request) {}},
		"a purchase without the secret":  {unlocks, func(r *Request) { r.Outcomes[0] = Done }},
		"a refusal with the secret":      {unlocks, func(r *Request) { r.Outcomes[0], r.Secret = Refused, true }},
		"bought twice":                   {unlocks, func(r *Request) { r.Outcomes[0], r.Secret = Done, true }},
		"owned and never bought":         {unlocks, func(r *Request) { r.Outcomes[0], r.Secret = Repeated, true }},
	} {
		s := draw(t, newPlan(t, c.text), 0, 100, c.answer)
		if len(s.Lies) == 0 || !errors.Is(s.Lies[0], ErrLied) {
			t.Errorf("%s: %q", name, s.Lies)
		}
	}
}

// TestLost holds that what nobody has answered is kept as it was, until it is.
func TestLost(t *testing.T) {
	p := newPlan(t, mixed)
	s := p.Source(0)
	var sent [][]Op
	for range 20 {
		r, err := s.Next(1)
		if err != nil {
			t.Fatal(err)
		}
		r.Forget()
		sent = append(sent, slices.Clone(r.Ops))
		s.Lost(r)
	}
	for i, r := range s.Open() {
		if !slices.Equal(r.Ops, sent[i]) {
			t.Fatalf("request %d was %v, and is kept as %v", i, sent[i], r.Ops)
		}
		r.Forget()
		for k := range r.Outcomes {
			r.Outcomes[k], r.Secret = Repeated, true
		}
		s.Answered(r)
		s.Answered(r) // changes nothing
	}
	if open := s.Open(); len(open) != 0 || len(s.Lies) > 0 || p.Verify(p.books(0)) != nil {
		t.Errorf("%d are open, lies %q", len(open), s.Lies)
	}
}

// TestMix holds that ops come in the shares that the scenario gives them, in single requests and in batches.
func TestMix(t *testing.T) {
	for _, ops := range []string{"1", "20"} {
		kinds, all := map[Kind]int{}, 0
		text := strings.Replace(strings.Replace(mixed, "most_msat = 9", "ops = "+ops, 1), "1_000_000", "1_000_000_000", 1)
		draw(t, newPlan(t, text), 0, 20_000, func(r *Request) {
			for _, op := range r.Ops {
				kinds[op.Kind]++
				all++
			}
			honest(map[[2]int]bool{})(r)
		})
		for kind, want := range map[Kind]float64{Advance: 3, Transfer: 2, Unlock: 1, History: 1} {
			if got := 7 * float64(kinds[kind]) / float64(all); got < 0.9*want || got > 1.1*want {
				t.Errorf("batches of %s: kind %d has a share of %.2f of 7, want %.0f", ops, kind, got, want)
			}
		}
	}
}
