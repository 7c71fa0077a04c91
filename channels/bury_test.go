package channels

import (
	"slices"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// replacedBatch is a batch that was replaced twice, and is closed by the last of its transactions.
func (r *rig) replacedBatch(n int) (Batch, []Request) {
	r.t.Helper()
	r.chain.give(10_000_000)
	all := r.queued(r.account(1_000_000_000), n, 1_000_000, 900_000)
	r.Flush()
	r.published(1)
	b := r.Batches()[0]
	for _, rate := range []FeeRate{20_000, 40_000} {
		if err := r.Bump(b.ID, rate); err != nil {
			r.t.Fatal(err)
		}
	}
	r.chain.mine(2)
	r.Block()
	for _, q := range all {
		r.ends(q.Key, Done)
	}
	return r.closed(b.ID), all
}

// TestOtherWinner: after a reorganisation another transaction of a closed batch is mined: it is the one that paid, nothing is published
// beside it, nobody pays twice, and an operator is told what of its fee is not in the books.
func TestOtherWinner(t *testing.T) {
	r := patient(t, nil)
	b, all := r.replacedBatch(3)
	if b.Winner != 2 {
		t.Fatalf("%+v", b)
	}
	fees, _ := r.book.Account(ledger.Fees)
	chain, _ := r.book.Account(ledger.Chain)
	r.chain.mu.Lock()
	published := r.chain.published
	r.chain.blocks[0] = []*transaction{r.chain.signed[string(b.Tries[0].Raw)]} // two blocks are others
	r.chain.blocks = r.chain.blocks[:1]
	r.chain.mu.Unlock()
	r.Block()
	r.incident("reorganised")
	for _, q := range all {
		if p, _ := r.Payout(q.Key); p.Tx != b.Tries[2].ID {
			t.Errorf("not deep yet: %s", shown(p))
		}
	}
	r.chain.mine(1)
	r.Block()
	r.incident("fee")
	r.eventually("the incident is closed by itself", func() bool { list, _ := r.Incidents(0); return len(list) == 1 })
	r.crash()
	for _, q := range all {
		if p, _ := r.Payout(q.Key); p.Tx != b.Tries[0].ID || p.Status != Done {
			t.Errorf("%s", shown(p))
		}
	}
	if i := r.incident("fee"); i.Amount != ledger.Msat(b.Tries[2].Fee-b.Tries[0].Fee)*1000 {
		t.Errorf("%+v", i)
	}
	r.chain.mine(buried)
	r.Block()
	r.eventually("the batch is buried", func() bool { return len(r.Batches()) == 0 })
	if r.chain.published != published {
		t.Error("published beside what is in the chain")
	}
	r.has(ledger.Fees, fees.Available, 0)
	r.has(ledger.Chain, chain.Available, 0)
}

// TestInterred: of a batch that is buried the record keeps what an audit asks for, and no more.
func TestInterred(t *testing.T) {
	r := patient(t, nil)
	b, _ := r.replacedBatch(3)
	before := r.Batches()[0]
	r.chain.mine(buried)
	r.Block()
	r.eventually("the batch is buried", func() bool { return len(r.Batches()) == 0 })
	if before.Tries[0].Raw == nil || before.Tries[2].PSBT == nil {
		t.Error("a copy that somebody has was changed")
	}
	r.crash()
	after, err := r.Batch(b.ID)
	if err != nil || len(after.Tries) != 3 || !slices.Equal(after.Parts, b.Parts) || after.Rest != b.Rest || after.Status != BatchClosed {
		t.Fatalf("%+v, %v", after, err)
	}
	for i, s := range after.Tries {
		if s.ID != b.Tries[i].ID || s.Fee != b.Tries[i].Fee || s.VSize != b.Tries[i].VSize || s.PSBT != nil {
			t.Errorf("try %d: %+v", i, s)
		}
		if kept := i == b.Winner; kept != (string(s.Raw) == string(b.Tries[i].Raw)) || kept != slices.Equal(s.Inputs, b.Tries[i].Inputs) {
			t.Errorf("try %d: its bytes are kept: %v", i, !kept)
		}
	}
}
