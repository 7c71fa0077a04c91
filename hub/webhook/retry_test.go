package webhook_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/webhook"
)

// exhaust fails a delivery until it is parked, and checks the pauses between.
func (r *rig) exhaust(to *receiver) {
	r.t.Helper()
	for i, pause := range webhook.Retries {
		var waited time.Duration
		eventually(r.t, "it waits", func() bool { waited = r.clock.next(); return waited != 0 })
		if waited < pause-pause/10 || waited > pause+pause/10 {
			r.t.Fatalf("retry %d after %v, want about %v", i+1, waited, pause)
		}
	}
}

// TestRetries: the schedule of the specification, the same delivery each time; then it is parked, and what follows goes on.
func TestRetries(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	id, secret := r.add(alice, to.URL)
	to.status(500)
	r.history.pay(alice, 2)
	r.exhaust(to)
	eventually(t, "it is parked", func() bool { return r.only(alice).Parked == 1 })
	all := to.got()
	if len(all) != 10 {
		t.Fatalf("%d attempts", len(all))
	}
	for _, g := range all {
		if g.id() != all[0].id() || string(g.body) != string(all[0].body) || !g.signed(secret) {
			t.Errorf("%s: %s", g.id(), g.body)
		}
	}
	if all[0].header.Get("webhook-timestamp") == all[9].header.Get("webhook-timestamp") {
		t.Error("attempts of three days have one time")
	}
	to.answers(nil)
	r.history.pay(alice, 3)
	eventually(t, "it goes on", func() bool { return slices.Equal(to.seqs()[20:], upTo(3, 5)) })

	parked, err := r.Parked(alice, id)
	if err != nil || len(parked) != 1 || parked[0].Delivery != all[0].id() || parked[0].First != 1 || parked[0].Last != 2 || parked[0].Error != "answered 500" {
		t.Fatalf("%+v, %v", parked, err)
	}
	if _, err := r.ReplayParked(alice, id, "wh_0_1_2"); !errors.Is(err, webhook.ErrDelivery) {
		t.Errorf("%v", err)
	}
	if _, err := r.ReplayParked(alice, id, parked[0].Delivery); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is sent again", func() bool { return len(to.got()) == 12 })
	if g := to.got()[11]; g.id() != all[0].id() || string(g.body) != string(all[0].body) {
		t.Errorf("%s: %s", g.id(), g.body)
	}
	r.history.pay(alice, 1)
	eventually(t, "what follows, follows", func() bool { return slices.Equal(to.seqs()[25:], upTo(6, 6)) })
}

// TestRetryKept: a restart goes on with the schedule, not with the first attempt.
func TestRetryKept(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	r.add(alice, to.URL)
	to.status(503)
	r.history.pay(alice, 1)
	eventually(t, "it waits", func() bool { return r.clock.next() != 0 })
	eventually(t, "a second attempt", func() bool { return r.only(alice).Attempts == 2 })
	r.stop()
	before := r.only(alice)
	r.start(true)
	if after := r.only(alice); after.Attempts != 2 || !after.Next.Equal(before.Next) || after.Error != "answered 503" {
		t.Errorf("%+v, before %+v", after, before)
	}
}

// TestDisabled: who has too many parked deliveries, or answers 410, gets nothing more until a replay; nothing is lost.
func TestDisabled(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	id, _ := r.add(alice, to.URL)
	to.status(404)
	for n := range webhook.MaxParked {
		r.history.pay(alice, 1)
		r.exhaust(to)
		eventually(t, "it is parked", func() bool { return r.only(alice).Parked == n+1 })
	}
	if e := r.only(alice); !strings.Contains(e.Disabled, "parked") {
		t.Fatalf("%+v", e)
	}
	r.history.pay(alice, 4)
	sent := len(to.got())
	to.answers(nil)
	if _, err := r.ReplayParked(alice, id, ""); err != nil {
		t.Fatal(err)
	}
	n := uint64(webhook.MaxParked)
	eventually(t, "all has arrived", func() bool { return len(to.seqs()) >= sent+webhook.MaxParked+4 })
	if got := to.seqs()[sent:]; !slices.Equal(got, upTo(1, n+4)) {
		t.Errorf("got %v", got)
	}

	to.status(410)
	r.history.pay(alice, 1)
	eventually(t, "it is disabled", func() bool { return r.only(alice).Disabled != "" })
	if e := r.only(alice); e.Parked != 1 || r.Lag() != 0 {
		t.Errorf("%+v", e)
	}
	sent = len(to.seqs())
	to.answers(nil)
	if _, err := r.Replay(alice, id, 2); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replay has arrived", func() bool { return slices.Equal(to.seqs()[sent:], upTo(3, n+5)) })
	if e := r.only(alice); e.Parked != 0 || e.Disabled != "" {
		t.Errorf("%+v", e)
	}
}

// TestRetryAfter: a receiver may ask for a longer pause, not for a shorter one.
func TestRetryAfter(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	r.add(alice, to.URL)
	after := "600"
	to.answers(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", after); w.WriteHeader(429) })
	r.history.pay(alice, 1)
	var waited time.Duration
	eventually(t, "it waits", func() bool { waited = r.clock.next(); return waited != 0 })
	if waited != 600*time.Second {
		t.Errorf("waited %v", waited)
	}
}

// TestReplayMeanwhile: a replay during an attempt counts, and the attempt does not.
func TestReplayMeanwhile(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	r.history.pay(alice, 5)
	id, _ := r.add(alice, to.URL)
	entered, release := make(chan struct{}), make(chan struct{})
	to.answers(func(http.ResponseWriter, *http.Request) { entered <- struct{}{}; <-release })
	r.history.pay(alice, 1)
	<-entered
	to.answers(nil)
	if _, err := r.Replay(alice, id, 0); err != nil {
		t.Fatal(err)
	}
	close(release)
	eventually(t, "all is sent again", func() bool { return slices.Equal(to.seqs(), append([]uint64{6}, upTo(1, 6)...)) })
	if _, err := r.Replay(alice, id, 7); !errors.Is(err, webhook.ErrAhead) {
		t.Errorf("%v", err)
	}
}
