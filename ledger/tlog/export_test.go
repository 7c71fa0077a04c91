package tlog

import "crypto/sha256"

// WithoutState is a tree for a standard library whose digest has another form.
func WithoutState(t *Tree) *Tree {
	t.hash.state = nil
	return t
}

// CompressorWorks says whether the fast way is taken, and hashes n bytes that way.
func CompressorWorks(message []byte) (bool, [32]byte) {
	c := newCompressor()
	b := append(append([]byte(nil), message...), make([]byte, 2*sha256.BlockSize)...)
	var sum [32]byte
	c.sum(sum[:], b, len(message))
	return c.state != nil, sum
}
