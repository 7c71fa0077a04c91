package tlog

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// LeafSize is the number of bytes of a block's leaf.
const LeafSize = 93

const leafVersion = 1

// Leaf is what the outer tree says of a block:
//
//	+---------+-------+------+-------+---------+------+------+
//	| version | index | time | first | entries | root | head |
//	| u8 = 1  | u64   | u64  | u64   | u32     | 32   | 32   |
//	+---------+-------+------+-------+---------+------+------+
//
// These bytes are a record of the log, and the hash of RFC 6962 of them is the leaf.
type Leaf struct {
	Index   uint64 // of the block
	Time    uint64 // of its entries, milliseconds since 1970
	First   uint64 // seq of its first entry; there may be none
	Entries uint32 // their number
	Root    Hash   // of the tree over them
	Head    Hash   // of the ledger after the block
}

// Append appends the leaf's bytes.
func (l *Leaf) Append(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, leafVersion)
	b = le.AppendUint64(b, l.Index)
	b = le.AppendUint64(b, l.Time)
	b = le.AppendUint64(b, l.First)
	b = le.AppendUint32(b, l.Entries)
	b = append(b, l.Root[:]...)
	return append(b, l.Head[:]...)
}

// Hash is the leaf's hash in the outer tree.
func (l *Leaf) Hash() Hash { return tlog.RecordHash(l.Append(make([]byte, 0, LeafSize))) }

// DecodeLeaf is the inverse of Append.
func DecodeLeaf(b []byte) (l Leaf, err error) {
	if len(b) != LeafSize || b[0] != leafVersion {
		return Leaf{}, fmt.Errorf("block leaf: %w: want %d bytes of version %d", ErrForm, LeafSize, leafVersion)
	}
	le := binary.LittleEndian
	l = Leaf{Index: le.Uint64(b[1:]), Time: le.Uint64(b[9:]), First: le.Uint64(b[17:]), Entries: le.Uint32(b[25:]),
		Root: Hash(b[29:61]), Head: Hash(b[61:93])}
	if l.First+uint64(l.Entries) < l.First {
		return Leaf{}, fmt.Errorf("block leaf: %w: %d entries from seq %d", ErrForm, l.Entries, l.First)
	}
	return l, nil
}
