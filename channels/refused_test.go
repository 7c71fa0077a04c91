package channels

import (
	"context"
	"testing"
	"time"
)

// TestLateHold: what the ledger may have set aside goes back when the payout comes to nothing before anybody knows.
func TestLateHold(t *testing.T) {
	for name, crash := range map[string]bool{"same process": false, "next process": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Patience = time.Hour })
			from, to := r.account(100_000), r.account(0)
			r.book.mu.Lock()
			r.book.deaf = true
			r.book.mu.Unlock()
			q := r.request(from, to.String(), 1000, 0)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if p, err := r.Withdraw(ctx, q); err != nil || p.Status != Asked {
				t.Fatal(shown(p), err)
			}
			if crash {
				r.stop()
			}
			r.clock.forward(2 * time.Hour)
			r.book.mu.Lock()
			r.book.deaf = false
			r.book.mu.Unlock()
			if crash {
				r.start()
			}
			if p := r.ends(q.Key, Voided); p.Reason != reasonLate {
				t.Error(shown(p))
			}
			r.has(from, 100_000, 0)
			r.has(to, 0, 0)
		})
	}
}
