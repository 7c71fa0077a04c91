package seal

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
)

const fileKeySize = 16

// FileKey is the secret that opens one sealed work: what a buyer pays for. Fresh random bytes for each file.
// It is never printed by accident: whoever sends it to a buyer encodes key[:] on purpose.
type FileKey [fileKeySize]byte

// errSecret comes from every MarshalText of a secret, so that a struct that holds one is not encoded by accident.
var errSecret = errors.New("a secret is not to be encoded")

const fileKeyRedacted = "seal.FileKey(secret)"

// String, Format and LogValue keep the key out of logs whatever verb or handler meets it.
func (k FileKey) String() string               { return fileKeyRedacted }
func (k FileKey) Format(f fmt.State, _ rune)   { fmt.Fprint(f, fileKeyRedacted) }
func (k FileKey) LogValue() slog.Value         { return slog.StringValue(fileKeyRedacted) }
func (k FileKey) MarshalText() ([]byte, error) { return nil, errSecret }

// commitmentPrefix separates commitments from every other use of SHA-256. It ends with a zero byte, which the text
// before it cannot hold.
const commitmentPrefix = StanzaType + " commitment to a file key\x00"

// Commitment is SHA-256("millrace.dev/v1 commitment to a file key" || 0x00 || key). A registration must carry it, since it
// shows that who registers has had the key, and not only a copy of the file. The hub stores it and lets a commitment have
// one owner, so that nobody lists another's work under a content id of his own. It reveals nothing: the key has 128 random
// bits. Equal commitments mean equal keys.
func Commitment(key FileKey) [32]byte {
	return sha256.Sum256(append([]byte(commitmentPrefix), key[:]...))
}
