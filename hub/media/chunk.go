package media

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/millrace/millrace/hub/seal"
)

// maxGrowth is by how many bytes a chunk is larger than its plain text at most: the line of the largest origin and its tag.
const maxGrowth = 512

// chunkMagic begins a chunk.
const chunkMagic = "millrace.dev/chunk/v1"

// ErrChunk means that a chunk does not open: another key, cut off or changed.
var ErrChunk = errors.New("chunk does not open: it is corrupt, or the key is not its own")

// encrypt makes what the file of chunk i has.
func (m *Manifest) encrypt(i int, unit uint32, key seal.UnitKey, plain []byte) ([]byte, error) {
	if m.Kind == HLS {
		return encryptSegment(key, SegmentIV(key, i), plain)
	}
	line := m.line(i, unit)
	aead, err := gcm(key)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(line)+len(plain)+aead.Overhead()), line...)
	return aead.Seal(out, chunkNonce(i), plain, line), nil
}

// Check compares the file of chunk i with the manifest: before it is paid for.
func (m *Manifest) Check(i int, file []byte) error {
	c := m.Chunks[i]
	if sum := sha256.Sum256(file); int64(len(file)) != c.Size || hex.EncodeToString(sum[:]) != c.SHA256 {
		return fmt.Errorf("%s: %w: it is not the one in the manifest", m.File(i), ErrChunk)
	}
	return nil
}

// Open decrypts the file of chunk i with its unit's key, after Check.
func (m *Manifest) Open(i int, key seal.UnitKey, file []byte) ([]byte, error) {
	if err := m.Check(i, file); err != nil {
		return nil, err
	}
	c := m.Chunks[i]
	plain, err := m.decrypt(i, c.Unit, key, file)
	if err == nil && int64(len(plain)) != c.PlainSize {
		err = ErrChunk
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.File(i), err)
	}
	return plain, nil
}

func (m *Manifest) decrypt(i int, unit uint32, key seal.UnitKey, file []byte) ([]byte, error) {
	if m.Kind == HLS {
		return decryptSegment(key, SegmentIV(key, i), file)
	}
	line := m.line(i, unit)
	sealed, ok := bytes.CutPrefix(file, line)
	if !ok {
		return nil, ErrChunk
	}
	aead, err := gcm(key)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, chunkNonce(i), sealed, line)
	if err != nil {
		return nil, ErrChunk
	}
	return plain, nil
}

func (m *Manifest) line(i int, unit uint32) []byte {
	return fmt.Appendf(nil, "%s %s %s %d %d\n", chunkMagic, m.Hub, m.Content, unit, i)
}

func gcm(key seal.UnitKey) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func chunkNonce(i int) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 4, 12), uint64(i))
}

// SegmentIV is the IV of chunk i, which the playlist names. Nobody can tell it before the segment is there.
func SegmentIV(key seal.UnitKey, i int) (iv [aes.BlockSize]byte) {
	h := hmac.New(sha256.New, key[:])
	h.Write(binary.BigEndian.AppendUint32([]byte("millrace segment iv/1"), uint32(i)))
	copy(iv[:], h.Sum(nil))
	return iv
}

// encryptSegment is METHOD=AES-128 of RFC 8216: AES-128-CBC with PKCS#7 padding, which is never empty.
func encryptSegment(key seal.UnitKey, iv [aes.BlockSize]byte, plain []byte) ([]byte, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	out := append(make([]byte, 0, len(plain)+pad), plain...)
	out = append(out, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv[:]).CryptBlocks(out, out)
	return out, nil
}

func decryptSegment(key seal.UnitKey, iv [aes.BlockSize]byte, file []byte) ([]byte, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	if len(file) == 0 || len(file)%aes.BlockSize != 0 {
		return nil, ErrChunk
	}
	out := make([]byte, len(file))
	cipher.NewCBCDecrypter(block, iv[:]).CryptBlocks(out, file)
	pad := int(out[len(out)-1])
	if pad == 0 || pad > aes.BlockSize || !bytes.Equal(out[len(out)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, ErrChunk
	}
	return out[:len(out)-pad], nil
}
