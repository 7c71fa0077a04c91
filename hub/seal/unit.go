package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"

	"github.com/millrace/millrace/ledger"
)

// UnitKey opens one unit of a metered work: what a buyer of a unit pays for. As a [FileKey] it is never printed by accident.
type UnitKey [fileKeySize]byte

const unitKeyRedacted = "seal.UnitKey(secret)"

// String, Format and LogValue keep the key out of logs whatever verb or handler meets it.
func (k UnitKey) String() string               { return unitKeyRedacted }
func (k UnitKey) Format(f fmt.State, _ rune)   { fmt.Fprint(f, unitKeyRedacted) }
func (k UnitKey) LogValue() slog.Value         { return slog.StringValue(unitKeyRedacted) }
func (k UnitKey) MarshalText() ([]byte, error) { return nil, errSecret }

// unitInfo is HKDF's info before the unit's number.
const unitInfo = "millrace unit/1"

// Unit is the key of unit n, counted from 0: HKDF-SHA256 (RFC 5869) of the file key without salt, with info
// "millrace unit/1" || n as four bytes, big endian. Who has the file key has them all; one of them tells nothing of the file
// key or of another.
func (k FileKey) Unit(n uint32) UnitKey {
	info := binary.BigEndian.AppendUint32([]byte(unitInfo), n)
	b, err := hkdf.Key(sha256.New, k[:], nil, string(info), len(UnitKey{}))
	if err != nil {
		panic(err) // the sizes are fixed, and within HKDF's bounds
	}
	return UnitKey(b)
}

// unitDeliveryInfo tells a delivered unit key from a delivered file key.
const unitDeliveryInfo = StanzaType + " unit delivery"

// unitAAD binds a delivery to its unit.
func unitAAD(id ledger.ContentID, unit uint32) []byte {
	return binary.BigEndian.AppendUint32(append([]byte{}, id[:]...), unit)
}

// SealUnitTo is [SealTo] for the key of a unit. aad is the content id and the unit's number as four bytes, big endian.
func SealUnitTo(recipient []byte, id ledger.ContentID, unit uint32, key UnitKey) (enc, ciphertext []byte, err error) {
	return deliver(recipient, unitDeliveryInfo, unitAAD(id, unit), key[:])
}

// OpenUnitDelivery is the buyer's side of [SealUnitTo]: priv is his X25519 private key, 32 bytes.
func OpenUnitDelivery(priv, enc, ciphertext []byte, id ledger.ContentID, unit uint32) (UnitKey, error) {
	b, err := receive(priv, enc, ciphertext, unitDeliveryInfo, unitAAD(id, unit))
	if err != nil {
		return UnitKey{}, err
	}
	return UnitKey(b), nil
}
