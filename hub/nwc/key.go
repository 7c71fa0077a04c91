package nwc

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
)

// errKey is what a key that is none ends with.
var errKey = errors.New("not a key")

// publicKey names who signs: the x coordinate of a point (BIP 340). As text it is 64 hexadecimal digits.
type publicKey [32]byte

func (p publicKey) String() string { return hex.EncodeToString(p[:]) }

// MarshalText writes a key in hex.
func (p publicKey) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, p[:]), nil }

// UnmarshalText reads what MarshalText writes, and no capital letters: NIP-01.
func (p *publicKey) UnmarshalText(text []byte) error { return decodeHex(p[:], text) }

// point is the key as a point with an even y. Half of all texts are none.
func (p publicKey) point() (*btcec.PublicKey, error) {
	point, err := schnorr.ParsePubKey(p[:])
	if err != nil {
		return nil, fmt.Errorf("%w: not on the curve", errKey)
	}
	return point, nil
}

// privateKey signs and decrypts. It is never logged.
type privateKey struct{ key *btcec.PrivateKey }

// newKey makes a key of randomness. All but one in 2^128 texts are one.
func newKey() privateKey {
	for {
		var text [32]byte
		rand.Read(text[:]) // never fails: crypto/rand ends the process instead
		if k, err := parsePrivate(text[:]); err == nil {
			return k
		}
	}
}

// serviceKey is the service's key of a connection: HKDF-SHA256 of the secret for the connection's id. All but one in 2^128 ids have one.
func serviceKey(secret [32]byte, id string) (privateKey, error) {
	text, err := hkdf.Key(sha256.New, secret[:], nil, "millrace.dev/nwc/v1 connection "+id, 32)
	if err != nil {
		return privateKey{}, fmt.Errorf("deriving a connection's key: %w", err)
	}
	return parsePrivate(text)
}

func parsePrivate(text []byte) (privateKey, error) {
	var scalar btcec.ModNScalar
	if len(text) != 32 || scalar.SetByteSlice(text) || scalar.IsZero() {
		return privateKey{}, fmt.Errorf("%w: out of range", errKey)
	}
	key, _ := btcec.PrivKeyFromBytes(text)
	return privateKey{key}, nil
}

func (k privateKey) bytes() []byte { return k.key.Serialize() }

func (k privateKey) public() (p publicKey) {
	copy(p[:], schnorr.SerializePubKey(k.key.PubKey()))
	return p
}

// shared is the x coordinate that two keys have in common, unhashed: NIP-04 and NIP-44 both begin with it.
func (k privateKey) shared(with publicKey) ([]byte, error) {
	point, err := with.point()
	if err != nil {
		return nil, err
	}
	return btcec.GenerateSharedSecret(k.key, point), nil
}

// sign signs 32 bytes (BIP 340), with fresh randomness in the nonce.
func (k privateKey) sign(hash [32]byte) (sig [64]byte, err error) {
	var random [32]byte
	rand.Read(random[:])
	s, err := schnorr.Sign(k.key, hash[:], schnorr.CustomNonce(random))
	if err != nil {
		return sig, fmt.Errorf("signing: %w", err)
	}
	copy(sig[:], s.Serialize())
	return sig, nil
}

// verify says whether a signature is the key's.
func (p publicKey) verify(hash [32]byte, sig [64]byte) bool {
	point, err := p.point()
	if err != nil {
		return false
	}
	s, err := schnorr.ParseSignature(sig[:])
	return err == nil && s.Verify(hash[:], point)
}

// decodeHex reads as many bytes as there is room for, of lower-case digits.
func decodeHex(into, text []byte) error {
	if len(text) != hex.EncodedLen(len(into)) {
		return fmt.Errorf("%d characters: want %d hexadecimal digits", len(text), hex.EncodedLen(len(into)))
	}
	for _, c := range text {
		if c >= 'A' && c <= 'F' {
			return errors.New("want lower-case digits")
		}
	}
	_, err := hex.Decode(into, text)
	return err
}
