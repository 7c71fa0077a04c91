package statement

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
	"github.com/parquet-go/parquet-go"
)

// read is a line as a reader of a statement finds it: seq, time_ms, kind, object, other, id, the changes and the balances.
type read struct {
	seq, millis             uint64
	kind, object, other, id string
	change, after           [2]int64
}

// asRead says what a line should be read as.
func asRead(l *ledger.Line) read {
	r := read{seq: l.Seq, millis: l.Time, kind: l.Kind.String(), change: l.Change, after: l.After}
	if l.Other != 0 {
		r.other = l.Other.String()
	}
	if l.ID != (ledger.OpID{}) {
		r.id = l.ID.String()
	}
	switch {
	case l.Kind == ledger.OpTransfer, l.Kind == ledger.OpCredit, l.Kind == ledger.OpDebit:
	case l.Kind == ledger.OpOpenAccount:
		r.object = ledger.AccountNo(l.Object).String()
	case l.Kind == ledger.OpHold, l.Kind == ledger.OpCapture, l.Kind == ledger.OpVoid:
		r.object = ledger.HoldNo(l.Object).String()
	case l.Kind == ledger.OpRate:
		r.object = ledger.CurrencyOf(l.Object).String()
	case l.Kind.Claim():
		r.object = ledger.ClaimNo(l.Object).String()
	case l.Kind.Content():
		r.object = fmt.Sprint(l.Object)
		if id, ok := contents(l.Object); ok {
			r.object = id.String()
		}
	default:
		r.object = ledger.ChannelNo(l.Object).String()
	}
	return r
}

func compare(t *testing.T, lines []ledger.Line, got []read) {
	t.Helper()
	if len(got) != len(lines) {
		t.Fatalf("%d lines, want %d", len(got), len(lines))
	}
	for i := range lines {
		if want := asRead(&lines[i]); got[i] != want {
			t.Fatalf("line %d: %+v, want %+v", i, got[i], want)
		}
	}
}

func parse[N any](t *testing.T, f func(string, int, int) (N, error), s string) N {
	t.Helper()
	n, err := f(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func rfc3339(t *testing.T, s string, millis uint64) {
	t.Helper()
	if at, err := time.Parse(time.RFC3339Nano, s); err != nil || uint64(at.UnixMilli()) != millis || !strings.HasSuffix(s, "Z") {
		t.Errorf("%q, %v: want %d ms", s, err, millis)
	}
}

func TestCSV(t *testing.T) {
	for _, channel := range []bool{false, true} {
		h, lines, closing := sample(rand.New(rand.NewPCG(5, 5)), 500, channel)
		b := must(t, CSV, h, lines, closing)
		if bytes.Count(b, []byte("\n")) != len(lines)+3 || bytes.Count(b, []byte("\r\n")) != len(lines)+3 {
			t.Error("not a CRLF behind every record, and nowhere else")
		}
		records, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var got []read
		word, name := h.subject()
		for i, r := range records[1:] {
			if r[0] != h.Hub || records[0][1] != word || r[1] != name {
				t.Fatalf("record %d: %q", i, r)
			}
			millis := parse(t, strconv.ParseUint, r[4])
			rfc3339(t, r[3], millis)
			after := [2]int64{parse(t, strconv.ParseInt, r[11]), parse(t, strconv.ParseInt, r[12])}
			switch i {
			case 0, len(lines) + 1:
				want := map[int]string{0: fmt.Sprint(h.From, "opening", h.Opening), len(lines) + 1: fmt.Sprint(h.Until, "closing", closing)}[i]
				if got := fmt.Sprint(millis, r[5], after); got != want || strings.Join(r[6:11], "")+r[2] != "" {
					t.Errorf("%q, want %s", r, want)
				}
			default:
				got = append(got, read{parse(t, strconv.ParseUint, r[2]), millis, r[5], r[6], r[7], r[8],
					[2]int64{parse(t, strconv.ParseInt, r[9]), parse(t, strconv.ParseInt, r[10])}, after})
			}
		}
		compare(t, lines, got)
	}
}

// TestCSVHostile: what is in a field stays in it, and no spreadsheet takes it for a formula.
func TestCSVHostile(t *testing.T) {
	for _, hub := range []string{
		`=cmd|' /C calc'!A0`, `+1+1`, `-2+3`, `@SUM(1)`, `"`, `a,b`, `=HYPERLINK("https://evil.example","x"),=1`, `'=1`, ` =1`, `ä;ö`,
	} {
		h, lines, closing := sample(rand.New(rand.NewPCG(6, 6)), 20, false)
		h.Hub = hub
		records, err := csv.NewReader(bytes.NewReader(must(t, CSV, h, lines, closing))).ReadAll()
		if err != nil || len(records) != len(lines)+3 {
			t.Fatalf("%s: %d records, %v", hub, len(records), err)
		}
		for _, r := range records[1:] {
			if r[0] != hub && r[0] != "'"+hub {
				t.Errorf("%q became %q", hub, r[0])
			}
			for i, f := range r {
				if _, err := strconv.ParseInt(f, 10, 64); err != nil && f != "" && strings.Contains("=+-@\t\r", f[:1]) {
					t.Errorf("%s: field %d begins a formula: %q", hub, i, f)
				}
			}
		}
	}
}

func TestJSON(t *testing.T) {
	for _, channel := range []bool{false, true} {
		for _, n := range []int{0, 1, 700} {
			h, lines, closing := sample(rand.New(rand.NewPCG(7, uint64(n))), n, channel)
			h.Hub = `https://"hub"\example,{`
			changes, balances := h.columns()
			word, name := h.subject()
			d := json.NewDecoder(bytes.NewReader(must(t, JSON, h, lines, closing)))
			d.UseNumber()
			var doc map[string]any
			if err := d.Decode(&doc); err != nil {
				t.Fatal(err)
			}
			number := func(m map[string]any, name string) int64 {
				v, ok := m[name].(json.Number)
				if !ok {
					t.Fatalf("no number %s in %v", name, m)
				}
				return parse(t, strconv.ParseInt, v.String())
			}
			pair := func(m any, names [2]string) [2]int64 {
				return [2]int64{number(m.(map[string]any), names[0]), number(m.(map[string]any), names[1])}
			}
			text := func(m map[string]any, name string) string { s, _ := m[name].(string); return s }
			var got []read
			for _, v := range doc["lines"].([]any) {
				m := v.(map[string]any)
				r := read{uint64(number(m, "seq")), uint64(number(m, "time_ms")), text(m, "kind"), text(m, "object"), text(m, "other"),
					text(m, "id"), pair(m, changes), pair(m, balances)}
				rfc3339(t, text(m, "time"), r.millis)
				got = append(got, r)
			}
			compare(t, lines, got)
			rfc3339(t, text(doc, "from"), h.From)
			rfc3339(t, text(doc, "until"), h.Until)
			if doc["hub"] != h.Hub || doc[word] != name || number(doc, "count") != int64(n) || number(doc, "from_ms") != int64(h.From) ||
				number(doc, "until_ms") != int64(h.Until) || number(doc, "first_seq") != int64(h.First) || number(doc, "last_seq") != int64(h.Last) ||
				pair(doc["opening"], balances) != h.Opening || pair(doc["closing"], balances) != closing {
				t.Errorf("%v", doc)
			}
		}
	}
}

func TestParquet(t *testing.T) {
	t.Run("account", func(t *testing.T) { readTable[accountRow](t, false) })
	t.Run("channel", func(t *testing.T) { readTable[channelRow](t, true) })
}

// readTable reads a statement of more than one row group back.
func readTable[R accountRow | channelRow](t *testing.T, channel bool) {
	h, lines, closing := sample(rand.New(rand.NewPCG(8, 8)), groupRows+100, channel)
	b := must(t, Parquet, h, lines, closing)
	rows, err := parquet.Read[R](bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var got []read
	for _, row := range rows {
		r := accountRow(row)
		id := ""
		if r.ID != [16]byte{} {
			id = ledger.OpID(r.ID).String()
		}
		got = append(got, read{uint64(r.Seq), uint64(r.Time), r.Kind, r.Object, r.Other, id, [2]int64{r.BalanceChange, r.HeldChange},
			[2]int64{r.Balance, r.Held}})
	}
	compare(t, lines, got)

	f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if groups := f.RowGroups(); len(groups) != 2 || groups[0].NumRows() != groupRows {
		t.Errorf("%d row groups", len(groups))
	}
	word, name := h.subject()
	_, c := h.columns()
	want := map[string]string{
		"hub": h.Hub, word: name, "from": "2026-09-21T14:13:20.000Z", "until": "2026-12-20T14:13:20.000Z",
		"first_seq": fmt.Sprint(h.First), "last_seq": fmt.Sprint(h.Last),
		"opening_" + c[0]: fmt.Sprint(h.Opening[0]), "opening_" + c[1]: fmt.Sprint(h.Opening[1]),
		"closing_" + c[0]: fmt.Sprint(closing[0]), "closing_" + c[1]: fmt.Sprint(closing[1]),
	}
	have := map[string]string{}
	for _, kv := range f.Metadata().KeyValueMetadata {
		have[strings.TrimPrefix(kv.Key, "millrace.")] = kv.Value
	}
	if !maps.Equal(have, want) {
		t.Errorf("metadata %v, want %v", have, want)
	}
	nulls := 0
	for _, l := range lines {
		if l.ID == (ledger.OpID{}) {
			nulls++
		}
	}
	if got := countNulls(t, f, "id"); got != nulls || nulls == 0 {
		t.Errorf("%d ids are null, want %d", got, nulls)
	}
}

func countNulls(t *testing.T, f *parquet.File, column string) (nulls int) {
	t.Helper()
	leaf, ok := f.Schema().Lookup(column)
	if !ok {
		t.Fatalf("no column %s", column)
	}
	for _, g := range f.RowGroups() {
		pages := g.ColumnChunks()[leaf.ColumnIndex].Pages()
		for {
			p, err := pages.ReadPage()
			if err != nil {
				break
			}
			nulls += int(p.NumNulls())
		}
		pages.Close()
	}
	return nulls
}

// TestParquetTypes pins what makes columns amounts, times and ids for other readers.
func TestParquetTypes(t *testing.T) {
	for _, v := range []any{accountRow{}, channelRow{}, Leg{}} {
		schema := parquet.SchemaOf(v)
		for _, f := range schema.Fields() {
			if strings.HasSuffix(f.Name(), "_msat") && (f.Type().Kind() != parquet.Int64 || f.Optional()) {
				t.Errorf("%v: %s is %v", reflect.TypeOf(v), f.Name(), f.Type())
			}
		}
		golden(t, reflect.TypeOf(v).Name()+".schema", []byte(schema.String()+"\n"))
	}
}
