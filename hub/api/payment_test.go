package api_test

import (
	"testing"
	"time"
)

func TestTransfers(t *testing.T) {
	r := newRig(t)
	a, b := r.user(10_000), r.user(0)
	body := object{"id": r.id(), "to": b.account, "amount_msat": 1500}
	first := a.post("/v1/transfers", body).want(200).has(object{"result": "applied", "from": a.account, "to": b.account, "amount_msat": 1500, "id": body["id"]})
	for range 3 {
		a.post("/v1/transfers", body).want(200).has(object{"result": "repeated", "seq": first.num("seq")})
	}
	a.balance(8500, 0)
	b.balance(1500, 0)
	var before string
	for _, change := range []object{{"amount_msat": 1501}, {"to": r.user(0).account}} {
		before = r.frozen()
		other := object{"id": body["id"], "to": body["to"], "amount_msat": body["amount_msat"]}
		for k, v := range change {
			other[k] = v
		}
		a.post("/v1/transfers", other).refused(409, "id_reused", "id")
		if r.frozen() != before {
			t.Fatal("a reused id changed the ledger")
		}
	}
	before = r.frozen()
	b.pay(a, 1501).refused(402, "insufficient_funds", "not enough").has(object{"retryable": true})
	b.pay(b, 1).refused(422, "same_account", "same")
	if r.frozen() != before {
		t.Fatal("a refusal changed the ledger")
	}
	b.post("/v1/transfers", object{"id": body["id"], "to": a.account, "amount_msat": 1500}).want(200).has(object{"result": "applied"}) // an id counts for its sender alone
	a.balance(10_000, 0)
}

func TestChannelLife(t *testing.T) {
	r := newRig(t)
	a, b, stranger := r.user(10_000), r.user(0), r.user(1000)
	open := object{"id": r.id(), "to": b.account, "amount_msat": 4000, "expires": startAt + 3_600_000 - 1}
	made := a.post("/v1/channels", open).want(201).has(object{"result": "applied"})
	a.post("/v1/channels", open).want(200).has(object{"result": "repeated", "seq": made.num("seq"), "channel": made.text("channel"), "number": made.num("number")})
	path := "/v1/channels/" + made.text("channel")
	a.balance(6000, 4000)
	want := object{"from": a.account, "to": b.account, "funded_msat": 4000, "total_msat": 0, "status": "open", "expires": startAt + 3_600_000}
	a.get(path).want(200).has(want)
	b.get(path).want(200).has(want)
	r.do(ask{method: "GET", path: path, token: r.operator}).want(200).has(want)
	stranger.get(path).refused(403, "not_permitted", "another account")

	a.post(path+"/advance", object{"total_msat": 1000}).want(200).has(object{"result": "applied", "paid_msat": 1000, "total_msat": 1000})
	a.post(path+"/advance", object{"total_msat": 1000}).want(200).has(object{"result": "repeated", "paid_msat": 0})
	a.post(path+"/advance", object{"total_msat": 2500}).want(200).has(object{"paid_msat": 1500})
	before := r.frozen()
	a.post(path+"/advance", object{"total_msat": 2499}).refused(409, "total_below", "total").has(object{"retryable": false})
	a.post(path+"/advance", object{"total_msat": 4001}).refused(402, "total_above", "total").has(object{"retryable": true})
	b.post(path+"/advance", object{"total_msat": 3000}).refused(403, "not_permitted", "another account")
	stranger.post(path+"/top-up", object{"id": r.id(), "amount_msat": 1}).refused(403, "not_permitted", "another account")
	stranger.post(path+"/close", nil).refused(403, "not_permitted", "another account")
	a.post(path+"/top-up", object{"id": r.id(), "amount_msat": 6001}).refused(402, "insufficient_funds", "enough")
	if r.frozen() != before {
		t.Fatal("a refusal changed the ledger")
	}
	topUp := object{"id": r.id(), "amount_msat": 1000}
	a.post(path+"/top-up", topUp).want(200).has(object{"result": "applied", "amount_msat": 1000})
	a.post(path+"/top-up", topUp).want(200).has(object{"result": "repeated"})
	a.post(path+"/advance", object{"total_msat": 4001}).want(200)
	a.balance(5000, 999)
	b.balance(4001, 0)
	b.post(path+"/close", "{}").want(200).has(object{"result": "applied", "refunded_msat": 999})
	a.post(path+"/close", nil).want(200).has(object{"result": "repeated", "refunded_msat": 999})
	a.balance(5999, 0)
	a.get(path).want(200).has(object{"status": "closed", "total_msat": 4001, "funded_msat": 5000})
	before = r.frozen()
	a.post(path+"/advance", object{"total_msat": 4002}).refused(409, "channel_closed", "closed")
	a.post(path+"/top-up", object{"id": r.id(), "amount_msat": 1}).refused(409, "channel_closed", "closed")
	a.post(path+"/advance", object{"total_msat": 4001}).want(200).has(object{"result": "repeated"})
	if r.frozen() != before {
		t.Fatal("a closed channel changed the ledger")
	}
}

// TestChannelExpiry: at its time a channel no longer pays, and soon what is left is back with the payer.
func TestChannelExpiry(t *testing.T) {
	r := newRig(t)
	a, b := r.user(10_000), r.user(0)
	for _, expires := range []uint64{1, startAt - 1000, startAt, startAt + 5*365*24*3_600_000 + 1, 1<<48 - 1} {
		a.post("/v1/channels", object{"id": r.id(), "to": b.account, "amount_msat": 1, "expires": expires}).refused(422, "expiry_invalid", "expiry")
	}
	a.balance(10_000, 0)
	ch, _ := a.channel(b, 4000)
	path := "/v1/channels/" + ch
	a.post(path+"/advance", object{"total_msat": 1500}).want(200)
	r.later(time.Hour)
	a.post(path+"/advance", object{"total_msat": 1600}).refused(410, "channel_expired", "time")
	for deadline := time.Now().Add(10 * time.Second); a.get(path).want(200).text("status") != "expired"; {
		if time.Now().After(deadline) {
			t.Fatal("the sweeper did not close an expired channel")
		}
		time.Sleep(20 * time.Millisecond)
	}
	a.balance(8500, 0)
	b.balance(1500, 0)
	a.post(path+"/close", nil).refused(410, "channel_expired", "time")
	a.post(path+"/top-up", object{"id": r.id(), "amount_msat": 1}).refused(410, "channel_expired", "time")
	a.post(path+"/advance", object{"total_msat": 1500}).want(200).has(object{"result": "repeated"})
}
