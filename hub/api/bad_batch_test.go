package api_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/millrace/millrace/hub"
)

// TestBadBatches: what cannot be read whole is refused whole.
func TestBadBatches(t *testing.T) {
	r := newRig(t)
	a, b := r.user(1_000_000), r.user(0)
	ch, no := a.channel(b, 1000)
	good := payment{kind: 2, target: no, name: ch, amount: 1}
	refuse := func(kind string, body []byte, mention string) {
		t.Helper()
		r.still(kind+" "+string(body[:min(len(body), 200)]), func() {
			r.do(ask{method: "POST", path: "/v1/batches", token: a.token, kind: kind, body: body}).refused(400, "malformed_body", mention)
		})
	}
	many := make([]payment, hub.MaxBatchOps+1)
	for i := range many {
		many[i] = payment{kind: 2, target: no, name: ch, amount: uint64(i + 1)}
	}
	for kind, encode := range map[string]func([]payment) []byte{"application/json": asArray, lines: asLines, binaryOps: asRecords} {
		r.still("a batch too large", func() {
			r.do(ask{method: "POST", path: "/v1/batches", token: a.token, kind: kind, body: encode(many)}).refused(413, "batch_too_large", "8192")
		})
		refuse(kind, nil, "")
	}
	r.still("200,000 values", func() {
		r.do(ask{method: "POST", path: "/v1/batches", token: a.token, body: "[" + strings.Repeat("0,", 200_000) + "0]"}).refused(413, "batch_too_large", "8192")
	})

	record := good.record()
	for _, size := range []int{1, 31, 33, 63, 65} {
		refuse(binaryOps, bytes.Repeat(record, 3)[:size], "32")
	}
	for kind := range 256 {
		if kind < 1 || kind > 3 {
			refuse(binaryOps, append(bytes.Clone(record), append([]byte{byte(kind)}, record[1:]...)...), "record 1")
		}
	}
	for i := range 32 { // padding, and the id that an advance does not have
		if i >= 1 && i <= 3 || i >= 16 {
			spoiled := bytes.Clone(record)
			spoiled[i] = 0x80
			refuse(binaryOps, append(bytes.Clone(record), spoiled...), "record 1")
		}
	}

	text := strings.TrimSpace(string(asLines([]payment{good})))
	transfer, _ := json.Marshal(payment{kind: 1, name: b.account, amount: 1, id: [16]byte{6: 0x70, 8: 0x80}}.json())
	unlock := `{"op":"unlock","content":"` + strings.Repeat("0", 32) + `"`
	for line, mention := range map[string]string{
		"": "JSON", " ": "JSON", "\r": "JSON", "{": "JSON", text + text: "JSON", text + ",": "JSON", "[" + text + "]": "object", "null": "object", "5": "object", `"x"`: "object",
		"{}": "op", `{"op":"credit"}`: "op", `{"op":"TRANSFER"}`: "op", `{"op":null}`: "op", `{"op":2}`: "op",
		`{"op":"advance","channel":"` + ch + `"}`: "total_msat", `{"op":"advance","total_msat":1}`: "channel",
		`{"op":"advance","channel":"c1","total_msat":1}`: "channel", `{"op":"advance","channel":1,"total_msat":1}`: "channel",
		text[:len(text)-1] + `,"id":"x"}`: "member", text[:len(text)-1] + `,"op":"advance"}`: "member", strings.Replace(text, ":1}", ":0}", 1): "total_msat",
		strings.Replace(text, ":1}", ":-1}", 1): "total_msat", strings.Replace(text, ":1}", ":1.0}", 1): "total_msat", strings.Replace(text, ":1}", `:"1"}`, 1): "total_msat",
		strings.Replace(text, ":1}", ":18446744073709551617}", 1): "total_msat",
		strings.Replace(string(transfer), b.account, "a17", 1):    "account", strings.Replace(string(transfer), `"id":"0`, `"id":"x`, 1): "id",
		unlock + "}": "price", unlock + `,"max_msat":0}`: "max_msat", unlock + `,"price_version":4294967296}`: "price_version", unlock + `,"recipient":"x"}`: "price",
		`{"op":"unlock","content":"` + strings.Repeat("F", 32) + `","max_msat":1}`: "content",
		strings.Repeat("[", 400): "JSON", `{"op":"adv\ance"}`: "JSON", "{\"op\":\"\xff\"}": "JSON", strings.Repeat(" ", 100_000) + "x": "JSON",
	} {
		refuse(lines, []byte(text+"\n"+line+"\n"+text+"\n"), mention)
		refuse(lines, []byte(text+"\n"+line+"\n"+text), "op 1")
		refuse("application/json", []byte("["+text+","+line+","+text+"]"), mention)
	}
	refuse(lines, []byte("\n"), "op 0")
	refuse(lines, []byte(text+"\n\n"), "op 1")
	refuse(lines, []byte("\n"+text), "op 0")
	for _, body := range []string{"", "[]", "{}", text, "null", "[" + text, "[" + text + ",]", "[,]", "[" + text + "]]", text + "\n" + text} {
		refuse("application/json", []byte(body), "")
	}
	b.balance(0, 0)
	for _, last := range []string{text, text + "\n", text + "\r\n"} {
		r.do(ask{method: "POST", path: "/v1/batches", token: a.token, kind: lines, body: last}).want(200)
	}
	b.balance(1, 0)
}

// TestBinaryRefusals: in binary every amount and id can be read, so what is out of bounds is that op's refusal.
func TestBinaryRefusals(t *testing.T) {
	r := newRig(t)
	a, b := r.user(1_000_000), r.user(0)
	w := r.sell(b, 10)
	_, no := a.channel(b, 1000)
	id := [16]byte{0x01, 0xa3, 0x18, 0x5c, 0x50, 0x00, 0x70, 0, 0x80}
	want := []string{"amount_zero", "amount_too_large", "amount_too_large", "id_invalid", "id_invalid", "payee_unknown", "payee_unknown", "amount_zero", "amount_too_large",
		"channel_unknown", "channel_unknown", "op_malformed", "amount_too_large", "content_unknown", "same_account"}
	body := bytes.Join([][]byte{
		record(1, uint32(b.no), 0, id), record(1, uint32(b.no), 2_100_000_000_000_000_001, id), record(1, uint32(b.no), 1<<64-1, id),
		record(1, uint32(b.no), 1, [16]byte{}), record(1, uint32(b.no), 1, [16]byte{0x01, 0xa3, 0x18, 0x5c, 0x50, 0x00, 0x40, 0, 0x80}),
		record(1, 0, 1, id), record(1, 1<<32-1, 1, id),
		record(2, no, 0, [16]byte{}), record(2, no, 1<<64-1, [16]byte{}), record(2, 0, 1, [16]byte{}), record(2, 1<<32-1, 1, [16]byte{}),
		record(3, 0, 0, w.id), record(3, 0, 1<<63, w.id), record(3, 1, 0, id), record(1, uint32(a.no), 1, id),
	}, nil)
	r.still("refused ops", func() {
		got := r.do(ask{method: "POST", path: "/v1/batches", token: a.token, kind: binaryOps, body: body}).want(200)
		if names := outcomes(t, binaryOps, got.body); strings.Join(names, " ") != strings.Join(want, " ") {
			t.Errorf("results %q,\n   want %q", names, want)
		}
	})
}
