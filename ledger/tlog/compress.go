package tlog

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"hash"
)

// compressor is SHA-256 of short messages. sha256.Sum256 spends 72 ns on a message of one block, of which the hash itself is
// 36: the rest goes into copying the digest and padding. Here the message is padded where it lies, and the result is taken
// from the digest's marshaled state, which takes 46 ns. The state's form is the standard library's own; a release of Go with
// another one is noticed when the compressor is made, and then Sum256 does the work.
type compressor struct {
	sha   hash.Hash
	state encoding.BinaryAppender // sha, or nil if its form is not known
	buf   []byte
}

// stateAt is where the eight words stand in the marshaled form, behind four bytes of magic.
const stateAt = 4

func newCompressor() compressor {
	c := compressor{sha: sha256.New(), buf: make([]byte, 0, 128)}
	c.state, _ = c.sha.(encoding.BinaryAppender)
	if c.state != nil {
		message := make([]byte, 3*sha256.BlockSize)
		for i := range message {
			message[i] = byte(i)
		}
		for _, n := range []int{1, 54, 55, 56, 100} {
			want := sha256.Sum256(message[:n])
			got := make([]byte, sha256.Size)
			if c.sum(got, append([]byte(nil), message...), n); [sha256.Size]byte(got) != want {
				c.state = nil
				break
			}
		}
	}
	return c
}

// padded is how many bytes a message of n bytes has with its padding.
func padded(n int) int { return (n + 9 + sha256.BlockSize - 1) &^ (sha256.BlockSize - 1) }

// sum writes the hash of the first n bytes of b to dst. B has room for padded(n) bytes, which are overwritten from n on.
func (c *compressor) sum(dst, b []byte, n int) {
	if c.state == nil {
		sum := sha256.Sum256(b[:n])
		copy(dst, sum[:])
		return
	}
	b = b[:padded(n)]
	clear(b[n:])
	b[n] = 0x80
	binary.BigEndian.PutUint64(b[len(b)-8:], uint64(n)*8)
	c.sha.Reset()
	c.sha.Write(b)
	var err error
	if c.buf, err = c.state.AppendBinary(c.buf[:0]); err != nil || len(c.buf) < stateAt+sha256.Size {
		clear(dst) // makes newCompressor give it up; documented not to happen later
		return
	}
	copy(dst, c.buf[stateAt:stateAt+sha256.Size])
}
