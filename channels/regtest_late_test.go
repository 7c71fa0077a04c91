package channels_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/deploy/regtest/network"
	"github.com/millrace/millrace/deploy/regtest/networktest"
	"github.com/millrace/millrace/ledger"
)

// holder counts the calls to a node, and keeps answers back.
type holder struct {
	mu    sync.Mutex
	calls map[string]int           // that the node was asked, by their methods
	held  map[string]chan struct{} // methods that are not answered until their channel is closed
	onPay chan struct{}            // what questions about payments are held by from the next payment on; nil: they are not
}

func (h *holder) seen(ctx context.Context, method string, m network.Moment) error {
	h.mu.Lock()
	if m == network.Asked {
		h.calls[method]++
		if method == "SendPaymentV2" && h.onPay != nil {
			h.held["TrackPaymentV2"], h.onPay = h.onPay, nil
		}
	}
	until := h.held[method]
	h.mu.Unlock()
	if m != network.Answered || until == nil {
		return nil
	}
	select {
	case <-until:
		return nil
	case <-ctx.Done(): // who asked does not wait any more
		return ctx.Err()
	}
}

// hold keeps back what methods are answered, until what it returns is called.
func (h *holder) hold(methods ...string) (let func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	until := make(chan struct{})
	for _, m := range methods {
		h.held[m] = until
	}
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, m := range methods {
			delete(h.held, m)
		}
		close(until)
	})
}

// asked is how often the node was asked by a method.
func (h *holder) asked(method string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls[method]
}

// TestRegtestAnsweredLate: an lnd that does what it is asked, and says so later than the hub waits, pays and spends once.
func TestRegtestAnsweredLate(t *testing.T) {
	r := newReal(t, networktest.Start(t), nil)
	h := &holder{calls: make(map[string]int), held: make(map[string]chan struct{})}
	board, err := r.net.Hub.Switchboard(h.seen)
	r.must(err)
	t.Cleanup(func() { r.must(board.Close()) })
	r.must(r.realHub.Close())
	r.place.NodeAddress = board.Address()
	r.open(func(c *channels.Config) {
		c.SlotFor, c.CallFor, c.Quiet = time.Second, 1500*time.Millisecond, 2*time.Second
	})
	node, err := r.lightning.Assets(r.ctx)
	r.must(err)
	wallet := r.confirmed()
	from := r.newAccount()
	r.depositCoin(from, 10_000_000)

	// Whether the hash is free is not told: nothing is sent.
	let := h.hold("TrackPaymentV2")
	paid := r.request(from, r.bill(1_000_000), 0, 1000)
	r.begin(paid)
	r.eventually("it is asked again", func() bool { return h.asked("TrackPaymentV2") > 1 })
	if p, _ := r.Payout(paid.Key); p.Status != channels.Held || h.asked("SendPaymentV2") > 0 {
		t.Errorf("%s, and nobody knows whether somebody else has sent it", p.Status)
	}
	let()
	r.ends([]channels.Request{paid}, channels.Done)
	r.lateAnswer(h, from)

	// Of a transaction neither the signature is told, nor that it is published.
	for _, method := range []string{"FinalizePsbt", "PublishTransaction"} {
		before := h.asked(method)
		let := h.hold(method)
		sent := []channels.Request{r.request(from, r.creator(1), 1_000_000, 10_000_000), r.request(from, r.creator(2), 1_000_000, 10_000_000)}
		r.begin(sent...)
		r.eventually("they wait", func() bool { return r.Counts().Queue["batch"] == len(sent) })
		r.Flush()
		if method == "FinalizePsbt" { // what is not known to be signed is signed anew
			r.eventually("it is asked again", func() bool { return h.asked(method) > before+1 })
		} else { // what is published is in the mempool, whatever lnd says
			r.eventually("it is in the mempool", func() bool { ids, _ := r.net.Chain.Mempool(r.ctx); return len(ids) == 1 })
			time.Sleep(1500 * time.Millisecond)
		}
		for _, q := range sent {
			if p, _ := r.Payout(q.Key); p.Status != channels.InTransit || r.held(from) < p.Aside() {
				t.Errorf("%s, while nobody knows", p.Status)
			}
		}
		let()
		r.eventually("one transaction is published", func() bool {
			ids, err := r.net.Chain.Mempool(r.ctx)
			r.must(err)
			if len(ids) > 1 {
				t.Fatal("two are")
			}
			return len(ids) == 1
		})
		r.mine(2)
		r.ends(sent, channels.Done)
	}
	r.agrees(node)
	r.eventually("the wallet has what the ledger says", func() bool { return int64(r.confirmed()-wallet)*1000 == r.outside(ledger.Chain) })
}

func (r *real) held(no ledger.AccountNo) ledger.Msat {
	a, _ := r.hub.Account(no)
	return ledger.Msat(a.Held)
}

// lateAnswer has a payment done of which nothing is told for longer than the hub waits for anything. It stays held, and is not sent again.
func (r *real) lateAnswer(h *holder, from ledger.AccountNo) {
	r.t.Helper()
	before := h.asked("SendPaymentV2")
	let := h.hold("SendPaymentV2")
	defer let()
	until := make(chan struct{})
	h.mu.Lock()
	h.onPay = until
	h.mu.Unlock()
	q := r.request(from, r.bill(1_000_000), 0, 1000)
	r.begin(q)
	r.eventually("it is sent", func() bool { return h.asked("SendPaymentV2") == before+1 })
	asked := h.asked("TrackPaymentV2")
	r.eventually("it is asked about again and again", func() bool {
		if p, _ := r.Payout(q.Key); p.Status != channels.InTransit || r.held(from) != p.Aside() {
			r.t.Fatalf("%s, while nobody knows", p.Status)
		}
		return h.asked("TrackPaymentV2") > asked+4 // each waits a second
	})
	if n := h.asked("SendPaymentV2") - before; n != 1 {
		r.t.Errorf("it was sent %d times", n)
	}
	h.mu.Lock()
	delete(h.held, "TrackPaymentV2")
	close(until)
	h.mu.Unlock()
	r.ends([]channels.Request{q}, channels.Done)
}

// TestRegtestStandard: more payees than fit into a transaction that nodes pass on are paid by two.
func TestRegtestStandard(t *testing.T) {
	r := newReal(t, networktest.Start(t), func(c *channels.Config) { c.BatchOutputs = 2500 })
	before := r.confirmed()
	from := r.newAccount()
	r.depositCoin(from, 20_000_000)
	const payees = 2100 // of 172 weight units each, where 2,046 fit
	all := make([]channels.Request, payees)
	next := make(chan int)
	failed := make(chan error, payees)
	var asking sync.WaitGroup
	for range 64 {
		asking.Go(func() {
			for i := range next {
				_, err := r.Withdraw(r.ctx, all[i])
				failed <- err
			}
		})
	}
	for i := range all {
		key := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
		a, err := btcutil.NewAddressTaproot(key[:], &chaincfg.SimNetParams)
		r.must(err)
		all[i] = r.request(from, a.EncodeAddress(), 2_000_000, 2_000_000)
		next <- i
	}
	close(next)
	asking.Wait()
	for range all {
		r.must(<-failed)
	}
	r.eventually("they wait", func() bool { return r.Counts().Queue["batch"] == payees })
	r.Flush()
	r.eventually("two transactions are published", func() bool { ids, _ := r.net.Chain.Mempool(r.ctx); return len(ids) == 2 })
	for _, b := range r.Batches() {
		if size := b.Tries[0].VSize; size > 100_000 {
			t.Errorf("%d virtual bytes", size)
		}
	}
	r.mine(2)
	r.ends(all, channels.Done)
	r.eventually("the wallet has what the ledger says", func() bool { return int64(r.confirmed()-before)*1000 == r.outside(ledger.Chain) })
}

// TestRegtestFees: a payee behind another node costs a fee, which is not above the limit; nor is one sent to whose invoice has expired.
func TestRegtestFees(t *testing.T) {
	r := newReal(t, networktest.Start(t), nil)
	node, err := r.lightning.Assets(r.ctx)
	r.must(err)
	far, err := r.net.Add(r.ctx, "far")
	r.must(err)
	r.must(r.net.Open(r.ctx, r.net.Publisher, far))
	from := r.newAccount()
	r.deposit(from, 100_000_000)
	bill := func() string {
		text, err := far.Invoice(r.ctx, 50_000_000, "")
		r.must(err)
		return text
	}
	var q channels.Quote
	r.eventually("the way is known", func() bool {
		var err error
		q, err = r.Quote(r.ctx, r.request(from, bill(), 0, 0))
		return err == nil && q.Fee > 0
	})
	// With a limit between what a part costs and what all of them do, lnd sends parts, and gives up a minute or two later.
	if p := r.pay(r.request(from, bill(), 0, q.Fee/2)); p.Status != channels.Voided || p.Reason != "no_route" || r.has(from) != 100_000_000 {
		t.Errorf("half of the fee of %d: %s, %q, %d left", q.Fee, p.Status, p.Reason, r.has(from))
	}
	if p := r.pay(r.request(from, bill(), 0, q.Fee)); p.Status != channels.Done || p.Fee != q.Fee || r.has(from) != 50_000_000-q.Fee {
		t.Errorf("%s, %q, a fee of %d where %d was quoted", p.Status, p.Reason, p.Fee, q.Fee)
	}
	r.agrees(node)
}
