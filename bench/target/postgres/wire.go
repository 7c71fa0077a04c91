package postgres

import (
	"encoding/binary"
	"fmt"

	"github.com/millrace/millrace/bench/generator"
)

// The OIDs of the types that arrays are made of, which PostgreSQL has the same everywhere.
const (
	oidInt2 = 21
	oidInt4 = 23
	oidInt8 = 20
	oidUUID = 2950
)

// maxAnswers bounds the elements of an array that is read: as many as a batch has ops, and some more.
const maxAnswers = 1 << 16

// The binary form of values is written by hand: pgx, which does it by reflection, would take more of the cores than the rest of the generator.

func int4(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func int8s(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// array begins a one-dimensional array without nulls in a buffer, which is written over: see array_send in PostgreSQL's source.
func array(to []byte, oid, n int) []byte {
	to = to[:0]
	if n == 0 { // it has no dimension
		return append(to, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(oid>>8), byte(oid))
	}
	for _, v := range [...]int{1, 0, oid, n, 1} {
		to = binary.BigEndian.AppendUint32(to, uint32(v))
	}
	return to
}

func appendInt2(to []byte, n uint16) []byte {
	return binary.BigEndian.AppendUint16(append(to, 0, 0, 0, 2), n)
}

func appendInt4(to []byte, n uint32) []byte {
	return binary.BigEndian.AppendUint32(append(to, 0, 0, 0, 4), n)
}

func appendInt8(to []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(to, 0, 0, 0, 8), n)
}

func appendUUID(to []byte, id [16]byte) []byte {
	return append(append(to, 0, 0, 0, 16), id[:]...)
}

// elements calls a function with each element of an array, all of which have the same size.
func elements(b []byte, size int, each func(element []byte) error) error {
	bad := fmt.Errorf("%w: an array of %d bytes", generator.ErrAnswer, len(b))
	if len(b) < 12 {
		return bad
	}
	if binary.BigEndian.Uint32(b) == 0 {
		return nil
	}
	if len(b) < 20 || binary.BigEndian.Uint32(b) != 1 || binary.BigEndian.Uint32(b[4:]) != 0 {
		return bad
	}
	n := binary.BigEndian.Uint32(b[12:])
	if n > maxAnswers || len(b) != 20+int(n)*(4+size) {
		return bad
	}
	for at := 20; at < len(b); at += 4 + size {
		if binary.BigEndian.Uint32(b[at:]) != uint32(size) {
			return bad
		}
		if err := each(b[at+4 : at+4+size]); err != nil {
			return err
		}
	}
	return nil
}
