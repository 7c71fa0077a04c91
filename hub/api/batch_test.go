package api_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
)

const (
	lines         = "application/x-ndjson"
	binaryOps     = "application/vnd.millrace.ops"
	binaryResults = "application/vnd.millrace.results"
)

// payment is one op of a batch, from which every encoding is made.
type payment struct {
	kind   byte
	target uint32 // account, channel, or price version
	name   string // of the account, channel or content
	amount uint64
	id     [16]byte
}

func (p payment) json() object {
	switch p.kind {
	case 1:
		return object{"op": "transfer", "id": ledger.OpID(p.id).String(), "to": p.name, "amount_msat": p.amount}
	case 2:
		return object{"op": "advance", "channel": p.name, "total_msat": p.amount}
	}
	o := object{"op": "unlock", "content": ledger.ContentID(p.id).String()}
	if p.target > 0 {
		o["price_version"] = p.target
	}
	if p.amount > 0 {
		o["max_msat"] = p.amount
	}
	return o
}

func (p payment) record() []byte { return record(p.kind, p.target, p.amount, p.id) }

func record(kind byte, target uint32, amount uint64, id [16]byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{kind, 0, 0, 0}, target)
	return append(binary.LittleEndian.AppendUint64(b, amount), id[:]...)
}

func asLines(ops []payment) (b []byte) {
	for _, p := range ops {
		line, _ := json.Marshal(p.json())
		b = append(append(b, line...), '\n')
	}
	return b
}

func asArray(ops []payment) []byte {
	all := make([]object, len(ops))
	for i, p := range ops {
		all[i] = p.json()
	}
	b, _ := json.Marshal(all)
	return b
}

func asRecords(ops []payment) (b []byte) {
	for _, p := range ops {
		b = append(b, p.record()...)
	}
	return b
}

// TestBinaryLayout pins records, summary and refusals byte by byte.
func TestBinaryLayout(t *testing.T) {
	r := newRig(t)
	a, b := r.user(1000), r.user(0) // accounts 16 and 17
	w := r.sell(b, 700)
	a.channel(b, 100) // channel 1
	body := []byte{
		2, 0, 0, 0 /* target */, 1, 0, 0, 0 /* total */, 60, 0, 0, 0, 0, 0, 0, 0 /* id */, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		2, 0, 0, 0 /* target */, 1, 0, 0, 0 /* total */, 59, 0, 0, 0, 0, 0, 0, 0 /* id */, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		1, 0, 0, 0 /* target */, 17, 0, 0, 0 /* amount */, 0, 1, 0, 0, 0, 0, 0, 0, /* id of 1,800,000,000,000 ms */
		0x01, 0xa3, 0x18, 0x5c, 0x50, 0x00, 0x7a, 0xbc, 0x8d, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
		2, 0, 0, 0 /* target */, 1, 0, 0, 0 /* total */, 60, 0, 0, 0, 0, 0, 0, 0 /* id */, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		1, 0, 0, 0 /* target */, 99, 0, 0, 0 /* amount */, 0, 1, 0, 0, 0, 0, 0, 0,
		0x01, 0xa3, 0x18, 0x5c, 0x50, 0x00, 0x7a, 0xbc, 0x8d, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xac,
	}
	body = append(body, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	body = append(body, w.id[:]...)
	if len(body) != 6*32 {
		t.Fatal(len(body))
	}
	seq := r.state().Seq()
	got := r.do(ask{method: "POST", path: "/v1/batches", token: a.token, kind: binaryOps, body: body}).want(200)
	want := []byte{
		6, 0, 0, 0 /* applied */, 2, 0, 0, 0 /* repeated */, 1, 0, 0, 0 /* refused */, 3, 0, 0, 0 /* seq */, byte(seq + 2), 0, 0, 0, 0, 0, 0, 0,
		1, 0, 0, 0 /* total_below */, 50, 0, 0, 0,
		4, 0, 0, 0 /* payee_unknown */, 31, 0, 0, 0,
		5, 0, 0, 0 /* insufficient_funds */, 54, 0, 0, 0,
	}
	if !bytes.Equal(got.body, want) || got.header.Get("Content-Type") != binaryResults {
		t.Errorf("%s\n% x, want\n% x", got.header.Get("Content-Type"), got.body, want)
	}
	a.balance(1000-100-256, 40)
	b.balance(60+256, 0)
}

// TestBatches: the same mixed batch in three encodings on three hubs prepared alike has the same outcomes, op by op.
func TestBatches(t *testing.T) {
	type outcome struct {
		results []string
		digest  object
	}
	var all []outcome
	var random [10]byte
	transferID := func(n byte) [16]byte { random[9] = n; return ledger.NewOpID(startAt, random) }
	for _, kind := range []string{"application/json", lines, binaryOps} {
		r := newRig(t)
		a, b := r.user(100_000), r.user(0)
		w, dear := r.sell(b, 700), r.sell(b, 90_000)
		ch, chNo := a.channel(b, 5000)
		to := func(n byte, amount uint64) payment {
			return payment{kind: 1, target: uint32(b.no), name: b.account, amount: amount, id: transferID(n)}
		}
		advance := func(total uint64) payment { return payment{kind: 2, target: chNo, name: ch, amount: total} }
		ops := []payment{
			to(1, 100), to(1, 100), to(1, 101), to(2, 1_000_000),
			{kind: 1, target: uint32(a.no), name: a.account, amount: 1, id: transferID(3)},
			{kind: 1, target: 999, name: ledger.AccountNo(999).String(), amount: 1, id: transferID(4)},
			{kind: 1, target: uint32(b.no), name: b.account, amount: 1, id: ledger.NewOpID(startAt-25*3_600_000, random)},
			{kind: 1, target: uint32(b.no), name: b.account, amount: 1, id: ledger.NewOpID(startAt+3_600_000, random)},
			advance(1000), advance(1000), advance(999), advance(2000), advance(5001),
			{kind: 2, target: 77, name: ledger.ChannelNo(77).String(), amount: 1},
			{kind: 3, target: 1, id: w.id}, {kind: 3, amount: 700, id: w.id}, {kind: 3, target: 2, id: dear.id},
			{kind: 3, amount: 89_999, id: dear.id}, {kind: 3, target: 1, id: [16]byte{1}}, {kind: 3, target: 1, amount: 90_000, id: dear.id},
			to(5, 8000), to(6, 2000),
		}
		body := map[string]func([]payment) []byte{"application/json": asArray, lines: asLines, binaryOps: asRecords}[kind](ops)
		got := r.do(ask{method: "POST", path: "/v1/batches", token: a.token, kind: kind, body: body}).want(200)
		results := outcomes(t, kind, got.body)
		all = append(all, outcome{results: results})
		if kind != binaryOps {
			for i, line := range strings.Split(strings.TrimSpace(string(got.body)), "\n") {
				if kind == lines && ops[i].kind == 3 && strings.Contains(line, "seq") != strings.Contains(line, "file_key") {
					t.Errorf("an unlock without its key, or a key without one: %s", line)
				}
			}
		}
		state := r.state()
		account, _ := state.Account(a.no)
		other, _ := state.Account(b.no)
		all[len(all)-1].digest = object{"a": account.Available, "held": account.Held, "b": other.Available, "seq": state.Seq()}
	}
	want := []string{"applied", "repeated", "id_reused", "insufficient_funds", "same_account", "payee_unknown", "id_expired", "id_ahead",
		"applied", "repeated", "total_below", "applied", "total_above", "channel_unknown",
		"applied", "repeated", "price_changed", "price_too_high", "content_unknown",
		"applied", "insufficient_funds", "applied"}
	if !slices.Equal(all[0].results, want) {
		t.Errorf("results %q,\n  want %q", all[0].results, want)
	}
	merge := func(results []string) []string { // binary does not say which were repeats
		out := slices.Clone(results)
		for i := range out {
			if out[i] == "repeated" {
				out[i] = "applied"
			}
		}
		return out
	}
	for _, o := range all[1:] {
		if !slices.Equal(merge(o.results), merge(all[0].results)) {
			t.Errorf("results differ:\n%q\n%q", o.results, all[0].results)
		}
		if !maps.Equal(o.digest, all[0].digest) {
			t.Errorf("ledgers differ: %v and %v", o.digest, all[0].digest)
		}
	}
}

// outcomes are a batch's results by name; in binary what is not refused counts as applied.
func outcomes(t *testing.T, kind string, body []byte) (names []string) {
	t.Helper()
	one := func(data []byte) {
		var o struct{ Result string }
		if err := json.Unmarshal(data, &o); err != nil {
			t.Fatal(err)
		}
		names = append(names, o.Result)
	}
	switch kind {
	case "application/json":
		var o struct{ Results []json.RawMessage }
		if err := json.Unmarshal(body, &o); err != nil {
			t.Fatal(err)
		}
		for _, r := range o.Results {
			one(r)
		}
	case lines:
		for _, line := range bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n")) {
			one(line)
		}
	case binaryOps:
		le := binary.LittleEndian
		for range le.Uint32(body) {
			names = append(names, "applied")
		}
		for b := body[24:]; len(b) > 0; b = b[8:] {
			names[le.Uint32(b)] = ledger.Result(le.Uint16(b[4:])).String()
		}
	}
	return names
}

// TestLargestBatch: exactly as many ops as may be, in each encoding.
func TestLargestBatch(t *testing.T) {
	r := newRig(t)
	a, b := r.user(1_000_000), r.user(0)
	ch, no := a.channel(b, 500_000)
	total := uint64(0)
	for kind, encode := range map[string]func([]payment) []byte{"application/json": asArray, lines: asLines, binaryOps: asRecords} {
		ops := make([]payment, hub.MaxBatchOps)
		for i := range ops {
			total++
			ops[i] = payment{kind: 2, target: no, name: ch, amount: total}
		}
		r.do(ask{method: "POST", path: "/v1/batches", token: a.token, kind: kind, body: encode(ops)}).want(200)
	}
	b.balance(3*hub.MaxBatchOps, 0)
}
