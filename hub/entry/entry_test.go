package entry_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/millrace/millrace/hub/entry"
	"github.com/millrace/millrace/ledger"
)

func contents(no uint32) (ledger.ContentID, bool) {
	return ledger.ContentID{0xab, 15: byte(no)}, no < 100
}

func TestLines(t *testing.T) {
	id := ledger.NewOpID(1_800_000_000_000, [10]byte{1})
	for _, c := range []struct {
		line    ledger.Line
		channel bool
		want    string
	}{
		{ledger.Line{Seq: 7, Time: 1_800_000_000_123, Kind: ledger.OpTransfer, Other: 17, ID: id, Change: [2]int64{-5, 0}, After: [2]int64{95, 10}}, false,
			`{"seq":7,"time":1800000000123,"kind":"transfer","other":"ah0h","id":"` + id.String() + `","change_msat":-5,"held_change_msat":0,"balance_msat":95,"held_msat":10}`},
		{ledger.Line{Seq: 8, Time: 1, Kind: ledger.OpUnlock, Object: 1, Change: [2]int64{-9, 0}, After: [2]int64{86, 10}}, false,
			`{"seq":8,"time":1,"kind":"unlock","object":"ab000000000000000000000000000001","change_msat":-9,"held_change_msat":0,"balance_msat":86,"held_msat":10}`},
		{ledger.Line{Seq: 8, Time: 1, Kind: ledger.OpRetire, Object: 100}, false,
			`{"seq":8,"time":1,"kind":"retire","change_msat":0,"held_change_msat":0,"balance_msat":0,"held_msat":0}`},
		{ledger.Line{Seq: 8, Time: 1, Kind: ledger.OpAnswer, Object: 1}, false,
			`{"seq":8,"time":1,"kind":"answer_claim","object":"` + ledger.ClaimNo(1).String() + `","change_msat":0,"held_change_msat":0,"balance_msat":0,"held_msat":0}`},
		{ledger.Line{Seq: 9, Time: 2, Kind: ledger.OpHold, Object: 1, Change: [2]int64{-6, 6}, After: [2]int64{80, 16}}, false,
			`{"seq":9,"time":2,"kind":"hold","object":"` + ledger.HoldNo(1).String() + `","change_msat":-6,"held_change_msat":6,"balance_msat":80,"held_msat":16}`},
		{ledger.Line{Seq: 1, Time: 2, Kind: ledger.OpOpenAccount, Object: 16, ID: id}, false,
			`{"seq":1,"time":2,"kind":"open_account","object":"ag0g","id":"` + id.String() + `","change_msat":0,"held_change_msat":0,"balance_msat":0,"held_msat":0}`},
		{ledger.Line{Seq: 3, Time: 2, Kind: ledger.OpAdvance, Object: 1, Other: 17, Change: [2]int64{-4, 4}, After: [2]int64{6, 4}}, true,
			`{"seq":3,"time":2,"kind":"advance","object":"c101","other":"ah0h","left_change_msat":-4,"paid_change_msat":4,"left_msat":6,"paid_msat":4}`},
	} {
		appendLine := entry.AppendLine
		if c.channel {
			appendLine = entry.AppendChannelLine
		}
		if got := string(appendLine([]byte("x"), &c.line, contents)); got != "x"+c.want {
			t.Errorf("got  %s\nwant x%s", got, c.want)
		}
	}
}

func TestEntry(t *testing.T) {
	e := ledger.Entry{Seq: 5, Time: 6, Index: 2, Kind: ledger.OpUnlock, Legs: []ledger.Leg{
		{Move: ledger.MovePaid, From: 16, To: ledger.Fees, Amount: 1, Object: 3, Kind: ledger.OpUnlock},
		{Move: ledger.MovePaid, From: 16, To: 17, Amount: 99, Object: 3, Kind: ledger.OpUnlock}}}
	want := `{"seq":5,"time":6,"kind":"unlock","object":"ab000000000000000000000000000003","legs":[` +
		`{"move":"paid","from":"ag0g","to":"` + ledger.Fees.String() + `","amount_msat":1},{"move":"paid","from":"ag0g","to":"ah0h","amount_msat":99}]}`
	if got := string(entry.AppendEntry(nil, &e, contents)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestBounds: the largest of all kinds are JSON within the bounds that buffers are made for.
func TestBounds(t *testing.T) {
	id := ledger.OpID([16]byte([]byte(strings.Repeat("\xff", 16))))
	content := func(uint32) (ledger.ContentID, bool) { return ledger.ContentID(id), true }
	for _, k := range ledger.AllKinds() {
		line := ledger.Line{Seq: math.MaxUint64, Time: math.MaxUint64, Kind: k, Object: math.MaxUint32, Other: math.MaxUint32, ID: id,
			Change: [2]int64{math.MinInt64, math.MinInt64}, After: [2]int64{math.MinInt64, math.MinInt64}}
		e := ledger.Entry{Seq: math.MaxUint64, Time: math.MaxUint64, Kind: k, ID: id}
		for range ledger.MaxLegs {
			e.Legs = append(e.Legs, ledger.Leg{Amount: math.MaxUint64, From: math.MaxUint32, To: math.MaxUint32, Object: math.MaxUint32, Move: ledger.MoveGiveBack})
		}
		for most, b := range map[int][]byte{
			entry.MaxLine:  entry.AppendLine(nil, &line, content),
			entry.MaxEntry: entry.AppendEntry(nil, &e, content),
		} {
			if len(b) > most || !json.Valid(b) {
				t.Errorf("%v: %d bytes: %s", k, len(b), b)
			}
		}
		if b := entry.AppendChannelLine(nil, &line, content); len(b) > entry.MaxLine || !json.Valid(b) {
			t.Errorf("%v: %d bytes: %s", k, len(b), b)
		}
	}
}
