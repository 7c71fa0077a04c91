package ledger_test

import (
	"math/rand/v2"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// The benchmarks apply blocks of batch ops to a ledger of million accounts and channels, in random order: what one core
// does when nothing waits for a disk. ns/entry is per op of the ledger, not per block.
const (
	batch   = 8192
	million = 1 << 20
)

// mill builds big ledgers fast: blocks of batch ops, no checks of what they come to but the count.
type mill struct {
	b     *testing.B
	state *ledger.State
	out   []ledger.Applied
	block ledger.Builder
	id    uint64
}

func newMill(b *testing.B, accounts uint32) *mill {
	p := ledger.DefaultParams()
	p.FeePPM = 25_000
	m := &mill{b: b, state: ledger.New(p, testSeed)}
	m.run(accounts, func(uint32) ledger.Op { return ledger.Op{Kind: ledger.OpOpenAccount, ID: m.newID()} })
	m.run(accounts, func(i uint32) ledger.Op {
		return ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Dev, Target: uint32(no(i)), Amount: 1 << 40, ID: m.newID()}
	})
	return m
}

func no(i uint32) ledger.AccountNo { return ledger.FirstAccount + ledger.AccountNo(i) }

func (m *mill) newID() ledger.OpID {
	m.id++
	r := m.id * 0x9e3779b97f4a7c15
	return ledger.NewOpID(testTime, [10]byte{byte(r), byte(r >> 8), byte(r >> 16), byte(r >> 24), byte(r >> 32), byte(r >> 40), byte(r >> 48),
		byte(m.id), byte(m.id >> 8), byte(m.id >> 16)})
}

func (m *mill) run(n uint32, op func(i uint32) ledger.Op) {
	for i := uint32(0); i < n; {
		m.block.Reset()
		for ; i < n && m.block.Count() < batch; i++ {
			o := op(i)
			m.block.Add(&o, nil)
		}
		m.apply(m.seal())
	}
}

func (m *mill) seal() []byte {
	return m.block.Seal(ledger.Header{Time: testTime, Parent: m.state.Index(), Head: m.state.Head()})
}

func (m *mill) apply(block []byte) {
	var err error
	if m.out, err = m.state.Apply(m.state.Index()+1, block, m.out[:0]); err != nil {
		m.b.Fatal(err)
	}
}

// measure times Apply alone: making the block stands still.
func (m *mill) measure(op func() ledger.Op) {
	m.b.ReportAllocs()
	before := m.state.Seq()
	n := 0
	for m.b.Loop() {
		m.b.StopTimer()
		m.block.Reset()
		for m.block.Count() < batch {
			o := op()
			m.block.Add(&o, nil)
		}
		sealed := m.seal()
		m.b.StartTimer()
		m.apply(sealed)
		n += batch
	}
	if applied := m.state.Seq() - before; applied != uint64(n) {
		m.b.Fatalf("%d of %d ops applied", applied, n)
	}
	m.b.ReportMetric(float64(m.b.Elapsed().Nanoseconds())/float64(n), "ns/entry")
}

func BenchmarkApplyAdvances(b *testing.B) {
	m := newMill(b, million)
	m.run(million, func(i uint32) ledger.Op {
		return ledger.Op{Kind: ledger.OpOpenChannel, Actor: no(i), Target: uint32(no((i + 1) % million)), Amount: 1 << 30,
			Version: testTime/1000 + 3600, ID: m.newID()}
	})
	totals := make([]ledger.Msat, million)
	rng := rand.New(rand.NewPCG(1, 2))
	m.measure(func() ledger.Op {
		i := rng.Uint32N(million)
		totals[i] += 10
		return ledger.Op{Kind: ledger.OpAdvance, Actor: no(i), Target: i + 1, Amount: totals[i]}
	})
}

func BenchmarkApplyTransfers(b *testing.B) {
	m := newMill(b, million)
	rng := rand.New(rand.NewPCG(1, 2))
	m.measure(func() ledger.Op {
		i := rng.Uint32N(million)
		return ledger.Op{Kind: ledger.OpTransfer, Actor: no(i), Target: uint32(no((i + 1 + rng.Uint32N(million-1)) % million)), Amount: 10, ID: m.newID()}
	})
}

// BenchmarkApplyUnlocks: 4,096 contents with four payees each.
func BenchmarkApplyUnlocks(b *testing.B) {
	const contents = 4096
	m := newMill(b, million)
	for i := range uint32(contents) {
		m.block.Reset()
		op := ledger.Op{Kind: ledger.OpRegister, Actor: no(i), Amount: 1000, ID: [16]byte{byte(i), byte(i >> 8), 1}}
		r := ledger.Registration{Commitment: [32]byte{byte(i), byte(i >> 8)}, Title: "a song"}
		for j := range uint32(4) {
			r.Payees = append(r.Payees, ledger.Payee{Account: no(i + j*contents), Share: j + 1})
		}
		m.block.Add(&op, ledger.AppendRegistration(nil, &r))
		m.apply(m.seal())
	}
	buyer, content := uint32(contents), uint32(0) // each pair once
	rng := rand.New(rand.NewPCG(1, 2))
	order := rng.Perm(million - contents)
	m.measure(func() ledger.Op {
		if buyer == million {
			buyer, content = contents, content+1
		}
		op := ledger.Op{Kind: ledger.OpUnlock, Actor: no(contents + uint32(order[buyer-contents])), Amount: 1000}
		c := (buyer*2654435761 + content) % contents
		op.ID = [16]byte{byte(c), byte(c >> 8), 1}
		buyer++
		return op
	})
}

// BenchmarkCheckAdvances is what a hub pays before it proposes.
func BenchmarkCheckAdvances(b *testing.B) {
	m := newMill(b, million)
	m.run(million, func(i uint32) ledger.Op {
		return ledger.Op{Kind: ledger.OpOpenChannel, Actor: no(i), Target: uint32(no((i + 1) % million)), Amount: 1 << 30,
			Version: testTime/1000 + 3600, ID: m.newID()}
	})
	rng := rand.New(rand.NewPCG(1, 2))
	ops := make([]ledger.Op, 1<<16)
	for i := range ops {
		c := rng.Uint32N(million)
		ops[i] = ledger.Op{Kind: ledger.OpAdvance, Actor: no(c), Target: c + 1, Amount: 1}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if r := m.state.Check(&ops[i%len(ops)], nil, testTime).Result(); r != ledger.Undecided {
			b.Fatal(r)
		}
		i++
	}
}
