package hub_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// TestManyCallers: everybody gets his outcomes, in his order, and no msat comes or goes.
func TestManyCallers(t *testing.T) {
	r := newRig(t, setup{})
	const accounts, callers, rounds, each = 8, 16, 30, 20
	first := r.account(100_000)
	for range accounts - 1 {
		r.account(10_000)
	}
	chans := r.channels(first, first+1, callers, 1000)
	var done, refused atomic.Int64
	before := r.log.count()
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(c)))
			var b hub.Batch
			for round := range rounds {
				b.Reset()
				for i := range each {
					op := transfer(first+ledger.AccountNo(rng.IntN(accounts)), first+ledger.AccountNo(rng.IntN(accounts)), ledger.Msat(1+rng.IntN(4000)))
					if i == each/2 { // every caller's own channel: its outcome is known
						op = ledger.Op{Kind: ledger.OpAdvance, Actor: first, Target: uint32(chans[c]), Amount: ledger.Msat(round + 1)}
					}
					b.Ops = append(b.Ops, op)
				}
				if err := r.Submit(&b); err != nil {
					t.Error(err)
					return
				}
				if a := b.Out[each/2]; a.Result() != ledger.Done || a.Amount() != 1 || a.Object() != uint32(chans[c]) {
					t.Errorf("caller %d, round %d: %v of %d at %d", c, round, a.Result(), a.Amount(), a.Object())
				}
				for i, a := range b.Out {
					switch op := b.Ops[i]; {
					case a.Result() == ledger.Done && (a.Seq() == 0 || op.Kind == ledger.OpTransfer && a.Amount() != op.Amount):
						t.Errorf("seq %d, amount %d of %d", a.Seq(), a.Amount(), op.Amount)
					case a.Result() == ledger.Done:
						done.Add(1)
					case a.Result() == ledger.InsufficientFunds || a.Result() == ledger.SameAccount:
						refused.Add(1)
					default:
						t.Errorf("outcome %v", a.Result())
					}
				}
			}
		})
	}
	wg.Wait()
	if n := done.Load() + refused.Load(); n != callers*rounds*each {
		t.Errorf("%d outcomes for %d ops", n, callers*rounds*each)
	}
	if blocks := r.log.count() - before; blocks >= callers*rounds {
		t.Errorf("%d blocks for %d batches", blocks, callers*rounds)
	} else {
		t.Logf("%d batches in %d blocks; %d ops done, %d refused", callers*rounds, blocks, done.Load(), refused.Load())
	}
	var sum int64
	for no := first; no < first+accounts; no++ {
		a, _ := r.Account(no)
		sum += a.Available + int64(a.Held)
	}
	if sum != accounts*10_000+90_000 {
		t.Errorf("%d msat of %d", sum, accounts*10_000+90_000)
	}
	seq := r.metric("millrace_ledger_seq", "")
	r.stop()
	if s, _ := audit(t, r.dir); float64(s.Seq()) != seq {
		t.Errorf("%d entries on the disk, %v were acknowledged", s.Seq(), seq)
	}
}

// TestGroupCommit: what gathers while the log is busy becomes one block.
func TestGroupCommit(t *testing.T) {
	r := newRig(t, setup{})
	a, b := r.account(1000), r.account(0)
	before := r.log.count()
	var wg sync.WaitGroup
	r.stall(&wg, a, b)
	for range 200 {
		wg.Go(func() { r.must(transfer(a, b, 1)) })
	}
	eventually(t, "all wait", func() bool { return r.metric("millrace_queue_ops", "") == 200 })
	r.log.open()
	wg.Wait()
	if blocks := r.log.count() - before; blocks != hub.BlocksInFlight+1 {
		t.Errorf("200 transfers in %d blocks", blocks-hub.BlocksInFlight)
	}
	if r.balance(b) != 200+hub.BlocksInFlight {
		t.Errorf("%d of 200 msat", r.balance(b))
	}
	r.stop()
}

// TestRefusalsAreNotLogged, whether the whole batch is refused or a part, and neither are repeats.
func TestRefusalsAreNotLogged(t *testing.T) {
	r := newRig(t, setup{})
	a, b := r.account(100), r.account(0)
	one := transfer(a, b, 1)
	r.must(one)
	before := r.log.count()
	reused := one
	reused.Amount = 2
	old := transfer(a, b, 1)
	old.ID = ledger.NewOpID(uint64(time.Now().Add(-25*time.Hour).UnixMilli()), [10]byte{1})
	for i, got := range r.submit(transfer(a, b, 101), transfer(a, a, 1), one, reused, old, transfer(a, b, 0), ledger.Op{Kind: 99}, ledger.Op{}) {
		want := []ledger.Result{ledger.InsufficientFunds, ledger.SameAccount, ledger.Repeated, ledger.IDReused, ledger.IDExpired,
			ledger.AmountZero, ledger.OpMalformed, ledger.OpMalformed}[i]
		if got.Result() != want {
			t.Errorf("op %d: %v, want %v", i, got.Result(), want)
		}
	}
	if n := r.log.count() - before; n != 0 {
		t.Errorf("%d blocks", n)
	}
	out := r.submit(transfer(a, b, 101), transfer(a, b, 5), transfer(a, a, 1))
	if out[0].Result() != ledger.InsufficientFunds || out[1].Result() != ledger.Done || out[2].Result() != ledger.SameAccount {
		t.Errorf("%v, %v, %v", out[0].Result(), out[1].Result(), out[2].Result())
	}
	if n := r.log.count() - before; n != 1 || r.balance(b) != 6 {
		t.Errorf("%d blocks, %d msat", n, r.balance(b))
	}
	r.stop()
	ops := 0
	s, err := openLog(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Blocks(1, func(_ uint64, block []byte) error {
		_, n, _, err := ledger.DecodeHeader(block)
		ops += n
		return err
	})
	if err := errors.Join(err, s.Close()); err != nil || ops != 5 { // two accounts, a credit, two transfers
		t.Errorf("%d ops in the log, %v", ops, err)
	}
}

// TestNoAcknowledgementBeforeDurability: while the log holds a block back, nobody learns anything of it.
func TestNoAcknowledgementBeforeDurability(t *testing.T) {
	r := newRig(t, setup{})
	seller, buyer := r.account(0), r.account(1000)
	w := r.seal(seller, "a work", 500)
	id := r.register(w)
	before := r.log.count()
	r.log.close()
	pay, op := make(chan []ledger.Applied, 1), transfer(buyer, seller, 100)
	go func() { pay <- r.must(op) }()
	eventually(t, "the transfer is on its way", func() bool { return r.log.count() == before+1 })
	type unlocked struct {
		a   ledger.Applied
		key seal.FileKey
		err error
	}
	keys := make(chan unlocked, 2)
	for range 2 { // the second comes when the first is on its way: it is not a repeat yet
		go func() {
			a, key, err := r.Unlock(new(hub.Batch), hub.Purchase{Buyer: buyer, Content: id, PriceVersion: 1})
			keys <- unlocked{a, key, err}
		}()
	}
	eventually(t, "the unlock is on its way", func() bool { return r.log.count() >= before+2 })
	again := make(chan []ledger.Applied, 1)
	go func() { again <- r.submit(op) }()
	time.Sleep(50 * time.Millisecond)
	select {
	case <-pay:
		t.Fatal("a transfer was acknowledged that is not durable")
	case <-again:
		t.Fatal("the repeat of a transfer was acknowledged that is not durable")
	case <-keys:
		t.Fatal("an unlock was acknowledged that is not durable")
	default:
	}
	if r.balance(seller) != 0 || r.balance(buyer) != 1000 || r.metric("millrace_secrets_released_total", "") != 0 {
		t.Error("the money shows before it is durable")
	}
	if lag := r.metric("millrace_queue_ops", ""); lag > 2 {
		t.Errorf("%v ops wait", lag)
	}
	r.log.open()
	seq := (<-pay)[0].Seq()
	if a := (<-again)[0]; a.Result() != ledger.Repeated || a.Seq() != seq {
		t.Errorf("the repeat: %v, seq %d of %d", a.Result(), a.Seq(), seq)
	}
	results := map[ledger.Result]int{}
	for range 2 {
		u := <-keys
		results[u.a.Result()]++
		if u.err != nil || !w.opens(u.key) {
			t.Errorf("unlock: %v, %v", u.a.Result(), u.err)
		}
	}
	if results[ledger.Done] != 1 || results[ledger.Repeated] != 1 || r.balance(buyer) != 400 || r.balance(seller) != 600 {
		t.Errorf("%v; buyer %d, seller %d", results, r.balance(buyer), r.balance(seller))
	}
	r.stop()
}
