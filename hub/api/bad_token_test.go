package api_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/millrace/millrace/hub/token"
	"github.com/millrace/millrace/ledger"
	"gopkg.in/macaroon.v2"
)

// TestBadTokens: what is no token of this hub moves nothing and sees nothing.
func TestBadTokens(t *testing.T) {
	r := newRig(t)
	a, b := r.user(1000), r.user(0)
	stranger := newRig(t).user(1000)
	self := "/v1/accounts/" + a.account
	pay := object{"id": r.id(), "to": b.account, "amount_msat": 1}
	refuse := func(authorization, code string) {
		t.Helper()
		r.still(authorization[:min(len(authorization), 100)], func() {
			header := map[string]string{}
			if authorization != "" {
				header["Authorization"] = authorization
			}
			for _, q := range []ask{{method: "GET", path: self}, {method: "POST", path: "/v1/transfers", body: pay}, {method: "POST", path: "/v1/batches", body: "["}} {
				q.header = header
				if got := r.do(q).refused(401, code, "token").header.Get("WWW-Authenticate"); got != "Bearer" {
					t.Errorf("WWW-Authenticate %q", got)
				}
			}
		})
	}
	for _, none := range []string{"", "Basic " + a.token, "Bearer", a.token, "Macaroon " + a.token, "Bearer: " + a.token} {
		refuse(none, "token_missing")
	}
	for _, bad := range []string{"x", "AAAA", stranger.token, a.token + "A", a.token[:len(a.token)-1], a.token + "=", a.token + " " + a.token, " " + a.token,
		a.token + a.token, strings.Repeat("A", 2049), strings.Repeat("A", 4000), "\x80\xff", "eyJhbGciOiJub25lIn0.e30."} {
		refuse("Bearer "+bad, "token_invalid")
	}
	for i := range a.token { // every symbol changed in turn
		c := byte('A')
		if a.token[i] == 'A' {
			c = 'B'
		}
		r.do(ask{method: "GET", path: self, token: a.token[:i] + string(c) + a.token[i+1:]}).refused(401, "token_invalid", "token")
	}
	for _, caveat := range []string{"", "scope", "scope = ", "scope = everything", "scope = read read", "max_msat_per_call = 0", "max_msat_per_call = -1",
		"exp < tomorrow", "ip = 127.0.0.1", "Scope = read", " scope = read"} {
		text := withCaveat(t, a.token, caveat)
		refuse("Bearer "+text, "token_caveat")
	}
	operator, err := token.Restrict(a.token, token.Limits{Scopes: token.Operator})
	r.must(err)
	r.do(ask{method: "GET", path: self, token: operator}).refused(403, "scope_missing", "read")
	r.credit(a.with(operator), 1).want(200) // by the operator's own token; the other way is refused:
	r.do(ask{method: "POST", path: "/v1/dev/credits", token: operator, body: object{"id": r.id(), "account": a.account, "amount_msat": 1}}).refused(403, "not_operator", "operator")
	a.get(self).want(200)
}

// withCaveat adds any text as a caveat, as every holder of a token can.
func withCaveat(t testing.TB, text, caveat string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	var m macaroon.Macaroon
	if err := m.UnmarshalBinary(raw); err != nil {
		t.Fatal(err)
	}
	if err := m.AddFirstPartyCaveat([]byte(caveat)); err != nil {
		t.Fatal(err)
	}
	if raw, err = m.MarshalBinary(); err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// TestForeignTokens: a token sees and moves its own account alone, and the operator's none.
func TestForeignTokens(t *testing.T) {
	r := newRig(t)
	a, b := r.user(1000), r.user(0)
	w := r.sell(a, 10)
	r.still("a foreign token", func() {
		b.get("/v1/accounts/"+a.account).refused(403, "foreign_account", "token")
		b.get("/v1/accounts/"+ledger.AccountNo(999).String()).refused(403, "foreign_account", "token") // nobody's
		b.post("/v1/accounts/"+a.account+"/tokens", nil).refused(403, "foreign_account", "token")
		b.post(w.path("/retire"), nil).refused(403, "not_permitted", "another")
		operator := b.with(r.operator)
		operator.post("/v1/accounts/"+a.account+"/tokens", nil).refused(403, "not_permitted", "token")
		operator.pay(b, 1).refused(403, "no_account", "operator")
		operator.post("/v1/batches", "[").refused(403, "no_account", "operator")
		operator.post(w.path("/unlock"), object{"max_msat": 10}).refused(403, "no_account", "operator")
		operator.post("/v1/contents", object{}).refused(403, "no_account", "operator")
	})
	for _, body := range []string{`{"scopes":[]}`, `{"scopes":["read","read"]}`, `{"scopes":["operator"]}`, `{"scopes":"read"}`, `{"scopes":[1]}`, `{"scopes":null}`,
		`{"scopes":["read","pay","sell","read"]}`, `{"scopes":["Read"]}`, `{"scopes":{"read":true}}`} {
		a.post("/v1/accounts/"+a.account+"/tokens", body).refused(400, "malformed_body", "scopes")
	}
	deep := a
	for i := 0; ; i++ { // a token does not grow without bound
		got := deep.post("/v1/accounts/"+a.account+"/tokens", object{"max_msat_per_call": 5})
		if got.status == 400 {
			got.refused(400, "malformed_body", "token")
			break
		}
		if i > 64 {
			t.Fatal("a token of 64 caveats")
		}
		next, err := token.Restrict(deep.token, token.Limits{MaxMsat: 5})
		if err != nil {
			break
		}
		deep = deep.with(next)
	}
}
