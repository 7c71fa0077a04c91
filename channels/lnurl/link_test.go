package lnurl_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/ledger"
)

// linkRig is Links over a node, both of which can be lost and come again.
type linkRig struct {
	*lnurl.Links
	t       *testing.T
	clock   *clock
	node    *node
	records channels.Records
}

func newLinkRig(t *testing.T) *linkRig {
	r := &linkRig{t: t, clock: newClock(), records: openRecords(t)}
	r.node = newNode(t, r.clock)
	r.restart()
	return r
}

func (r *linkRig) restart() {
	r.t.Helper()
	links, err := lnurl.NewLinks(lnurl.LinksConfig{
		Base: "https://hub.example", Records: r.records, Payer: r.node, Decode: read, Clock: r.clock.Now,
		Fee: func(amount ledger.Msat) ledger.Msat { return amount / 100 },
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Links = links
}

func (r *linkRig) link() lnurl.Link {
	r.t.Helper()
	k, err := r.New(alice, 1000, 9000, "for the taxi", time.Hour)
	if err != nil {
		r.t.Fatal(err)
	}
	return k
}

func (r *linkRig) invoice(n int, amount ledger.Msat) string {
	_, hash := preimage(n)
	return write(channels.Invoice{Hash: hash, Amount: amount, Expires: r.clock.Now().Add(time.Hour)})
}

func (r *linkRig) state(id string) lnurl.Link {
	r.t.Helper()
	links, err := r.List(alice)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, k := range links {
		if k.ID == id {
			return k
		}
	}
	r.t.Fatalf("no link %s", id)
	return lnurl.Link{}
}

func TestLink(t *testing.T) {
	r := newLinkRig(t)
	k := r.link()
	if url, err := lnurl.Decode(r.LNURL(k.ID)); url != "https://hub.example/lnurl/withdraw/"+k.ID || err != nil {
		t.Errorf("%s, %v", url, err)
	}
	q, err := r.Request(k.ID)
	if err != nil || q.Tag != "withdrawRequest" || q.K1 != k.K1 || q.Callback != "https://hub.example/lnurl/withdraw/"+k.ID+"/callback" ||
		q.MinWithdrawable != 1000 || q.MaxWithdrawable != 9000 || q.DefaultDescription != "for the taxi" {
		t.Errorf("%+v, %v", q, err)
	}
	try := func(id, k1, invoice string, want error) {
		t.Helper()
		if err := r.Withdraw(t.Context(), id, k1, invoice); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	try(k.ID, "", r.invoice(1, 5000), lnurl.ErrWrongK1)
	try(k.ID, k.K1[:63]+"x", r.invoice(1, 5000), lnurl.ErrWrongK1)
	try("nobody", k.K1, r.invoice(1, 5000), lnurl.ErrNoLink)
	try(k.ID, k.K1, r.invoice(1, 999), lnurl.ErrAmount)
	try(k.ID, k.K1, r.invoice(1, 9001), lnurl.ErrAmount)
	try(k.ID, k.K1, r.invoice(1, 0), lnurl.ErrAmount)
	try(k.ID, k.K1, "lnother", channels.ErrNetwork)
	try(k.ID, k.K1, "", channels.ErrInvoice)
	if r.state(k.ID).State != lnurl.LinkOpen || r.node.asked != 0 {
		t.Errorf("%+v", r.state(k.ID))
	}
	try(k.ID, k.K1, r.invoice(1, 5000), nil)
	try(k.ID, k.K1, r.invoice(1, 5000), nil) // the same once more
	try(k.ID, k.K1, r.invoice(2, 5000), lnurl.ErrUsed)
	if paid, _ := r.node.payments(); paid != 1 || r.state(k.ID).State != lnurl.LinkPaid {
		t.Errorf("paid %d times: %+v", paid, r.state(k.ID))
	}
	if _, err := r.Request(k.ID); !errors.Is(err, lnurl.ErrUsed) {
		t.Errorf("%v", err)
	}
	if err := r.Cancel(alice, k.ID); !errors.Is(err, lnurl.ErrUsed) {
		t.Errorf("%v", err)
	}

	k = r.link()
	if err := r.Cancel(bob, k.ID); !errors.Is(err, lnurl.ErrNoLink) {
		t.Errorf("%v", err)
	}
	if err := r.Cancel(alice, k.ID); err != nil {
		t.Error(err)
	}
	try(k.ID, k.K1, r.invoice(3, 5000), lnurl.ErrNoLink)

	k = r.link()
	r.clock.pass(time.Hour)
	try(k.ID, k.K1, r.invoice(3, 5000), lnurl.ErrNoLink)
	if _, err := r.Request(k.ID); !errors.Is(err, lnurl.ErrNoLink) {
		t.Errorf("%v", err)
	}
}

// TestLinkOnce: whatever calls come at the same time, one invoice is paid.
func TestLinkOnce(t *testing.T) {
	r := newLinkRig(t)
	k := r.link()
	var ok atomic.Int32
	var running sync.WaitGroup
	for i := range 16 {
		running.Go(func() {
			if err := r.Withdraw(context.Background(), k.ID, k.K1, r.invoice(i/2, 5000)); err == nil {
				ok.Add(1)
			} else if !errors.Is(err, lnurl.ErrUsed) {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if paid, _ := r.node.payments(); paid != 1 || ok.Load() != 2 {
		t.Errorf("paid %d times, %d were told so", paid, ok.Load())
	}
}

// TestLinkAgain: a try that comes to nothing gives the link another k1, and the old one is worth nothing.
func TestLinkAgain(t *testing.T) {
	r := newLinkRig(t)
	k := r.link()
	r.node.answer = func(channels.Order) (channels.State, error) { return "", channels.ErrBalance }
	if err := r.Withdraw(t.Context(), k.ID, k.K1, r.invoice(1, 5000)); !errors.Is(err, channels.ErrBalance) {
		t.Errorf("%v", err)
	}
	second := r.state(k.ID)
	if second.State != lnurl.LinkOpen || second.K1 == k.K1 || second.Attempt != 2 {
		t.Errorf("%+v", second)
	}
	if err := r.Withdraw(t.Context(), k.ID, k.K1, r.invoice(1, 5000)); !errors.Is(err, lnurl.ErrWrongK1) {
		t.Errorf("%v", err)
	}
	r.node.answer = func(channels.Order) (channels.State, error) { return channels.Open, nil }
	if err := r.Withdraw(t.Context(), k.ID, second.K1, r.invoice(1, 5000)); err != nil {
		t.Errorf("%v", err)
	}
	for range 2 { // it is under way, and stays so
		if err := r.Sweep(t.Context()); err != nil || r.state(k.ID).State != lnurl.LinkTaken {
			t.Errorf("%v, %+v", err, r.state(k.ID))
		}
	}
	r.node.finish(channels.GaveBack)
	if err := r.Sweep(t.Context()); err != nil || r.state(k.ID).State != lnurl.LinkOpen {
		t.Errorf("%v, %+v", err, r.state(k.ID))
	}
	r.node.answer = nil
	if err := r.Withdraw(t.Context(), k.ID, r.state(k.ID).K1, r.invoice(2, 5000)); err != nil {
		t.Errorf("%v", err)
	}
	if paid, kept := r.node.payments(); paid != 2 || kept != 1 || r.state(k.ID).State != lnurl.LinkPaid {
		t.Errorf("%d payments, %d of them kept; %+v", paid, kept, r.state(k.ID))
	}
}

// TestLinkCrash: the line to the payments goes dead before or behind the order, and then the hub dies: it is paid once.
func TestLinkCrash(t *testing.T) {
	for name, made := range map[string]channels.State{"before": "", "behind, settled": channels.Settled, "behind, pending": channels.Open} {
		t.Run(name, func(t *testing.T) {
			r := newLinkRig(t)
			k := r.link()
			r.node.answer = func(channels.Order) (channels.State, error) { return made, errLost }
			if err := r.Withdraw(t.Context(), k.ID, k.K1, r.invoice(1, 5000)); !errors.Is(err, errLost) {
				t.Errorf("%v", err)
			}
			if err := r.Withdraw(t.Context(), k.ID, k.K1, r.invoice(2, 5000)); !errors.Is(err, lnurl.ErrUsed) {
				t.Errorf("another invoice: %v", err)
			}
			r.node.answer = nil
			r.restart()
			if err := r.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
			r.node.finish(channels.Settled)
			if err := r.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
			if paid, _ := r.node.payments(); paid != 1 || r.state(k.ID).State != lnurl.LinkPaid {
				t.Errorf("paid %d times: %+v", paid, r.state(k.ID))
			}
		})
	}
}

func TestLinkBounds(t *testing.T) {
	r := newLinkRig(t)
	for range 32 {
		r.link()
	}
	if _, err := r.New(alice, 1000, 9000, "", time.Hour); !errors.Is(err, lnurl.ErrLinks) {
		t.Errorf("%v", err)
	}
	if _, err := r.New(bob, 1000, 9000, "", time.Hour); err != nil {
		t.Errorf("another account: %v", err)
	}
	for range 3 { // what has expired is forgotten, but for as many
		r.clock.pass(time.Hour)
		for range 32 {
			r.link()
		}
	}
	if links, err := r.List(alice); err != nil || len(links) != 64 {
		t.Errorf("%d links, %v", len(links), err)
	}
	for _, bad := range []lnurl.Link{{Min: 999, Max: 9000}, {Min: 9000, Max: 8999}, {Min: 1000, Max: ledger.MaxMsat + 1}, {Min: 1000, Max: 1000, Description: strings.Repeat("x", 201)}} {
		if _, err := r.New(bob, bad.Min, bad.Max, bad.Description, time.Hour); !errors.Is(err, lnurl.ErrLink) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := r.New(bob, 1000, 1000, "", 91*24*time.Hour); !errors.Is(err, lnurl.ErrLink) {
		t.Errorf("%v", err)
	}
	if err := r.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
}
