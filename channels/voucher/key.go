package voucher

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
)

// ErrKey is what a key that is none ends with, wrapped.
var ErrKey = errors.New("not a key")

// PublicKey is what a payer's vouchers are verified by: the x coordinate of a point (BIP-340). As text it is 64 hexadecimal digits.
type PublicKey [32]byte

func (p PublicKey) String() string { return hex.EncodeToString(p[:]) }

// OK says whether the key is that of a point. Half of all values are not, and nothing can be signed for them.
func (p PublicKey) OK() bool {
	_, err := schnorr.ParsePubKey(p[:])
	return err == nil
}

// ParsePublicKey reads 64 hexadecimal digits, in small letters, of a key that is OK.
func ParsePublicKey(text string) (p PublicKey, err error) {
	if err := decodeHex(p[:], text); err != nil {
		return p, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if !p.OK() {
		return p, fmt.Errorf("%w: not on the curve", ErrKey)
	}
	return p, nil
}

// PrivateKey signs vouchers. It prints as its public key.
type PrivateKey struct{ key *btcec.PrivateKey }

// NewKey makes a key of randomness.
func NewKey() PrivateKey {
	for { // all but one in 2^128 values are a key
		var b [32]byte
		rand.Read(b[:]) // never fails: crypto/rand ends the process instead
		if k, err := privateKey(b[:]); err == nil {
			return k
		}
	}
}

// ParsePrivateKey reads what Secret writes.
func ParsePrivateKey(text string) (PrivateKey, error) {
	var b [32]byte
	if err := decodeHex(b[:], text); err != nil {
		return PrivateKey{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return privateKey(b[:])
}

func privateKey(b []byte) (PrivateKey, error) {
	var scalar btcec.ModNScalar
	if scalar.SetByteSlice(b) || scalar.IsZero() {
		return PrivateKey{}, fmt.Errorf("%w: out of range", ErrKey)
	}
	key, _ := btcec.PrivKeyFromBytes(b)
	return PrivateKey{key}, nil
}

// Secret is the key as 64 hexadecimal digits. Whoever has them signs for the payer.
func (k PrivateKey) Secret() string { return hex.EncodeToString(k.key.Serialize()) }

// Public is the key by which the vouchers are verified.
func (k PrivateKey) Public() (p PublicKey) {
	copy(p[:], schnorr.SerializePubKey(k.key.PubKey()))
	return p
}

func (k PrivateKey) String() string { return "private key of " + k.Public().String() }

// decodeHex reads as many bytes as there is room for, in small letters: one text for each value.
func decodeHex(into []byte, text string) error {
	if len(text) != hex.EncodedLen(len(into)) {
		return fmt.Errorf("%d characters: want %d hexadecimal digits", len(text), hex.EncodedLen(len(into)))
	}
	if _, err := hex.Decode(into, []byte(text)); err != nil || hex.EncodeToString(into) != text {
		return errors.New("want hexadecimal digits, in small letters")
	}
	return nil
}
