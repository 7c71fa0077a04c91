package hub_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/channels/voucher"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/index"
)

func TestOverload(t *testing.T) {
	r := newRig(t, setup{cfg: hub.Config{MaxQueueOps: hub.MaxBatchOps}})
	a, b := r.account(100_000), r.account(0)
	var wg sync.WaitGroup
	r.stall(&wg, a, b)
	fill := make([]ledger.Op, hub.MaxBatchOps)
	for i := range fill {
		fill[i] = transfer(a, b, 1)
	}
	wg.Go(func() { r.must(fill...) })
	eventually(t, "the queue is full", func() bool { return r.metric("millrace_queue_ops", "") == hub.MaxBatchOps })
	late := transfer(a, b, 7)
	began := time.Now()
	for _, ops := range [][]ledger.Op{{late}, {late, transfer(a, b, 7)}} {
		if err := r.Submit(&hub.Batch{Ops: ops}); !errors.Is(err, hub.ErrOverload) {
			t.Errorf("%d ops more: %v", len(ops), err)
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("told after %v", took)
	}
	if n := r.metric("millrace_ops_not_taken_total", ""); n != 3 {
		t.Errorf("%v ops counted as not taken", n)
	}
	r.log.open()
	wg.Wait()
	if got := r.balance(b); got != hub.MaxBatchOps+hub.BlocksInFlight {
		t.Errorf("%d msat", got)
	}
	have := r.balance(b)
	r.must(late) // as new: nothing of it was applied
	if got := r.balance(b) - have; got != 7 {
		t.Errorf("%d msat came", got)
	}
	r.stop()
}

func TestBatchBounds(t *testing.T) {
	r := newRig(t, setup{})
	a, b := r.account(100_000), r.account(0)
	before := r.log.count()
	for name, batch := range map[string]*hub.Batch{
		"too many ops":              {Ops: make([]ledger.Op, hub.MaxBatchOps+1)},
		"detail too large":          {Ops: make([]ledger.Op, 1), Detail: make([]byte, ledger.MaxDetail+1)},
		"a detail for several":      {Ops: registers(a, 2), Detail: detail(1, a)},
		"a detail for a full batch": {Ops: registers(a, hub.MaxBatchOps), Detail: detail(1, a)},
	} {
		if err := r.Submit(batch); err == nil || errors.Is(err, hub.ErrOverload) || errors.Is(err, hub.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	empty := hub.Batch{Out: make([]ledger.Applied, 3)}
	if err := r.Submit(&empty); err != nil || len(empty.Out) != 0 {
		t.Errorf("empty: %d outcomes, %v", len(empty.Out), err)
	}
	if r.log.count() != before {
		t.Error("something was logged")
	}
	most := make([]ledger.Op, hub.MaxBatchOps)
	for i := range most {
		most[i] = transfer(a, b, 1)
	}
	r.must(most...)
	if r.balance(b) != hub.MaxBatchOps {
		t.Errorf("%d msat", r.balance(b))
	}
	r.stop()
}

func TestConfigValidate(t *testing.T) {
	r := newRig(t, setup{})
	good := hub.Config{Params: r.Params(), Index: &index.Index{}, Ring: r.cfgRing(), Origin: testOrigin}
	for name, bend := range map[string]func(*hub.Config){
		"no ring":      func(c *hub.Config) { c.Ring = nil },
		"no index":     func(c *hub.Config) { c.Index = nil },
		"small queue":  func(c *hub.Config) { c.MaxQueueOps = hub.MaxBatchOps - 1 },
		"bad origin":   func(c *hub.Config) { c.Origin = "https://hub.example/path" },
		"no origin":    func(c *hub.Config) { c.Origin = "" },
		"empty params": func(c *hub.Config) { c.Params = ledger.Params{} },
	} {
		c := good
		bend(&c)
		if _, err := hub.New(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := good.Validate(); err != nil || good.MaxQueueOps != hub.DefaultMaxQueueOps {
		t.Errorf("%d, %v", good.MaxQueueOps, err)
	}
	r.stop()
}

// registers makes ops that need a detail.
func registers(seller ledger.AccountNo, n int) []ledger.Op {
	ops := make([]ledger.Op, n)
	for i := range ops {
		ops[i] = ledger.Op{Kind: ledger.OpRegister, Actor: seller, Amount: 1, ID: newID()}
	}
	return ops
}

// detail is the largest of a registration, the nth of its kind, with 16 payees from the first on.
func detail(n uint32, first ledger.AccountNo) []byte {
	reg := ledger.Registration{Title: strings.Repeat("x", ledger.MaxTitle), Payees: payees(ledger.MaxPayees, first)}
	binary.LittleEndian.PutUint32(reg.Commitment[:], n)
	return ledger.AppendRegistration(nil, &reg)
}

// TestBlockBound: no block that the sequencer makes is larger than a reader accepts. By the constants, and with the heaviest
// ops there are, queued while the log stands.
func TestBlockBound(t *testing.T) {
	heaviest := hub.Batch{Ops: make([]ledger.Op, hub.MaxBatchOps), Detail: make([]byte, hub.MaxBatchVouchers*ledger.SignatureSize)}
	most := ledger.HeaderSize + hub.BlockWeight - 1 + heaviest.Weight()
	if most > ledger.MaxBlock {
		t.Fatalf("a block of %d bytes can come about, at most %d may", most, ledger.MaxBlock)
	}

	r := newRig(t, setup{cfg: hub.Config{Vouchers: voucher.Verifier{Origin: testOrigin}}})
	payer := r.account(1_000_000)
	for range ledger.MaxPayees {
		r.account(0)
	}
	k := voucher.NewKey()
	no := r.signedChannel(payer, payer+1, k.Public())
	one := hub.Batch{Ops: registers(payer, 1), Detail: detail(0, payer)}
	if n := len(ledger.AppendOp(nil, &one.Ops[0], one.Detail)); n > one.Weight() || len(one.Detail) > ledger.MaxDetail {
		t.Fatalf("an op of %d bytes counts as %d; detail of %d", n, one.Weight(), len(one.Detail))
	}
	var wg sync.WaitGroup
	r.stall(&wg, payer, payer+1)
	count := (hub.BlockWeight - 1 - ledger.MaxOp) / one.Weight()
	for i := range count {
		wg.Go(func() {
			b := hub.Batch{Ops: registers(payer, 1), Detail: detail(uint32(i), payer)}
			if err := r.Submit(&b); err != nil || b.Out[0].Result() != ledger.Done {
				t.Errorf("%v, %v", b.Out, err)
			}
		})
	}
	eventually(t, "all registrations wait", func() bool { return r.metric("millrace_queue_ops", "") == float64(count) })
	last := hub.Batch{Ops: make([]ledger.Op, hub.MaxBatchOps)}
	for i := range last.Ops {
		if i < hub.MaxBatchVouchers {
			v, err := k.Sign(testOrigin, no, ledger.Msat(1+i))
			if err != nil {
				t.Fatal(err)
			}
			last.Ops[i] = ledger.Op{Kind: ledger.OpVoucher, Actor: payer, Target: uint32(no), Amount: v.Total}
			last.Detail = append(last.Detail, v.Signature[:]...)
			continue
		}
		last.Ops[i] = ledger.Op{Kind: ledger.OpOpenChannel, Actor: payer, Target: uint32(payer + 1), Amount: 1, Version: uint32(time.Now().Unix() + 3600), ID: newID()}
	}
	wg.Go(func() {
		if err := r.Submit(&last); err != nil || slices.ContainsFunc(last.Out, func(a ledger.Applied) bool { return a.Result() != ledger.Done }) {
			t.Errorf("the heaviest batch: %v", err)
		}
	})
	eventually(t, "all wait", func() bool { return r.metric("millrace_queue_ops", "") == float64(count+hub.MaxBatchOps) })
	r.log.open()
	wg.Wait()
	r.log.mu.Lock()
	largest := r.log.largest
	r.log.mu.Unlock()
	if largest > most || largest < most*95/100 {
		t.Errorf("the largest block has %d bytes, and can have %d", largest, most)
	}
	t.Logf("the largest block has %d bytes, can have %d, and may have %d", largest, most, ledger.MaxBlock)
	r.stop()
	if s, _ := audit(t, r.dir); s.Counts().Contents != uint64(count) || s.Counts().Channels != 1+hub.MaxBatchOps-hub.MaxBatchVouchers {
		t.Errorf("%+v", s.Counts())
	}
}
