package channels

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

var errApprove = errors.New("two operators must approve")

// TestCancelAsked: what waits for an approval is taken back at once, for good, and no money was ever set aside for it.
func TestCancelAsked(t *testing.T) {
	rule := make(chan error, 1)
	rule <- errApprove
	r := newRig(t, func(c *Config) { c.Gate = func(Payout) error { err := <-rule; rule <- err; return err } })
	from, to := r.account(100_000), r.account(0)
	q := r.request(from, to.String(), 60_000, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if p, err := r.Withdraw(ctx, q); err != nil || p.Status != Asked {
		t.Fatal(shown(p), err)
	}
	if p, err := r.Cancel(q.Key, "cancelled"); err != nil || p.Status != Voided || p.Reason != "cancelled" || !p.Decided {
		t.Errorf("%s, %v", shown(p), err)
	}
	<-rule
	rule <- nil
	for range 2 {
		r.Wake()
		if _, err := r.Cancel(q.Key, "again"); !errors.Is(err, ErrInTransit) {
			t.Errorf("of what is over: %v", err)
		}
		if p := r.withdraw(q); p.Status != Voided || p.Reason != "cancelled" || p.Hold != 0 {
			t.Errorf("%s", shown(p))
		}
		r.crash()
	}
	r.has(from, 100_000, 0)
	r.has(to, 0, 0)
}

// TestCancelUnanswered: the ledger has set money aside and did not say so. What is taken back then gives it back, through restarts, and
// though the rules have not approved of it.
func TestCancelUnanswered(t *testing.T) {
	for name, deaf := range map[string]bool{"set aside": true, "not set aside": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			from, to := r.account(100_000), r.account(0)
			say := func(deaf, down bool) {
				r.book.mu.Lock()
				defer r.book.mu.Unlock()
				r.book.deaf, r.book.down = deaf, down
			}
			say(deaf, !deaf)
			q := r.request(from, to.String(), 60_000, 0)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if p, err := r.Withdraw(ctx, q); err != nil || p.Status != Asked {
				t.Fatal(shown(p), err)
			}
			r.eventually("the ledger is asked", func() bool { p, _ := r.Payout(q.Key); return p.Reason != "" })
			for range 2 {
				if p, err := r.Cancel(q.Key, "cancelled"); err != nil || p.Status != Asked || p.Reason != "cancelled" {
					t.Errorf("%s, %v", shown(p), err)
				}
				r.cfg.Gate = func(Payout) error { return errApprove }
				r.crash()
			}
			say(false, false)
			if p := r.ends(q.Key, Voided); p.Reason != "cancelled" {
				t.Error(shown(p))
			}
			r.has(from, 100_000, 0)
			r.has(to, 0, 0)
		})
	}
}

// TestCancelRace: whoever is quicker, a payout is either made or taken back, and nothing stays set aside.
func TestCancelRace(t *testing.T) {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(1, 1))
	odds := func(n int) bool { mu.Lock(); defer mu.Unlock(); return rng.IntN(n) == 0 }
	r := newRig(t, func(c *Config) {
		c.Gate = func(Payout) error {
			if odds(3) {
				return errApprove
			}
			return nil
		}
	})
	from, to := r.account(1_000_000), r.account(0)
	var all sync.WaitGroup
	ended := make([]error, 200)
	keys := make([]Key, len(ended))
	for i := range ended {
		q := r.request(from, to.String(), 1000, 0)
		keys[i] = q.Key
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := r.Withdraw(ctx, q); err != nil {
				ended[i] = fmt.Errorf("not made: %w", err)
				return
			}
			if odds(2) {
				time.Sleep(time.Millisecond)
			}
			_, ended[i] = r.Cancel(q.Key, "cancelled")
		})
	}
	all.Wait()
	made := 0
	for i, key := range keys {
		switch {
		case ended[i] == nil:
			r.ends(key, Voided)
		case errors.Is(ended[i], ErrInTransit):
			r.ends(key, Done)
			made++
		default:
			t.Error(ended[i])
		}
	}
	t.Logf("%d made, %d taken back", made, len(keys)-made)
	r.has(from, int64(1_000_000-1000*made), 0)
	r.has(to, int64(1000*made), 0)
	if err := r.book.state.Audit(); err != nil {
		t.Error(err)
	}
}

// cancelled are stories of a payout that is taken back while it waits for an approval that never comes.
func cancelled() []story {
	return []story{{"cancelled", func(r *rig) any {
		s := &pays{from: r.account(100_000), to: r.account(0)}
		s.q = r.request(s.from, s.to.String(), 60_000, 0)
		r.stop()
		r.cfg.Gate = func(p Payout) error {
			if p.Status == Held {
				return errApprove
			}
			return nil
		}
		r.start()
		return s
	}, func(r *rig, state any) error {
		s := state.(*pays)
		p, err := r.Withdraw(r.t.Context(), s.q)
		if err != nil || p.Status == Voided {
			return err
		}
		_, _ = r.Cancel(s.q.Key, "cancelled")
		return errNotYet
	}, nil, func(r *rig, state any) {
		s := state.(*pays)
		r.has(s.from, 100_000, 0)
		r.has(s.to, 0, 0)
		if p, err := r.Payout(s.q.Key); err != nil || p.Reason != "cancelled" {
			r.t.Errorf("%s, %v", shown(p), err)
		}
	}}}
}
