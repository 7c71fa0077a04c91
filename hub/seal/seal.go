// Package seal makes and opens sealed works: files in the age v1 format whose key only a Millrace hub can take out.
//
// A sealed work is an ordinary age file (C2SP age.md) with one stanza of our own. Creators seal offline with nothing
// but the hub's public key; the hub keeps no key per file, since the stanza carries it:
//
//	age-encryption.org/v1
//	-> millrace.dev/v1 <b64url(origin)> <content id, 32 hex> <key id, 16 hex> <b64(enc)>
//	<b64(HPKE ciphertext of the 16-byte file key), 32 bytes>
//	--- <b64(header MAC)>
//	<16-byte nonce><payload in chunks of 64 KiB>
//
// base64 is unpadded throughout. HPKE (RFC 9180, base mode) uses DHKEM(X25519, HKDF-SHA256), or MLKEM768-X25519 when the
// public key says so, with HKDF-SHA256 and ChaCha20-Poly1305; info is "millrace.dev/v1", and aad is the origin's length
// (two bytes, big endian), the origin, and the 16 bytes of the content id.
//
// What it protects from, and what it does not:
//   - A stanza copied into another listing does not open: the content id and the hub's origin are bound by the aad. One
//     who copies the content id as well asks for a content that the hub already sells.
//   - A stanza copied into another file does not open either: the hub checks the age header's MAC, so that a released
//     key provably belongs to the header that was shown. [Commitment] lets the hub keep one owner per file key.
//   - Whoever finds a sealed file that is not yet registered cannot register it as his: a registration carries the
//     [Commitment] to the file key, which is not in the file. Only who sealed it, or was given the key, can compute it.
//   - A buyer can publish the 16 bytes he bought. Nothing here prevents it.
//   - The hub can read every work that was sealed to it.
package seal

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"filippo.io/age"

	"github.com/millrace/millrace/ledger"
)

// payloadNonceSize is the length of the nonce that age writes between the header and the first chunk.
const payloadNonceSize = 16

// Sealed describes what [Seal] wrote: what a creator registers at the hub.
type Sealed struct {
	Header     []byte   // the age header up to and including the newline of the MAC line
	Commitment [32]byte // to the file key; it alone is not in the output, and until the work is registered it is a secret
	SHA256     [32]byte // digest of the whole output
	Size       int64    // length of the whole output in bytes
}

// Seal encrypts src to dst so that the hub at origin, which holds the private half of key, can release it as content id.
// It streams: memory does not grow with the size of src. After an error, what dst got is not a sealed work and is the
// caller's to discard.
func Seal(dst io.Writer, src io.Reader, key PublicKey, origin string, id ledger.ContentID) (Sealed, error) {
	recipient, err := NewRecipient(key, origin, id)
	if err != nil {
		return Sealed{}, fmt.Errorf("seal: %w", err)
	}
	return sealTo(dst, recipient, func() io.Reader { return src })
}

// sealTo asks for the payload when the header stands.
func sealTo(dst io.Writer, recipient *Recipient, payload func() io.Reader) (Sealed, error) {
	out := &sink{dst: dst, digest: sha256.New(), holding: true}
	w, err := age.Encrypt(out, recipient)
	if err != nil {
		return Sealed{}, fmt.Errorf("seal: write header: %w", err)
	}
	header, err := out.release()
	if err != nil {
		return Sealed{}, fmt.Errorf("seal: write header: %w", err)
	}
	if _, err := io.Copy(w, payload()); err != nil {
		return Sealed{}, fmt.Errorf("seal: encrypt: %w", err)
	}
	if err := w.Close(); err != nil {
		return Sealed{}, fmt.Errorf("seal: write last chunk: %w", err)
	}
	s := Sealed{Header: header, Commitment: recipient.Commitment(), Size: out.size}
	out.digest.Sum(s.SHA256[:0])
	return s, nil
}

// sink hashes and counts what goes to dst. While it is holding, it gathers instead of writing: age gives no access to the
// header that it writes in many small pieces, but when age.Encrypt returns, exactly header and nonce have been written.
type sink struct {
	dst     io.Writer
	digest  hash.Hash
	size    int64
	holding bool
	held    bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	if s.holding {
		return s.held.Write(p)
	}
	n, err := s.dst.Write(p)
	s.digest.Write(p[:n])
	s.size += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// release ends the holding, writes what was held, and returns the header in it. The header is parsed once more, so that
// no header leaves here that the hub would refuse.
func (s *sink) release() ([]byte, error) {
	s.holding = false
	held := s.held.Bytes()
	h, err := ParseHeader(held[:max(0, len(held)-payloadNonceSize)])
	if err != nil {
		return nil, err
	}
	_, err = s.Write(held)
	return h.Raw, err
}
