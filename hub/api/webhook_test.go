package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// sink is a receiver that keeps the seqs it gets.
type sink struct {
	*httptest.Server
	mu   sync.Mutex
	seqs []uint64
	code int
}

func newSink(t *testing.T) *sink {
	k := &sink{code: 200}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		var d struct {
			Data struct{ Entries []struct{ Seq uint64 } }
		}
		if err == nil {
			err = json.Unmarshal(body, &d)
		}
		if err != nil || !strings.HasPrefix(q.Header.Get("webhook-signature"), "v1,") {
			t.Errorf("%v: %.200s", err, body)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, e := range d.Data.Entries {
			k.seqs = append(k.seqs, e.Seq)
		}
		w.WriteHeader(k.code)
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *sink) got() []uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.seqs)
}

func (k *sink) answers(code int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.code = code
}

// TestWebhooks: the life of a webhook, an account's and the operator's.
func TestWebhooks(t *testing.T) {
	r, k := newRig(t), newSink(t)
	a, b := r.user(1000), r.user(0)
	for base, who := range map[string]user{"/v1/accounts/" + b.account + "/webhooks": b, "/v1/webhooks": a.with(r.operator)} {
		before := len(k.got())
		made := who.post(base, object{"url": k.URL + "/x"}).want(201).has(object{"attempts": 0, "parked": 0, "cursor": r.hub.Seq()})
		id := made.text("webhook")
		for range 5 {
			a.pay(b, 1).want(200)
		}
		eventually(t, "all has arrived", func() bool { return len(k.got()) == before+5 })
		shown := who.get(base).want(200)
		if !strings.Contains(string(shown.body), id) || strings.Contains(string(shown.body), "whsec_") {
			t.Errorf("%s", shown.body)
		}
		rotated := who.post(base+"/"+id+"/rotate", nil).want(200)
		if rotated.text("secret") == made.text("secret") || !strings.Contains(string(rotated.body), "earlier_secrets_until") {
			t.Errorf("%s", rotated.body)
		}
		who.post(base+"/"+id+"/replay", object{"after": 0}).want(200)
		eventually(t, "it is sent again", func() bool { return len(k.got()) >= before+10 })
		k.answers(410)
		a.pay(b, 1).want(200)
		eventually(t, "it is parked", func() bool { return strings.Contains(string(who.get(base).want(200).body), `"disabled":`) })
		parked := who.get(base + "/" + id + "/parked").want(200)
		if !strings.Contains(string(parked.body), `"error":"answered 410"`) {
			t.Errorf("%s", parked.body)
		}
		k.answers(200)
		who.post(base+"/"+id+"/replay", object{"delivery": id + "_1_1"}).refused(404, "delivery_unknown", "parked")
		who.post(base+"/"+id+"/replay", nil).want(200)
		eventually(t, "nothing is parked", func() bool {
			return r.webhooks.Lag() == 0 && strings.Contains(string(who.get(base+"/"+id+"/parked").want(200).body), `[]`)
		})
		who.do(ask{method: "DELETE", path: base + "/" + id}).want(200).has(object{"webhook": id})
		who.do(ask{method: "DELETE", path: base + "/" + id}).refused(404, "webhook_unknown", "no such")
	}
}

func (u user) do(q ask) answer {
	u.r.t.Helper()
	q.token = u.token
	return u.r.do(q)
}

// TestWebhookRefusals: who may not, and what cannot be.
func TestWebhookRefusals(t *testing.T) {
	r := newRig(t)
	a, b := r.user(1000), r.user(0)
	base := "/v1/accounts/" + a.account + "/webhooks"
	id := a.post(base, object{"url": "http://127.0.0.1:1/"}).want(201).text("webhook")
	for _, q := range []ask{{method: "GET", path: base}, {method: "POST", path: base, body: object{"url": "http://127.0.0.1:1/"}},
		{method: "DELETE", path: base + "/" + id}, {method: "POST", path: base + "/" + id + "/rotate"}, {method: "POST", path: base + "/" + id + "/replay"},
		{method: "GET", path: base + "/" + id + "/parked"}} {
		b.do(q).refused(403, "foreign_account", "another")
		a.narrowed(object{"scopes": []string{"read", "pay"}}).do(q).refused(403, "token_narrowed", "outlives")
		a.narrowed(object{"expires": startAt + 3_600_000}).do(q).refused(403, "token_narrowed", "outlives")
		a.narrowed(object{"max_msat_per_call": 1_000_000}).do(q).refused(403, "token_narrowed", "cap")
		q.path = strings.Replace(q.path, "/accounts/"+a.account, "", 1)
		a.do(q).refused(403, "not_operator", "operator")
		if q.path != "/v1/webhooks" {
			a.with(r.operator).do(q).refused(404, "webhook_unknown", "no such")
		}
	}
	for _, body := range []any{object{}, object{"url": ""}, object{"url": 5}, object{"url": "http://127.0.0.1:1/", "after": -1}, object{"url": "http://127.0.0.1:1/", "x": 1},
		object{"url": "http://" + strings.Repeat("x", 1024)}} {
		a.post(base, body).refused(400, "malformed_body", "")
	}
	for _, bad := range []string{"gopher://x", "http://u:p@x/", "x"} {
		a.post(base, object{"url": bad}).refused(422, "url_refused", "not a URL")
	}
	a.post(base, object{"url": "http://127.0.0.1:1/", "after": 999}).refused(422, "cursor_ahead", "newest")
	a.post(base+"/"+id+"/replay", object{"after": 999}).refused(422, "cursor_ahead", "newest")
	a.post(base+"/"+id+"/replay", object{"after": 0, "delivery": "x"}).refused(400, "malformed_body", "not both")
	for range 15 {
		a.post(base, object{"url": "http://127.0.0.1:1/"}).want(201)
	}
	a.post(base, object{"url": "http://127.0.0.1:1/"}).refused(409, "webhooks_full", "16")
	r.restart()
	if n := strings.Count(string(a.get(base).want(200).body), `"webhook":`); n != 16 {
		t.Errorf("%d webhooks after a restart", n)
	}
	a.with(r.operator).do(ask{method: "DELETE", path: fmt.Sprintf("%s/%s", base, id)}).want(200)
}
