package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/hub/api"
	"github.com/millrace/millrace/hub/api/lndhub"
	"github.com/millrace/millrace/hub/nwc"
	"github.com/millrace/millrace/ledger"
)

// makeWallets are what serve makes for wallets of others, at the hub's clock.
func (r *rig) makeWallets(db channels.Records, rails *channels.Rails) *api.Wallets {
	r.t.Helper()
	clock := func() time.Time { return time.UnixMilli(int64(r.millis.Load())) }
	teller := rails.Teller()
	fee := func(amount ledger.Msat) ledger.Msat { return max(amount/100, 10_000) }
	w := &api.Wallets{Names: lnurl.NewNames(db, clock)}
	var err error
	w.Desk, err = lnurl.NewDesk(lnurl.DeskConfig{Base: origin, Host: "127.0.0.1:8402", Names: w.Names, Records: db, Invoices: teller, Clock: clock})
	r.must(err)
	w.Links, err = lnurl.NewLinks(lnurl.LinksConfig{Base: origin, Records: db, Payer: teller, Decode: teller.Decode, Fee: fee, Clock: clock})
	r.must(err)
	w.Logins, err = lndhub.New(lndhub.Config{Records: db, Wallet: teller, History: teller, Decode: teller.Decode, Fee: fee, Prefix: "/lndhub", Clock: clock,
		Info: func(context.Context) (lndhub.Info, error) { return lndhub.Info{}, nil }})
	r.must(err)
	if r.noRelays {
		return w
	}
	w.Connections, err = nwc.New(nwc.Config{Records: db, Wallet: teller, History: teller, Decode: teller.Decode, Fee: fee, Clock: clock, Relays: []string{"wss://relay.example"}, Secret: [32]byte{1},
		Info: func(context.Context) (nwc.Info, error) { return nwc.Info{}, nil }})
	r.must(err)
	return w
}

func (u user) delete(path string) answer {
	u.r.t.Helper()
	return u.r.do(ask{method: http.MethodDelete, path: path, token: u.token})
}

// TestNames: an account claims a name and gives it up, and what a name is refused for is said.
func TestNames(t *testing.T) {
	r, _ := railed(t)
	u, other := r.user(0), r.user(0)
	path := "/v1/accounts/" + u.account + "/name"
	claim := func(name string) object { return object{"name": name} }
	if got := u.get(path).want(200).object(); len(got) != 1 {
		t.Errorf("%v", got)
	}
	for range 2 {
		u.post(path, claim("alice")).want(200).has(object{"name": "alice", "address": "alice@127.0.0.1:8402", "uri": "lnurlp://127.0.0.1:8402/.well-known/lnurlp/alice"})
	}
	if url, err := lnurl.Decode(u.get(path).want(200).text("lnurl")); err != nil || url != origin+"/.well-known/lnurlp/alice" {
		t.Errorf("%s, %v", url, err)
	}
	if no, err := r.wallets.Names.Account("alice"); no != u.no || err != nil {
		t.Errorf("%v, %v", no, err)
	}
	theirs := "/v1/accounts/" + other.account + "/name"
	other.post(theirs, claim("alice")).refused(409, "name_taken", "somebody's")
	other.post(theirs, claim("operator")).refused(422, "name_reserved", "reserved")
	other.post(theirs, claim("Ann")).refused(422, "name_invalid", "a-z")
	other.post(theirs, claim("a")).refused(422, "name_invalid", "2 to 32")
	other.post(theirs, object{}).refused(400, "malformed_body", "name")
	other.post(path, claim("bob")).refused(403, "foreign_account", "another")

	u.post(path, claim("alice2")).refused(409, "name_in_use", "alice already")
	u.post(path, object{"name": "alice2", "replace": true}).want(200).has(object{"name": "alice2", "former": []string{"alice"}})
	for _, name := range []string{"alice3", "alice4"} {
		u.post(path, object{"name": name, "replace": true}).want(200)
	}
	u.post(path, object{"name": "alice5", "replace": true}).refused(409, "names_full", "4")
	for range 2 {
		u.delete(path).want(200).has(object{"former": []string{"alice4", "alice3", "alice2", "alice"}})
	}
	other.post(theirs, claim("alice")).refused(409, "name_taken", "was")
	u.post(path, claim("alice")).want(200).has(object{"name": "alice"})

	for _, narrow := range []object{{"scopes": []string{"read", "pay"}}, {"expires": r.millis.Load() + 1000}, {"max_msat_per_call": 5}} {
		u.narrowed(narrow).post(path, claim("alice")).refused(403, "token_narrowed", "outlives")
		u.narrowed(narrow).delete(path).refused(403, "token_narrowed", "outlives")
		u.narrowed(narrow).get(path).want(200)
	}
	op := u.with(r.operator)
	op.get(path).want(200).has(object{"name": "alice"})
	op.delete(path).want(200)
	op.post("/v1/accounts/"+ledger.AccountNo(999).String()+"/name", claim("ghost")).refused(404, "account_unknown", "no such")
	r.restart()
	u.get(path).want(200).has(object{"former": []string{"alice", "alice4", "alice3", "alice2"}})
}

// TestLinks: a link is made, told to those alone who may pay as much, used once, and cancelled.
func TestLinks(t *testing.T) {
	r, _ := railed(t)
	u := r.user(100_000)
	path := "/v1/accounts/" + u.account + "/links"
	k := u.post(path, object{"amount_msat": 5000, "least_msat": 1000, "memo": "for the taxi", "expires_in_s": 60}).want(201).
		has(object{"status": "open", "account": u.account, "memo": "for the taxi", "expires": r.millis.Load() + 60_000})
	url, err := lnurl.Decode(k.text("lnurl"))
	r.must(err)
	id, found := strings.CutPrefix(url, origin+"/lnurl/withdraw/")
	if !found || k.text("uri") != "lnurlw"+strings.TrimPrefix(url, "http") || strings.Contains(k.text("link"), id[:8]) {
		t.Errorf("%s, %s", url, k.body)
	}
	list := func(who user) object {
		all := who.get(path).want(200).object()["links"].([]any)
		return all[len(all)-1].(object)
	}
	if got := list(u); got["lnurl"] != k.text("lnurl") {
		t.Errorf("%v", got)
	}
	for _, who := range []user{u.with(r.operator), u.narrowed(object{"scopes": []string{"read", "sell"}}), u.narrowed(object{"max_msat_per_call": 14_999})} {
		if got := list(who); got["lnurl"] != nil || got["uri"] != nil || got["link"] != k.text("link") {
			t.Errorf("told to somebody who may not pay: %v", got)
		}
	}

	q, err := r.wallets.Links.Request(id)
	r.must(err)
	r.must(r.wallets.Links.Withdraw(t.Context(), id, q.K1, "lnsb1theirs"))
	eventually(t, "the link is paid", func() bool {
		r.must(r.wallets.Links.Sweep(t.Context()))
		return list(u)["status"] == "paid"
	})
	if got := list(u); got["lnurl"] != nil {
		t.Errorf("%v", got)
	}
	u.balance(100_000-1003, 0)
	if text := string(u.get("/v1/accounts/" + u.account + "/withdrawals").want(200).body); strings.Contains(text, id) || !strings.Contains(text, k.text("link")) {
		t.Errorf("a withdrawal tells %s", text)
	}
	u.delete(path+"/"+k.text("link")).refused(409, "link_used", "used")

	second := u.post(path, object{"amount_msat": 5000}).want(201).has(object{"least_msat": 5000, "expires": r.millis.Load() + 7*86_400_000}).text("link")
	u.narrowed(object{"scopes": []string{"read"}}).delete(path+"/"+second).refused(403, "scope_missing", "pay")
	r.user(0).delete(path+"/"+second).refused(403, "foreign_account", "another")
	u.delete(path+"/"+strings.Repeat("0", 16)).refused(404, "link_unknown", "no such")
	u.with(r.operator).delete(path + "/" + second).want(200)
	u.delete(path + "/" + second).want(200)
	if got := u.get(path).want(200); strings.Count(string(got.body), `"expired"`) != 1 || strings.Contains(string(got.body), "lnurl") {
		t.Errorf("%s", got.body)
	}
}

// TestLinkRefused: a link takes no more than its token may, and lives no longer.
func TestLinkRefused(t *testing.T) {
	r, _ := railed(t)
	u := r.user(0)
	path := "/v1/accounts/" + u.account + "/links"
	for _, wrong := range []object{{}, {"amount_msat": 999}, {"amount_msat": 5000, "least_msat": 5001}, {"amount_msat": 5000, "expires_in_s": 90*86400 + 1}, {"amount_msat": 5000, "memo": strings.Repeat("x", 201)}} {
		u.post(path, wrong).refused(400, "malformed_body", "")
	}
	u.with(r.operator).post(path, object{"amount_msat": 5000}).refused(403, "no_account", "operator")
	u.narrowed(object{"scopes": []string{"read"}}).post(path, object{"amount_msat": 5000}).refused(403, "scope_missing", "pay")
	small := u.narrowed(object{"max_msat_per_call": 15_000, "expires": r.millis.Load() + 60_000})
	small.post(path, object{"amount_msat": 5001}).refused(403, "cap_exceeded", "one call")
	small.post(path, object{"amount_msat": 5000, "expires_in_s": 600}).want(201).has(object{"expires": r.millis.Load() + 60_000})
	small.post(path, object{"amount_msat": 5000, "expires_in_s": 6}).want(201).has(object{"expires": r.millis.Load() + 6_000})
	for i := 2; i < 32; i++ {
		u.post(path, object{"amount_msat": 5000}).want(201)
	}
	u.post(path, object{"amount_msat": 5000}).refused(409, "links_full", "32")
}

// TestLogins: a login is told once, opens the account by LndHub, and is revoked.
func TestLogins(t *testing.T) {
	r, _ := railed(t)
	u := r.user(5000)
	path := "/v1/accounts/" + u.account + "/logins"
	l := u.post(path, object{"name": "phone"}).want(201).has(object{"account": u.account, "name": "phone", "made": r.millis.Load()})
	login, rest, _ := strings.Cut(strings.TrimPrefix(l.text("uri"), "lndhub://"), ":")
	if password, base, _ := strings.Cut(rest, "@"); login != l.text("login") || len(password) != 64 || base != origin+"/lndhub/" {
		t.Errorf("%s", l.body)
	}
	if got := u.narrowed(object{"scopes": []string{"read"}}).get(path).want(200); strings.Contains(string(got.body), "lndhub") || !strings.Contains(string(got.body), login) {
		t.Errorf("%s", got.body)
	}
	for _, narrow := range []object{{"scopes": []string{"read", "pay"}}, {"expires": r.millis.Load() + 1000}, {"max_msat_per_call": 5}} {
		u.narrowed(narrow).post(path, nil).refused(403, "token_narrowed", "outlives")
		u.narrowed(narrow).delete(path+"/"+login).refused(403, "token_narrowed", "outlives")
	}
	u.with(r.operator).post(path, nil).refused(403, "no_account", "operator")
	r.user(0).get(path).refused(403, "foreign_account", "another")
	u.delete(path + "/" + login).want(200)
	u.delete(path+"/"+login).refused(404, "login_unknown", "no such")
	for i := range lndhub.MaxLogins {
		login = u.post(path, object{"name": fmt.Sprint(i)}).want(201).text("login")
	}
	u.post(path, object{}).refused(409, "logins_full", "too many")
	u.with(r.operator).delete(path + "/" + login).want(200)
	u.post(path, object{}).want(201)
}

// TestWalletConnections: a connection is told once, listed with what it may do and has spent, and ended. What applications do with it is tested
// in hub/nwc, and over real nodes in cmd/millrace.
func TestWalletConnections(t *testing.T) {
	r, _ := railed(t)
	u := r.user(5000)
	path := "/v1/accounts/" + u.account + "/connections"
	k := u.post(path, object{"name": "podcasts", "methods": []string{"pay_invoice"}, "notifications": true, "budget_msat": 700, "renewal": "weekly", "expires_in_s": 60}).want(201).
		has(object{"account": u.account, "name": "podcasts", "methods": []string{"pay_invoice"}, "notifications": true, "budget_msat": 700, "renewal": "weekly",
			"spent_msat": 0, "reserved_msat": 0, "made": r.millis.Load(), "expires": r.millis.Load() + 60_000})
	found, err := url.Parse(k.text("uri"))
	if err != nil || found.Scheme != "nostr+walletconnect" || len(found.Host) != 64 || len(found.Query().Get("secret")) != 64 || found.Query().Get("relay") != "wss://relay.example" {
		t.Errorf("%v", err)
	}
	u.post(path, nil).want(201).has(object{"renewal": "never", "notifications": false,
		"methods": []string{"pay_invoice", "pay_keysend", "make_invoice", "lookup_invoice", "list_transactions", "get_balance"}})
	list := u.narrowed(object{"scopes": []string{"read"}}).get(path).want(200)
	if text := string(list.body); strings.Contains(text, "secret") || strings.Contains(text, "nostr") || strings.Count(text, `"connection"`) != 2 || !strings.Contains(text, k.text("connection")) {
		t.Errorf("%s", text)
	}
	for _, wrong := range []object{
		{"budget_msat": 0}, {"budget_msat": "5"}, {"methods": []string{}}, {"methods": "pay_invoice"}, {"methods": []int{5}}, {"name": strings.Repeat("x", 101)},
		{"expires_in_s": 0}, {"expires_in_s": 5*365*86400 + 1}, {"notifications": 1}, {"uri": "x"},
	} {
		u.post(path, wrong).refused(400, "malformed_body", "")
	}
	u.post(path, object{"methods": []string{"sign_message"}}).refused(422, "connection_invalid", "sign_message")
	u.post(path, object{"renewal": "hourly"}).refused(422, "connection_invalid", "budget")

	for _, narrow := range []object{{"scopes": []string{"read", "pay"}}, {"expires": r.millis.Load() + 1000}, {"max_msat_per_call": 5}} {
		u.narrowed(narrow).post(path, nil).refused(403, "token_narrowed", "outlives")
		u.narrowed(narrow).delete(path+"/"+k.text("connection")).refused(403, "token_narrowed", "outlives")
	}
	u.with(r.operator).post(path, nil).refused(403, "no_account", "operator")
	r.user(0).get(path).refused(403, "foreign_account", "another")
	other := r.user(0)
	other.delete("/v1/accounts/"+other.account+"/connections/"+k.text("connection")).refused(404, "connection_unknown", "no such")
	u.delete(path + "/" + k.text("connection")).want(200)
	u.delete(path+"/"+k.text("connection")).refused(404, "connection_unknown", "no such")
	var last string
	for i := 1; i < nwc.MaxPerAccount; i++ {
		last = u.post(path, object{"budget_msat": i}).want(201).text("connection")
	}
	u.post(path, nil).refused(409, "connections_full", "too many")
	u.with(r.operator).delete(path + "/" + last).want(200)
	r.noRelays = true
	r.restart()
	u.get(path).refused(404, "route_unknown", "no relays")
}

// TestNoWallets: a hub without a Lightning node has none of their routes.
func TestNoWallets(t *testing.T) {
	u := newRig(t).user(0)
	for _, noun := range []string{"name", "links", "logins", "connections"} {
		u.get("/v1/accounts/"+u.account+"/"+noun).refused(404, "route_unknown", "no Lightning node")
	}
}
