package ageplugin

import (
	"crypto/rand"
	"errors"
	"fmt"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// Name is the plugin's, as it stands in age1millrace1... and AGE-PLUGIN-MILLRACE-1... and in the program's own name.
const Name = "millrace"

// version is the first byte of what a recipient and an identity carry. Another one is of a newer program.
const version = 1

// ErrRecipient means that a recipient names no hub.
var ErrRecipient = errors.New("not a recipient of a Millrace hub")

// Recipient is a hub to seal files to. There is nothing secret in it.
//
//	+---------+--------+------------------+------------------+
//	| version | KEM    | public key       | origin           |
//	| 1 byte  | 1 byte | 32 or 1216 bytes | to the end       |
//	+---------+--------+------------------+------------------+
type Recipient struct {
	Origin string // in the form of [seal.ParseOrigin]
	Key    seal.PublicKey
}

// String is the recipient as age takes it: age1millrace1...
func (r Recipient) String() string {
	b := append([]byte{version, byte(r.Key.KEM())}, r.Key.Bytes()...)
	return plugin.EncodeRecipient(Name, append(b, r.Origin...))
}

// ParseRecipient reads the bytes that a recipient carries.
func ParseRecipient(data []byte) (Recipient, error) {
	if len(data) < 2 || data[0] != version {
		return Recipient{}, fmt.Errorf("%w: want version %d", ErrRecipient, version)
	}
	kem, rest := seal.KEM(data[1]), data[2:]
	size := kem.PublicSize()
	if size == 0 || len(rest) < size {
		return Recipient{}, fmt.Errorf("%w: no key of a known kind", ErrRecipient)
	}
	key, err := seal.NewPublicKey(kem, rest[:size])
	if err != nil {
		return Recipient{}, fmt.Errorf("%w: %w", ErrRecipient, err)
	}
	text := string(rest[size:])
	origin, err := seal.ParseOrigin(text)
	if err != nil {
		return Recipient{}, fmt.Errorf("%w: %w", ErrRecipient, err)
	}
	if origin != text {
		return Recipient{}, fmt.Errorf("%w: its origin is not in its normal form", ErrRecipient)
	}
	return Recipient{Origin: origin, Key: key}, nil
}

// sealer seals files to one hub, each as a content of its own.
type sealer struct {
	to      Recipient
	folder  func() (string, error) // where claims go
	message func(string) error
}

// Wrap keeps the claim to the file before age is given the stanza: a file without its claim can never be registered, and a
// claim without its file harms nobody.
func (s *sealer) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	stanzas, _, err := s.WrapWithLabels(fileKey)
	return stanzas, err
}

// WrapWithLabels is Wrap, and says whether the hub's key is post-quantum.
func (s *sealer) WrapWithLabels(fileKey []byte) ([]*age.Stanza, []string, error) {
	folder, err := s.folder()
	if err != nil {
		return nil, nil, err
	}
	var id ledger.ContentID
	_, _ = rand.Read(id[:]) // it never fails: the runtime ends the process first
	r, err := seal.NewRecipient(s.to.Key, s.to.Origin, id)
	if err != nil {
		return nil, nil, err
	}
	stanzas, labels, err := r.WrapWithLabels(fileKey)
	if err != nil {
		return nil, nil, err
	}
	path, err := keepClaim(folder, seal.Claim{Content: id, Commitment: r.Commitment()})
	if err != nil {
		return nil, nil, err
	}
	// The file is sealed whether this can be shown or not.
	_ = s.message(fmt.Sprintf("millrace register --hub %s --price-msat N --title S FILE puts it on sale; its claim is %s: keep that to yourself until then",
		s.to.Origin, path))
	return stanzas, labels, nil
}
