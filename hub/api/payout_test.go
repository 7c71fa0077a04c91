package api_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestLargePayouts: however much customers write into what they order, an operator's client can read the list.
func TestLargePayouts(t *testing.T) {
	const many = 400
	r, _ := railed(t)
	u := r.user(200_000_000)
	long := "sb1qtheirs" + strings.Repeat(" ", 4000)
	for range many {
		u.post("/v1/accounts/"+u.account+"/withdrawals", object{"id": r.id(), "to": long, "amount_msat": 300_000, "max_fee_msat": 150_000}).want(200)
	}
	got := u.with(r.operator).get("/v1/rails/payouts?limit=1000").want(200).has(object{"count": many})
	var list struct {
		Payouts []json.RawMessage `json:"payouts"`
	}
	r.must(json.Unmarshal(got.body, &list))
	if n := len(list.Payouts); n == 0 || n == many || len(got.body) > 3<<20 {
		t.Errorf("%d payouts in %d bytes", n, len(got.body))
	}
	page := u.get("/v1/accounts/" + u.account + "/withdrawals?limit=1000").want(200)
	if !strings.Contains(string(page.body), `"next"`) {
		t.Errorf("all of them on a page of %d bytes", len(page.body))
	}
}
