package api_test

import (
	"sync"
	"testing"
)

// together runs n goroutines and waits for all of them.
func together(n int, do func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	wg.Wait()
}

// tally counts results of requests that are sent at the same time.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (t *tally) add(result string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = make(map[string]int)
	}
	t.n[result]++
}

// send is do for goroutines other than the test's own: what goes wrong is counted as such.
func (r *rig) send(t *tally, q ask) {
	a, err := r.try(q)
	switch {
	case err != nil:
		t.add(err.Error())
	case a.status >= 300:
		t.add(a.object()["code"].(string))
	default:
		t.add(a.object()["result"].(string))
	}
}

// TestRetriesAtOnce: 32 clients that retry one transfer move its money once.
func TestRetriesAtOnce(t *testing.T) {
	r := newRig(t)
	a, b := r.user(100_000), r.user(0)
	for round := range 8 {
		body := object{"id": r.id(), "to": b.account, "amount_msat": 1001}
		var all tally
		together(32, func(int) {
			for range 4 {
				r.send(&all, ask{method: "POST", path: "/v1/transfers", token: a.token, body: body})
			}
		})
		if all.n["applied"] != 1 || all.n["repeated"] != 127 {
			t.Fatalf("results %v", all.n)
		}
		b.balance(int64(1001*(round+1)), 0)
	}
	a.balance(100_000-8*1001, 0)
}

// TestRivalsAtOnce: one id with two bodies is applied once; of more payments than there is money for, as many as there is.
func TestRivalsAtOnce(t *testing.T) {
	r := newRig(t)
	a, b := r.user(10_500), r.user(0)
	id := r.id()
	var all tally
	together(16, func(i int) {
		r.send(&all, ask{method: "POST", path: "/v1/transfers", token: a.token, body: object{"id": id, "to": b.account, "amount_msat": 250 + 250*(i%2)}})
	})
	if all.n["applied"] != 1 || all.n["repeated"] != 7 || all.n["id_reused"] != 8 {
		t.Fatalf("results %v", all.n)
	}
	got, _ := r.hub.Account(a.no)
	all = tally{}
	together(32, func(int) {
		r.send(&all, ask{method: "POST", path: "/v1/transfers", token: a.token, body: object{"id": r.id(), "to": b.account, "amount_msat": 1000}})
	})
	if all.n["applied"] != 10 || all.n["insufficient_funds"] != 22 {
		t.Fatalf("results %v", all.n)
	}
	a.balance(got.Available-10_000, 0)
}

// TestUnlocksAtOnce: an account that buys one work by many requests pays once and gets the key by each.
func TestUnlocksAtOnce(t *testing.T) {
	r := newRig(t)
	seller, buyer := r.user(0), r.user(10_000)
	w := r.sell(seller, 1000)
	var all tally
	together(16, func(i int) {
		body := object{"price_version": 1}
		if i%2 == 0 {
			body = object{"max_msat": 5000}
		}
		r.send(&all, ask{method: "POST", path: w.path("/unlock"), token: buyer.token, body: body})
	})
	if all.n["applied"] != 1 || all.n["repeated"] != 15 {
		t.Fatalf("results %v", all.n)
	}
	buyer.balance(9000, 0)
	seller.balance(990, 0)
}

// TestTrafficAtOnce: everything at the same time between a few accounts, and no msat is made or lost; that the ledger says
// so too is for the audit at the end of every test.
func TestTrafficAtOnce(t *testing.T) {
	r := newRig(t)
	const each = 100_000
	users := make([]user, 6)
	for i := range users {
		users[i] = r.user(each)
	}
	works := []work{r.sell(users[0], 300), r.sell(users[1], 700)}
	var all tally
	together(len(users), func(i int) {
		u, to := users[i], users[(i+1)%len(users)]
		post := func(path string, body any) { r.send(&all, ask{method: "POST", path: path, token: u.token, body: body}) }
		for range 15 {
			post("/v1/transfers", object{"id": r.id(), "to": to.account, "amount_msat": 1234})
			post("/v1/channels", object{"id": r.id(), "to": to.account, "amount_msat": 500, "expires": startAt + 3_600_000})
			for _, w := range works {
				post(w.path("/unlock"), object{"max_msat": 1000})
			}
			_, _ = r.try(ask{method: "POST", path: "/v1/batches", token: u.token, body: []object{
				{"op": "transfer", "id": r.id(), "to": to.account, "amount_msat": 77},
				{"op": "advance", "channel": "c101", "total_msat": 10},
				{"op": "unlock", "content": works[0].id.String(), "max_msat": 300}}})
		}
	})
	sum := int64(0)
	for _, no := range append(make([]user, 0), users...) {
		a, _ := r.hub.Account(no.no)
		sum += a.Available + int64(a.Held)
	}
	fees, _ := r.hub.Account(1)
	if sum+fees.Available != each*int64(len(users)) || fees.Available != 5*3+5*7 {
		t.Errorf("%d and fees of %d are left of %d: %v", sum, fees.Available, each*len(users), all.n)
	}
}
