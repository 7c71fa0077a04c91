package keyring

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// ErrWrapped means that a wrapped key does not unwrap: it is another content's, or changed.
var ErrWrapped = errors.New("wrapped key does not open")

// Wrapped is a content's file key under a key of the ring, kept by the hub from registration on, so that a paid unlock
// costs one AES block and no public-key work:
//
//	| sealing key's number, 4, little endian | nonce 12 | AES-256-GCM ciphertext 16 | tag 16 |
//
// The key is HKDF-SHA256(seed of that number, no salt, "millrace.dev/keyring/v1 wrap"), the additional data is the content
// id. Nonces are random: up to 2^32 wraps per sealing key keep the chance of a repeat below 2^-32.
type Wrapped [4 + nonceSize + 16 + tagSize]byte

const wrapInfo = "millrace.dev/keyring/v1 wrap"

// ringKey is a sealing key with all that can be computed from its seed beforehand.
type ringKey struct {
	created int64
	private seal.PrivateKey
	wrap    cipher.AEAD // safe for concurrent use
}

func newKeySet(c contents) (*keySet, error) {
	set := &keySet{list: make([]ringKey, len(c.keys)), byID: make(map[string]int, len(c.keys))}
	for i, k := range c.keys {
		private, err := seal.NewPrivateKey(k.seed[:])
		if err != nil {
			return nil, fmt.Errorf("sealing key %d: %w", i+1, err)
		}
		wrap, err := newAEAD(k.seed[:], nil, wrapInfo)
		if err != nil {
			return nil, fmt.Errorf("sealing key %d: %w", i+1, err)
		}
		set.list[i] = ringKey{k.created, private, wrap}
		set.byID[private.Public().ID()] = i
	}
	return set, nil
}

// Wrap encrypts a content's file key under the active key.
func (r *Ring) Wrap(id ledger.ContentID, key seal.FileKey) (Wrapped, error) {
	set := r.set()
	n := len(set.list)
	var w Wrapped
	binary.LittleEndian.PutUint32(w[:4], uint32(n))
	nonce := w[4 : 4+nonceSize]
	_, _ = rand.Read(nonce) // it never fails: the runtime ends the process first
	set.list[n-1].wrap.Seal(w[4+nonceSize:4+nonceSize], nonce, key[:], id[:])
	return w, nil
}

// scratch is what an AEAD is given on the hot path. Whatever is passed to an interface's method escapes to the heap, so
// Unwrap would allocate its arguments anew for every paid unlock.
type scratch struct {
	wrapped Wrapped
	id      ledger.ContentID
	key     seal.FileKey
}

// Unwrap is the inverse of [Ring.Wrap], for keys of any age.
func (r *Ring) Unwrap(id ledger.ContentID, w Wrapped) (seal.FileKey, error) {
	list := r.set().list
	n := binary.LittleEndian.Uint32(w[:4])
	if n == 0 || uint64(n) > uint64(len(list)) {
		return seal.FileKey{}, fmt.Errorf("unwrap: %w: number %d", ErrUnknownKey, n)
	}
	s := r.scratches.Get().(*scratch)
	s.wrapped, s.id = w, id
	_, err := list[n-1].wrap.Open(s.key[:0], s.wrapped[4:4+nonceSize], s.wrapped[4+nonceSize:], s.id[:])
	key := s.key
	*s = scratch{} // leave no secret behind
	r.scratches.Put(s)
	if err != nil {
		return seal.FileKey{}, fmt.Errorf("unwrap: %w: content %v, sealing key %d", ErrWrapped, id, n)
	}
	return key, nil
}
