package ledger_test

import (
	"testing"

	"github.com/millrace/millrace/ledger"
)

// TestAllocations: Check and Apply allocate nothing, neither per op nor per block. Every block is made before the
// measurement, and all name one parent, as blocks in flight do; out has room. What transfers add to (the table of ids and
// its index) grows in pages and shards: it is filled first to where neither is about to grow, so that growth, amortised far
// below one allocation in a thousand ops, is not measured.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const blocks, ops, accounts = 11, 100, 100
	w := newWorkbench(t, ledger.DefaultParams())
	for range accounts {
		w.account(1 << 40)
	}
	for i := range uint32(accounts) {
		w.must(ledger.Op{Kind: ledger.OpOpenChannel, Actor: ledger.FirstAccount + ledger.AccountNo(i),
			Target: uint32(ledger.FirstAccount) + (i+1)%accounts, Amount: 1 << 30, Version: testTime/1000 + 3600}, nil)
	}
	transfer := func(i uint32) ledger.Op {
		return ledger.Op{Kind: ledger.OpTransfer, Actor: ledger.FirstAccount + ledger.AccountNo(i%accounts),
			Target: uint32(ledger.FirstAccount) + (i+1)%accounts, Amount: 1, ID: w.newID(testTime)}
	}
	// 9 pages of ids and a little more; 144 ids in each of 256 shards of 256 slots, which grow at 192.
	for i := uint32(accounts * 3); i < 9*4096+100; i++ {
		w.must(transfer(i), nil)
	}
	for _, c := range []struct {
		what string
		op   func(block, i uint32) ledger.Op
	}{
		{"advances", func(block, i uint32) ledger.Op {
			return ledger.Op{Kind: ledger.OpAdvance, Actor: ledger.FirstAccount + ledger.AccountNo(i), Target: i + 1, Amount: ledger.Msat(block + 1)}
		}},
		{"transfers", func(_, i uint32) ledger.Op { return transfer(i) }},
	} {
		got := allocations(t, w.state, blocks, ops, c.op)
		if got != 0 {
			t.Errorf("a block of %d %s: %v allocations, want 0", ops, c.what, got)
		}
	}
}

func allocations(t *testing.T, s *ledger.State, blocks, ops uint32, make1 func(block, i uint32) ledger.Op) float64 {
	parent, head := s.Index(), s.Head()
	var sealed [][]byte
	var checks [][]ledger.Op
	for b := range blocks {
		var builder ledger.Builder
		var of []ledger.Op
		for i := range ops {
			op := make1(b, i)
			builder.Add(&op, nil)
			of = append(of, op)
		}
		checks = append(checks, of)
		sealed = append(sealed, builder.Seal(ledger.Header{Time: testTime + uint64(b), Number: uint64(b + 1), Parent: parent, Head: head}))
	}
	out := make([]ledger.Applied, 0, ops)
	next := 0
	return testing.AllocsPerRun(int(blocks)-1, func() {
		for i := range checks[next] {
			if r := s.Check(&checks[next][i], nil, s.Now()).Result(); r != ledger.Undecided {
				t.Fatalf("Check: %v", r)
			}
		}
		var err error
		out, err = s.Apply(parent+uint64(next)+1, sealed[next], out[:0])
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range out {
			if a.Result() != ledger.Done {
				t.Fatalf("Apply: %v", a.Result())
			}
		}
		next++
	})
}
