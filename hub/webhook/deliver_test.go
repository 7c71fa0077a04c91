package webhook_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/webhook"
)

// TestDelivery: what touches the account arrives in order, once, within the bounds, signed; what does not, does not.
func TestDelivery(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	r.history.pay(alice, 3) // before there is a webhook
	id, secret := r.add(alice, to.URL+"/hook?x=1")
	for range 50 {
		r.history.pay(bob, 2)
		r.history.pay(alice, 9)
	}
	eventually(t, "all has arrived", func() bool { return len(to.seqs()) >= 450 })
	want := slices.DeleteFunc(upTo(4, 553), func(seq uint64) bool { return (seq-4)%11 < 2 })
	if got := to.seqs(); !slices.Equal(got, want) {
		t.Fatalf("got %v", got)
	}
	for _, g := range to.got() {
		d := g.Data
		n := len(d.Entries)
		if g.Type != "entries" || d.Account != alice.String() || n < 1 || n > webhook.MaxEntries || len(g.body) > webhook.MaxBody {
			t.Errorf("%d bytes: %+v", len(g.body), g.delivered)
		}
		if d.First != d.Entries[0].Seq || d.Last != d.Entries[n-1].Seq || g.id() != fmt.Sprintf("%s_%d_%d", id, d.First, d.Last) {
			t.Errorf("%s is %d to %d", g.id(), d.First, d.Last)
		}
		if g.Timestamp.UnixMilli() != int64(startAt+d.Last) || g.header.Get("webhook-timestamp") != fmt.Sprint(startAt/1000) {
			t.Errorf("at %v, sent %s", g.Timestamp, g.header.Get("webhook-timestamp"))
		}
		if g.header.Get("content-type") != "application/json" || !g.signed(secret) {
			t.Errorf("headers %v", g.header)
		}
	}
	eventually(t, "it is behind nothing", func() bool { return r.Lag() == 0 })
	if text, err := os.ReadFile(r.path); err != nil || strings.Contains(r.log.String(), secret) || !strings.Contains(string(text), id) {
		t.Errorf("%v; log: %s", err, r.log)
	}
	if info, err := os.Stat(r.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestOperator: the operator's webhook gets every entry, with both sides.
func TestOperator(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	r.add(0, to.URL)
	r.history.pay(alice, 120)
	r.history.pay(bob, 120)
	eventually(t, "all has arrived", func() bool { return len(to.seqs()) >= 240 })
	if !slices.Equal(to.seqs(), upTo(1, 240)) {
		t.Fatalf("got %v", to.seqs())
	}
	for _, g := range to.got() {
		if g.Data.Account != "" || !strings.Contains(string(g.body), `"legs":[{"move":"paid","from":"`) || len(g.body) > webhook.MaxBody {
			t.Errorf("%.300s", g.body)
		}
	}
}

// TestRotation: both secrets sign until the old one's time is over.
func TestRotation(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	id, first := r.add(alice, to.URL)
	v, second, err := r.Rotate(alice, id)
	if err != nil || second == first || len(v.SecretsUntil) != 1 || !v.SecretsUntil[0].Equal(time.UnixMilli(startAt).Add(24*time.Hour)) {
		t.Fatalf("%+v, %v", v, err)
	}
	r.history.pay(alice, 1)
	eventually(t, "a delivery", func() bool { return len(to.got()) == 1 })
	if g := to.got()[0]; !g.signed(first) || !g.signed(second) {
		t.Errorf("signatures %s", g.header.Get("webhook-signature"))
	}
	r.clock.mu.Lock()
	r.clock.now = r.clock.now.Add(25 * time.Hour)
	r.clock.mu.Unlock()
	r.history.pay(alice, 1)
	eventually(t, "another delivery", func() bool { return len(to.got()) == 2 })
	if g := to.got()[1]; g.signed(first) || !g.signed(second) {
		t.Errorf("signatures %s", g.header.Get("webhook-signature"))
	}
}

// TestCrash: whatever moment's file a restart finds, every entry arrives, and what is repeated has its old id.
func TestCrash(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	r.add(alice, to.URL)
	eventually(t, "the file", func() bool { _, err := os.Stat(r.path); return err == nil })
	var copies []string
	var done sync.WaitGroup
	stop := make(chan struct{})
	done.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
			}
			text, err := os.ReadFile(r.path)
			if err != nil {
				t.Error(err)
				return
			}
			copies = append(copies, filepath.Join(t.TempDir(), "webhooks.json"))
			if err := os.WriteFile(copies[n], text, 0o600); err != nil {
				t.Error(err)
			}
		}
	})
	for range 60 {
		r.history.pay(alice, 7)
		time.Sleep(2 * time.Millisecond)
	}
	eventually(t, "all has arrived", func() bool { return len(to.seqs()) >= 420 })
	close(stop)
	done.Wait()
	r.stop()
	before := to.got()
	ids := make(map[string]bool)
	for _, g := range before {
		ids[g.id()] = true
	}
	if len(copies) < 10 {
		t.Fatalf("%d copies", len(copies))
	}
	for i := 0; i < len(copies); i += 1 + len(copies)/20 {
		r.path = copies[i]
		start := len(to.got())
		r.start(true)
		eventually(t, "it has caught up", func() bool { return r.Lag() == 0 })
		r.stop()
		again := to.got()[start:]
		reached := uint64(0)
		for _, g := range again {
			if reached == 0 && !ids[g.id()] && g.Data.First != 1 {
				// The first delivery after a crash is the promised one, or begins behind what had arrived by then.
				for _, b := range before {
					if b.Data.First < g.Data.First && g.Data.First <= b.Data.Last {
						t.Errorf("copy %d: %s cuts into %s", i, g.id(), b.id())
					}
				}
			}
			if reached != 0 && g.Data.First != reached+1 {
				t.Errorf("copy %d: %d after %d", i, g.Data.First, reached)
			}
			reached = g.Data.Last
		}
		if len(again) > 0 && reached != 420 {
			t.Errorf("copy %d: reached %d", i, reached)
		}
	}
}

// TestSlowReceiver: one that does not answer holds up nobody else, and is given up.
func TestSlowReceiver(t *testing.T) {
	r, slow, fast := newRig(t), newReceiver(t), newReceiver(t)
	r.stop()
	d, err := webhook.New(r.config(true))
	if err != nil {
		t.Fatal(err)
	}
	d.SetTimeout(50 * time.Millisecond)
	d.Start()
	r.Dispatcher = d
	t.Cleanup(func() { _ = d.Close() })
	release := make(chan struct{})
	defer close(release)
	slow.answers(func(w http.ResponseWriter, _ *http.Request) { <-release })
	r.add(alice, slow.URL)
	r.add(bob, fast.URL)
	r.history.pay(alice, 1)
	r.history.pay(bob, 5)
	eventually(t, "the other one has all", func() bool { return len(fast.seqs()) == 5 })
	eventually(t, "the slow one has failed", func() bool { return r.only(alice).Attempts == 1 })
	if e := r.only(alice); !strings.HasPrefix(e.Error, "no answer within") || r.Lag() == 0 {
		t.Errorf("%+v, lag %d", e, r.Lag())
	}
}
