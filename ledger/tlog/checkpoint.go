package tlog

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is what the hub signs: so many blocks, with this root. Its text, by c2sp.org/tlog-checkpoint:
//
//	hub.example.com/log                              origin
//	20852163                                         size
//	CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=     root
//	liabilities epoch 1760000003000 block ... root ...           extension lines: see Liabilities
type Checkpoint struct {
	Origin     string // the log's address without the scheme; also the name of its key
	Size       int64  // leaves
	Root       Hash
	Extensions []string // lines
}

// maxSize bounds a log. Powers of two up to it can be counted in 63 bits.
const maxSize = 1 << 62

// NewSigner returns what signs for an origin with the Ed25519 key of a seed, and the key that verifies it, in the text form of
// c2sp.org/signed-note: name+hash+key. The origin must be a note's name: without spaces and plus signs.
func NewSigner(origin string, seed [ed25519.SeedSize]byte) (signer note.Signer, verifierKey string, err error) {
	private := ed25519.NewKeyFromSeed(seed[:])
	verifierKey, err = note.NewEd25519VerifierKey(origin, private.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, "", fmt.Errorf("log key for %q: %w", origin, err)
	}
	verifier, err := NewVerifier(verifierKey)
	if err != nil {
		return nil, "", fmt.Errorf("log key for %q: %w", origin, err)
	}
	return &signerKey{name: origin, hash: verifier.KeyHash(), private: private}, verifierKey, nil
}

// signerKey is a note.Signer.
type signerKey struct {
	name    string
	hash    uint32
	private ed25519.PrivateKey
}

func (s *signerKey) Name() string                    { return s.name }
func (s *signerKey) KeyHash() uint32                 { return s.hash }
func (s *signerKey) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.private, msg), nil }

// NewVerifier reads a verifier key: name+hash+key.
func NewVerifier(verifierKey string) (note.Verifier, error) {
	v, err := note.NewVerifier(strings.TrimSpace(verifierKey))
	if err != nil {
		return nil, fmt.Errorf("log key: %w: want name+hash+key as the hub shows it", err)
	}
	return v, nil
}

// NewCheckpoint is that of a log at a size; the hashes are those of a tree of at least that size.
func NewCheckpoint(origin string, size int64, hashes tlog.HashReader, extensions ...string) (Checkpoint, error) {
	root, err := tlog.TreeHash(size, hashes)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint at size %d: %w", size, err)
	}
	return Checkpoint{Origin: origin, Size: size, Root: root, Extensions: extensions}, nil
}

// Sign returns the signed checkpoint. A log must never sign two that do not extend one another.
func (c *Checkpoint) Sign(s note.Signer) ([]byte, error) {
	text := c.text()
	if back, err := parseCheckpoint(text); err != nil || back.text() != text || back.Origin != s.Name() {
		return nil, fmt.Errorf("checkpoint %q for the key %q: %w", text, s.Name(), ErrForm)
	}
	msg, err := note.Sign(&note.Note{Text: text}, s)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return msg, nil
}

func (c *Checkpoint) text() string {
	lines := append([]string{c.Origin, strconv.FormatInt(c.Size, 10), c.Root.String()}, c.Extensions...)
	return strings.Join(lines, "\n") + "\n"
}

func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 || lines[0] == "" {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w: want the lines origin, size and root", ErrForm)
	}
	size, err := parseNumber(lines[1])
	if err == nil && size > maxSize {
		err = fmt.Errorf("%w: %d leaves, at most %d", ErrForm, size, int64(maxSize))
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: size: %w", err)
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: root: %w", err)
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: root}
	for _, l := range lines[3:] {
		if l == "" {
			return Checkpoint{}, fmt.Errorf("checkpoint: %w: an empty line", ErrForm)
		}
		c.Extensions = append(c.Extensions, l)
	}
	return c, nil
}

// OpenCheckpoint reads a signed checkpoint. It must be signed by the verifier's key and be of the log that the key is for.
func OpenCheckpoint(signed []byte, v note.Verifier) (Checkpoint, error) {
	text, err := openNote(signed, v)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	c, err := parseCheckpoint(text)
	if err == nil && c.Origin != v.Name() {
		err = fmt.Errorf("%w: checkpoint of %q, the key is for %q", ErrProof, c.Origin, v.Name())
	}
	if err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}

// openNote returns the text of a note that the verifier's key has signed. Other signatures (of witnesses) may stand beside.
// It accepts one form only of each signature line, and none twice, which note.Open does not insist on.
func openNote(signed []byte, v note.Verifier) (string, error) {
	n, err := note.Open(signed, note.VerifierList(v))
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &unverified) {
		if err = checkSignatures(signed, unverified.Note); err != nil {
			return "", err
		}
		return "", fmt.Errorf("%w: not signed with the key %s+%08x, but by %s", ErrProof, v.Name(), v.KeyHash(), signers(unverified.Note))
	}
	if errors.As(err, new(*note.InvalidSignatureError)) {
		return "", fmt.Errorf("%w: %w", ErrProof, err)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrForm, err)
	}
	return n.Text, checkSignatures(signed, n)
}

// checkSignatures makes sure that each line below the note's text is one of its signatures, in strict base 64.
func checkSignatures(signed []byte, n *note.Note) error {
	sigs := append(append([]note.Signature(nil), n.Sigs...), n.UnverifiedSigs...)
	if lines := strings.Count(string(signed[len(n.Text)+1:]), "\n"); lines != len(sigs) {
		return fmt.Errorf("%w: %d signature lines for %d signatures", ErrForm, lines, len(sigs))
	}
	for _, s := range sigs {
		if b, err := strict.DecodeString(s.Base64); err != nil || len(b) < 5 || binary.BigEndian.Uint32(b) != s.Hash {
			return fmt.Errorf("%w: signature of %s is not in strict base 64", ErrForm, s.Name)
		}
	}
	return nil
}

func signers(n *note.Note) string {
	names := make([]string, len(n.UnverifiedSigs))
	for i, s := range n.UnverifiedSigs {
		names[i] = fmt.Sprintf("%s+%08x", s.Name, s.Hash)
	}
	return strings.Join(names, ", ")
}

// parseNumber reads a decimal number without signs and leading zeros, at most 2^63-1.
func parseNumber(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%w: %.40q is no number", ErrForm, s)
	}
	return n, nil
}

func parseHash(s string) (h Hash, err error) {
	b, err := strict.DecodeString(s)
	if err != nil || len(b) != len(h) || strict.EncodeToString(b) != s {
		return h, fmt.Errorf("%w: %.60q is no hash of 32 bytes in base 64", ErrForm, s)
	}
	return Hash(b), nil
}
