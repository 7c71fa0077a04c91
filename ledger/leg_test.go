package ledger_test

import (
	"testing"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
)

// TestLegsAddUp: the legs alone account for every msat, since whoever follows the log has nothing else.
func TestLegsAddUp(t *testing.T) {
	for seed := range uint64(10) {
		g := ledgertest.NewGenerator(7000 + seed)
		steps, _ := g.Steps(1500)
		w := newWorkbench(t, g.Model.Params)
		books := &books{t: t, balances: make(map[ledger.AccountNo][2]int64), paid: make(map[ledger.ChannelNo]ledger.Msat)}
		for _, batch := range ledgertest.Cut(newRand(seed), steps, 40) {
			w.block(batch)
			books.follow(w.state.Last())
		}
		books.compare(w.state)
	}
}

// books are kept from legs alone.
type books struct {
	t        *testing.T
	entries  uint64
	balances map[ledger.AccountNo][2]int64
	paid     map[ledger.ChannelNo]ledger.Msat
	ids      int
	owned    int
}

func (b *books) follow(r *ledger.Record) {
	if r.First != b.entries+1 {
		b.t.Fatalf("block %d begins with entry %d after %d", r.Index, r.First, b.entries)
	}
	b.entries += uint64(r.Entries)
	last := -1
	for i := range r.Legs {
		l := &r.Legs[i]
		if int(l.Entry) != last && int(l.Entry) != last+1 {
			b.t.Fatalf("entry %d after %d", l.Entry, last)
		}
		last = int(l.Entry)
		if op, _ := r.Op(l); op.Kind != l.Kind {
			b.t.Fatalf("leg of %v at an op of %v", l.Kind, op.Kind)
		}
		b.leg(l)
	}
	if last != r.Entries-1 {
		b.t.Fatalf("block %d: legs for %d of %d entries", r.Index, last+1, r.Entries)
	}
	r.Remembered(func(ledger.Remembered) { b.ids++ })
	r.Owned(func(ledger.Owned) { b.owned++ })
}

func (b *books) leg(l *ledger.Leg) {
	for _, a := range [...]ledger.AccountNo{l.From, l.To} {
		available, held := l.Effect(a)
		if (available != 0 || held != 0) && !l.Touches(a) {
			b.t.Fatalf("%+v changes %v, and does not touch it", l, a)
		}
		if a == l.To && a == l.From {
			if available+held != 0 {
				b.t.Fatalf("%+v makes money", l)
			}
		}
		sum := b.balances[a]
		b.balances[a] = [2]int64{sum[0] + available, sum[1] + held}
		if l.To == l.From {
			break
		}
	}
	if l.Kind == ledger.OpAdvance || l.Kind == ledger.OpVoucher {
		b.paid[l.Channel()] += l.Amount
	}
}

func (b *books) compare(s *ledger.State) {
	b.t.Helper()
	counts := s.Counts()
	for no := ledger.AccountNo(1); uint64(no) < uint64(ledger.FirstAccount)+counts.Accounts; no++ {
		if a, ok := s.Account(no); ok && b.balances[no] != [2]int64{a.Available, int64(a.Held)} {
			b.t.Errorf("account %v: legs come to %v, the ledger has %d and %d", no, b.balances[no], a.Available, a.Held)
		}
	}
	for no := ledger.ChannelNo(1); uint64(no) <= counts.Channels; no++ {
		if c, _ := s.Channel(no); c.Total != b.paid[no] {
			b.t.Errorf("channel %v: legs come to %d, the ledger has %d", no, b.paid[no], c.Total)
		}
	}
	if uint64(b.owned) != counts.Unlocks || b.entries != s.Seq() || b.ids == 0 {
		b.t.Errorf("%d owned, %d entries, %d ids: the ledger has %+v and %d entries", b.owned, b.entries, b.ids, counts, s.Seq())
	}
}
