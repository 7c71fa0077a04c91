package api_test

import (
	"sync/atomic"
	"testing"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger/store"
)

// brim is a log in memory that can be out of room.
type brim struct {
	hub.Log
	full atomic.Bool
}

func (b *brim) Propose(block []byte) error {
	if b.full.Load() {
		return store.ErrNoSpace
	}
	return b.Log.Propose(block)
}

// TestFull: a full disk is told as such, with a time to come back; reads and what is owned are served.
func TestFull(t *testing.T) {
	b := &brim{}
	r := setup{log: func(h *hub.Hub) hub.Log {
		b.Log = newGate().log(h)
		h.WatchSpace(func() (int64, bool) { return 12345, b.full.Load() })
		return b
	}}.rig(t)
	x, y := r.user(10_000), r.user(0)
	w := r.sell(y, 100)
	w.opens(x.post(w.path("/unlock"), object{"price_version": 1}).want(200))
	r.do(ask{method: "GET", path: "/readyz"}).want(200)
	before := r.frozen()
	b.full.Store(true)
	got := x.pay(y, 1).refused(503, "no_space", "disk is full").has(object{"retryable": true})
	if after := got.header.Get("Retry-After"); after != "5" {
		t.Errorf("Retry-After %q", after)
	}
	r.do(ask{method: "POST", path: "/v1/accounts"}).refused(503, "no_space", "disk is full")
	x.post("/v1/batches", []object{{"op": "transfer", "id": r.id(), "to": y.account, "amount_msat": 1}}).refused(503, "no_space", "disk is full")
	r.do(ask{method: "GET", path: "/readyz"}).refused(503, "no_space", "disk is full")
	r.do(ask{method: "GET", path: "/healthz"}).want(200)
	x.get("/v1/accounts/" + x.account).want(200)
	w.opens(x.post(w.path("/unlock"), object{"price_version": 1}).want(200).has(object{"result": "repeated"}))
	if free := r.metrics()["millrace_disk_free_bytes"]; free != 12345 {
		t.Errorf("%v bytes free", free)
	}
	if r.frozen() != before {
		t.Error("the ledger has changed")
	}
	b.full.Store(false)
	x.pay(y, 1).want(200)
	r.do(ask{method: "GET", path: "/readyz"}).want(200)
}
