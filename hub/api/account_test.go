package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/api"
	"github.com/millrace/millrace/hub/token"
	"github.com/millrace/millrace/ledger"
)

func TestAccounts(t *testing.T) {
	r := newRig(t)
	a := r.user(0)
	a.get("/v1/accounts/" + a.account).want(200).has(object{"account": a.account, "number": uint32(a.no), "balance_msat": 0, "held_msat": 0})
	r.do(ask{method: "POST", path: "/v1/accounts", body: "{}"}).want(201)
	id := r.id()
	credit := ask{method: "POST", path: "/v1/dev/credits", token: r.operator, body: object{"id": id, "account": a.account, "amount_msat": 5000}}
	r.do(credit).want(200).has(object{"result": "applied", "id": id, "account": a.account, "amount_msat": 5000})
	r.do(credit).want(200).has(object{"result": "repeated"})
	a.balance(5000, 0)
	// The operator sees every account, the hub's own too.
	r.do(ask{method: "GET", path: "/v1/accounts/" + a.account, token: r.operator}).want(200).has(object{"balance_msat": 5000})
	r.do(ask{method: "GET", path: "/v1/accounts/a202", token: r.operator}).want(200).has(object{"balance_msat": -5000})
	if got := r.do(ask{method: "POST", path: "/v1/accounts"}).want(201).header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("an answer with a token is cached by %q", got)
	}
}

func TestRegistration(t *testing.T) {
	invite := setup{api: api.Config{Registration: api.RegistrationInvite, InviteCodes: []string{"river-otter", "mill-wheel"}}}.rig(t)
	before := invite.frozen()
	for _, body := range []any{nil, "{}", object{"invite": "river"}, object{"invite": "river-otter "}} {
		invite.do(ask{method: "POST", path: "/v1/accounts", body: body}).refused(403, "invite_invalid", "invite")
	}
	if invite.frozen() != before {
		t.Error("a refused registration changed the ledger")
	}
	invite.do(ask{method: "POST", path: "/v1/accounts", body: object{"invite": "mill-wheel"}}).want(201)
	invite.do(ask{method: "GET", path: "/v1/hub"}).want(200).has(object{"registration": "invite"})

	closed := setup{api: api.Config{Registration: api.RegistrationClosed}}.rig(t)
	before = closed.frozen()
	closed.do(ask{method: "POST", path: "/v1/accounts", body: object{"invite": "mill-wheel"}}).refused(403, "registration_closed", "accounts")
	if closed.frozen() != before {
		t.Error("a refused registration changed the ledger")
	}
	closed.do(ask{method: "POST", path: "/v1/accounts", token: closed.operator}).want(201)
}

// TestOperatorLimits: an operator's token is held to its caveats as any other is.
func TestOperatorLimits(t *testing.T) {
	r := newRig(t)
	u := r.user(0)
	narrow := func(l token.Limits) string {
		text, err := token.Restrict(r.operator, l)
		r.must(err)
		return text
	}
	make := func(token string, msat int) answer {
		return r.do(ask{method: "POST", path: "/v1/dev/credits", token: token,
			body: object{"id": r.id(), "account": u.account, "amount_msat": msat}})
	}
	capped := narrow(token.Limits{MaxMsat: 10})
	make(capped, 11).refused(403, "cap_exceeded", "one call")
	make(capped, 10).want(200)
	look := ask{method: "GET", path: "/v1/accounts/" + u.account, token: narrow(token.Limits{Scopes: token.Operator})}
	r.do(look).refused(403, "scope_missing", "read")
	look.token = narrow(token.Limits{Scopes: token.Read})
	r.do(look).refused(403, "foreign_account", "another account")
	u.balance(10, 0)
}

func TestDevOnly(t *testing.T) {
	r := setup{notDev: true}.rig(t)
	u := r.user(0)
	r.credit(u, 1).refused(404, "route_unknown", "development")
	u.balance(0, 0)

	r = newRig(t)
	u = r.user(0)
	body := object{"id": r.id(), "account": u.account, "amount_msat": 1}
	u.post("/v1/dev/credits", body).refused(403, "not_operator", "operator")
	r.do(ask{method: "POST", path: "/v1/dev/credits", body: body}).refused(401, "token_missing", "token")
	u.balance(0, 0)
}

// TestScopes: a token does what its scopes say and nothing else, whoever narrowed it.
func TestScopes(t *testing.T) {
	r := newRig(t)
	u, other := r.user(100_000), r.user(0)
	w := r.sell(other, 1000)
	self := "/v1/accounts/" + u.account
	for _, narrow := range []func(scope string, bits token.Scope) user{
		func(scope string, _ token.Scope) user { return u.narrowed(object{"scopes": []string{scope}}) },
		func(_ string, bits token.Scope) user {
			text, err := token.Restrict(u.token, token.Limits{Scopes: bits})
			r.must(err)
			return u.with(text)
		},
	} {
		read, pay, sell := narrow("read", token.Read), narrow("pay", token.Pay), narrow("sell", token.Sell)
		read.get(self).want(200)
		pay.get(self).refused(403, "scope_missing", "read")
		sell.get(self).refused(403, "scope_missing", "read")
		pay.pay(other, 1).want(200)
		read.pay(other, 1).refused(403, "scope_missing", "pay")
		sell.post("/v1/contents/"+w.id.String()+"/unlock", object{"max_msat": 1000}).refused(403, "scope_missing", "pay")
		read.post("/v1/contents/"+w.id.String()+"/retire", nil).refused(403, "scope_missing", "sell")
		sell.post("/v1/contents/"+w.id.String()+"/retire", nil).refused(403, "not_permitted", "another")
		// Narrowed further, it never widens.
		read.post(self+"/tokens", object{"scopes": []string{"pay", "sell"}}).refused(403, "scope_missing", "scopes")
		read.narrowed(object{"scopes": []string{"read", "pay"}}).pay(other, 1).refused(403, "scope_missing", "pay")
		read.narrowed(object{}).pay(other, 1).refused(403, "scope_missing", "pay")
	}
}

func TestTokenExpiry(t *testing.T) {
	r := newRig(t)
	u, other := r.user(100), r.user(0)
	short := u.narrowed(object{"expires": startAt + 60_000})
	longer := short.narrowed(object{"expires": startAt + 600_000}) // no longer than the one it came from
	short.pay(other, 1).want(200)
	longer.pay(other, 1).want(200)
	r.later(time.Minute)
	short.pay(other, 1).refused(401, "token_expired", "expired")
	longer.pay(other, 1).refused(401, "token_expired", "expired")
	u.pay(other, 1).want(200)
	other.balance(3, 0)
}

// TestCaps: what a token moves in one call stays within its cap, by whatever way it moves it.
func TestCaps(t *testing.T) {
	r := newRig(t)
	u, other := r.user(1_000_000), r.user(0)
	w := r.sell(other, 5000)
	ch, _ := u.channel(other, 100_000)
	capped := u.narrowed(object{"max_msat_per_call": 1000}).narrowed(object{"max_msat_per_call": 9000})
	before := r.frozen()
	unlock := "/v1/contents/" + w.id.String() + "/unlock"
	over := func(a answer) { t.Helper(); a.refused(403, "cap_exceeded", "token") }
	over(capped.pay(other, 1001))
	over(capped.post("/v1/channels", object{"id": r.id(), "to": other.account, "amount_msat": 1001, "expires": startAt + 3_600_000}))
	over(capped.post("/v1/channels/"+ch+"/advance", object{"total_msat": 1001}))
	over(capped.post("/v1/channels/"+ch+"/top-up", object{"id": r.id(), "amount_msat": 1001}))
	over(capped.post(unlock, object{"price_version": 1}))
	over(capped.post(unlock, object{"max_msat": 5000}))
	over(capped.post("/v1/batches", []object{
		{"op": "transfer", "id": r.id(), "to": other.account, "amount_msat": 600},
		{"op": "advance", "channel": ch, "total_msat": 401}}))
	over(capped.post("/v1/batches", []object{{"op": "unlock", "content": w.id.String(), "price_version": 1}}))
	over(capped.post("/v1/batches", []object{{"op": "unlock", "content": w.id.String(), "max_msat": 5000}}))
	over(capped.post("/v1/batches", []object{ // the sum does not wrap around
		{"op": "transfer", "id": r.id(), "to": other.account, "amount_msat": int64(2_100_000_000_000_000_000)},
		{"op": "transfer", "id": r.id(), "to": other.account, "amount_msat": int64(2_100_000_000_000_000_000)}}))
	nobody := "/v1/channels/" + ledger.ChannelNo(999).String() + "/advance" // it could be opened before the ledger decides
	over(capped.post(nobody, object{"total_msat": 1001}))
	capped.post(nobody, object{"total_msat": 1000}).refused(404, "channel_unknown", "channel")
	capped.post("/v1/batches", []object{{"op": "unlock", "content": strings.Repeat("0", 32), "price_version": 1}}).want(200).has(object{"refused": 1})
	r.do(ask{method: "POST", path: "/v1/batches", token: capped.token, kind: binaryOps, body: record(3, 0, 0, w.id)}).want(200) // op_malformed
	capped.post(unlock, object{"max_msat": 999}).refused(402, "price_too_high", "price")
	if r.frozen() != before {
		t.Fatal("a refused call changed the ledger")
	}
	capped.pay(other, 1000).want(200)
	capped.post("/v1/channels/"+ch+"/advance", object{"total_msat": 1000}).want(200)
	capped.post("/v1/channels/"+ch+"/advance", object{"total_msat": 2000}).want(200)
	capped.post("/v1/batches", []object{{"op": "advance", "channel": ch, "total_msat": 3000}}).want(200).has(object{"applied": 1})
	cheap := r.sell(other, 900)
	capped.post("/v1/batches", []object{{"op": "unlock", "content": cheap.id.String(), "price_version": 1}}).want(200).has(object{"applied": 1})
	u.post(unlock, object{"price_version": 1}).want(200)
	capped.post(unlock, object{"price_version": 1}).want(200).has(object{"result": "repeated"}) // owned, takes nothing
}
