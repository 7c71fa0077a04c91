package statement

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/millrace/millrace/ledger"
)

const start = 1_790_000_000_000 // in September 2026

// sample makes a statement of n random entries that add up, and its closing balance. The first kind of them is known, the
// others are any.
func sample(rng *rand.Rand, n int, channel bool) (Header, []ledger.Line, [2]int64) {
	h := Header{Hub: "https://hub.example", Account: 77, Period: Period{From: start, Until: start + 90*86_400_000, First: 1000, Last: 1 << 40}}
	if channel {
		h.Account, h.Channel = 0, 5
	}
	h.Contents = contents
	h.Opening = [2]int64{rng.Int64N(1 << 50), rng.Int64N(1 << 50)}
	balance, seq, at := h.Opening, h.First, h.From
	var lines []ledger.Line
	for range n {
		l := ledger.Line{Seq: seq, Time: at, Kind: ledger.AllKinds()[rng.IntN(len(ledger.AllKinds()))]}
		if rng.IntN(2) == 0 {
			l.Other = ledger.AccountNo(1 + rng.Uint32N(500))
		}
		if rng.IntN(2) == 0 {
			l.ID = ledger.NewOpID(at, [10]byte{byte(rng.Uint32()), 3: byte(rng.Uint32())})
		}
		switch l.Kind {
		case ledger.OpTransfer, ledger.OpCredit, ledger.OpDebit:
		default:
			l.Object = 1 + rng.Uint32N(1<<20)
		}
		for i := range balance {
			if rng.IntN(3) > 0 {
				l.Change[i] = rng.Int64N(1<<40) - 1<<39
			}
			balance[i] += l.Change[i]
		}
		l.After = balance
		lines = append(lines, l)
		seq, at = seq+1+rng.Uint64N(3), at+rng.Uint64N(1000)*rng.Uint64N(60)
	}
	return h, lines, balance
}

// contents knows half of them.
func contents(no uint32) (ledger.ContentID, bool) {
	return ledger.ContentID{0: 0xc0, 15: byte(no)}, no%2 == 0
}

func write(f Format, w io.Writer, h Header, lines []ledger.Line, closing [2]int64) error {
	s, err := New(f, w, h)
	if err != nil {
		return err
	}
	for i := range lines {
		if err := s.Line(&lines[i]); err != nil {
			return err
		}
	}
	return s.Close(closing)
}

// must writes a statement that must be right.
func must(t testing.TB, f Format, h Header, lines []ledger.Line, closing [2]int64) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(f, &b, h, lines, closing); err != nil {
		t.Fatalf("%v: %v", f, err)
	}
	return b.Bytes()
}

func TestAddsUp(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		h, lines, closing := sample(rng, rng.IntN(40), seed%2 == 0)
		sum := h.Opening
		for _, l := range lines {
			sum[0], sum[1] = sum[0]+l.Change[0], sum[1]+l.Change[1]
		}
		if sum != closing {
			t.Fatalf("seed %d: the sample itself: %d, %d", seed, sum, closing)
		}
		for f := CSV; f <= Parquet; f++ {
			must(t, f, h, lines, closing)

			off := closing
			off[rng.IntN(2)] += 1 - 2*rng.Int64N(2)
			if err := write(f, io.Discard, h, lines, off); !errors.Is(err, ErrUnbalanced) {
				t.Errorf("seed %d, %v: another closing balance: %v", seed, f, err)
			}
			if len(lines) == 0 {
				continue
			}
			bad := append([]ledger.Line(nil), lines...)
			l := &bad[rng.IntN(len(bad))]
			by := 1 + rng.Int64N(1<<41)
			switch i := rng.IntN(2); rng.IntN(3) {
			case 0:
				l.Change[i] += by
			case 1:
				l.After[i] -= by
			case 2: // the line agrees with itself, but not with what follows
				l.Change[i] += by
				l.After[i] += by
			}
			if err := write(f, io.Discard, h, bad, closing); !errors.Is(err, ErrUnbalanced) {
				t.Errorf("seed %d, %v: a tampered line: %v", seed, f, err)
			}
			i := rng.IntN(len(lines))
			if missing := append(append([]ledger.Line(nil), lines[:i]...), lines[i+1:]...); lines[i].Change != [2]int64{} {
				if err := write(f, io.Discard, h, missing, closing); !errors.Is(err, ErrUnbalanced) {
					t.Errorf("seed %d, %v: a missing line: %v", seed, f, err)
				}
			}
		}
	}
}

// TestUnfinished: after a line that does not add up nothing more is written, and Close does not end the statement.
func TestUnfinished(t *testing.T) {
	h, lines, closing := sample(rand.New(rand.NewPCG(3, 3)), 3, false)
	lines[1].After[0]++
	for f, end := range map[Format]string{CSV: "closing", JSON: "]", Hledger: "closing", Parquet: "PAR1"} {
		var b bytes.Buffer
		s, err := New(f, &b, h)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Line(&lines[0]); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{s.Line(&lines[1]), s.Line(&lines[2]), s.Close(closing), s.Close(h.Opening)} {
			if !errors.Is(err, ErrUnbalanced) {
				t.Errorf("%v: %v", f, err)
			}
		}
		if bytes.Contains(b.Bytes(), []byte(end)) {
			t.Errorf("%v: has an end:\n%s", f, b.Bytes())
		}
	}
}

// TestOverflow: amounts that wrap around are no way to a balance.
func TestOverflow(t *testing.T) {
	h, _, _ := sample(rand.New(rand.NewPCG(1, 1)), 0, false)
	h.Opening = [2]int64{int64(ledger.MaxMsat), 0}
	for _, change := range []int64{1, 1<<63 - 1, -1 << 63, 1 - 1<<63, 1 << 62} {
		l := ledger.Line{Seq: h.First, Time: h.From, Kind: ledger.OpTransfer, Change: [2]int64{change, 0}, After: [2]int64{h.Opening[0] + change, 0}}
		if err := write(CSV, io.Discard, h, []ledger.Line{l}, l.After); !errors.Is(err, ErrUnbalanced) {
			t.Errorf("a change of %d: %v", change, err)
		}
	}
}

func TestOrder(t *testing.T) {
	h, _, _ := sample(rand.New(rand.NewPCG(1, 1)), 0, false)
	h.Last = h.First + 9
	line := func(seq, millis uint64) ledger.Line {
		return ledger.Line{Seq: seq, Time: millis, Kind: ledger.OpTransfer, After: h.Opening}
	}
	good := []ledger.Line{line(h.First, h.From), line(h.First+1, h.From), line(h.Last, h.Until-1)}
	must(t, JSON, h, good, h.Opening)
	for name, bad := range map[string][]ledger.Line{
		"below the first": {line(h.First-1, h.From)}, "above the last": {line(h.Last+1, h.From)},
		"before": {line(h.First, h.From-1)}, "after": {line(h.First, h.Until)},
		"twice": {line(h.First, h.From), line(h.First, h.From)}, "newest first": {line(h.First+1, h.From), line(h.First, h.From)},
		"back in time": {line(h.First, h.From+1), line(h.First+1, h.From)},
	} {
		if err := write(JSON, io.Discard, h, bad, h.Opening); !errors.Is(err, ErrOrder) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHeader(t *testing.T) {
	for name, spoil := range map[string]func(*Header){
		"nobody's":   func(h *Header) { h.Account = 0 },
		"two":        func(h *Header) { h.Channel = 1 },
		"backwards":  func(h *Header) { h.Until = h.From - 1 },
		"year 10000": func(h *Header) { h.Until = 253_402_300_800_001 },
		"too much":   func(h *Header) { h.Opening[1] = int64(ledger.MaxMsat) + 1 },
		"no hub":     func(h *Header) { h.Hub = "" },
		"line break": func(h *Header) { h.Hub = "https://hub\n2026-01-01 paid" },
		"escape":     func(h *Header) { h.Hub = "https://hub\x1b[2J" },
		"separator":  func(h *Header) { h.Hub = "https://hub\u2028" },
		"no text":    func(h *Header) { h.Hub = "https://\xff" },
		"long":       func(h *Header) { h.Hub = strings.Repeat("h", MaxHub+1) },
	} {
		h, _, _ := sample(rand.New(rand.NewPCG(1, 1)), 0, false)
		spoil(&h)
		for f := CSV; f <= Parquet; f++ {
			var b bytes.Buffer
			if _, err := New(f, &b, h); !errors.Is(err, ErrHeader) || b.Len() > 0 {
				t.Errorf("%s, %v: %v, %d bytes", name, f, err, b.Len())
			}
		}
	}
	h, _, _ := sample(rand.New(rand.NewPCG(1, 1)), 0, false)
	h.Until = 253_402_300_800_000
	must(t, CSV, h, nil, h.Opening)
	for h.From, h.Until = 0, 0; h.From < 2; h.From, h.Until = h.From+1, h.Until+1 {
		for f := CSV; f <= Parquet; f++ { // a period of no time is one without entries
			must(t, f, h, nil, h.Opening)
		}
	}
	for _, f := range []Format{0, Parquet + 1} {
		if _, err := New(f, io.Discard, h); !errors.Is(err, ErrHeader) {
			t.Errorf("%v: %v", f, err)
		}
	}
}

// broken takes some bytes and then no more.
type broken struct{ left int }

var errBroken = errors.New("broken pipe")

func (b *broken) Write(p []byte) (int, error) {
	if len(p) > b.left {
		n := b.left
		b.left = 0
		return n, errBroken
	}
	b.left -= len(p)
	return len(p), nil
}

func TestWriteError(t *testing.T) {
	h, lines, closing := sample(rand.New(rand.NewPCG(9, 9)), 3000, false)
	for f := CSV; f <= Parquet; f++ {
		size := len(must(t, f, h, lines, closing))
		for _, left := range []int{0, 1, size / 2, size - 1} {
			if err := write(f, &broken{left}, h, lines, closing); !errors.Is(err, errBroken) {
				t.Errorf("%v, room for %d of %d: %v", f, left, size, err)
			}
		}
		if err := write(f, &broken{size}, h, lines, closing); err != nil {
			t.Errorf("%v, room for all: %v", f, err)
		}
	}
}

func TestFormats(t *testing.T) {
	h, _, _ := sample(rand.New(rand.NewPCG(1, 1)), 0, true)
	for f := CSV; f <= Parquet; f++ {
		if g, err := ParseFormat(f.String()); g != f || err != nil {
			t.Errorf("%v: %v, %v", f, g, err)
		}
		name := h.FileName(f)
		if f.ContentType() == "" || !strings.HasSuffix(name, f.Extension()) || !strings.Contains(name, h.Channel.String()) {
			t.Errorf("%v: %q, %q", f, f.ContentType(), name)
		}
	}
	if got := h.FileName(CSV); got != "millrace-"+ledger.ChannelNo(5).String()+"-20260921T141320Z-20261220T141320Z.csv" {
		t.Error(got)
	}
	for _, bad := range []string{"", "CSV", "xml"} {
		if f, err := ParseFormat(bad); err == nil || !strings.Contains(err.Error(), "csv, json, hledger, parquet") {
			t.Errorf("%q: %v, %v", bad, f, err)
		}
	}
	if f := Format(9); f.ContentType() != "" || f.Extension() != "" || f.String() != "format(9)" {
		t.Error(f)
	}
}
