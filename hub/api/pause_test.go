package api_test

import (
	"testing"
)

// TestPause: an operator holds back what is sent, and lets it go.
func TestPause(t *testing.T) {
	r, _ := railed(t)
	u := r.user(10_000)
	op := u.with(r.operator)
	op.get("/v1/rails/pause").want(200).has(object{"paused": false})
	op.post("/v1/rails/pause", object{}).refused(400, "malformed_body", "reason")
	u.post("/v1/rails/pause", object{"reason": "r"}).refused(403, "not_operator", "operator")
	op.post("/v1/rails/pause", object{"reason": "the node moves"}).want(200).has(object{"paused": true})
	op.get("/v1/rails/pause").want(200).has(object{"paused": true})
	base := "/v1/accounts/" + u.account + "/withdrawals"
	w := object{"id": r.id(), "to": "lnsb1theirs", "max_fee_msat": 10}
	u.post(base, w).want(200).has(object{"status": "held"})
	op.post("/v1/rails/resume", object{"note": "it is there"}).want(200).has(object{"paused": false})
	u.get(base + "/" + w["id"].(string) + "?wait_s=20").want(200).has(object{"status": "done"})
}
