package voucher

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/millrace/millrace/ledger"
)

const tag = "millrace/voucher/1"

// maxOrigin bounds a hub's origin in bytes: "https://" (8), a DNS name (253) and ":65535" (6).
const maxOrigin = 8 + 253 + 6

// MaxText bounds a voucher's text in bytes: the origin, the channel (11), the total (19), the signature (128) and what is around
// them (55), with as much again for white space.
const MaxText = 2 * (maxOrigin + 11 + 19 + 2*ledger.SignatureSize + 55)

// ErrVoucher is what text that is no voucher ends with, wrapped.
var ErrVoucher = errors.New("not a voucher")

// Sign makes the voucher of a total in a channel of the hub that has the origin, which must be in its normal form. The same total
// has the same signature: the nonce is BIP-340's, without fresh randomness.
func (k PrivateKey) Sign(origin string, channel ledger.ChannelNo, total ledger.Msat) (ledger.Voucher, error) {
	v := ledger.Voucher{Channel: channel, Total: total, Key: k.Public()}
	hash := digest(origin, &v)
	s, err := schnorr.Sign(k.key, hash[:], schnorr.CustomNonce([32]byte{}))
	if err != nil {
		return v, fmt.Errorf("signing a voucher: %w", err)
	}
	copy(v.Signature[:], s.Serialize())
	return v, nil
}

// digest is what is signed.
func digest(origin string, v *ledger.Voucher) [32]byte {
	t := sha256.Sum256([]byte(tag))
	b := append(make([]byte, 0, 2*len(t)+4+8+maxOrigin), t[:]...)
	b = append(b, t[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(v.Channel))
	b = binary.LittleEndian.AppendUint64(b, uint64(v.Total))
	return sha256.Sum256(append(b, origin...))
}

// text is a voucher's form in JSON.
type text struct {
	Hub       string      `json:"hub"`
	Channel   string      `json:"channel"`
	Total     ledger.Msat `json:"total_msat"`
	Signature string      `json:"signature"`
}

// Format writes a voucher of the hub that has the origin as a line, without its end.
func Format(origin string, v *ledger.Voucher) string {
	b, err := json.Marshal(text{origin, v.Channel.String(), v.Total, hex.EncodeToString(v.Signature[:])})
	if err != nil {
		panic("a voucher that JSON cannot hold: " + err.Error()) // there are only strings and a number in it
	}
	return string(b)
}

// Parse reads what Format writes: a voucher without its key, which the channel has, and the origin of the hub that it is for. It
// does not verify anything.
func Parse(b []byte) (origin string, v ledger.Voucher, err error) {
	fail := func(err error) (string, ledger.Voucher, error) {
		return "", ledger.Voucher{}, fmt.Errorf("%w: %w", ErrVoucher, err)
	}
	if len(b) > MaxText {
		return fail(fmt.Errorf("%d bytes: at most %d", len(b), MaxText))
	}
	var t text
	var plain bytes.Buffer
	if err := json.Unmarshal(b, &t); err != nil {
		return fail(err)
	}
	if err := json.Compact(&plain, b); err != nil {
		return fail(err)
	}
	if len(t.Hub) > maxOrigin {
		return fail(fmt.Errorf("hub of %d bytes: at most %d", len(t.Hub), maxOrigin))
	}
	if v.Channel, err = ledger.ParseChannelNo(t.Channel); err != nil {
		return fail(err)
	}
	if v.Total = t.Total; v.Total == 0 || v.Total > ledger.MaxMsat {
		return fail(fmt.Errorf("a total of %d msat: want 1 to %d", v.Total, ledger.MaxMsat))
	}
	if err := decodeHex(v.Signature[:], t.Signature); err != nil {
		return fail(fmt.Errorf("signature: %w", err))
	}
	if plain.String() != Format(t.Hub, &v) {
		return fail(errors.New("want hub, channel, total_msat and signature, each once and in this order, and nothing else"))
	}
	return t.Hub, v, nil
}
