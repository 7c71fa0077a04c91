package nwc

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"golang.org/x/crypto/chacha20"
)

// errSealed is what a content ends with that cannot be opened. It does not say why: whoever tries what can be opened learns nothing.
var errSealed = errors.New("the content cannot be decrypted")

// scheme is how contents are encrypted, as the tag `encryption` names it.
type scheme string

const (
	nip44 scheme = "nip44_v2"
	nip04 scheme = "nip04" // deprecated; what has no tag is in it

	schemes = string(nip44) + " " + string(nip04) // that an info event offers
)

// schemeOf is how an event's content is encrypted. False: in a way that is not known here.
func schemeOf(e *event) (scheme, bool) {
	name, ok := e.tag("encryption")
	if !ok {
		return nip04, true
	}
	s := scheme(name)
	return s, s == nip44 || s == nip04
}

// seal encrypts a text from one key to another.
func seal(s scheme, from privateKey, to publicKey, text []byte) (string, error) {
	shared, err := from.shared(to)
	if err != nil {
		return "", err
	}
	if s == nip04 {
		return seal04(shared, text)
	}
	var nonce [32]byte
	rand.Read(nonce[:]) // never fails: crypto/rand ends the process instead
	return seal44(conversation(shared), nonce, text)
}

// open decrypts what was encrypted from another's key to ours. That the event is signed by that key must have been verified.
func open(s scheme, to privateKey, from publicKey, content string) ([]byte, error) {
	shared, err := to.shared(from)
	if err != nil {
		return nil, err
	}
	if s == nip04 {
		return open04(shared, content)
	}
	return open44(conversation(shared), content)
}

// NIP-44, version 2: base64(version 2, nonce, ChaCha20(length, text, zeros), HMAC(nonce, ciphertext)).

// conversation is the key that two have in common for all that they say.
func conversation(shared []byte) []byte {
	key, err := hkdf.Extract(sha256.New, shared, []byte("nip44-v2"))
	if err != nil {
		panic("nwc: " + err.Error()) // only in FIPS mode, for keys that are too short
	}
	return key
}

// messageKeys are those of one message.
func messageKeys(conversation []byte, nonce [32]byte) (key, iv, mac []byte) {
	b, err := hkdf.Expand(sha256.New, conversation, string(nonce[:]), 32+12+32)
	if err != nil {
		panic("nwc: " + err.Error()) // as above
	}
	return b[:32], b[32:44], b[44:]
}

// paddedSize hides how long a text is: to the next of eight steps between powers of two, and 32 at least.
func paddedSize(n int) int {
	if n <= 32 {
		return 32
	}
	chunk := max(32, 1<<bits.Len(uint(n-1))/8)
	return chunk * ((n-1)/chunk + 1)
}

func seal44(conversation []byte, nonce [32]byte, text []byte) (string, error) {
	if len(text) == 0 || len(text) > maxContent-1 { // longer ones have another prefix, and pass no relay
		return "", fmt.Errorf("a text of %d bytes: want 1 to %d", len(text), maxContent-1)
	}
	key, iv, mac := messageKeys(conversation, nonce)
	padded := make([]byte, 2+paddedSize(len(text)))
	binary.BigEndian.PutUint16(padded, uint16(len(text)))
	copy(padded[2:], text)
	stream, err := chacha20.NewUnauthenticatedCipher(key, iv)
	if err != nil {
		return "", err
	}
	stream.XORKeyStream(padded, padded)
	out := append([]byte{2}, nonce[:]...)
	out = append(out, padded...)
	return base64.StdEncoding.EncodeToString(append(out, mac44(mac, nonce[:], padded)...)), nil
}

func mac44(key, nonce, ciphertext []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(nonce)
	h.Write(ciphertext)
	return h.Sum(nil)
}

func open44(conversation []byte, content string) ([]byte, error) {
	const least, overhead = 99, 1 + 32 + 32
	raw, err := base64.StdEncoding.Strict().DecodeString(content)
	if err != nil || len(raw) < least || raw[0] != 2 || strings.ContainsAny(content, "\r\n") {
		return nil, errSealed
	}
	nonce, ciphertext, sum := raw[1:33], raw[33:len(raw)-32], raw[len(raw)-32:]
	key, iv, mac := messageKeys(conversation, [32]byte(nonce))
	if !hmac.Equal(sum, mac44(mac, nonce, ciphertext)) {
		return nil, errSealed
	}
	stream, err := chacha20.NewUnauthenticatedCipher(key, iv)
	if err != nil {
		return nil, err
	}
	stream.XORKeyStream(ciphertext, ciphertext)
	n := int(binary.BigEndian.Uint16(ciphertext))
	if n == 0 || len(raw) != overhead+2+paddedSize(n) {
		return nil, errSealed
	}
	return ciphertext[2 : 2+n], nil
}

// NIP-04: base64(AES-256-CBC(text, PKCS#7)) + "?iv=" + base64(iv). Nothing but the event's signature authenticates it.

func seal04(shared, text []byte) (string, error) {
	block, err := aes.NewCipher(shared)
	if err != nil {
		return "", err
	}
	iv := make([]byte, aes.BlockSize)
	rand.Read(iv)
	pad := aes.BlockSize - len(text)%aes.BlockSize
	out := append(bytes.Clone(text), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, out)
	return base64.StdEncoding.EncodeToString(out) + "?iv=" + base64.StdEncoding.EncodeToString(iv), nil
}

func open04(shared []byte, content string) ([]byte, error) {
	text, ivText, ok := strings.Cut(content, "?iv=")
	raw, errRaw := base64.StdEncoding.DecodeString(text)
	iv, errIV := base64.StdEncoding.DecodeString(ivText)
	if !ok || errors.Join(errRaw, errIV) != nil || len(iv) != aes.BlockSize || len(raw) == 0 || len(raw)%aes.BlockSize != 0 {
		return nil, errSealed
	}
	block, err := aes.NewCipher(shared)
	if err != nil {
		return nil, err
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(raw, raw)
	pad := int(raw[len(raw)-1])
	if pad == 0 || pad > aes.BlockSize || !bytes.Equal(raw[len(raw)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, errSealed
	}
	return raw[:len(raw)-pad], nil
}
