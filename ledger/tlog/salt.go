package tlog

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// Salt hides what is hashed behind it from whoever does not know it.
type Salt [16]byte

// Secret is what the salts are made of. Who knows it can look for accounts and amounts in the published hashes.
type Secret [32]byte

// salts are those of one block's entries, in order: the keystream of AES-256 in counter mode that begins at (block index,
// position 0), both big-endian. AES is a permutation that nobody can tell from a random one without the key, so salts never
// repeat, and one that is revealed says nothing about the others.
type salts struct {
	cipher cipher.Block
	stream cipher.Stream
	buf    [256 * len(Salt{})]byte
	at, to int // of buf, what has not been given out
	size   int // of the next piece: a small block does not pay for many
}

func newCipher(s Secret) cipher.Block {
	c, err := aes.NewCipher(s[:])
	if err != nil {
		panic("aes: " + err.Error()) // the key has a size that it accepts
	}
	return c
}

// of is the salt of the entry at a position of a block, by itself.
func (s *salts) of(block, position uint64) (salt Salt) {
	binary.BigEndian.PutUint64(salt[:8], block)
	binary.BigEndian.PutUint64(salt[8:], position)
	s.cipher.Encrypt(salt[:], salt[:])
	return salt
}

// reset makes the salt of the block's first entry the next one.
func (s *salts) reset(block uint64) {
	var iv [16]byte
	binary.BigEndian.PutUint64(iv[:], block)
	s.stream = cipher.NewCTR(s.cipher, iv[:])
	s.at, s.to, s.size = 0, 0, 8*len(Salt{})
}

// next is valid until the call after it.
func (s *salts) next() *Salt {
	if s.at == s.to {
		s.more()
	}
	s.at += len(Salt{})
	return (*Salt)(s.buf[s.at-len(Salt{}):])
}

func (s *salts) more() {
	b := s.buf[:s.size]
	clear(b)
	s.stream.XORKeyStream(b, b)
	s.at, s.to, s.size = 0, s.size, min(2*s.size, len(s.buf))
}
