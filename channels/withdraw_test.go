package channels

import (
	"errors"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
)

func TestInternal(t *testing.T) {
	r := newRig(t, nil)
	from, to := r.account(10_000), r.account(0)
	q := r.request(from, to.String(), 4000, 0)
	r.withdraw(q)
	p := r.ends(q.Key, Done)
	r.has(from, 6000, 0)
	r.has(to, 4000, 0)
	if p.Rail != Internal || p.Fee != 0 {
		t.Errorf("%s", shown(p))
	}
	if again := r.withdraw(q); again.Status != Done {
		t.Errorf("the same request again: %+v", again)
	}
	q.Amount = 1
	if _, err := r.Withdraw(t.Context(), q); !errors.Is(err, ErrReused) {
		t.Errorf("another request under the same id: %v", err)
	}
	q = r.request(from, to.String(), 6001, 0)
	if p := r.withdraw(q); p.Status != Voided || p.Reason != ledger.InsufficientFunds.String() {
		t.Errorf("more than there is: %+v", p)
	}
	r.has(from, 6000, 0)
}

func TestLightning(t *testing.T) {
	r := newRig(t, nil)
	from := r.account(1_000_000)
	text, hash := r.node.foreign(50_000, behaviour{fee: 120})
	quote, err := r.Quote(t.Context(), Request{Key: Key{Account: from}, To: text})
	if err != nil || quote.Fee != 120 || quote.Amount != 50_000 || quote.Rail != Lightning || quote.Limit < 120 {
		t.Errorf("%+v, %v", quote, err)
	}
	q := r.request(from, text, 0, 500)
	r.withdraw(q)
	p := r.ends(q.Key, Done)
	r.has(from, 1_000_000-50_120, 0)
	r.has(ledger.Lightning, 50_120, 0)
	if p.Fee != 120 || p.Hash != hash || p.Proof == (Hash{}) || r.node.paid[hash] != 1 {
		t.Errorf("%s", shown(p))
	}
	if _, err := r.Withdraw(t.Context(), r.request(from, text, 0, 500)); !errors.Is(err, ErrPaidBefore) {
		t.Errorf("the same invoice by another request: %v", err)
	}

	text, hash = r.node.foreign(50_000, behaviour{fail: "no_route"})
	q = r.request(from, text, 0, 500)
	r.withdraw(q)
	if p := r.ends(q.Key, Voided); p.Reason != "no_route" {
		t.Errorf("%s", shown(p))
	}
	r.has(from, 1_000_000-50_120, 0)
	r.node.mu.Lock()
	r.node.behave[hash] = behaviour{}
	r.node.mu.Unlock()
	q = r.request(from, text, 0, 500)
	r.withdraw(q)
	r.ends(q.Key, Done)
	r.has(from, 1_000_000-100_120, 0)

	keysend := "02" + "00000000000000000000000000000000000000000000000000000000000000cc"
	q = r.request(from, keysend, 7000, 0)
	r.withdraw(q)
	p = r.ends(q.Key, Done)
	if r.node.paid[p.Hash] != 1 {
		t.Errorf("%s", shown(p))
	}
	r.has(from, 1_000_000-107_120, 0)
}

// TestLateAnswer: what was handed over and not answered is asked about; what fails meanwhile is not believed too soon.
func TestLateAnswer(t *testing.T) {
	for name, b := range map[string]behaviour{
		"slow":            {take: 200 * time.Millisecond},
		"lost":            {lost: 3},
		"lost and slow":   {lost: 1, take: 100 * time.Millisecond},
		"late":            {late: 100 * time.Millisecond},
		"slow failure":    {take: 200 * time.Millisecond, fail: "timeout"},
		"lost failure":    {lost: 1, fail: "timeout"},
		"late failure":    {late: 100 * time.Millisecond, fail: "timeout"},
		"refused":         {refuse: ErrRefused},
		"above the limit": {fee: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			from := r.account(100_000)
			text, hash := r.node.foreign(50_000, b)
			q := r.request(from, text, 0, 500)
			r.withdraw(q)
			if b.fail != "" || b.refuse != nil || b.fee > 500 {
				r.ends(q.Key, Voided)
				r.has(from, 100_000, 0)
				return
			}
			r.ends(q.Key, Done)
			r.has(from, 50_000, 0)
			if r.node.paid[hash] != 1 {
				t.Errorf("paid %d times", r.node.paid[hash])
			}
		})
	}
}
