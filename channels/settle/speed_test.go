package settle_test

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/settle"
	"github.com/millrace/millrace/deploy/regtest/networktest"
)

// TestRegtestSettleSpeed compares a run over Lightning with what the same two nodes do when they are driven directly, in turns.
func TestRegtestSettleSpeed(t *testing.T) {
	if os.Getenv("MILLRACE_TEST_SPEED") == "" {
		t.Skip("set MILLRACE_TEST_SPEED=1 to measure")
	}
	r := newReal(t, networktest.Start(t))
	const n, rounds, concurrency = 400, 3, 50
	to := r.net.Publisher.Key()
	who := r.accounts(n)
	r.depositCoin(who[0], 50_000_000)
	for _, no := range who {
		_, err := r.SetPayee(no, settle.Payee{Lightning: to})
		r.must(err)
	}
	var direct, settled time.Duration
	for round := range rounds {
		for _, no := range who[1:] {
			r.must(r.transfer(who[0], no, 10_000_000))
		}
		began := time.Now()
		limit, errs := make(chan struct{}, concurrency), make(chan error, n)
		for range n {
			limit <- struct{}{}
			go func() {
				p := channels.Payment{Payee: to, Amount: 9_000_000, FeeLimit: 50_000, Timeout: time.Minute}
				_, _ = rand.Read(p.Preimage[:])
				p.Hash = sha256.Sum256(p.Preimage[:])
				a, err := r.lightning.Pay(r.ctx, p)
				if err == nil && a.Stage != channels.Succeeded {
					err = fmt.Errorf("a payment failed: %s", a.Reason)
				}
				errs <- err
				<-limit
			}()
		}
		for range n {
			r.must(<-errs)
		}
		direct += time.Since(began)

		_, err := r.SetPayee(who[0], settle.Payee{Lightning: to, Paused: true})
		r.must(err)
		began = time.Now()
		run, err := r.StartRun(r.ctx, "alice", false)
		r.must(err)
		if run = r.closed(run.ID); run.Report.Paid.Count != n-1 {
			t.Fatalf("round %d: %+v", round, run.Report)
		}
		settled += time.Since(began)
	}
	a, b := float64(n*rounds)/direct.Seconds(), float64((n-1)*rounds)/settled.Seconds()
	t.Logf("directly %.1f payments a second, in runs %.1f: %.0f %%", a, b, 100*b/a)
}
