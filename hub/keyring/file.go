package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

var (
	// ErrFormat means that the file is not a ring, is cut off, or was written by a newer version.
	ErrFormat = errors.New("not a keyring file that this version reads")
	// ErrCorrupt means that the file is a ring of the right length, but not the bytes that were written.
	ErrCorrupt = errors.New("keyring file is corrupt")
	// ErrWrongKEK means that the file is intact, but was encrypted under another key-encryption key.
	ErrWrongKEK = errors.New("keyring file is encrypted under another key-encryption key")
)

// MaxKeys bounds a ring: a key a month for 85 years. It bounds the file as well.
const MaxKeys = 1024

const (
	magic       = "MILLRING"
	fileVersion = 1
	saltSize    = 32
	nonceSize   = 12
	tagSize     = 16
	secretSize  = 32
	headSize    = len(magic) + 4 + saltSize + nonceSize + 4
	keySize     = 4 + 8 + secretSize
	plainBase   = secretSize + 4
	minFile     = headSize + plainBase + keySize + tagSize + sha256.Size
	maxFile     = minFile + (MaxKeys-1)*keySize // 45,200 bytes
)

const fileInfo = "millrace.dev/keyring/v1 file"

// contents is what a ring's file holds. The number of keys[i] is i+1.
type contents struct {
	master [secretSize]byte
	keys   []storedKey
}

type storedKey struct {
	created int64 // Unix time in seconds
	seed    [secretSize]byte
}

// encode draws the file of the package comment. Every save takes a fresh salt and nonce.
func (c contents) encode(kek KEK, salt [saltSize]byte, nonce [nonceSize]byte) ([]byte, error) {
	plain := make([]byte, 0, plainBase+len(c.keys)*keySize)
	plain = append(plain, c.master[:]...)
	plain = binary.LittleEndian.AppendUint32(plain, uint32(len(c.keys)))
	for i, k := range c.keys {
		plain = binary.LittleEndian.AppendUint32(plain, uint32(i+1))
		plain = binary.LittleEndian.AppendUint64(plain, uint64(k.created))
		plain = append(plain, k.seed[:]...)
	}
	aead, err := fileAEAD(kek, salt[:])
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, headSize+len(plain)+tagSize+sha256.Size)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, fileVersion)
	b = append(b, salt[:]...)
	b = append(b, nonce[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(plain)+tagSize))
	b = aead.Seal(b, nonce[:], plain, b[:headSize])
	sum := sha256.Sum256(b)
	return append(b, sum[:]...), nil
}

// decode checks from the outside in, so that each error names its own cause: what it is, whether it is whole, whether it
// is what was written (a digest, since a wrong key and a flipped byte look the same to AES-GCM), and only then the key.
func decode(b []byte, kek KEK) (contents, error) {
	bad := func(err error, format string, args ...any) (contents, error) {
		return contents{}, fmt.Errorf("%w: %s", err, fmt.Sprintf(format, args...))
	}
	if !bytes.HasPrefix(b, []byte(magic)) {
		return bad(ErrFormat, "it does not begin with %s", magic)
	}
	if len(b) < headSize {
		return bad(ErrFormat, "cut off after %d bytes", len(b))
	}
	if v := binary.LittleEndian.Uint32(b[len(magic):]); v != fileVersion {
		return bad(ErrFormat, "it is of version %d, this is version %d", v, fileVersion)
	}
	if len(b) < minFile || len(b) > maxFile {
		return bad(ErrFormat, "%d bytes, want %d to %d", len(b), minFile, maxFile)
	}
	sealed := binary.LittleEndian.Uint32(b[headSize-4:])
	if want := uint64(headSize) + uint64(sealed) + sha256.Size; uint64(len(b)) != want {
		return bad(ErrFormat, "%d bytes, its head says %d", len(b), want)
	}
	body, digest := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], digest) {
		return bad(ErrCorrupt, "digest does not match")
	}
	salt := b[len(magic)+4:][:saltSize]
	nonce := b[len(magic)+4+saltSize:][:nonceSize]
	aead, err := fileAEAD(kek, salt)
	if err != nil {
		return contents{}, err
	}
	plain, err := aead.Open(nil, nonce, body[headSize:], body[:headSize])
	if err != nil {
		return contents{}, ErrWrongKEK
	}
	return decodePlain(plain)
}

// decodePlain reads authenticated bytes: an error here is a fault of the writer, not of the disk.
func decodePlain(b []byte) (contents, error) {
	if len(b) < plainBase+keySize || (len(b)-plainBase)%keySize != 0 {
		return contents{}, fmt.Errorf("%w: %d bytes inside", ErrFormat, len(b))
	}
	var c contents
	copy(c.master[:], b)
	n := (len(b) - plainBase) / keySize
	if got := binary.LittleEndian.Uint32(b[secretSize:]); n > MaxKeys || uint64(got) != uint64(n) {
		return contents{}, fmt.Errorf("%w: %d keys announced, %d there", ErrFormat, got, n)
	}
	c.keys = make([]storedKey, n)
	for i := range c.keys {
		k := b[plainBase+i*keySize:]
		if got := binary.LittleEndian.Uint32(k); got != uint32(i+1) {
			return contents{}, fmt.Errorf("%w: key %d in the place of %d", ErrFormat, got, i+1)
		}
		c.keys[i].created = int64(binary.LittleEndian.Uint64(k[4:]))
		copy(c.keys[i].seed[:], k[12:])
	}
	return c, nil
}

func fileAEAD(kek KEK, salt []byte) (cipher.AEAD, error) { return newAEAD(kek[:], salt, fileInfo) }

// newAEAD is AES-256-GCM under HKDF-SHA256 of a secret.
func newAEAD(secret, salt []byte, info string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret, salt, info, 32)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return cipher.NewGCM(block)
}
