package check

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

// windowEntries is how many entries one sum is over: at a billion entries there are a thousand sums of each keyspace.
const windowEntries = 1 << windowBits

const windowBits = 20

// row is a logical row of a keyspace, in numbers.
type row struct {
	seq  uint64 // of the entry that it comes from
	rest [5]uint64
}

// sums say which rows there are, whatever their order: for each window of entries the number of its rows, and the sum of a keyed
// hash of 128 bits of each. Rows that differ have other sums, but for one chance in 2^64 or less.
type sums struct {
	key     *[10]uint64
	windows []sum
}

type sum struct{ rows, a, b uint64 }

// newKey makes keys that nobody can have known who wrote the rows.
func newKey() *[10]uint64 {
	var b [80]byte
	_, _ = rand.Read(b[:]) // it never fails: the runtime ends the process first
	key := new([10]uint64)
	for i := range key {
		key[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return key
}

func (s *sums) add(r *row) {
	w := windowOf(r.seq)
	for uint64(len(s.windows)) <= w {
		s.windows = append(s.windows, sum{})
	}
	k, v := s.key, &r.rest
	x := fold(r.seq^k[0], v[0]^k[1]) + fold(v[1]^k[2], v[2]^k[3]) ^ fold(v[3]^k[4], v[4]^k[5])
	y := fold(r.seq^k[6], v[1]^k[7]) + fold(v[0]^k[8], v[3]^k[9]) ^ fold(v[2]^k[0], v[4]^k[2])
	p := &s.windows[w]
	p.rows++
	p.a += fold(x^k[5], y^k[7])
	p.b += fold(x^k[3], y^k[9])
}

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// windowOf counts the windows from zero.
func windowOf(seq uint64) uint64 { return (seq - 1) >> windowBits }

// differ are the windows in which two are not the same.
func (s *sums) differ(t *sums) (windows []uint64) {
	at := func(s *sums, w int) sum {
		if w < len(s.windows) {
			return s.windows[w]
		}
		return sum{}
	}
	for w := range max(len(s.windows), len(t.windows)) {
		if at(s, w) != at(t, w) {
			windows = append(windows, uint64(w))
		}
	}
	return windows
}
