package seal

import (
	"crypto/ecdh"
	"crypto/hpke"
	"errors"
	"fmt"

	"github.com/millrace/millrace/ledger"
)

// deliveryInfo differs from the stanza's info, so that neither ciphertext can be passed off as the other.
const deliveryInfo = StanzaType + " delivery"

// ErrDelivery means that a delivered file key does not open: another content, another key, or changed on the way.
var ErrDelivery = errors.New("delivery does not open")

// SealTo encrypts a released file key to the buyer's own X25519 key, so that what carries it (a log, a proxy, a stored
// answer) cannot read it. aad is the content id.
func SealTo(recipient []byte, id ledger.ContentID, key FileKey) (enc, ciphertext []byte, err error) {
	return deliver(recipient, deliveryInfo, id[:], key[:])
}

// OpenDelivery is the buyer's side of [SealTo]: priv is his X25519 private key, 32 bytes.
func OpenDelivery(priv, enc, ciphertext []byte, id ledger.ContentID) (FileKey, error) {
	b, err := receive(priv, enc, ciphertext, deliveryInfo, id[:])
	if err != nil {
		return FileKey{}, err
	}
	return FileKey(b), nil
}

// deliver encrypts 16 secret bytes to a buyer's own X25519 key.
func deliver(recipient []byte, info string, aad, secret []byte) (enc, ciphertext []byte, err error) {
	pub, err := hpke.DHKEM(ecdh.X25519()).NewPublicKey(recipient)
	if err != nil {
		return nil, nil, fmt.Errorf("deliver: %w: recipient: %w", ErrKey, err)
	}
	enc, sender, err := hpke.NewSender(pub, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(info))
	if err != nil {
		return nil, nil, fmt.Errorf("deliver: %w: recipient: %w", ErrKey, err)
	}
	ciphertext, err = sender.Seal(aad, secret)
	if err != nil {
		return nil, nil, fmt.Errorf("deliver: encrypt: %w", err)
	}
	return enc, ciphertext, nil
}

// receive is the inverse of deliver.
func receive(priv, enc, ciphertext []byte, info string, aad []byte) ([]byte, error) {
	k, err := hpke.DHKEM(ecdh.X25519()).NewPrivateKey(priv)
	if err != nil {
		return nil, fmt.Errorf("open delivery: %w: %w", ErrKey, err)
	}
	if len(ciphertext) != bodySize {
		return nil, fmt.Errorf("open delivery: %w: ciphertext has %d bytes, not %d", ErrDelivery, len(ciphertext), bodySize)
	}
	r, err := hpke.NewRecipient(enc, k, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(info))
	if err != nil {
		return nil, fmt.Errorf("open delivery: %w: %w", ErrDelivery, err)
	}
	b, err := r.Open(aad, ciphertext)
	if err != nil {
		return nil, fmt.Errorf("open delivery: %w: %w", ErrDelivery, err)
	}
	return b, nil
}
