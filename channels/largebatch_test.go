package channels

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// TestLargeBatch: however much customers write into their requests, a batch of them can be written.
func TestLargeBatch(t *testing.T) {
	const many = 1300
	r := patient(t, func(c *Config) {
		c.Resolve = func(_ context.Context, to string, _ ledger.Msat) (string, error) {
			return "addr" + strings.TrimLeft(to, "uri:<"), nil
		}
		c.Fatal = func(err error) { t.Errorf("the rails cannot go on: %v", err) }
	})
	r.chain.give(10_000_000_000)
	from := r.account(1_000_000_000_000)
	for i := range many {
		number := fmt.Sprint(i)
		q := r.request(from, "uri:"+strings.Repeat("<", MaxTo-len("uri:")-len(number))+number, 1_000_000, 2_000_000)
		q.Memo, q.Origin = strings.Repeat("<", MaxMemo), strings.Repeat("<", MaxMemo)
		r.withdraw(q)
	}
	r.eventually("they wait for a batch", func() bool { return r.Counts().Queue["batch"] == many })
	r.Flush()
	r.eventually("all are in batches", func() bool {
		n := 0
		for _, b := range r.Batches() {
			if b.Status == BatchSigned {
				n += len(b.Parts)
			}
		}
		return n == many
	})
}

// TestCutByRecords: a batch ends where its payouts' records would be too many for one write.
func TestCutByRecords(t *testing.T) {
	p := Payout{Request: Request{To: strings.Repeat("\"", MaxTo), Memo: strings.Repeat("\u2028", MaxMemo/3), Origin: strings.Repeat("\\", MaxMemo)}, Rail: Chain,
		Script: make([]byte, 42), Payee: strings.Repeat("a", 90), Reason: strings.Repeat("é", 100), Tx: Hash{1}, Proof: Hash{1}}
	row, err := rowOf(nil, &p)
	if err != nil || len(row.Value) > p.recordMost() {
		t.Fatalf("a record of %d bytes, %d at most: %v", len(row.Value), p.recordMost(), err)
	}
	parts := make([]Part, 2500)
	for i := range parts {
		parts[i] = Part{Weight: 1, record: p.recordMost()}
	}
	came := 0
	for _, b := range cut(parts, len(parts), 1<<40) {
		came += len(b)
		if size := len(b) * p.recordMost(); size > maxBatchRecords {
			t.Errorf("%d payouts of %d bytes", len(b), size)
		}
	}
	if came != len(parts) {
		t.Errorf("%d of %d payouts are in a batch", came, len(parts))
	}
}

// TestTooLarge: what is too large for one write is not written, and the rails go on.
func TestTooLarge(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Fatal = func(err error) { t.Errorf("the rails cannot go on: %v", err) } })
	if err := r.write(Row{Key: []byte("k"), Value: make([]byte, MaxWrite)}); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	from, to := r.account(10_000), r.account(0)
	q := r.request(from, to.String(), 4000, 0)
	r.withdraw(q)
	r.ends(q.Key, Done)
}
