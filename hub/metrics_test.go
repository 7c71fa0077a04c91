package hub_test

import (
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
)

// TestMetrics: what an operator watches is there, and moves with what it counts.
func TestMetrics(t *testing.T) {
	r := newRig(t, setup{})
	for _, name := range []string{
		"millrace_ops_not_taken_total", "millrace_block_ops", "millrace_commit_seconds", "millrace_block_bytes_total",
		"millrace_queue_ops", "millrace_watermark_lag_blocks", "millrace_snapshot_lag_blocks", "millrace_ledger_index",
		"millrace_channels", "millrace_remembered_ids", "millrace_secrets_released_total",
	} {
		r.metric(name, "") // fails when it is not there
	}
	for _, result := range ledger.Results() { // a rate over a counter that appears only with its first event misses it
		if n := r.metric("millrace_ops_total", result.String()); n != 0 {
			t.Errorf("%v: %v before the first op", result, n)
		}
	}
	seller, buyer := r.account(0), r.account(1000)
	id := r.register(r.seal(seller, "a work", 500))
	one := transfer(buyer, seller, 1)
	r.must(one)
	r.submit(one, transfer(buyer, seller, 5000), transfer(buyer, buyer, 1), transfer(buyer, seller, 0))
	for range 3 {
		if _, _, err := r.Unlock(new(hub.Batch), hub.Purchase{Buyer: buyer, Content: id, Max: 500}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, label string
		want        float64
	}{
		{"millrace_ops_total", "applied", 6}, // two accounts, a credit, a work, a transfer, an unlock
		{"millrace_ops_total", "repeated", 3},
		{"millrace_ops_total", "insufficient_funds", 1},
		{"millrace_ops_total", "same_account", 1},
		{"millrace_ops_total", "amount_zero", 1},
		{"millrace_secrets_released_total", "", 3},
		{"millrace_ledger_seq", "", 6},
		{"millrace_ledger_index", "", 6},
		{"millrace_ledger_supply_msat", "", 1000},
		{"millrace_accounts", "", 2},
		{"millrace_contents", "", 1},
		{"millrace_unlocks", "", 2},
		{"millrace_remembered_ids", "", 4},
		{"millrace_block_ops", "", 6},
		{"millrace_commit_seconds", "", 6},
		{"millrace_snapshot_lag_blocks", "", 6},
		{"millrace_queue_ops", "", 0},
	} {
		if got := r.metric(c.name, c.label); got != c.want {
			t.Errorf("%s %s: %v, want %v", c.name, c.label, got, c.want)
		}
	}
	if n := r.metric("millrace_block_bytes_total", ""); n < 6*ledger.HeaderSize {
		t.Errorf("%v bytes of blocks", n)
	}
	eventually(t, "the leaves", func() bool { return r.metric("millrace_transparency_lag_blocks", "") == 0 })
	if lag := r.metric("millrace_index_lag_entries", ""); lag != 6 {
		t.Errorf("%v entries in memory alone", lag)
	}
	if eras := r.metric("millrace_index_unmerged_eras", ""); eras != 0 {
		t.Errorf("%v eras", eras)
	}
	eventually(t, "the watermark", func() bool { return r.metric("millrace_watermark_lag_blocks", "") == 0 })
	r.stop()
	r.start()
	if lag, index := r.metric("millrace_snapshot_lag_blocks", ""), r.metric("millrace_ledger_index", ""); lag != 0 || index != 6 {
		t.Errorf("after a restart: snapshot lag %v at %v", lag, index)
	}
	r.stop()
}

// TestReadersBesideWriters reads all that can be read while ops are applied, for the race detector.
func TestReadersBesideWriters(t *testing.T) {
	r := newRig(t, setup{})
	a, b := r.account(1_000_000), r.account(0)
	c := r.channels(a, b, 1, 100_000)[0]
	id := r.register(r.seal(b, "a work", 5))
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			last := int64(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				got := r.balance(b)
				if got < last {
					t.Errorf("a balance that only grows went from %d to %d", last, got)
				}
				last = got
				r.Channel(c)
				r.Content(id)
				r.metric("millrace_ledger_seq", "")
				r.SealingKeys()
			}
		})
	}
	until := time.Now().Add(200 * time.Millisecond)
	for range 4 {
		writers.Go(func() {
			for time.Now().Before(until) {
				r.must(transfer(a, b, 1), transfer(a, b, 2))
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	r.stop()
}
