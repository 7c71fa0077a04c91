// Package token makes, narrows and checks bearer tokens. A token is a macaroon: whoever holds it can add caveats that
// narrow it, without asking the hub and without the hub's root key, and nobody can take one away.
//
// In text a token is the macaroon's binary form (version 2) in base64url without padding. What the hub signs first is
// the identifier:
//
//	+---------+------+-----------------+------------------+
//	| version | kind | account         | random           |
//	| 1 byte  | 1    | 4 little-endian | 16 bytes         |
//	+---------+------+-----------------+------------------+
//	  1         'a' account, 'o' operator (whose account is zero)
//
// The root key of one token is HMAC-SHA256(root, identifier), so the hub keeps nothing per token. The location stays
// empty: it is the one field of a macaroon that no signature covers.
package token

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millrace/millrace/ledger"
	"gopkg.in/macaroon.v2"
)

// The bounds of a token. The text of 2,048 bytes decodes to 1,536, so that parsing is bounded before anything is
// hashed; 32 caveats bound the hashing: one HMAC each.
const (
	MaxText    = 2048
	MaxCaveats = 32
)

// What is wrong with a token. Verify and Restrict return one of these, wrapped with what was found.
var (
	ErrMalformed = errors.New("token: malformed")          // not a token of this form, or larger than the bounds
	ErrSignature = errors.New("token: wrong signature")    // not made by this hub, or changed since
	ErrCaveat    = errors.New("token: caveat not allowed") // a caveat that is unknown or does not parse
	ErrExpired   = errors.New("token: expired")            // the earliest `exp` lies at or before now
)

const (
	identifierVersion = 1
	identifierSize    = 1 + 1 + 4 + 16

	kindAccount  = 'a'
	kindOperator = 'o'
)

// strict refuses stray bits after the last symbol; that line breaks are skipped is caught in parse.
var strict = base64.RawURLEncoding.Strict()

// identifier is what a token says about itself before any caveat.
type identifier struct {
	kind    byte
	account ledger.AccountNo
	random  [16]byte
}

func (id identifier) append(b []byte) []byte {
	b = append(b, identifierVersion, id.kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(id.account))
	return append(b, id.random[:]...)
}

func parseIdentifier(b []byte) (identifier, error) {
	if len(b) != identifierSize || b[0] != identifierVersion {
		return identifier{}, fmt.Errorf("%w: identifier of another version or size", ErrMalformed)
	}
	id := identifier{kind: b[1], account: ledger.AccountNo(binary.LittleEndian.Uint32(b[2:6]))}
	copy(id.random[:], b[6:])
	if err := id.validate(); err != nil {
		return identifier{}, err
	}
	return id, nil
}

func (id identifier) validate() error {
	switch {
	case id.kind == kindAccount && id.account != 0, id.kind == kindOperator && id.account == 0:
		return nil
	}
	return fmt.Errorf("%w: kind %q with account number %d", ErrMalformed, id.kind, id.account)
}

// Restrict narrows a token: the result can do what the token could, and within the limits only. It needs no root key
// and does not check the signature, so anyone who holds a token can do it offline. The token stays valid as it was.
func Restrict(text string, l Limits) (string, error) {
	m, err := parse([]byte(text))
	if err != nil {
		return "", err
	}
	return restrict(m, l)
}

func restrict(m *macaroon.Macaroon, l Limits) (string, error) {
	caveats, err := l.caveats()
	if err != nil {
		return "", err
	}
	for _, c := range caveats {
		if err := m.AddFirstPartyCaveat([]byte(c)); err != nil {
			return "", fmt.Errorf("token: adding the caveat %q: %w", c, err)
		}
	}
	return format(m)
}

func format(m *macaroon.Macaroon) (string, error) {
	if n := len(m.Caveats()); n > MaxCaveats {
		return "", fmt.Errorf("%w: %d caveats, at most %d", ErrMalformed, n, MaxCaveats)
	}
	b, err := m.MarshalBinary()
	if err != nil {
		return "", fmt.Errorf("token: encoding: %w", err)
	}
	if n := strict.EncodedLen(len(b)); n > MaxText {
		return "", fmt.Errorf("%w: %d bytes, at most %d", ErrMalformed, n, MaxText)
	}
	return strict.EncodeToString(b), nil
}

// parse reads the text form. The library accepts more than this package writes (version 1, a location, bytes after
// the signature, long varints, empty verification ids; base64 skips line breaks), so parse accepts only what encodes
// to the very same text again: one token, one spelling.
func parse(text []byte) (*macaroon.Macaroon, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrMalformed, len(text), MaxText)
	}
	b := make([]byte, strict.DecodedLen(len(text)))
	n, err := strict.Decode(b, text)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64url without padding", ErrMalformed)
	}
	m := new(macaroon.Macaroon)
	if err := m.UnmarshalBinary(b[:n]); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if m.Version() != macaroon.V2 || m.Location() != "" {
		return nil, fmt.Errorf("%w: not a version 2 macaroon without location", ErrMalformed)
	}
	if canonical, err := format(m); err != nil {
		return nil, err
	} else if canonical != string(text) {
		return nil, fmt.Errorf("%w: not in the canonical form", ErrMalformed)
	}
	for _, c := range m.Caveats() {
		if len(c.VerificationId) > 0 {
			return nil, fmt.Errorf("%w: third-party caveat", ErrCaveat)
		}
	}
	return m, nil
}
