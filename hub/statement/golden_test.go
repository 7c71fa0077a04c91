package statement

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/ledger"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew; who reads statements by program then has to change it")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
	}
}

// story is a reader's month: money comes in, is paid, set aside, given back and paid out.
func story() (Header, []ledger.Line, [2]int64) {
	h := Header{Hub: "https://hub.example", Account: 42, Contents: contents, Opening: [2]int64{1500, 250},
		Period: Period{From: 1_793_491_200_000, Until: 1_796_083_200_000, First: 1001, Last: 9000}} // November 2026
	lines := []ledger.Line{
		{Seq: 1001, Kind: ledger.OpCredit, Other: ledger.Lightning, Change: [2]int64{2_000_000, 0}},
		{Seq: 1002, Kind: ledger.OpTransfer, Other: 43, Change: [2]int64{-700, 0}},
		{Seq: 1010, Kind: ledger.OpTransfer, Other: 44, Change: [2]int64{5, 0}},
		{Seq: 1011, Kind: ledger.OpOpenChannel, Object: 7, Change: [2]int64{-100_000, 100_000}},
		{Seq: 1300, Kind: ledger.OpAdvance, Object: 7, Other: 45, Change: [2]int64{0, -30_000}},
		{Seq: 1301, Kind: ledger.OpUnlock, Object: 3, Change: [2]int64{-999, 0}},
		{Seq: 1302, Kind: ledger.OpRegister, Object: 4},
		{Seq: 2000, Kind: ledger.OpCloseChannel, Object: 7, Change: [2]int64{70_000, -70_000}},
		{Seq: 3000, Kind: ledger.OpHold, Object: 9, Change: [2]int64{-500_000, 500_000}},
		{Seq: 9000, Kind: ledger.OpCapture, Object: 9, Other: ledger.Chain, Change: [2]int64{1000, -500_000}},
	}
	return h, lines, fill(h, lines)
}

// channelStory is a channel from its opening to its end.
func channelStory() (Header, []ledger.Line, [2]int64) {
	h := Header{Hub: "https://hub.example", Channel: 7,
		Period: Period{From: 1_793_491_200_000, Until: 1_796_083_200_000, First: 1001, Last: 9000}}
	lines := []ledger.Line{
		{Seq: 1011, Kind: ledger.OpOpenChannel, Object: 7, Change: [2]int64{100_000, 0}},
		{Seq: 1300, Kind: ledger.OpAdvance, Object: 7, Other: 45, Change: [2]int64{-30_000, 30_000}},
		{Seq: 1500, Kind: ledger.OpTopUp, Object: 7, Change: [2]int64{1, 0}},
		{Seq: 2000, Kind: ledger.OpCloseChannel, Object: 7, Change: [2]int64{-70_001, 0}},
	}
	return h, lines, fill(h, lines)
}

// fill gives lines their times, ids and balances.
func fill(h Header, lines []ledger.Line) [2]int64 {
	balance := h.Opening
	for i := range lines {
		l := &lines[i]
		l.Time = h.From + uint64(i)*200_000_001
		switch l.Kind {
		case ledger.OpCredit, ledger.OpTransfer, ledger.OpOpenChannel, ledger.OpTopUp, ledger.OpHold:
			l.ID = ledger.NewOpID(l.Time, [10]byte{1, 2, 3, byte(i)})
		}
		balance[0], balance[1] = balance[0]+l.Change[0], balance[1]+l.Change[1]
		l.After = balance
	}
	return balance
}

func TestGolden(t *testing.T) {
	for f := CSV; f <= Hledger; f++ {
		h, lines, closing := story()
		golden(t, "account"+f.Extension(), must(t, f, h, lines, closing))
		h, lines, closing = channelStory()
		golden(t, "channel"+f.Extension(), must(t, f, h, lines, closing))
	}
}
