package seal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"filippo.io/age"
)

// ErrKey is returned, wrapped, for text or bytes that are not a key.
var ErrKey = errors.New("not a valid sealing key")

// KEM is the key encapsulation mechanism of a sealing key.
type KEM uint8

const (
	X25519         KEM = iota // DHKEM(X25519, HKDF-SHA256), the default
	MLKEM768X25519            // the hybrid X-Wing: stays closed as long as either half holds
)

// kems has a row per KEM. name is part of a public key's text; the sizes are in bytes.
var kems = [...]struct {
	name            string
	hpke            hpke.KEM
	publicSize, enc int
}{
	X25519:         {"x25519", hpke.DHKEM(ecdh.X25519()), 32, 32},
	MLKEM768X25519: {"mlkem768x25519", hpke.MLKEM768X25519(), 1216, 1120},
}

const (
	maxEncSize   = 1120
	keyIDSize    = 8 // bytes of SHA-256: enough to tell a hub's few keys apart; nothing trusts it
	seedSize     = 32
	publicPrefix = "millrace-key-"
)

// String is the KEM's name in a public key's text.
func (k KEM) String() string {
	if int(k) < len(kems) {
		return kems[k].name
	}
	return fmt.Sprintf("KEM(%d)", uint8(k))
}

// PublicSize is the length of a public key in bytes; 0 for a KEM that is none.
func (k KEM) PublicSize() int {
	if int(k) < len(kems) {
		return kems[k].publicSize
	}
	return 0
}

func isEncSize(n int) bool {
	for _, k := range kems {
		if n == k.enc {
			return true
		}
	}
	return false
}

func isKeyID(s string) bool {
	return len(s) == 2*keyIDSize && strings.Trim(s, "0123456789abcdef") == ""
}

// PublicKey is a hub's sealing key: all that a creator needs, besides the hub's origin, to seal offline.
type PublicKey struct {
	kem KEM
	id  string
	pub hpke.PublicKey
}

func newPublicKey(kem KEM, pub hpke.PublicKey) PublicKey {
	sum := sha256.Sum256(pub.Bytes())
	return PublicKey{kem: kem, id: hex.EncodeToString(sum[:keyIDSize]), pub: pub}
}

// ParsePublicKey reads the text form of a public key, for example millrace-key-x25519-<43 characters of base64url>.
func ParsePublicKey(text string) (PublicKey, error) {
	rest, ok := strings.CutPrefix(text, publicPrefix)
	if !ok {
		return PublicKey{}, fmt.Errorf("%w: want text that begins with %s", ErrKey, publicPrefix)
	}
	name, data, _ := strings.Cut(rest, "-")
	for i, k := range kems {
		if k.name != name {
			continue
		}
		b, ok := decodeB64(b64URL, data, k.publicSize)
		if !ok || len(b) != k.publicSize {
			return PublicKey{}, fmt.Errorf("%w: want %d bytes in base64url after the name %s", ErrKey, k.publicSize, name)
		}
		return NewPublicKey(KEM(i), b)
	}
	return PublicKey{}, fmt.Errorf("%w: unknown kind %.20q", ErrKey, name)
}

// NewPublicKey reads what [PublicKey.Bytes] returns.
func NewPublicKey(kem KEM, b []byte) (PublicKey, error) {
	size := kem.PublicSize()
	if size == 0 {
		return PublicKey{}, fmt.Errorf("%w: unknown %v", ErrKey, kem)
	}
	if len(b) != size {
		return PublicKey{}, fmt.Errorf("%w: a key of %v has %d bytes, not %d", ErrKey, kem, size, len(b))
	}
	pub, err := kems[kem].hpke.NewPublicKey(b)
	if err != nil {
		return PublicKey{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return newPublicKey(kem, pub), nil
}

// KEM says how the key is used.
func (p PublicKey) KEM() KEM { return p.kem }

// ID is what stanzas call the key: the first 8 bytes of the SHA-256 of its bytes, in hexadecimal.
func (p PublicKey) ID() string { return p.id }

// Bytes is the key as HPKE serialises it. The empty key has none.
func (p PublicKey) Bytes() []byte {
	if p.pub == nil {
		return nil
	}
	return p.pub.Bytes()
}

// String is the form that [ParsePublicKey] reads. The empty key's is empty.
func (p PublicKey) String() string {
	if p.pub == nil {
		return ""
	}
	return publicPrefix + p.kem.String() + "-" + b64URL.EncodeToString(p.pub.Bytes())
}

// Equal says whether both are the same key.
func (p PublicKey) Equal(q PublicKey) bool {
	return p.kem == q.kem && bytes.Equal(p.Bytes(), q.Bytes())
}

// MarshalText is String, for JSON and flags.
func (p PublicKey) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is ParsePublicKey, for JSON and flags.
func (p *PublicKey) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePublicKey(string(text))
	return err
}

// PrivateKey opens what was sealed to its public key. It is never printed.
type PrivateKey struct {
	public PublicKey
	priv   hpke.PrivateKey
}

// NewPrivateKey derives an X25519 key from 32 random bytes (RFC 9180's DeriveKeyPair, so that the seed can safely be
// the root of other keys as well).
func NewPrivateKey(seed []byte) (PrivateKey, error) { return NewPrivateKeyFor(X25519, seed) }

// NewPrivateKeyFor is NewPrivateKey for any KEM. Keys of different KEMs from one seed are independent.
func NewPrivateKeyFor(kem KEM, seed []byte) (PrivateKey, error) {
	if int(kem) >= len(kems) {
		return PrivateKey{}, fmt.Errorf("%w: unknown %v", ErrKey, kem)
	}
	if len(seed) != seedSize {
		return PrivateKey{}, fmt.Errorf("%w: a seed has %d bytes, not %d", ErrKey, seedSize, len(seed))
	}
	priv, err := kems[kem].hpke.DeriveKeyPair(seed)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return PrivateKey{public: newPublicKey(kem, priv.PublicKey()), priv: priv}, nil
}

// Public is the half to give away.
func (k PrivateKey) Public() PublicKey { return k.public }

// OpenHeader takes the file key out of a header: HPKE proves that it was sealed for this origin and content, and the
// header's MAC proves that the file key belongs to this very header. The caller still decides whether the origin is its
// own and the content paid for.
func (k PrivateKey) OpenHeader(h Header) (FileKey, error) {
	if k.priv == nil {
		return FileKey{}, fmt.Errorf("open header: %w: empty", ErrKey)
	}
	parsed, err := ParseHeader(h.Raw)
	if err != nil {
		return FileKey{}, fmt.Errorf("open header: %w", err)
	}
	if !parsed.Stanza.equal(h.Stanza) { // or the caller would judge one stanza and release another's key
		return FileKey{}, fmt.Errorf("open header: %w: it is not the raw header's", ErrStanza)
	}
	b, err := age.DecryptHeader(parsed.Raw, &identity{key: k, stanza: parsed.Stanza})
	if err != nil {
		return FileKey{}, fmt.Errorf("open header: %w: %.120s", ErrStanza, err.Error())
	}
	return FileKey(b), nil
}

// identity opens the one stanza that was parsed, and leaves it to age to check the MAC with what comes out.
type identity struct {
	key    PrivateKey
	stanza Stanza
}

func (i *identity) Unwrap([]*age.Stanza) ([]byte, error) {
	s := i.stanza
	if s.KeyID != i.key.public.id {
		return nil, fmt.Errorf("it is sealed to key %s, not %s", s.KeyID, i.key.public.id)
	}
	r, err := hpke.NewRecipient(s.Enc, i.key.priv, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(StanzaType))
	if err != nil {
		return nil, err
	}
	return r.Open(s.aad(), s.Body)
}

const privateRedacted = "seal.PrivateKey(secret)"

// String, Format and LogValue keep the key out of logs whatever verb or handler meets it.
func (k PrivateKey) String() string               { return privateRedacted }
func (k PrivateKey) Format(f fmt.State, _ rune)   { fmt.Fprint(f, privateRedacted) }
func (k PrivateKey) LogValue() slog.Value         { return slog.StringValue(privateRedacted) }
func (k PrivateKey) MarshalText() ([]byte, error) { return nil, errSecret }
