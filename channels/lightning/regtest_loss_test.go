package lightning_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lightning"
)

// TestRegtestAnswerLost: what lnd did and could not say is found out, and is not done twice.
func TestRegtestAnswerLost(t *testing.T) {
	n := shared.Get(t)
	var p *proxy
	hub, direct, publisher := open(t, n.Hub, through(t, &p)), open(t, n.Hub), open(t, n.Publisher)
	ctx := within(t)
	must(hub.Leases(ctx))(t) // so that it knows which node this is

	i := must(publisher.Invoice(ctx, channels.NewInvoice{Amount: 20_000, Expiry: time.Hour}))(t)
	pay := payment(t, hub, i.Text)
	p.delay(never)
	paid := make(chan struct{})
	go func() {
		defer close(paid)
		a, err := hub.Pay(ctx, pay)
		if a.Stage != channels.Pending {
			t.Errorf("%+v", a)
		}
		if !isDown(err) {
			t.Error(err)
		}
	}()
	eventually(t, "it is paid", func() bool { _, settled, err := publisher.Lookup(ctx, i.Hash); return err == nil && settled })
	p.cut()
	<-paid
	first := again(t, func() (channels.Attempt, error) { return hub.Track(ctx, i.Hash) })
	second := must(hub.Pay(ctx, pay))(t)
	if first.Stage != channels.Succeeded || first != second {
		t.Errorf("%+v and %+v", first, second)
	}

	batch, outs := lock(), outputs(t, 2)
	p.delay(never)
	limited, cancel := context.WithCancel(ctx)
	funded := make(chan error)
	go func() { _, err := hub.Fund(limited, batch, outs, 1000); funded <- err }()
	// Its first question is never answered, so that it leases nothing; but it cannot know that.
	time.AfterFunc(50*time.Millisecond, func() { cancel(); p.cut() })
	if err := <-funded; !isDown(err) {
		t.Fatal(err)
	}
	lost := must(direct.Fund(ctx, batch, outs, 1000))(t) // as if it had leased, and its answer had been lost
	s := again(t, func() (channels.Signed, error) { return hub.Fund(ctx, batch, outs, 1000) })
	if got := leased(t, direct, batch); !slices.Equal(got, s.Inputs) {
		t.Errorf("leased %v; %v are spent, %v were", got, s.Inputs, lost.Inputs)
	}

	p.delay(time.Second) // so that the question before it is answered
	published := make(chan error)
	go func() { published <- hub.Publish(ctx, s.Raw, "") }()
	eventually(t, "it is in the mempool", func() bool { return slices.Contains(must(n.Chain.Mempool(ctx))(t), s.ID.TxID()) })
	p.cut()
	if err := <-published; !isDown(err) {
		t.Error(err)
	}
	again(t, func() (struct{}, error) { return struct{}{}, hub.Publish(ctx, s.Raw, "") })
	must(n.Chain.Mine(ctx, 1))(t)
	eventually(t, "it is confirmed", func() bool { return must(hub.Transaction(ctx, s.ID))(t).Confirmations == 1 })
}

// again asks until lnd is there.
func again[T any](t *testing.T, ask func() (T, error)) (v T) {
	t.Helper()
	eventually(t, "lnd answers", func() bool {
		var err error
		if v, err = ask(); err != nil && !isDown(err) {
			t.Fatal(err)
		}
		return err == nil
	})
	return v
}

// TestRegtestKilledPaying: lnd is killed while a payment is held at its receiver. It is neither lost nor made twice.
func TestRegtestKilledPaying(t *testing.T) {
	n := shared.Get(t)
	hub := open(t, n.Hub)
	ctx := within(t)
	preimage, hash := secret()
	p := payment(t, hub, must(n.Publisher.Hold(ctx, hash, 30_000))(t))
	_, other := secret()
	q := payment(t, hub, must(n.Publisher.Hold(ctx, other, 40_000))(t))
	var all sync.WaitGroup
	for _, pay := range []channels.Payment{p, q} {
		all.Go(func() {
			if a, err := hub.Pay(ctx, pay); a.Stage != channels.Pending || !isDown(err) {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	check(t, n.Publisher.Held(ctx, hash))
	check(t, n.Publisher.Held(ctx, other))
	if held := must(hub.Assets(ctx))(t); held.Pending < 70_000 {
		t.Errorf("%+v", held)
	}
	check(t, n.Hub.Kill())
	all.Wait()
	if a, err := hub.Track(ctx, hash); a.Stage != channels.Pending || !isDown(err) {
		t.Errorf("%+v, %v", a, err)
	}
	check(t, n.Hub.Start(ctx))
	brief, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if a, err := hub.Track(brief, hash); a.Stage != channels.Pending || err != nil && !isDown(err) {
		t.Errorf("%+v, %v", a, err)
	}
	done := make(chan channels.Attempt)
	go func() { done <- again(t, func() (channels.Attempt, error) { return hub.Pay(ctx, p) }) }()
	check(t, n.Ready(ctx))
	check(t, n.Publisher.Settle(ctx, preimage))
	check(t, n.Publisher.Cancel(ctx, other))
	if a := <-done; a.Stage != channels.Succeeded || a.Preimage != preimage {
		t.Errorf("%+v", a)
	}
	if a := must(hub.Track(ctx, other))(t); a.Stage != channels.Failed || a.Reason != "incorrect_details" {
		t.Errorf("%+v", a)
	}
}

// TestRegtestHeld: a receiver who holds a payment does not hold who pays.
func TestRegtestHeld(t *testing.T) {
	n := shared.Get(t)
	hub := open(t, n.Hub)
	ctx := within(t)
	preimage, hash := secret()
	p := payment(t, hub, must(n.Publisher.Hold(ctx, hash, 30_000))(t))
	p.Timeout = time.Second
	began := time.Now()
	if a := must(hub.Pay(ctx, p))(t); a.Stage != channels.Pending || time.Since(began) < p.Timeout {
		t.Errorf("%+v after %v", a, time.Since(began))
	}
	for range 20 {
		brief, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		if a, err := hub.Track(brief, hash); a.Stage != channels.Pending || err != nil {
			t.Errorf("%+v, %v", a, err)
		}
		cancel()
	}
	check(t, n.Publisher.Settle(ctx, preimage))
	if a := must(hub.Track(ctx, hash))(t); a.Stage != channels.Succeeded || a.Preimage != preimage {
		t.Errorf("%+v", a)
	}
}

// TestRegtestOffline: a receiver who is away is not paid, and is when it is back.
func TestRegtestOffline(t *testing.T) {
	n := shared.Get(t)
	hub, publisher := open(t, n.Hub), open(t, n.Publisher)
	ctx := within(t)
	i := must(publisher.Invoice(ctx, channels.NewInvoice{Amount: 5000, Expiry: time.Hour}))(t)
	p := payment(t, hub, i.Text)
	check(t, n.Publisher.Stop())
	eventually(t, "the hub has noticed", func() bool { return must(hub.Info(ctx))(t).Active == 1 })
	if a := must(hub.Pay(ctx, p))(t); a.Stage != channels.Failed || a.Reason != "no_route" {
		t.Errorf("%+v", a)
	}
	check(t, n.Publisher.Start(ctx))
	check(t, n.Ready(ctx))
	if a := must(hub.Pay(ctx, p))(t); a.Stage != channels.Succeeded {
		t.Errorf("%+v", a)
	}
}

// TestRegtestHangs: an lnd that does not answer costs no more than the time for a call, and is itself again later.
func TestRegtestHangs(t *testing.T) {
	n := shared.Get(t)
	hub := open(t, n.Hub, func(c *lightning.Config) { c.Timeout = 2 * time.Second })
	ctx := within(t)
	must(hub.Info(ctx))(t)
	check(t, n.Hub.Pause())
	t.Cleanup(func() { check(t, n.Hub.Resume()) })
	began := time.Now()
	_, err := hub.Address(ctx)
	is(t, err, channels.ErrDown)
	if took := time.Since(began); took < time.Second || took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	check(t, n.Hub.Resume())
	again(t, func() (string, error) { return hub.Address(ctx) })
}

// TestRegtestChainAway: while btcd is away lnd hangs in what needs it; afterwards all goes on.
func TestRegtestChainAway(t *testing.T) {
	n := shared.Get(t)
	hub := open(t, n.Hub, func(c *lightning.Config) { c.Timeout = 5 * time.Second })
	ctx := within(t)
	s := must(hub.Fund(ctx, lock(), outputs(t, 5), 1000))(t)
	restart(t, n, n.Hub, n.Hub.Stop) // so that it has published nothing since it is connected to btcd
	check(t, n.Chain.Stop())
	err := hub.Publish(ctx, s.Raw, "")
	check(t, n.Chain.Start(ctx))
	is(t, err, channels.ErrDown)
	again(t, func() (struct{}, error) { return struct{}{}, hub.Publish(ctx, s.Raw, "") })
	eventually(t, "it is in the mempool", func() bool { return slices.Contains(must(n.Chain.Mempool(ctx))(t), s.ID.TxID()) })
	must(n.Chain.Mine(ctx, 1))(t)
	eventually(t, "it is confirmed", func() bool {
		p, err := hub.Transaction(ctx, s.ID)
		return err == nil && p.Confirmations == 1
	})
	check(t, n.Ready(ctx))
}

// TestRegtestSettled: who follows what was paid misses nothing and gets nothing twice, over breaks of every kind.
func TestRegtestSettled(t *testing.T) {
	n := shared.Get(t)
	var p *proxy
	hub, payer := open(t, n.Hub, through(t, &p)), open(t, n.Payer)
	ctx := within(t)
	var mu sync.Mutex
	var got []channels.Receipt
	follow, stop := context.WithCancel(ctx)
	done := make(chan error)
	go func() {
		done <- hub.Settled(follow, 0, func(r channels.Receipt) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, r)
			return nil
		})
	}()
	expected := map[channels.Hash]bool{}
	settle := func(payments int) {
		var all sync.WaitGroup
		for range payments {
			i := must(open(t, n.Hub).Invoice(ctx, channels.NewInvoice{Amount: 10_000, Expiry: time.Hour}))(t)
			expected[i.Hash] = true
			all.Go(func() {
				if a, err := payer.Pay(ctx, payment(t, payer, i.Text)); err != nil || a.Stage != channels.Succeeded {
					t.Errorf("%+v, %v", a, err)
				}
			})
		}
		all.Wait()
	}
	arrived := func() bool {
		mu.Lock()
		defer mu.Unlock()
		found := 0
		for _, r := range got {
			if expected[r.Hash] {
				found++
			}
		}
		return found >= len(expected)
	}
	settle(30)
	eventually(t, "all are told", arrived)
	p.cut()
	settle(5)
	eventually(t, "all are told", arrived)
	p.delay(never)
	settle(5)
	p.cut()
	eventually(t, "all are told", arrived)
	restart(t, n, n.Hub, n.Hub.Kill)
	settle(5)
	eventually(t, "all are told", arrived)
	stop()
	is(t, <-done, context.Canceled)
	for i, r := range got {
		if r.Index != uint64(i)+1 {
			t.Fatalf("number %d has the index %d", i, r.Index)
		}
	}
	// From somewhere on.
	var rest []channels.Receipt
	is(t, hub.Settled(ctx, 3, func(r channels.Receipt) error {
		if rest = append(rest, r); len(rest) == len(got)-3 {
			return context.Canceled
		}
		return nil
	}), context.Canceled)
	if !slices.EqualFunc(rest, got[3:], func(a, b channels.Receipt) bool { return a.Hash == b.Hash && a.Index == b.Index }) {
		t.Errorf("after 3 came %d receipts, at first %d", len(rest), len(got)-3)
	}
}

// TestRegtestReorg: what was in a block that is undone is in none, whatever lnd's books say, until it is in another one.
func TestRegtestReorg(t *testing.T) {
	n := shared.Get(t)
	hub := open(t, n.Hub)
	ctx := within(t)
	address := must(hub.Address(ctx))(t)
	since := must(n.Chain.Height(ctx))(t)
	must(n.Payer.Send(ctx, address, 200_000))(t)
	s := must(hub.Fund(ctx, lock(), outputs(t, 3), 2000))(t)
	check(t, hub.Publish(ctx, s.Raw, ""))
	// at is where both are: the deposit and the batch. Each is listed once.
	at := func(want channels.Place) func() bool {
		return func() bool {
			var found []channels.Place
			check(t, hub.Coins(ctx, since, func(c channels.Coin) error {
				if c.Address == address {
					found = append(found, c.Place)
				}
				return nil
			}))
			moved := count(t, func(f func(channels.Movement) error) error { return hub.Movements(ctx, since, f) }, func(m channels.Movement) bool {
				return m.ID == s.ID
			})
			own := must(hub.Transaction(ctx, s.ID))(t)
			if len(found) > 1 || moved > 1 {
				t.Fatalf("the deposit is there as %+v, the batch %d times", found, moved)
			}
			if len(found) == 0 || moved == 0 { // it moves while the list is read: the next one has it
				return false
			}
			found[0].Block, own.Block = want.Block, want.Block
			return found[0] == want && own == want
		}
	}
	must(n.Chain.Mine(ctx, 2))(t)
	eventually(t, "they are confirmed twice", at(channels.Place{Confirmations: 2, Height: since + 1}))
	check(t, n.Chain.Reorg(ctx, 2))
	eventually(t, "they are not confirmed any more", at(channels.Place{}))
	must(n.Chain.Mine(ctx, 1))(t)
	eventually(t, "they are confirmed again", at(channels.Place{Confirmations: 1, Height: since + 4}))
	check(t, n.Chain.Reorg(ctx, 1))
	eventually(t, "they are not confirmed once more", at(channels.Place{}))
	must(n.Chain.Mine(ctx, 2))(t)
	eventually(t, "they are confirmed for good", at(channels.Place{Confirmations: 2, Height: since + 6}))
	check(t, n.Ready(ctx))
}

// TestRegtestConflict: two batches of the same coin, of which one comes too late.
func TestRegtestConflict(t *testing.T) {
	n := shared.Get(t)
	hub := open(t, n.Hub)
	ctx := within(t)
	batch := lock()
	a := must(hub.Fund(ctx, batch, outputs(t, 2), 1000))(t)
	check(t, hub.Release(ctx, batch, nil))
	// All that can be spent, so that the same coins are among it.
	have := must(hub.Assets(ctx))(t)
	all := outputs(t, 1)
	all[0] = channels.Output{Script: script(t, must(n.Publisher.NewAddress(ctx))(t)), Amount: have.Confirmed - have.Reserved - 100_000}
	b := must(hub.Fund(ctx, batch, all, 2000))(t)
	if !slices.Contains(b.Inputs, a.Inputs[0]) {
		t.Fatal("not the same coin")
	}
	check(t, hub.Publish(ctx, b.Raw, ""))
	if err := hub.Publish(ctx, a.Raw, ""); err == nil {
		t.Error("both are published")
	}
	must(n.Chain.Mine(ctx, 1))(t)
	eventually(t, "it is confirmed", func() bool { return must(hub.Transaction(ctx, b.ID))(t).Confirmations == 1 })
	is(t, hub.Publish(ctx, a.Raw, ""), channels.ErrConflict)
	_, err := n.Publisher.RPC().SendCoins(ctx, &lnrpc.SendCoinsRequest{
		Addr: must(hub.Address(ctx))(t), Amount: int64(all[0].Amount) - 1_000_000, SatPerVbyte: 2,
	})
	check(t, err)
	must(n.Chain.Mine(ctx, 1))(t)
	eventually(t, "it is confirmed", func() bool { return must(hub.Assets(ctx))(t).Confirmed > have.Confirmed/2 })
}
