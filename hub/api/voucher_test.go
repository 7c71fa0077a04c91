package api_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/channels/voucher"
	"github.com/millrace/millrace/ledger"
)

// signed opens a signed channel, and returns its path, its number and the key of its vouchers.
func (u user) signed(to user, msat uint64, terms object) (string, ledger.ChannelNo, voucher.PrivateKey) {
	u.r.t.Helper()
	k := voucher.NewKey()
	open := object{"id": u.r.id(), "to": to.account, "amount_msat": msat, "expires": u.r.millis.Load() + 3_600_000, "mode": "signed", "key": k.Public().String()}
	for name, v := range terms {
		open[name] = v
	}
	a := u.post("/v1/channels", open).want(201)
	u.post("/v1/channels", open).want(200).has(object{"result": "repeated", "channel": a.text("channel")})
	return "/v1/channels/" + a.text("channel"), ledger.ChannelNo(a.num("number")), k
}

// word is a voucher as a body.
func word(t *testing.T, k voucher.PrivateKey, hub string, no ledger.ChannelNo, total ledger.Msat) string {
	t.Helper()
	v, err := k.Sign(hub, no, total)
	if err != nil {
		t.Fatal(err)
	}
	return voucher.Format(hub, &v)
}

// TestSignedChannel: vouchers alone move it, the newest is kept, and closing pays exactly what was last signed.
func TestSignedChannel(t *testing.T) {
	r := newRig(t)
	a, b, stranger := r.user(10_000), r.user(0), r.user(1000)
	path, no, k := a.signed(b, 4000, object{"per_minute_msat": 3000})
	a.get(path).want(200).has(object{"mode": "signed", "key": k.Public().String(), "per_minute_msat": 3000})
	b.get(path+"/voucher").refused(404, "voucher_unknown", "shown")
	a.post(path+"/advance", object{"total_msat": 5}).refused(409, "wrong_mode", "vouchers")
	b.post(path+"/advance", object{"total_msat": 5}).refused(409, "wrong_mode", "vouchers")
	a.post(path+"/close", nil).refused(409, "wrong_mode", "payee")
	_, other, _ := a.signed(b, 1000, nil)
	before := r.frozen()
	for what, bad := range map[string]string{
		"another channel":   strings.Replace(word(t, k, origin, other, 100), other.String(), no.String(), 1),
		"another hub":       strings.Replace(word(t, k, "https://else.example", no, 100), "https://else.example", origin, 1),
		"another total":     strings.Replace(word(t, k, origin, no, 100), ":100,", ":101,", 1),
		"another key":       word(t, voucher.NewKey(), origin, no, 100),
		"bent":              word(t, k, origin, no, 100)[:len(word(t, k, origin, no, 100))-4] + `00"}`,
		"none":              fmt.Sprintf(`{"total_msat":100,"signature":"%0128d"}`, 0),
		"named for another": word(t, k, origin, other, 100),
		"named for a hub":   word(t, k, "https://else.example", no, 100),
	} {
		got := b.post(path+"/vouchers", bad)
		if got.refused(422, "voucher_invalid", "signature"); r.frozen() != before {
			t.Fatalf("%s: changed the ledger", what)
		}
	}
	stranger.post(path+"/vouchers", word(t, k, origin, no, 100)).refused(403, "not_permitted", "another account")
	stranger.get(path+"/voucher").refused(403, "not_permitted", "another account")
	b.post("/v1/channels/"+ledger.ChannelNo(999).String()+"/vouchers", object{"total_msat": 1, "signature": strings.Repeat("1", 128)}).refused(404, "channel_unknown", "no such")
	b.post(path+"/vouchers", object{"total_msat": 1, "signature": strings.Repeat("1", 127)}).refused(400, "malformed_body", "signature")

	first, second := word(t, k, origin, no, 1000), word(t, k, origin, no, 2999)
	b.post(path+"/vouchers", first).want(200).has(object{"result": "applied", "paid_msat": 1000, "total_msat": 1000})
	b.post(path+"/vouchers", first).want(200).has(object{"result": "repeated", "paid_msat": 0})
	a.post(path+"/vouchers", second).want(200).has(object{"result": "applied", "paid_msat": 1999})
	before = r.frozen()
	b.post(path+"/vouchers", first).refused(409, "total_below", "higher")
	b.post(path+"/vouchers", word(t, k, origin, no, 4001)).refused(402, "total_above", "funded")
	if got := b.post(path+"/vouchers", word(t, k, origin, no, 3001)).refused(429, "rate_exceeded", "minute").has(object{"retryable": true}); got.header.Get("Retry-After") != "60" {
		t.Error("no Retry-After with a rate")
	}
	if r.frozen() != before {
		t.Fatal("a refusal changed the ledger")
	}
	for _, u := range []user{a, b} {
		if got := u.get(path + "/voucher").want(200); string(got.body) != second {
			t.Fatalf("kept %s, want %s", got.body, second)
		}
	}
	r.later(time.Minute)
	b.get(path + "/voucher").want(200).has(object{"total_msat": 2999})
	b.post(path+"/vouchers", word(t, k, origin, no, 3001)).want(200).has(object{"paid_msat": 2})
	b.post(path+"/close", nil).want(200).has(object{"refunded_msat": 999})
	b.balance(3001, 0)
	a.balance(10_000-3001-1000, 1000)
	b.post(path+"/vouchers", word(t, k, origin, no, 3500)).refused(409, "channel_closed", "closed")
	b.get(path + "/voucher").want(200).has(object{"total_msat": 3001})
}

// TestPayeeAdvances: on the payee's word, within the funds and the limit; and a limit alone binds the payer.
func TestPayeeAdvances(t *testing.T) {
	r := newRig(t)
	a, b := r.user(10_000), r.user(0)
	open := object{"id": r.id(), "to": b.account, "amount_msat": 1000, "expires": startAt + 3_600_000, "mode": "payee_advances"}
	path := "/v1/channels/" + a.post("/v1/channels", open).want(201).text("channel")
	a.get(path).want(200).has(object{"mode": "payee_advances"})
	a.post(path+"/advance", object{"total_msat": 5}).refused(409, "wrong_mode", "mode")
	b.narrowed(object{"max_msat_per_call": 1}).post(path+"/advance", object{"total_msat": 900}).want(200).has(object{"paid_msat": 900}) // he is paid: no cap of his binds it
	b.post(path+"/advance", object{"total_msat": 1001}).refused(402, "total_above", "funded")
	b.post(path+"/vouchers", object{"total_msat": 950, "signature": strings.Repeat("1", 128)}).refused(409, "wrong_mode", "mode")
	a.post(path+"/close", nil).want(200).has(object{"refunded_msat": 100})

	open = object{"id": r.id(), "to": b.account, "amount_msat": 1000, "expires": startAt + 3_600_000, "per_minute_msat": 10}
	path = "/v1/channels/" + a.post("/v1/channels", open).want(201).text("channel")
	a.get(path).want(200).has(object{"mode": "payer_advances", "per_minute_msat": 10})
	a.post(path+"/advance", object{"total_msat": 11}).refused(429, "rate_exceeded", "minute")
	a.post(path+"/advance", object{"total_msat": 10}).want(200)
	for what, bad := range map[string]object{
		"mode": {"mode": "trust"}, "key": {"mode": "signed"}, "key is": {"key": strings.Repeat("1", 64)}, "key must": {"mode": "signed", "key": "1"},
		"point": {"mode": "signed", "key": strings.Repeat("0", 64)}, "per_minute_msat": {"per_minute_msat": 0},
	} {
		bad["id"], bad["to"], bad["amount_msat"], bad["expires"] = r.id(), b.account, 5, startAt+3_600_000
		a.post("/v1/channels", bad).refused(400, "malformed_body", what)
	}
}

// TestRenew: an expiry is put off until it comes, and money that would have gone back stays.
func TestRenew(t *testing.T) {
	r := newRig(t)
	a, b := r.user(10_000), r.user(0)
	name, _ := a.channel(b, 1000)
	path := "/v1/channels/" + name
	b.post(path+"/renew", object{"expires": startAt + 7_200_000}).refused(403, "not_permitted", "another account")
	a.post(path+"/renew", object{"expires": startAt + 3_599_000}).refused(422, "expiry_invalid", "puts it off")
	a.post(path+"/renew", object{"expires": startAt + 7_199_001}).want(200).has(object{"result": "applied", "expires": startAt + 7_200_000})
	a.post(path+"/renew", object{"expires": startAt + 7_200_000}).want(200).has(object{"result": "repeated"})
	r.later(time.Hour + time.Minute)
	a.post(path+"/advance", object{"total_msat": 5}).want(200)
	b.get("/v1/accounts/" + b.account + "/entries").want(200)
	if got := string(a.get(path + "/entries").want(200).body); !strings.Contains(got, `"kind":"renew"`) {
		t.Errorf("no renewal in the channel's history: %s", got)
	}
	r.later(time.Hour)
	a.post(path+"/renew", object{"expires": r.millis.Load() + 3_600_000}).refused(410, "channel_expired", "time")
}

// TestVoucherBatches: in each encoding a voucher stands among other ops, each with its own outcome.
func TestVoucherBatches(t *testing.T) {
	r := newRig(t)
	a, b := r.user(100_000), r.user(1000)
	for round, kind := range []string{"application/json", lines, binaryOps} {
		_, no, k := a.signed(b, 4000, nil)
		var array []string
		var records []byte
		add := func(total ledger.Msat, bend byte) {
			v, err := k.Sign(origin, no, total)
			if err != nil {
				t.Fatal(err)
			}
			v.Signature[40] ^= bend
			array = append(array, fmt.Sprintf(`{"op":"voucher","channel":"%v","total_msat":%d,"signature":"%x"}`, no, total, v.Signature))
			records = append(append(records, record(byte(ledger.OpVoucher), uint32(no), uint64(total), [16]byte{})...), v.Signature[:]...)
		}
		add(10, 0)
		add(20, 1)
		id, _ := ledger.ParseOpID(r.id())
		array = append(array, fmt.Sprintf(`{"op":"transfer","id":"%v","to":"%s","amount_msat":3}`, id, a.account))
		records = append(records, record(byte(ledger.OpTransfer), uint32(a.no), 3, id)...)
		add(5000, 0)
		add(30, 0)
		body := map[string]string{"application/json": "[" + strings.Join(array, ",") + "]", lines: strings.Join(array, "\n"), binaryOps: string(records)}[kind]
		got := r.do(ask{method: "POST", path: "/v1/batches", token: b.token, kind: kind, body: []byte(body)}).want(200)
		if kind == binaryOps {
			le := binary.LittleEndian
			if le.Uint32(got.body) != 5 || le.Uint32(got.body[4:]) != 3 || le.Uint32(got.body[12:]) != 2 ||
				le.Uint32(got.body[24:]) != 1 || le.Uint32(got.body[28:]) != uint32(ledger.VoucherInvalid) ||
				le.Uint32(got.body[32:]) != 3 || le.Uint32(got.body[36:]) != uint32(ledger.TotalAbove) {
				t.Errorf("binary: %x", got.body)
			}
		} else if n := bytes.Count(got.body, []byte(`"result":"applied"`)); n != 3 || !bytes.Contains(got.body, []byte("voucher_invalid")) {
			t.Errorf("%s: %s", kind, got.body)
		}
		b.balance(1000+int64(30-3)*int64(round+1), 0)
		if kind == binaryOps {
			for _, bad := range [][]byte{records[:64], append([]byte{18, 1}, records[2:96]...), records[32:128]} {
				r.do(ask{method: "POST", path: "/v1/batches", token: b.token, kind: kind, body: bad}).refused(400, "malformed_body", "record")
			}
		}
	}
	one := fmt.Sprintf(`{"op":"voucher","channel":"c101","total_msat":1,"signature":"%s"}`, strings.Repeat("1", 128))
	many := strings.TrimSuffix(strings.Repeat(one+"\n", 1025), "\n")
	r.do(ask{method: "POST", path: "/v1/batches", token: b.token, kind: lines, body: []byte(many)}).refused(413, "batch_too_large", "vouchers")
	flat := bytes.Repeat(append(record(18, 1, 1, [16]byte{}), bytes.Repeat([]byte{1}, 64)...), 1025)
	r.do(ask{method: "POST", path: "/v1/batches", token: b.token, kind: binaryOps, body: flat}).refused(413, "batch_too_large", "vouchers")
}

// TestVouchersAtOnce: many at once, in any order, come to the highest total, and each msat is paid once.
func TestVouchersAtOnce(t *testing.T) {
	r := newRig(t)
	a, b := r.user(10_000), r.user(0)
	path, no, k := a.signed(b, 4000, nil)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for j := range 4 {
				v := word(t, k, origin, no, ledger.Msat(1+(i*7+j*13)%64))
				got, err := r.try(ask{method: "POST", path: path + "/vouchers", token: pick(i, a, b).token, body: json.RawMessage(v)})
				if err != nil || got.status != 200 && got.status != 409 {
					t.Errorf("%d %s, %v", got.status, got.body, err)
				}
			}
		})
	}
	all.Wait()
	b.post(path+"/vouchers", word(t, k, origin, no, 64)).want(200)
	b.balance(64, 0)
	a.balance(6000, 4000-64)
	r.restart()
	v, _ := r.hub.Voucher(no)
	if hex.EncodeToString(v.Signature[:]) != b.get(path+"/voucher").want(200).text("signature") || v.Total != 64 || !voucher.Verify(origin, &v) {
		t.Error("the voucher kept is not that of the total")
	}
}

func pick(i int, of ...user) user { return of[i%len(of)] }
