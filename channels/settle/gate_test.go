package settle

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

type gateRig struct {
	*Gate
	disk    *disk
	now     uint64
	rules   Rules
	gone    map[ledger.OpID]bool        // payouts that failed
	cost    map[ledger.OpID]ledger.Msat // of payouts that arrived
	unended map[ledger.OpID]bool        // payouts that are not over
	asked   atomic.Int32                // about payouts that may have failed
}

func newGateRig(t *testing.T, rules Rules) *gateRig {
	r := &gateRig{disk: newDisk(), now: 20_000 * dayMillis, rules: rules, gone: make(map[ledger.OpID]bool), cost: make(map[ledger.OpID]ledger.Msat), unended: make(map[ledger.OpID]bool)}
	r.open(t)
	return r
}

func (r *gateRig) open(t *testing.T) {
	g, err := openGate(&Gate{rec: r.disk, clock: func() uint64 { return r.now }, rules: func() Rules { return r.rules },
		took: func(_ ledger.AccountNo, id ledger.OpID) (ledger.Msat, bool) {
			r.asked.Add(1)
			return r.cost[id], r.gone[id] || r.cost[id] != 0
		},
		underWay: func(_ ledger.AccountNo, id ledger.OpID) bool { return r.unended[id] }})
	must(t, err)
	r.Gate = g
}

func TestGateCaps(t *testing.T) {
	r := newGateRig(t, Rules{MaxPayout: 100, MaxAccountDay: 150})
	refused := func(no ledger.AccountNo, n int, amount ledger.Msat) {
		t.Helper()
		if err := r.Allow(no, id(n), amount); !errors.Is(err, ErrCap) || !errors.Is(err, channels.ErrNotAllowed) {
			t.Errorf("payout %d of %d: %v", n, amount, err)
		}
	}
	refused(20, 1, 101)
	must(t, r.Allow(20, id(1), 100))
	must(t, r.Allow(20, id(1), 100)) // the same again
	refused(20, 2, 51)
	must(t, r.Allow(20, id(2), 50))
	refused(20, 3, 1)
	must(t, r.Allow(21, id(1), 100)) // another account's id

	r.open(t)
	if got := r.Spent(20); got != 150 {
		t.Errorf("after a restart: %d", got)
	}
	must(t, r.Allow(20, id(1), 100))
	refused(20, 3, 1)

	must(t, r.Return(20, id(2)))
	must(t, r.Return(20, id(2)))
	must(t, r.Allow(20, id(3), 50))

	r.now += dayMillis - 1
	refused(20, 4, 1)
	r.now++
	must(t, r.Allow(20, id(4), 100))
	must(t, r.Allow(20, id(1), 100)) // yesterday's, asked for again
	must(t, r.Return(20, id(1)))     // and given back to yesterday
	if got := r.Spent(20); got != 100 {
		t.Errorf("today: %d", got)
	}
	r.now -= dayMillis // the clock goes back: the day does not
	refused(20, 5, 51)
}

func TestGateTakesBackWhatFailed(t *testing.T) {
	r := newGateRig(t, Rules{MaxAccountDay: 100})
	must(t, r.Allow(20, id(1), 60))
	must(t, r.Allow(20, id(2), 40))
	if ok, err := r.Room(20, 1); ok || err != nil {
		t.Errorf("room: %v, %v", ok, err)
	}
	r.gone[id(1)] = true
	r.now += lookEvery
	if ok, err := r.Room(20, 60); !ok || err != nil {
		t.Errorf("room: %v, %v", ok, err)
	}
	must(t, r.Allow(20, id(3), 50))
	r.gone[id(2)] = true
	if err := r.Allow(20, id(5), 50); !errors.Is(err, ErrCap) {
		t.Errorf("it was looked again at once: %v", err)
	}
	r.now += lookEvery
	must(t, r.Allow(20, id(4), 50))
	r.open(t)
	if got := r.Spent(20); got != 100 {
		t.Errorf("counted: %d", got)
	}
}

// TestGateLooksSeldom: whoever asks above the cap again and again does not have the day read each time; all of a long day is looked at in turn.
func TestGateLooksSeldom(t *testing.T) {
	const many = lookMost + 500
	r := newGateRig(t, Rules{MaxAccountDay: many})
	for n := range many {
		must(t, r.Allow(20, id(n), 1))
	}
	refused := func() bool { return errors.Is(r.Allow(20, id(many), 1), ErrCap) }
	for range 50 {
		if !refused() {
			t.Fatal("above the cap")
		}
	}
	if r.asked.Load() != lookMost {
		t.Errorf("%d payouts were looked at", r.asked.Load())
	}
	r.gone[id(many-1)], r.gone[id(0)] = true, true
	r.now += lookEvery
	if refused() {
		t.Error("one of the later ones has failed, and it was not looked there")
	}
	if !errors.Is(r.Allow(20, id(many+1), 1), ErrCap) {
		t.Error("it was looked again at once")
	}
	r.now += lookEvery
	must(t, r.Allow(20, id(many+1), 1))
}

// TestGatePrunesNot: a payout that is under way after a week is not counted again.
func TestGatePrunesNot(t *testing.T) {
	r := newGateRig(t, Rules{MaxAccountDay: 100})
	must(t, r.Allow(20, id(1), 60))
	must(t, r.Allow(20, id(2), 40))
	r.unended[id(1)] = true
	r.now += 8 * dayMillis
	if more, err := r.prune(); more || err != nil {
		t.Error(more, err)
	}
	must(t, r.Allow(20, id(1), 60))
	if got := r.Spent(20); got != 0 {
		t.Errorf("counted again: %d", got)
	}
	delete(r.unended, id(1))
	if more, err := r.prune(); more || err != nil {
		t.Error(more, err)
	}
	if n := len(r.disk.rows); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

func TestGateManyAtOnce(t *testing.T) {
	r := newGateRig(t, Rules{MaxAccountDay: 100})
	var wg sync.WaitGroup
	var mu sync.Mutex
	let := 0
	for n := range 200 {
		wg.Go(func() {
			if r.Allow(20, id(n%150), 1) == nil {
				mu.Lock()
				let++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	r.open(t)
	if got := r.Spent(20); got != 100 || let < 100 {
		t.Errorf("%d were let out, %d are counted", let, got)
	}
}

// TestGateCrash: whatever write is the last, what was allowed is counted after it.
func TestGateCrash(t *testing.T) {
	for at := 1; at <= 4; at++ {
		for _, after := range []bool{false, true} {
			r := newGateRig(t, Rules{MaxAccountDay: 100})
			r.disk.crash, r.disk.after = at, after
			var allowed ledger.Msat
			for n := range 6 {
				if r.Allow(20, id(n), 30) == nil {
					allowed += 30
				}
			}
			r.disk.restart()
			r.open(t)
			if got := r.Spent(20); got < allowed || got > allowed+30 {
				t.Errorf("crash at write %d: %d were allowed, %d are counted", at, allowed, got)
			}
			for n := range 6 {
				_ = r.Allow(20, id(n), 30)
			}
			if got := r.Spent(20); got != 90 {
				t.Errorf("crash at write %d: in the end %d are counted", at, got)
			}
		}
	}
}

func TestGatePrunes(t *testing.T) {
	r := newGateRig(t, Rules{})
	for n := range 1500 {
		must(t, r.Allow(20, id(n), 1))
	}
	r.now += 3 * dayMillis
	must(t, r.Allow(20, id(1500), 1))
	r.now += 5 * dayMillis
	for more := true; more; {
		var err error
		more, err = r.prune()
		must(t, err)
	}
	if n := len(r.disk.rows); n != 2 {
		t.Errorf("%d rows are left", n)
	}
}

// TestGateCountsTheFee: the limit of the fee is money that can leave. What of it did not is taken out of the count.
func TestGateCountsTheFee(t *testing.T) {
	r := newGateRig(t, Rules{MaxPayout: 1000, MaxAccountDay: 1500, TwoOperators: 900})
	pay := func(n int, pays, limit ledger.Msat) error {
		q := channels.Request{Key: channels.Key{Account: 20, ID: channels.ID(id(n))}, FeeLimit: limit}
		return r.Check(channels.Payout{Request: q, Rail: channels.Lightning, Pays: pays})
	}
	if err := pay(1, 1, 900); !errors.Is(err, ErrApproval) || r.requests[channels.Key{Account: 20, ID: channels.ID(id(1))}].FeeLimit != 900 {
		t.Errorf("one msat at a fee for which two must approve: %v", err)
	}
	r.rules.TwoOperators = 0
	if err := pay(2, 1, 1000); !errors.Is(err, ErrCap) {
		t.Errorf("one msat at a fee above the cap: %v", err)
	}
	must(t, pay(3, 1, 999))
	if err := pay(4, 1, 500); !errors.Is(err, ErrCap) {
		t.Errorf("above the cap of a day: %v", err)
	}
	r.cost[id(3)] = 11
	r.now += lookEvery
	must(t, pay(4, 1, 500))
	for range 2 {
		if got := r.Spent(20); got != 512 {
			t.Errorf("counted: %d", got)
		}
		r.open(t)
	}
}
