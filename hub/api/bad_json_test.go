package api_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
)

// form is an operation with a body that would be taken, to be spoiled.
type form struct {
	path, token string
	body        object
	numbers     []string // members that are whole numbers from 1
	texts       []string // members that are strings
	optional    []string // members that may be left out
}

func forms(r *rig) []form {
	a, b := r.user(1_000_000), r.user(0)
	sold, unsold := r.sell(b, 1000), r.seal([]byte("not on sale yet"))
	ch, _ := a.channel(b, 1000)
	offer := unsold.offer(1000)
	words := func(s string) []string { return strings.Fields(s) }
	key := b64(bytes.Repeat([]byte{9}, 32))
	return []form{
		{"/v1/transfers", a.token, object{"id": r.id(), "to": b.account, "amount_msat": 5}, words("amount_msat"), words("id to"), nil},
		{"/v1/channels", a.token, object{"id": r.id(), "to": b.account, "amount_msat": 5, "expires": startAt + 60_000}, words("amount_msat expires"), words("id to"), nil},
		{"/v1/channels/" + ch + "/advance", a.token, object{"total_msat": 5}, words("total_msat"), nil, nil},
		{"/v1/channels/" + ch + "/top-up", a.token, object{"id": r.id(), "amount_msat": 5}, words("amount_msat"), words("id"), nil},
		{"/v1/contents", b.token, offer, words("price_msat size"), words("header commitment title sha256"), nil},
		{sold.path("/reprice"), b.token, object{"price_msat": 5, "price_version": 1}, words("price_msat price_version"), nil, nil},
		{sold.path("/unlock"), a.token, object{"max_msat": 5000, "price_version": 1, "recipient": key, "header_sha256": strings.Repeat("0", 64)},
			words("max_msat price_version"), words("recipient header_sha256"), words("max_msat price_version recipient header_sha256")},
		{"/v1/dev/credits", r.operator, object{"id": r.id(), "account": a.account, "amount_msat": 5}, words("amount_msat"), words("id account"), nil},
		{"/v1/accounts/" + a.account + "/tokens", a.token, object{"expires": startAt + 60_000, "max_msat_per_call": 5}, words("expires max_msat_per_call"), nil, words("expires max_msat_per_call")},
		{"/v1/accounts", "", object{"invite": "x"}, nil, words("invite"), words("invite")},
		{"/v1/channels/" + ch + "/close", a.token, object{}, nil, nil, nil},
		{sold.path("/retire"), b.token, object{}, nil, nil, nil},
	}
}

// put is a body with one member set to some text of JSON, or what is meant for it.
func put(body object, name, value string) string {
	o := maps.Clone(body)
	o[name] = "\x00"
	text, _ := json.Marshal(o)
	return strings.Replace(string(text), `"\u0000"`, value, 1)
}

// still fails the test when the ledger is not as it was.
func (r *rig) still(what string, do func()) {
	r.t.Helper()
	before := r.frozen()
	do()
	if r.frozen() != before {
		r.t.Fatalf("%s changed the ledger", what)
	}
}

// TestBadMembers spoils each member of each body in turn.
func TestBadMembers(t *testing.T) {
	r := newRig(t)
	numbers := []string{"0", "-1", "-0", "1.0", "1.5", "1e3", "1E3", "01", `"5"`, `"1000"`, "null", "true", "false", "[]", "{}", "[1]", `""`, "nan", "+5", "5.", ".5",
		"9223372036854775808", "18446744073709551615", "18446744073709551616", "18446744073709551621", "99999999999999999999999999999999", "1" + strings.Repeat("0", 400)}
	notJSON := []string{"NaN", "Infinity", "-inf", "-", "5 5", "0x10", "1_000", "tru", "'5'"}
	for _, f := range forms(r) {
		bad := func(body, mention string) {
			t.Helper()
			r.still(f.path+" "+body[:min(len(body), 300)], func() {
				r.do(ask{method: "POST", path: f.path, token: f.token, body: body}).refused(400, "malformed_body", mention)
			})
		}
		for _, name := range f.numbers {
			for _, v := range numbers {
				bad(put(f.body, name, v), name)
			}
			for _, v := range notJSON {
				bad(put(f.body, name, v), "")
			}
		}
		for _, name := range f.texts {
			for _, v := range []string{"5", "null", "true", "[]", "{}", `[""]`, `""`, `"` + strings.Repeat("x", 100_000) + `"`} {
				bad(put(f.body, name, v), name)
			}
			for _, v := range []string{`"\q"`, `"\u12"`, `"\ud800"`, `"\udc00\ud800"`, "\"\xff\"", "\"\xc0\x80\"", "\"a\x00\"", "\"\n\"", `"`, `"\`, `"\"`} {
				bad(put(f.body, name, v), "JSON")
			}
		}
		for name := range f.body {
			rest := maps.Clone(f.body)
			delete(rest, name)
			text, _ := json.Marshal(rest)
			if !strings.Contains(strings.Join(f.optional, " "), name) {
				bad(string(text), name+" is missing")
			}
			if f.path != "/v1/contents" {
				bad(put(f.body, name+`":1,"`+name, "1"), "") // twice
			}
		}
		good, _ := json.Marshal(f.body)
		text := string(good)
		end := text[:len(text)-1]
		comma := map[bool]string{true: ",", false: ""}[len(f.body) > 0]
		for _, extra := range []string{`"surprise":1`, `"":1`, `"Amount_msat":5`, `"\u0000":null`, `"invitE":"x"`} {
			bad(end+comma+extra+"}", "member")
		}
		for _, body := range []string{end, text + "x", text + "{}", text + "\x00", "\xef\xbb\xbf" + text, text + ",", "[" + text, end + ",}", end + comma + `"a" 1}`,
			"{", "}", "\x00", "\xff\xfe{\x00}\x00", "nul", "{'a':1}", "{1:2}", strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 30_000),
			strings.Repeat("[", 299) + strings.Repeat("t", 100_000), "/*x*/" + text, strings.ReplaceAll(text, ":", "=") + "="} {
			bad(body, "JSON")
		}
		for _, body := range []string{"[]", "[" + text + "]", `"` + "x" + `"`, "5", "null", "true", strings.Repeat(" ", 1000) + "null\n"} {
			bad(body, "want a JSON object")
		}
	}
}

// TestBadIDs: an id is a UUIDv7 in lower case of about now.
func TestBadIDs(t *testing.T) {
	r := newRig(t)
	a, b := r.user(1000), r.user(0)
	good := r.id()
	send := func(id string) answer {
		return a.post("/v1/transfers", object{"id": id, "to": b.account, "amount_msat": 1})
	}
	v4 := good[:14] + "4" + good[15:]
	for _, id := range []string{strings.ToUpper(good), v4, good[:19] + "c" + good[20:], strings.ReplaceAll(good, "-", ""), good[:35], good + "0", " " + good[1:], "{" + good[1:35] + "}",
		strings.Replace(good, "-", "_", 1), "urn:uuid:" + good, "00000000-0000-0000-0000-000000000000", good[:8] + "g" + good[9:], "é" + good[2:]} {
		r.still(id, func() { send(id).refused(400, "malformed_body", "id") })
	}
	r.still("an id out of the window", func() {
		send(r.id(-24*time.Hour-time.Millisecond)).refused(422, "id_expired", "id").has(object{"retryable": false})
		send("00000000-0000-7000-8000-000000000000").refused(422, "id_expired", "id")
		send(r.id(30*time.Second+time.Millisecond)).refused(422, "id_ahead", "id").has(object{"retryable": true})
		send("ffffffff-ffff-7fff-bfff-ffffffffffff").refused(422, "id_ahead", "id")
	})
	send(r.id(-24 * time.Hour)).want(200)
	send(r.id(30 * time.Second)).want(200)
	b.balance(2, 0)
	// An id that was applied stays known until it is too old to be taken at all.
	id := r.id()
	send(id).want(200)
	r.later(24 * time.Hour)
	send(id).want(200).has(object{"result": "repeated"})
	r.later(time.Millisecond)
	send(id).refused(422, "id_expired", "id")
	b.balance(3, 0)
}

// TestBadNames: names of accounts, channels and contents that are mistyped, of another kind, or nobody's.
func TestBadNames(t *testing.T) {
	r := newRig(t)
	a, b := r.user(1000), r.user(0)
	w := r.sell(b, 10)
	ch, _ := a.channel(b, 10)
	bad := []string{b.account[:3] + "0", "A" + b.account[1:], strings.ToUpper(b.account), b.account + "1", b.account[:3], "a", "17", ch, "a0" + b.account[1:],
		"a" + b.account[2:3] + b.account[1:2] + b.account[3:], "azzzzzzzzz", "aaaaaaaaaaaaaaa", "h" + b.account[1:], "au0u"}
	for _, name := range bad {
		r.still(name, func() {
			a.post("/v1/transfers", object{"id": r.id(), "to": name, "amount_msat": 1}).refused(400, "malformed_body", "to: account")
			a.get("/v1/accounts/"+name).refused(400, "malformed_body", "account")
		})
	}
	for _, no := range []ledger.AccountNo{ledger.Dev, ledger.Lightning, ledger.Chain, 5, 15, 999, 1<<32 - 1} {
		r.still(no.String(), func() {
			a.post("/v1/transfers", object{"id": r.id(), "to": no.String(), "amount_msat": 1}).refused(404, "payee_unknown", "account")
			a.post("/v1/channels", object{"id": r.id(), "to": no.String(), "amount_msat": 1, "expires": startAt + 60_000}).refused(404, "payee_unknown", "account")
			r.do(ask{method: "POST", path: "/v1/dev/credits", token: r.operator, body: object{"id": r.id(), "account": no.String(), "amount_msat": 1}}).refused(404, "account_unknown", "account")
		})
	}
	r.do(ask{method: "GET", path: "/v1/accounts/" + ledger.AccountNo(999).String(), token: r.operator}).refused(404, "account_unknown", "account")
	nobody := ledger.ChannelNo(999).String()
	for _, verb := range []string{"/advance", "/top-up", "/close", ""} {
		body := map[string]any{"/advance": object{"total_msat": 1}, "/top-up": object{"id": r.id(), "amount_msat": 1}, "/close": nil}[verb]
		method := map[bool]string{true: "GET", false: "POST"}[verb == ""]
		r.still(verb, func() {
			r.do(ask{method: method, path: "/v1/channels/" + nobody + verb, token: a.token, body: body}).refused(404, "channel_unknown", "channel")
			for _, name := range []string{ch[:3] + "0", b.account, "c", "1", strings.ToUpper(ch)} {
				r.do(ask{method: method, path: "/v1/channels/" + name + verb, token: a.token, body: body}).refused(400, "malformed_body", "channel")
			}
		})
	}
	for _, verb := range []string{"/unlock", "/reprice", "/retire", ""} {
		body := map[string]any{"/unlock": object{"max_msat": 10}, "/reprice": object{"price_msat": 1, "price_version": 1}, "/retire": nil}[verb]
		method := map[bool]string{true: "GET", false: "POST"}[verb == ""]
		r.still(verb, func() {
			r.do(ask{method: method, path: "/v1/contents/" + strings.Repeat("0", 32) + verb, token: a.token, body: body}).refused(404, "content_unknown", "content")
			for _, name := range []string{"0", w.id.String()[:31], w.id.String() + "0", strings.Repeat("G", 32), strings.Repeat("A", 32)} {
				r.do(ask{method: method, path: "/v1/contents/" + name + verb, token: a.token, body: body}).refused(400, "malformed_body", "content")
			}
		})
	}
}

// TestLargestAmounts: all the bitcoin there can be is an amount; one msat more is none, and the supply never exceeds it.
func TestLargestAmounts(t *testing.T) {
	r := newRig(t)
	u, other := r.user(0), r.user(0)
	const most = uint64(ledger.MaxMsat)
	r.credit(u, most).want(200)
	u.get("/v1/accounts/" + u.account).want(200).has(object{"balance_msat": most})
	r.still("more than 21 million bitcoin", func() {
		r.credit(other, 1).refused(409, "supply_exceeded", "21 million").has(object{"retryable": true})
		r.credit(other, most+1).refused(400, "malformed_body", "amount_msat")
		other.pay(u, most).refused(402, "insufficient_funds", "enough")
	})
	u.pay(other, most).want(200)
	other.balance(int64(most), 0)
}
