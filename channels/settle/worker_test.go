package settle

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// narrow are rails in which payouts wait to be made until there are as many as may be at once.
type narrow struct {
	*world
	full chan struct{} // closed when there are

	mu        sync.Mutex
	want      int
	now, most int
}

func (n *narrow) Withdraw(ctx context.Context, q channels.Request) (channels.Payout, error) {
	n.mu.Lock()
	n.now++
	if n.most = max(n.most, n.now); n.now == n.want {
		close(n.full)
		n.want = 0
	}
	n.mu.Unlock()
	select {
	case <-n.full:
	case <-ctx.Done():
	}
	n.mu.Lock()
	n.now--
	n.mu.Unlock()
	return n.world.Withdraw(ctx, q)
}

// TestTurns: a run has few payouts made at once where only the ledger is waited for, and more where servers of others are.
func TestTurns(t *testing.T) {
	for _, c := range []struct {
		name string
		to   func(i int) string
		want int
	}{
		{"nodes", func(int) string { return testNode }, atLedger},
		{"servers", func(i int) string { return fmt.Sprintf("payee%d@b.c", i) }, workers},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			rails := &narrow{world: r.world, full: make(chan struct{}), want: c.want}
			d, err := Open(Config{Records: r.disk, Ledger: r.world, Network: testNet{}, Poll: time.Millisecond, Clock: r.world.now,
				Market: func(context.Context) (Market, error) { return Market{Lightning: 1e12, LightningMost: 1e12}, nil }})
			must(t, err)
			r.Desk = d
			d.takeUp(rails)
			t.Cleanup(d.Close)
			const n = 80
			for i := range n {
				r.payee(ledger.FirstAccount+ledger.AccountNo(i), 10_000_000, Payee{Lightning: c.to(i)})
			}
			if run := r.closed(r.start().ID); run.Report.Paid.Count != n {
				t.Errorf("%+v", run.Report)
			}
			if rails.mu.Lock(); rails.most != c.want {
				t.Errorf("%d payouts were made at once, want %d", rails.most, c.want)
			}
			rails.mu.Unlock()
		})
	}
}
