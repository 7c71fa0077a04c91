package index

import (
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// encode is a chunk with these entries.
func encode(entries []ledger.Entry) []byte {
	var w chunkWriter
	for i := range entries {
		e := &entries[i]
		if e.Index != w.index || e.Time != w.time {
			w.block(e.Index, e.Time)
		}
		if l := &e.Legs[0]; e.Kind == ledger.OpAdvance && l.Move == ledger.MovePaidHeld && len(e.Legs) == 1 && e.ID == (ledger.OpID{}) {
			w.advance(l)
		} else {
			w.other(e.ID, e.Legs)
		}
	}
	return w.buf
}

func extremes() []ledger.Entry {
	const most = 1<<32 - 1
	id := ledger.NewOpID(1_760_000_000_000, [10]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	leg := func(k ledger.Kind, m ledger.Move, from, to ledger.AccountNo, object uint32, amount ledger.Msat) ledger.Leg {
		return ledger.Leg{Kind: k, Move: m, From: from, To: to, Object: object, Amount: amount}
	}
	var many []ledger.Leg
	for i := range ledger.AccountNo(17) {
		many = append(many, leg(ledger.OpUnlock, ledger.MovePaid, 16, 17+i, 3, ledger.Msat(i)))
	}
	return []ledger.Entry{
		{Seq: 257, Index: 9, Time: 1_760_000_000_000, Kind: ledger.OpAdvance, Legs: []ledger.Leg{leg(ledger.OpAdvance, ledger.MovePaidHeld, 17, 300, 5, 1000)}},
		{Seq: 258, Index: 9, Time: 1_760_000_000_000, Kind: ledger.OpAdvance, Legs: []ledger.Leg{leg(ledger.OpAdvance, ledger.MovePaidHeld, most, 0, 1, ledger.MaxMsat)}},
		{Seq: 259, Index: 9, Time: 1_760_000_000_000, Kind: ledger.OpAdvance, Legs: []ledger.Leg{leg(ledger.OpAdvance, ledger.MovePaidHeld, 0, most, most, 1)}},
		{Seq: 260, Index: 12, Time: 1_760_000_000_007, Kind: ledger.OpTransfer, ID: id, Legs: []ledger.Leg{leg(ledger.OpTransfer, ledger.MovePaid, most, 0, 0, 1<<64-1)}},
		{Seq: 261, Index: 12, Time: 1_760_000_000_007, Kind: ledger.OpUnlock, Legs: many},
		{Seq: 262, Index: 12, Time: 1_760_000_000_007, Kind: ledger.OpReprice, Legs: []ledger.Leg{leg(ledger.OpReprice, ledger.MoveNone, 16, 0, most, 0)}},
		{Seq: 263, Index: 13, Time: 1_760_000_000_007, Kind: ledger.OpCapture, Legs: []ledger.Leg{
			leg(ledger.OpCapture, ledger.MovePaidHeld, most, 1, 0, 5), leg(ledger.OpCapture, ledger.MoveGiveBack, 0, most, most, 6)}},
	}
}

func TestChunk(t *testing.T) {
	want := extremes()
	b := encode(want)
	var c chunk
	if err := c.decode(257, b); err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(c.entries, want, same) {
		t.Errorf("decoded %+v, want %+v", c.entries, want)
	}
	if e := c.at(256); e != nil {
		t.Errorf("entry 256 in a chunk from 257 on: %+v", e)
	}
	for n := range b { // of a chunk that is cut short no more than what is before the cut
		if err := c.decode(257, b[:n]); err == nil && !slices.EqualFunc(c.entries, want[:len(c.entries)], same) {
			t.Errorf("%d of %d bytes: %+v", n, len(b), c.entries)
		}
	}
	for what, text := range map[string]string{
		"nothing":             "",
		"no block":            "2005000001",
		"no entry":            "000901",
		"index zero":          "0000012005000001",
		"unknown kind":        "0009011f0001000001",
		"kind zero":           "000901600001000001",
		"unknown move":        "0009011f01ff0001000001",
		"account below zero":  "00090120050b0001",
		"account too large":   "0009010100ffffffff1f000001",
		"an id cut short":     "0009010180010203",
		"a number too long":   "00090120ffffffffffffffffffffff",
		"fewer legs than due": "000901230111000301",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.decode(1, b); !errors.Is(err, ErrCorrupt) || len(c.entries) > 0 {
			t.Errorf("%s: %v, %+v", what, err, c.entries)
		}
	}
	if err := c.decode(1, encode(slices.Repeat(want[:1], chunkEntries+1))); !errors.Is(err, ErrCorrupt) {
		t.Errorf("more entries than a chunk has: %v", err)
	}
}

// FuzzChunk: whatever the bytes, there is an error or entries that come out the same again.
func FuzzChunk(f *testing.F) {
	f.Add(encode(extremes()))
	f.Add([]byte{0, 9, 1, 0x20, 5, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var c, again chunk
		if err := c.decode(1, b); err != nil {
			return
		}
		if err := again.decode(1, encode(c.entries)); err != nil || !slices.EqualFunc(c.entries, again.entries, same) {
			t.Errorf("%x: %+v became %+v, %v", b, c.entries, again.entries, err)
		}
	})
}
