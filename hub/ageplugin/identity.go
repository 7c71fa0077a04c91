package ageplugin

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"filippo.io/age/plugin"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/hub/token"
	"github.com/millrace/millrace/ledger"
)

// ErrIdentity means that an identity names no hub and token. What it is instead may be a secret, so nothing of it is quoted.
var ErrIdentity = errors.New("not a Millrace identity")

// Identity is who pays for what age opens. Whoever has it can spend from the account that the token is of.
//
//	+---------+--------------+----------------+-----------+-----------------+
//	| version | cap in msat  | size of origin | origin    | token           |
//	| 1 byte  | 8 big-endian | 2 big-endian   |           | to the end      |
//	+---------+--------------+----------------+-----------+-----------------+
type Identity struct {
	Hub   string      // the hub's URL, in the form of [seal.ParseOrigin]
	Token string      // bearer token; it never leaves for any other hub
	Cap   ledger.Msat // the most to pay for one file, which then may be paid where nobody can be asked; 0: only who is asked pays
}

const identityHead = 1 + 8 + 2

// Encode is the identity as age takes it: AGE-PLUGIN-MILLRACE-1... The caller keeps it secret.
func (i Identity) Encode() (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(i.Token)
	if err != nil {
		return "", fmt.Errorf("%w: its token is none", ErrIdentity)
	}
	b := binary.BigEndian.AppendUint64([]byte{version}, uint64(i.Cap))
	b = binary.BigEndian.AppendUint16(b, uint16(len(i.Hub)))
	b = append(append(b, i.Hub...), raw...)
	if _, err := ParseIdentity(b); err != nil {
		return "", err
	}
	return plugin.EncodeIdentity(Name, b), nil
}

// ReadIdentity reads what Encode writes.
func ReadIdentity(text string) (Identity, error) {
	name, data, err := plugin.ParseIdentity(text)
	if err != nil || name != Name {
		return Identity{}, fmt.Errorf("%w: want AGE-PLUGIN-MILLRACE-1 and more", ErrIdentity)
	}
	return ParseIdentity(data)
}

// ParseIdentity reads the bytes that an identity carries.
func ParseIdentity(data []byte) (Identity, error) {
	if len(data) < identityHead || data[0] != version {
		return Identity{}, fmt.Errorf("%w: want version %d", ErrIdentity, version)
	}
	i := Identity{Cap: ledger.Msat(binary.BigEndian.Uint64(data[1:9]))}
	size, rest := int(binary.BigEndian.Uint16(data[9:identityHead])), data[identityHead:]
	if i.Cap > ledger.MaxMsat || size > len(rest) {
		return Identity{}, fmt.Errorf("%w: malformed", ErrIdentity)
	}
	text := string(rest[:size])
	hub, err := seal.ParseOrigin(text)
	if err != nil || hub != text {
		return Identity{}, fmt.Errorf("%w: its hub is not an origin in its normal form", ErrIdentity)
	}
	i.Hub, i.Token = hub, base64.RawURLEncoding.EncodeToString(rest[size:])
	if _, err := token.Restrict(i.Token, token.Limits{}); err != nil {
		return Identity{}, fmt.Errorf("%w: its token is none", ErrIdentity)
	}
	return i, nil
}

const identityRedacted = "ageplugin.Identity(secret)"

// String, Format and LogValue keep the token out of logs whatever verb or handler meets it.
func (i Identity) String() string             { return identityRedacted }
func (i Identity) Format(f fmt.State, _ rune) { fmt.Fprint(f, identityRedacted) }
func (i Identity) LogValue() slog.Value       { return slog.StringValue(identityRedacted) }
