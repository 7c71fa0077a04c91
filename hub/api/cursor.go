package api

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
)

// cursor is where a page of history ended. It stands for an entry, not for a number of entries: those that come later move
// nothing. In a URL it is base64url of
//
//	order 'n' or 'o' | seq of the page's last entry, u64 | CRC-32C of whose history it is, the order and the seq
//
// The checksum is no secret, and guards none: it finds the cursor of another list or order.
type cursor struct {
	list   string // the account's or channel's name
	newest bool
	seq    uint64
}

const cursorSize = 1 + 8 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (k cursor) bytes() []byte {
	b := make([]byte, 0, cursorSize)
	if k.newest {
		b = append(b, 'n')
	} else {
		b = append(b, 'o')
	}
	b = binary.BigEndian.AppendUint64(b, k.seq)
	return binary.BigEndian.AppendUint32(b, crc32.Update(crc32.Checksum([]byte(k.list), castagnoli), castagnoli, b))
}

func (k cursor) String() string { return base64.RawURLEncoding.EncodeToString(k.bytes()) }

// cursor reads a list's cursor; its seq is zero if there is none.
func (q *query) cursor(list string, newest bool) uint64 {
	text := q.text("cursor")
	if text == nil {
		return 0
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(string(text))
	if err != nil || len(b) != cursorSize {
		q.fail("cursor is not one of this hub's: take it from next of the page before")
		return 0
	}
	k := cursor{list, newest, binary.BigEndian.Uint64(b[1:])}
	if k.seq == 0 || string(k.bytes()) != string(b) {
		q.fail("cursor belongs to another history or another order: take it from next of the page before")
		return 0
	}
	return k.seq
}
