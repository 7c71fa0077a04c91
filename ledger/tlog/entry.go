package tlog

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/millrace/millrace/ledger"
)

// MaxLegs bounds the legs of an entry.
const MaxLegs = ledger.MaxLegs

// MaxEntry bounds the bytes of an entry.
const MaxEntry = entryHead + 16 + MaxLegs*legSize

const (
	entryHead = 16
	legSize   = 21
	flagID    = 0x80
	maxTime   = 1<<48 - 1
)

// AppendEntry appends the bytes that stand for an entry in the log. It must have 1 to MaxLegs legs; a time after the year
// 10889 is written as the last millisecond that fits.
//
//	+-----+------+------+-------+--------+--------------------------------------------------------+
//	| seq | time | kind | flags | id     | legs: move u8, from u32, to u32, object u32, amount u64 |
//	| u64 | u48  | u8   | u8    | 0 or 16| 21 each                                                 |
//	+-----+------+------+-------+--------+--------------------------------------------------------+
//
// Flags are the number of legs, plus 0x80 when there is an id. An entry of one leg without an id has 37 bytes: behind a
// prefix and a salt that is one block of SHA-256.
func AppendEntry(b []byte, e *ledger.Entry) []byte {
	at, size := len(b), entrySize(e)
	b = slices.Grow(b, size)[:at+size]
	putEntry(b[at:], e)
	return b
}

// entrySize is how many bytes AppendEntry appends.
func entrySize(e *ledger.Entry) int {
	n := entryHead + len(e.Legs)*legSize
	if e.ID != (ledger.OpID{}) {
		n += len(e.ID)
	}
	return n
}

// putEntry writes an entry to the beginning of b.
func putEntry(b []byte, e *ledger.Entry) {
	flags := byte(len(e.Legs))
	legs := b[entryHead:]
	if e.ID != (ledger.OpID{}) {
		flags |= flagID
		legs = legs[copy(legs, e.ID[:]):]
	}
	putHead((*[entryHead]byte)(b), e, flags)
	for i := range e.Legs {
		putLeg((*[legSize]byte)(legs), &e.Legs[i])
		legs = legs[legSize:]
	}
}

func putHead(b *[entryHead]byte, e *ledger.Entry, flags byte) {
	le := binary.LittleEndian
	le.PutUint64(b[0:], e.Seq)
	le.PutUint64(b[8:], min(e.Time, maxTime)|uint64(e.Kind)<<48|uint64(flags)<<56)
}

func putLeg(b *[legSize]byte, l *ledger.Leg) {
	le := binary.LittleEndian
	b[0] = byte(l.Move)
	le.PutUint64(b[1:], uint64(l.From)|uint64(l.To)<<32)
	le.PutUint32(b[9:], l.Object)
	le.PutUint64(b[13:], uint64(l.Amount))
}

// DecodeEntry is the inverse. It returns what stands behind the entry, and accepts only what AppendEntry writes; the legs'
// Entry and At are zero.
func DecodeEntry(b []byte) (e ledger.Entry, rest []byte, err error) {
	fail := func(format string, args ...any) (ledger.Entry, []byte, error) {
		return ledger.Entry{}, nil, fmt.Errorf("entry: %w: %s", ErrForm, fmt.Sprintf(format, args...))
	}
	if len(b) < entryHead {
		return fail("cut off after %d bytes", len(b))
	}
	le := binary.LittleEndian
	packed := le.Uint64(b[8:])
	e = ledger.Entry{Seq: le.Uint64(b), Time: packed & maxTime, Kind: ledger.Kind(packed >> 48)}
	legs, hasID := int(b[15]&^flagID), b[15]&flagID != 0
	b = b[entryHead:]
	if !e.Kind.Known() {
		return fail("no kind has the number %d", e.Kind)
	}
	if legs < 1 || legs > MaxLegs {
		return fail("%d legs, want 1 to %d", legs, MaxLegs)
	}
	if hasID {
		if len(b) < len(e.ID) {
			return fail("its id is cut off")
		}
		if b = b[copy(e.ID[:], b):]; e.ID == (ledger.OpID{}) {
			return fail("an id of zeros")
		}
	}
	if len(b) < legs*legSize {
		return fail("its legs are cut off")
	}
	e.Legs = make([]ledger.Leg, legs)
	for i := range e.Legs {
		l := b[i*legSize:]
		e.Legs[i] = ledger.Leg{Kind: e.Kind, Move: ledger.Move(l[0]), From: ledger.AccountNo(le.Uint32(l[1:])),
			To: ledger.AccountNo(le.Uint32(l[5:])), Object: le.Uint32(l[9:]), Amount: ledger.Msat(le.Uint64(l[13:]))}
		if m, a := e.Legs[i].Move, e.Legs[i].Amount; !m.Known() || a > ledger.MaxMsat {
			return fail("a leg with the move %d and %d msat", m, a)
		}
	}
	return e, b[legs*legSize:], nil
}

// entryHash is the leaf of an entry in the inner tree, of the bytes that AppendEntry made.
func entryHash(salt Salt, entry []byte) Hash {
	b := append(make([]byte, 0, 1+len(salt)+MaxEntry), prefixEntry)
	return sha256.Sum256(append(append(b, salt[:]...), entry...))
}
