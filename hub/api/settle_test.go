package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/settle"
)

// closed waits until a run is over.
func (u user) closed(path string) answer {
	u.r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		a := u.get(path).want(200)
		if a.text("state") == "closed" {
			return a
		}
		if time.Now().After(deadline) {
			u.r.t.Fatalf("%s: %s", path, a.body)
		}
	}
}

// TestSettlement: accounts say how they are settled, and a run pays them, once operators approve it who are not one.
func TestSettlement(t *testing.T) {
	r, _ := railed(t)
	u, to := r.user(50_000), r.user(0)
	op := u.with(r.operator)
	text, err := r.hub.OperatorToken()
	r.must(err)
	second := u.with(text)
	path := "/v1/accounts/" + u.account + "/settlement"

	u.get(path).want(200).has(object{"account": u.account, "version": 0})
	u.post(path, object{"internal": to.account, "threshold_msat": 1000, "reserve_msat": 20_000}).want(200).has(object{"internal": to.account, "version": 1})
	u.post(path, object{"internal": "x"}).refused(422, "payee_invalid", "internal")
	u.post(path, object{"hub_fee_percent": 5}).refused(400, "malformed_body", "hub_fee_percent")
	u.narrowed(object{"scopes": []string{"pay"}}).post(path, object{}).refused(403, "token_narrowed", "scopes")
	op.post(path+"/fee-share", object{"percent": 50}).want(200).has(object{"hub_fee_percent": 50})
	u.post(path+"/fee-share", object{"percent": 50}).refused(403, "not_operator", "operator")

	op.post("/v1/settlement/rules", object{"max_run_msat": 1_000_000, "two_operators_above_msat": 10_000}).want(200)
	op.get("/v1/settlement/rules").want(200).has(object{"max_run_msat": 1_000_000})
	op.post("/v1/settlement/rules", object{"max_run_msat": 1_000_000, "two_operators_above_msat": 10_000}).want(200) // no change
	list := string(op.get("/v1/rails/incidents").want(200).body)
	if strings.Count(list, `"kind":"rules"`) != 1 || !strings.Contains(list, "the rules for payouts were {}, and op-") {
		t.Errorf("who has changed the rules: %s", list)
	}
	if got := op.get("/v1/settlement/plan").want(200); !strings.Contains(string(got.body), `"total":{"count":1,"amount_msat":30000}`) {
		t.Errorf("%s", got.body)
	}
	run := op.post("/v1/settlement/runs", nil).want(201).has(object{"state": "created", "needs": 2})
	at := "/v1/settlement/runs/" + run.text("id")
	op.post(at+"/approve", nil).want(200).has(object{"state": "created"})
	op.post(at+"/approve", nil).refused(409, "operator_refused", "operator")
	second.post(at+"/approve", object{}).want(200)
	op.closed(at)
	to.balance(30_000, 0)
	if got := op.get(at + "/items").want(200); !strings.Contains(string(got.body), `"stage":"paid"`) {
		t.Errorf("%s", got.body)
	}
	if got := u.get(path + "/items?limit=5").want(200); !strings.Contains(string(got.body), `"stage":"paid"`) {
		t.Errorf("%s", got.body)
	}
	if got := op.get(at + "/result").want(200); !strings.Contains(string(got.body), to.account+",30000,,paid") {
		t.Errorf("%s", got.body)
	}
	op.get("/v1/settlement/runs?limit=1").want(200)
	op.post("/v1/settlement/runs", nil).refused(409, "nothing_due", "nothing")

	r.credit(u, 5000).want(200)
	held := op.post("/v1/settlement/runs", object{"hold": true}).want(201)
	at = "/v1/settlement/runs/" + held.text("id")
	op.post(at+"/cancel", nil).want(200)
	op.closed(at)
	op.post(at+"/pause", nil).refused(409, "run_state", "state")
	u.post("/v1/settlement/runs", nil).refused(403, "not_operator", "operator")
	op.get("/v1/settlement/runs/"+r.id()).refused(404, "run_unknown", "no such run")
}

// TestPausedRun: a run that waits for a payment can be paused and goes on.
func TestPausedRun(t *testing.T) {
	r, n := railed(t)
	n.slow.Store(true)
	u := r.user(50_000)
	op := u.with(r.operator)
	u.post("/v1/accounts/"+u.account+"/settlement", object{"lightning": "03" + nodeKey[2:]}).want(200)
	at := "/v1/settlement/runs/" + op.post("/v1/settlement/runs", nil).want(201).text("id")
	op.post(at+"/pause", nil).want(200).has(object{"state": "paused"})
	op.post(at+"/resume", nil).want(200).has(object{"state": "running"})
	n.slow.Store(false)
	op.closed(at)
}

// TestImports: a file is checked as a whole, paid once, and answered with a file.
func TestImports(t *testing.T) {
	r, _ := railed(t)
	u, to := r.user(50_000), r.user(0)
	path := "/v1/accounts/" + u.account + "/imports"
	send := func(query, text string) answer {
		return r.do(ask{method: "POST", path: path + query, token: u.token, kind: "application/octet-stream", body: text})
	}
	good := "to,amount_msat,reference\n" + to.account + ",7000,march\n"
	send("?dry_run=yes", good).want(200).has(object{"accepted": true, "total_msat": 7000})
	send("?id=m", "to,amount_msat\nnobody,5\n").want(200).has(object{"accepted": false})
	done := send("?id=march&name=march.csv", good).want(200).has(object{"accepted": true, "repeated": false})
	id := done.object()["run"].(object)["id"].(string)
	u.closed(path + "/" + id)
	to.balance(7000, 0)
	send("?id=march", good).want(200).has(object{"repeated": true})
	send("?id=march", good+good).refused(409, "id_reused", "id")
	u.get(path).want(200)
	if got := u.get(path + "/" + id + "/result").want(200); !strings.Contains(string(got.body), "march") {
		t.Errorf("%s", got.body)
	}
	u.get(path + "/" + id + "/result?format=pain.002").want(200)
	u.get(path + "/" + id + "/result?format=camt.054").want(200)
	to.get("/v1/accounts/"+to.account+"/imports/"+id).refused(404, "run_unknown", "no such run")
	large := strings.Repeat("x", 1<<20)
	if got := send("", large); got.status == 413 {
		t.Errorf("a file of %d bytes: %s", len(large), got.body)
	}
}

// TestTwoOperators: a payout above the limit waits for the words of two operators.
func TestTwoOperators(t *testing.T) {
	r, _ := railed(t)
	u := r.user(50_000)
	op := u.with(r.operator)
	text, err := r.hub.OperatorToken()
	r.must(err)
	op.post("/v1/settlement/rules", object{"two_operators_above_msat": 500}).want(200)
	id := r.id()
	base := "/v1/accounts/" + u.account + "/withdrawals"
	go u.r.try(ask{method: "POST", path: base, token: u.token, body: object{"id": id, "to": "lnsb1theirs", "max_fee_msat": 10}})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if got := op.get("/v1/settlement/requests").want(200); strings.Contains(string(got.body), id) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing waits")
		}
	}
	at := "/v1/settlement/requests/" + u.account + "/" + id + "/approve"
	op.post(at, nil).want(200)
	op.post(at, nil).refused(409, "operator_refused", "operator")
	u.with(text).post(at, nil).want(200)
	u.get(base + "/" + id + "?wait_s=20").want(200).has(object{"status": string(channels.Done)})
}

// desk is what a rig with a node settles by.
func (r *rig) makeDesk(db channels.Records) *settle.Desk {
	nodes := &settle.Nodes{Decode: r.node.Decode, Assets: r.node.Assets}
	d, err := settle.Open(settle.Config{Records: db, Ledger: r.hub.Book(), Network: nodes, Market: nodes.Market, Poll: 10 * time.Millisecond,
		Clock: func() time.Time { return time.UnixMilli(int64(r.millis.Load())) }, Fatal: func(err error) { r.t.Error(err) }})
	r.must(err)
	return d
}
