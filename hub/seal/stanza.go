package seal

import (
	"bytes"
	"crypto/hpke"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"filippo.io/age"

	"github.com/millrace/millrace/ledger"
)

// StanzaType is the type of our stanza in the age header, and HPKE's info: a change of either is a new version.
const StanzaType = "millrace.dev/v1"

const bodySize = fileKeySize + 16 // the file key and Poly1305's tag; an exact size leaves no room for keys of two meanings

// ErrStanza means that the stanza does not open: it was sealed to another key, moved to another content, origin or
// header, or changed.
var ErrStanza = errors.New("stanza does not open")

// Stanza is what a sealed work says to the hub.
type Stanza struct {
	Origin  string           // of the hub that sells it, in the form of [ParseOrigin]
	Content ledger.ContentID // what it is sold as
	KeyID   string           // [PublicKey.ID] of the hub's key that opens it
	Enc     []byte           // HPKE's encapsulated key
	Body    []byte           // HPKE's ciphertext of the file key
}

var (
	b64Std = base64.RawStdEncoding
	b64URL = base64.RawURLEncoding
)

// ParseStanza reads a stanza of [StanzaType]. Anything but the one way of writing it is [ErrHeader].
func ParseStanza(a *age.Stanza) (Stanza, error) {
	bad := func(what string) (Stanza, error) {
		return Stanza{}, fmt.Errorf("%w: %s stanza: %s", ErrHeader, StanzaType, what)
	}
	if a.Type != StanzaType {
		return Stanza{}, fmt.Errorf("%w: it is of type %.40q", ErrNoStanza, a.Type)
	}
	if len(a.Args) != 4 {
		return bad("want 4 arguments")
	}
	origin, ok := decodeB64(b64URL, a.Args[0], MaxOrigin)
	if !ok {
		return bad("origin is not base64url")
	}
	if o, err := ParseOrigin(string(origin)); err != nil || o != string(origin) {
		return bad("not an origin in its normal form")
	}
	id, err := ledger.ParseContentID(a.Args[1])
	if err != nil {
		return bad("not a content id")
	}
	if !isKeyID(a.Args[2]) {
		return bad("not a key id")
	}
	enc, ok := decodeB64(b64Std, a.Args[3], maxEncSize)
	if !ok || !isEncSize(len(enc)) {
		return bad("not an encapsulated key")
	}
	if len(a.Body) != bodySize {
		return bad("body has a wrong length")
	}
	return Stanza{string(origin), id, a.Args[2], enc, bytes.Clone(a.Body)}, nil
}

// FindStanza finds our stanza among those of one file. It wants exactly one: of two, the hub could charge for one and release
// the other. Without one it is [ErrNoStanza].
func FindStanza(stanzas []*age.Stanza) (Stanza, error) {
	var found *age.Stanza
	for _, s := range stanzas {
		switch {
		case s.Type != StanzaType:
		case found != nil:
			return Stanza{}, fmt.Errorf("%w: more than one %s stanza", ErrHeader, StanzaType)
		default:
			found = s
		}
	}
	if found == nil {
		return Stanza{}, ErrNoStanza
	}
	return ParseStanza(found)
}

func (s Stanza) age() *age.Stanza {
	return &age.Stanza{
		Type: StanzaType,
		Args: []string{b64URL.EncodeToString([]byte(s.Origin)), s.Content.String(), s.KeyID, b64Std.EncodeToString(s.Enc)},
		Body: s.Body,
	}
}

func (s Stanza) equal(t Stanza) bool {
	return s.Origin == t.Origin && s.Content == t.Content && s.KeyID == t.KeyID &&
		bytes.Equal(s.Enc, t.Enc) && bytes.Equal(s.Body, t.Body)
}

// aad binds the stanza to its place. The length in front keeps origin and id from running into each other.
func (s Stanza) aad() []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(s.Origin)))
	b = append(b, s.Origin...)
	return append(b, s.Content[:]...)
}

// Recipient is an age recipient that adds our stanza to one file. It is not for several goroutines.
type Recipient struct {
	key        PublicKey
	place      Stanza                                                   // without Enc and Body
	commitment [32]byte                                                 // to the file key that was wrapped last
	prepare    func(FileKey) (manifest []byte, units uint32, err error) // of a metered work; nil: it is sold whole
	manifest   []byte
}

// NewRecipient is for those who seal with age itself: for several recipients, or in a plugin. [Seal] is this with one
// recipient.
func NewRecipient(key PublicKey, origin string, id ledger.ContentID) (*Recipient, error) {
	if key.pub == nil {
		return nil, fmt.Errorf("%w: empty", ErrKey)
	}
	o, err := ParseOrigin(origin)
	if err != nil {
		return nil, err
	}
	return &Recipient{key: key, place: Stanza{Origin: o, Content: id, KeyID: key.id}}, nil
}

// Commitment is what the file is registered with: see [Commitment]. It is zero until age.Encrypt has returned.
func (r *Recipient) Commitment() [32]byte { return r.commitment }

// Wrap is for age to call.
func (r *Recipient) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	if len(fileKey) != fileKeySize {
		return nil, fmt.Errorf("a file key has %d bytes, not %d", fileKeySize, len(fileKey))
	}
	enc, sender, err := hpke.NewSender(r.key.pub, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(StanzaType))
	if err != nil {
		return nil, fmt.Errorf("encapsulate: %w", err)
	}
	s := r.place
	s.Enc = enc
	if s.Body, err = sender.Seal(s.aad(), fileKey); err != nil {
		return nil, fmt.Errorf("encrypt file key: %w", err)
	}
	r.commitment = Commitment(FileKey(fileKey))
	if r.prepare == nil {
		return []*age.Stanza{s.age()}, nil
	}
	units, err := r.bind(FileKey(fileKey))
	return []*age.Stanza{s.age(), units}, err
}

// WrapWithLabels tells age, which refuses to mix the two kinds of recipients, whether this one is post-quantum.
func (r *Recipient) WrapWithLabels(fileKey []byte) ([]*age.Stanza, []string, error) {
	s, err := r.Wrap(fileKey)
	if r.key.kem == MLKEM768X25519 {
		return s, []string{"postquantum"}, err
	}
	return s, nil, err
}

// decodeB64 accepts the one canonical encoding of at most maxSize bytes. The standard decoder alone would skip newlines
// and, unless strict, ignore trailing bits.
func decodeB64(e *base64.Encoding, s string, maxSize int) ([]byte, bool) {
	if len(s) > e.EncodedLen(maxSize) {
		return nil, false
	}
	b, err := e.DecodeString(s)
	return b, err == nil && e.EncodeToString(b) == s
}
