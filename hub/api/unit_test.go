package api_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/seal"
)

// metered is a work that is sold by units, and its file key.
type metered struct {
	work
	key     seal.FileKey
	version int64 // of the price
}

// sellUnits seals and registers a work of 10 units at 100 msat each, of which the first two are free.
func (r *rig) sellUnits(seller user) metered {
	r.t.Helper()
	hub := r.do(ask{method: "GET", path: "/v1/hub/key"}).want(200)
	key, err := seal.ParsePublicKey(hub.text("public_key"))
	r.must(err)
	var m metered
	rand.Read(m.id[:])
	var out bytes.Buffer
	m.about, err = seal.SealUnits(&out, key, hub.text("origin"), m.id, func(key seal.FileKey) ([]byte, uint32, error) {
		m.key = key
		return []byte("{}"), 10, nil
	})
	r.must(err)
	offer := m.offer(100)
	offer["free_units"] = 2
	seller.post("/v1/contents", offer).want(201)
	seller.post("/v1/contents", offer).want(200).has(object{"result": "repeated"})
	m.version = r.do(ask{method: "GET", path: m.path("")}).want(200).has(object{"units": 10, "free_units": 2, "price_msat": 100}).num("price_version")
	return m
}

func (m metered) unit(n int, verb string) string { return m.path(fmt.Sprintf("/units/%d/%s", n, verb)) }

// key asks for the key of a unit as a player does.
func (m metered) get(r *rig, n int, token string, header ...string) answer {
	r.t.Helper()
	q := ask{method: "GET", path: m.unit(n, "key"), token: token, header: map[string]string{}}
	for i := 0; i < len(header); i += 2 {
		q.header[header[i]] = header[i+1]
	}
	return r.do(q)
}

// is fails the test unless the answer is the key of a unit, for nobody to keep.
func (m metered) is(a answer, n uint32) {
	a.t.Helper()
	key := m.key.Unit(n)
	if a.want(200); !bytes.Equal(a.body, key[:]) || a.header.Get("Content-Type") != "application/octet-stream" || a.header.Get("Cache-Control") != "no-store" {
		a.t.Fatalf("unit %d: %x, %v", n, a.body, a.header)
	}
}

func (u user) session(m metered, body object) answer {
	u.r.t.Helper()
	return u.post(m.path("/sessions"), body)
}

// TestUnitKey: free units are anybody's, others are charged once to whoever has a token, and ranges change nothing.
func TestUnitKey(t *testing.T) {
	r := newRig(t)
	seller, viewer, poor := r.user(0), r.user(1000), r.user(99)
	m := r.sellUnits(seller)
	m.is(m.get(r, 0, ""), 0)
	m.is(m.get(r, 1, ""), 1)
	refused := m.get(r, 2, "").refused(402, "payment_required", "session")
	offer := refused.object()["offer"].(object)
	if fmt.Sprintf("%v %v %v %v", offer["price_msat"], offer["unit"], offer["units"], offer["free_units"]) != "100 2 10 2" || offer["unlock"] != origin+m.unit(2, "unlock") || offer["session"] != origin+m.path("/sessions") {
		t.Errorf("offer %v", offer)
	}
	capped := viewer.narrowed(object{"scopes": []string{"pay"}, "max_msat_per_call": 100})
	m.is(m.get(r, 2, capped.token, "Range", "bytes=0-"), 2)
	m.is(m.get(r, 2, capped.token, "Range", "bytes=3-7"), 2)
	m.is(m.get(r, 2, capped.token), 2)
	m.is(m.get(r, 5, capped.token), 5)
	viewer.balance(800, 0)
	seller.balance(198, 0) // the hub's fee is one percent
	m.is(m.get(r, 5, seller.narrowed(object{"max_msat_per_call": 1}).token), 5)
	m.is(m.get(r, 1, viewer.token), 1)

	m.get(r, 3, viewer.token).refused(403, "cap_missing", "maximum")
	m.get(r, 3, viewer.narrowed(object{"max_msat_per_call": 99}).token).refused(402, "cap_exceeded", "session")
	m.get(r, 3, viewer.narrowed(object{"scopes": []string{"read"}, "max_msat_per_call": 100}).token).refused(403, "scope_missing", "pay")
	if a := m.get(r, 3, poor.narrowed(object{"max_msat_per_call": 100}).token).refused(402, "insufficient_funds", "enough"); a.object()["offer"] == nil {
		t.Errorf("no offer: %s", a.body)
	}
	m.get(r, 3, r.operator).refused(403, "no_account", "account")
	m.get(r, 3, "AAAA").refused(401, "token_invalid", "token")
	m.get(r, 10, capped.token).refused(422, "unit_unknown", "unit")
	r.do(ask{method: "GET", path: m.path("/units/x/key")}).refused(400, "malformed_body", "number")
	r.do(ask{method: "GET", path: "/v1/contents/" + strings.Repeat("0", 31) + "1/units/0/key"}).refused(404, "content_unknown", "content")
	whole := r.sell(seller, 5)
	r.do(ask{method: "GET", path: whole.path("/units/0/key"), token: capped.token}).refused(422, "unit_unknown", "unit")
	viewer.post(whole.path("/units/0/unlock"), object{"max_msat": 5}).refused(422, "unit_unknown", "unit")
	viewer.session(metered{work: whole}, object{"max_total_msat": 5}).refused(422, "unit_unknown", "unit")
	viewer.balance(800, 0)
}

// TestUnlockUnit: the same for programs, with a price version, a maximum and a recipient.
func TestUnlockUnit(t *testing.T) {
	r := newRig(t)
	seller, viewer := r.user(0), r.user(1000)
	m := r.sellUnits(seller)
	key := m.key.Unit(4)
	first := viewer.post(m.unit(4, "unlock"), object{"price_version": m.version}).want(200).has(object{"result": "applied", "unit": 4, "paid_msat": 100, "unit_key": base64.StdEncoding.EncodeToString(key[:])})
	viewer.post(m.unit(4, "unlock"), object{"max_msat": 1}).want(200).has(object{"result": "repeated", "paid_msat": 100, "seq": first.num("seq")})
	if first.header.Get("Cache-Control") != "no-store" {
		t.Error("an answer with a key may be cached")
	}
	priv, err := ecdh.X25519().GenerateKey(rand.Reader)
	r.must(err)
	sealed := viewer.post(m.unit(5, "unlock"), object{"max_msat": 100, "recipient": base64.StdEncoding.EncodeToString(priv.PublicKey().Bytes())}).want(200).object()
	box := sealed["sealed_unit_key"].(object)
	enc, _ := base64.StdEncoding.DecodeString(box["enc"].(string))
	ciphertext, _ := base64.StdEncoding.DecodeString(box["ciphertext"].(string))
	if got, err := seal.OpenUnitDelivery(priv.Bytes(), enc, ciphertext, m.id, 5); err != nil || got != m.key.Unit(5) || sealed["unit_key"] != nil {
		t.Errorf("sealed: %v, %v", sealed, err)
	}
	viewer.post(m.unit(0, "unlock"), object{"max_msat": 1}).want(200).has(object{"result": "repeated", "paid_msat": 0})
	viewer.balance(800, 0)

	before := r.frozen()
	viewer.post(m.unit(6, "unlock"), object{"max_msat": 99}).refused(402, "price_too_high", "price")
	viewer.post(m.unit(6, "unlock"), object{"price_version": m.version + 1}).refused(409, "price_changed", "version")
	viewer.post(m.unit(6, "unlock"), object{}).refused(400, "malformed_body", "name the price")
	viewer.post(m.unit(6, "unlock"), object{"max_msat": 100, "recipient": base64.StdEncoding.EncodeToString(make([]byte, 32))}).refused(400, "malformed_body", "recipient")
	r.do(ask{method: "POST", path: m.unit(6, "unlock"), body: object{"max_msat": 100}}).refused(401, "token_missing", "token")
	viewer.post(m.path("/unlock"), object{"max_msat": 1000}).refused(422, "unit_unknown", "unit")
	if r.frozen() != before {
		t.Error("a refusal changed the ledger")
	}
}

// TestSession: a player's token unlocks as many units as were asked for and nothing else, from wherever it is sent.
func TestSession(t *testing.T) {
	r := newRig(t)
	viewer := r.user(1000)
	m, other := r.sellUnits(r.user(0)), r.sellUnits(r.user(0))
	s := viewer.session(m, object{"max_total_msat": 299, "from_unit": 3, "expires_in_s": 60}).want(201).
		has(object{"units": 2, "from_unit": 3, "unit_price_msat": 100, "max_total_msat": 200, "expires": startAt + 60_000})
	player := viewer.with(s.text("token"))
	m.is(m.get(r, 3, player.token), 3)
	m.is(r.do(ask{method: "GET", path: m.unit(4, "key") + "?token=" + player.token}), 4)
	cookie := s.header.Get("Set-Cookie")
	name, _, _ := strings.Cut(cookie, ";")
	if !strings.Contains(cookie, "; Path="+m.path("/units/")+"; HttpOnly; ") {
		t.Errorf("cookie %q", cookie)
	}
	m.is(m.get(r, 4, "", "Cookie", name), 4)
	player.post(m.unit(3, "unlock"), object{"max_msat": 100}).want(200).has(object{"result": "repeated"})
	viewer.balance(800, 0)

	for _, n := range []int{2, 5} {
		m.get(r, n, player.token).refused(402, "cap_reached", "session")
	}
	other.get(r, 3, player.token).refused(402, "cap_reached", "session")
	player.get("/v1/accounts/"+player.account).refused(403, "scope_missing", "read")
	player.pay(r.user(0), 1).refused(403, "token_bound", "units")
	player.post("/v1/batches", []object{{"op": "unlock", "content": m.id.String(), "max_msat": 1}}).refused(403, "token_bound", "units")
	player.session(m, object{"max_total_msat": 1000}).refused(403, "token_bound", "units")
	player.post(m.path("/unlock"), object{"max_msat": 1}).refused(403, "token_bound", "units")
	r.do(ask{method: "GET", path: m.unit(5, "key") + "?token=" + viewer.narrowed(object{"max_msat_per_call": 100}).token}).refused(403, "token_not_bound", "URL")
	m.get(r, 5, "", "Cookie", "millrace_units="+viewer.token).refused(403, "token_not_bound", "cookie")
	viewer.session(m, object{"max_total_msat": 99}).refused(402, "price_too_high", "unit")
	viewer.session(m, object{"max_total_msat": 100, "from_unit": 10}).refused(422, "unit_unknown", "unit")
	viewer.narrowed(object{"max_msat_per_call": 99}).session(m, object{"max_total_msat": 100}).refused(403, "cap_exceeded", "token")
	viewer.balance(800, 0)
	r.later(time.Minute)
	m.get(r, 3, player.token).refused(401, "token_expired", "expired")
}

// TestPlayersPages: pages of any origin may ask, and a session's cookie counts for the pages that made it alone.
func TestPlayersPages(t *testing.T) {
	const site, strange = "https://player.example", "https://evil.example"
	r := newRig(t)
	viewer := r.user(1000)
	m := r.sellUnits(r.user(0))
	s := r.do(ask{method: "POST", path: m.path("/sessions"), token: viewer.token, body: object{"max_total_msat": 1000}, header: map[string]string{"Origin": site}}).want(201)
	name, _, _ := strings.Cut(s.header.Get("Set-Cookie"), ";")
	admitted := func(a answer, origin string) {
		t.Helper()
		if h := a.header; h.Get("Access-Control-Allow-Origin") != origin || h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Vary") != "Origin" {
			t.Errorf("%s: %v", a.name, h)
		}
	}
	admitted(s, site)
	a := m.get(r, 3, "", "Cookie", name, "Origin", site)
	m.is(a, 3)
	admitted(a, site)
	m.is(m.get(r, 3, "", "Cookie", name), 3) // a player of the browser's own
	admitted(m.get(r, 3, "", "Cookie", name, "Origin", strange).refused(402, "payment_required", ""), strange)
	admitted(m.get(r, 4, "", "Cookie", name, "Origin", strange).refused(402, "payment_required", ""), strange)
	viewer.balance(900, 0)

	for path, want := range map[string]string{m.unit(3, "key"): "GET", m.unit(3, "unlock"): "POST", m.path("/sessions"): "POST", m.path(""): "GET"} {
		req, err := http.NewRequest("OPTIONS", "http://"+r.addr+path, nil)
		r.must(err)
		req.Header.Set("Origin", site)
		req.Header.Set("Access-Control-Request-Method", want)
		req.Header.Set("Access-Control-Request-Headers", "authorization")
		resp, err := http.DefaultClient.Do(req) // the document has no OPTIONS
		r.must(err)
		resp.Body.Close()
		if h := resp.Header; resp.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != site || h.Get("Access-Control-Allow-Methods") != want ||
			!strings.Contains(h.Get("Access-Control-Allow-Headers"), "authorization") {
			t.Errorf("%s: %d %v", path, resp.StatusCode, h)
		}
	}
	if a := r.do(ask{method: "OPTIONS", path: m.unit(3, "key")}).want(405); a.header.Get("Allow") != "GET" {
		t.Errorf("no page: %v", a.header)
	}
	a = r.do(ask{method: "GET", path: "/v1/hub", header: map[string]string{"Origin": site}}).want(200)
	if a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a page may read what it has no use for")
	}
}

// TestRefusalsAreLimited: who goes on asking for keys that are refused is told to wait, and nobody else is.
func TestRefusalsAreLimited(t *testing.T) {
	r := newRig(t)
	poor, viewer := r.user(0), r.user(1000)
	m := r.sellUnits(r.user(0))
	storm := func(token string, code string) (refused, limited int) {
		for range 20 {
			switch a := m.get(r, 3, token); a.status {
			case 402:
				a.refused(402, code, "")
				refused++
			case 429:
				if a.refused(429, "too_many_refusals", "wait").header.Get("Retry-After") != "1" {
					t.Error("no Retry-After")
				}
				limited++
			}
		}
		return refused, limited
	}
	token := poor.narrowed(object{"max_msat_per_call": 100}).token
	if a, b := storm(token, "insufficient_funds"); a != 5 || b != 15 {
		t.Errorf("%d refused, %d limited", a, b)
	}
	if a, b := storm("", "payment_required"); a != 5 || b != 15 {
		t.Errorf("without a token: %d refused, %d limited", a, b)
	}
	m.is(m.get(r, 0, ""), 0)
	m.is(m.get(r, 3, viewer.narrowed(object{"max_msat_per_call": 100}).token), 3)
	r.credit(poor, 100).want(200)
	m.get(r, 3, token).refused(429, "too_many_refusals", "wait")
	r.later(time.Second)
	m.is(m.get(r, 3, token), 3)
	poor.balance(0, 0)
}

// TestUnitOnce: of many who ask at once with one account, one is charged.
func TestUnitOnce(t *testing.T) {
	r := newRig(t)
	viewer := r.user(1000)
	m := r.sellUnits(r.user(0))
	token := viewer.narrowed(object{"max_msat_per_call": 100}).token
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			a, err := r.try(ask{method: "GET", path: m.unit(7, "key"), token: token})
			if key := m.key.Unit(7); err != nil || a.status != 200 || !bytes.Equal(a.body, key[:]) {
				t.Errorf("%d, %v", a.status, err)
			}
		})
	}
	all.Wait()
	viewer.balance(900, 0)
}
