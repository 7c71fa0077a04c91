package statement

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/millrace/millrace/ledger"
	"github.com/parquet-go/parquet-go"
)

// someEntries makes a log of random entries that follow each other.
func someEntries(rng *rand.Rand, first uint64, n int) []ledger.Entry {
	entries := make([]ledger.Entry, n)
	for i := range entries {
		e := &entries[i]
		*e = ledger.Entry{Seq: first + uint64(i), Time: start + uint64(i)/8, Index: 1 + uint64(i)/100, Kind: ledger.AllKinds()[rng.IntN(len(ledger.AllKinds()))]}
		if rng.IntN(2) == 0 {
			e.ID = ledger.NewOpID(e.Time, [10]byte{byte(i), byte(i >> 8)})
		}
		for range 1 + rng.IntN(3) {
			e.Legs = append(e.Legs, ledger.Leg{Kind: e.Kind, Move: ledger.Move(rng.IntN(5)), Amount: ledger.Msat(rng.Uint64N(uint64(ledger.MaxMsat) + 1)),
				From: ledger.AccountNo(1 + rng.Uint32N(1000)), To: ledger.AccountNo(rng.Uint32N(3)), Object: rng.Uint32() >> rng.Uint32N(33)})
		}
	}
	return entries
}

func export(w io.Writer, entries []ledger.Entry) error {
	x := NewExport(w)
	for i := range entries {
		if err := x.Entry(&entries[i]); err != nil {
			return err
		}
	}
	return x.Close()
}

func TestExport(t *testing.T) {
	for _, n := range []int{0, 1, 5000} {
		entries := someEntries(rand.New(rand.NewPCG(1, 2)), 700, n)
		var b bytes.Buffer
		if err := export(&b, entries); err != nil {
			t.Fatal(err)
		}
		rows, err := parquet.Read[Leg](bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		var want []Leg
		noTo, noID := 0, 0
		for _, e := range entries {
			for _, l := range e.Legs {
				want = append(want, Leg{int64(e.Seq), int64(e.Time), int64(e.Index), e.Kind.String(), l.Move.String(), uint32(l.From), uint32(l.To),
					l.Object, int64(l.Amount), e.ID})
				if l.To == 0 {
					noTo++
				}
				if e.ID == (ledger.OpID{}) {
					noID++
				}
			}
		}
		if len(rows) != len(want) {
			t.Fatalf("%d rows, want %d", len(rows), len(want))
		}
		for i := range want {
			if rows[i] != want[i] {
				t.Fatalf("row %d: %+v, want %+v", i, rows[i], want[i])
			}
		}
		f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		first, _ := f.Lookup("millrace.first_seq")
		last, _ := f.Lookup("millrace.last_seq")
		if w := map[int][2]string{0: {"0", "0"}, 1: {"700", "700"}, 5000: {"700", "5699"}}[n]; w != [2]string{first, last} {
			t.Errorf("entries %s to %s, want %s", first, last, w)
		}
		if got := countNulls(t, f, "to"); got != noTo {
			t.Errorf("to is null in %d rows, want %d", got, noTo)
		}
		if got := countNulls(t, f, "id"); got != noID {
			t.Errorf("id is null in %d rows, want %d", got, noID)
		}
	}
}

// TestExportGroups: a long export comes in row groups of bounded size, and each is written as soon as it is full.
func TestExportGroups(t *testing.T) {
	var b bytes.Buffer
	x := NewExport(&b)
	e := ledger.Entry{Index: 1, Time: start, Kind: ledger.OpAdvance, Legs: []ledger.Leg{{Amount: 1, From: 16, To: 17, Object: 1, Move: ledger.MovePaidHeld}}}
	for e.Seq = 1; e.Seq <= exportGroupRows+exportBatchRows; e.Seq++ {
		if err := x.Entry(&e); err != nil {
			t.Fatal(err)
		}
	}
	if b.Len() == 0 {
		t.Error("the first row group is still in memory")
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if g := f.RowGroups(); len(g) != 2 || g[0].NumRows() != exportGroupRows || g[1].NumRows() != exportBatchRows {
		t.Errorf("%d row groups", len(g))
	}
}

func TestExportRefuses(t *testing.T) {
	good := someEntries(rand.New(rand.NewPCG(1, 2)), 1, 5)
	for name, spoil := range map[string]func(e []ledger.Entry){
		"a gap":        func(e []ledger.Entry) { e[3].Seq++ },
		"a repeat":     func(e []ledger.Entry) { e[3].Seq-- },
		"seq zero":     func(e []ledger.Entry) { e[0].Seq = 0 },
		"no legs":      func(e []ledger.Entry) { e[2].Legs = nil },
		"unknown move": func(e []ledger.Entry) { e[2].Legs = []ledger.Leg{{Move: 200}} },
	} {
		bad := append([]ledger.Entry(nil), good...)
		spoil(bad)
		var b bytes.Buffer
		x := NewExport(&b)
		var err error
		for i := range bad {
			err = errors.Join(err, x.Entry(&bad[i]))
		}
		if err == nil || x.Close() == nil || bytes.HasSuffix(b.Bytes(), []byte("PAR1")) && b.Len() > 4 {
			t.Errorf("%s: %v, %d bytes", name, err, b.Len())
		}
	}
	for _, left := range []int{0, 3, 400} {
		if err := export(&broken{left}, good); !errors.Is(err, errBroken) {
			t.Errorf("room for %d bytes: %v", left, err)
		}
	}
}
