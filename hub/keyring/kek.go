package keyring

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// maxKEKText bounds what is read of a key-encryption key's text: 64 digits, and room for whitespace.
const maxKEKText = 256

// ErrKEK is returned, wrapped, when a key-encryption key cannot be had as configured.
var ErrKEK = errors.New("no usable key-encryption key")

// KEK is the key-encryption key: it encrypts the ring's file and lives apart from it, so that a copy of the data folder
// opens nothing. It is never printed.
type KEK [32]byte

// Source says where the KEK comes from. Exactly one field must be set.
type Source struct {
	File       string // path of a file that only its owner can read
	Env        string // name of an environment variable
	Credential string // name of a systemd credential, a file in $CREDENTIALS_DIRECTORY
}

// LoadKEK reads a KEK: 64 hexadecimal digits or the base64 of 32 bytes, in whitespace or not.
func LoadKEK(src Source) (KEK, error) {
	text, err := src.read()
	if err != nil {
		return KEK{}, fmt.Errorf("load key-encryption key: %w: %w", ErrKEK, err)
	}
	k, err := parseKEK(strings.TrimSpace(text))
	if err != nil {
		return KEK{}, fmt.Errorf("load key-encryption key: %w: %w", ErrKEK, err)
	}
	return k, nil
}

func (s Source) read() (string, error) {
	set := 0
	for _, v := range []string{s.File, s.Env, s.Credential} {
		if v != "" {
			set++
		}
	}
	switch {
	case set != 1:
		return "", fmt.Errorf("want exactly one of file, environment variable and credential, not %d", set)
	case s.File != "":
		return readKEKFile(s.File, true)
	case s.Env != "":
		v, ok := os.LookupEnv(s.Env)
		if !ok {
			return "", fmt.Errorf("environment variable %s is not set", s.Env)
		}
		return v, nil
	}
	if s.Credential != filepath.Base(s.Credential) || !filepath.IsLocal(s.Credential) || s.Credential == "." {
		return "", fmt.Errorf("credential %q is not a plain name", s.Credential)
	}
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return "", errors.New("$CREDENTIALS_DIRECTORY is not set: is this a systemd service with LoadCredential=?")
	}
	// systemd guards the folder itself, and grants the files by ACL, which looks like group permission in the mode.
	return readKEKFile(filepath.Join(dir, s.Credential), false)
}

func readKEKFile(path string, private bool) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat() // of the open file: nobody can swap it between the check and the reading
	if err != nil {
		return "", err
	}
	if mode := info.Mode().Perm(); private && mode&0o077 != 0 {
		return "", fmt.Errorf("%s is open to others than its owner (mode %04o): chmod 600 it, and consider it leaked", path, mode)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKEKText+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxKEKText {
		return "", fmt.Errorf("%s is longer than %d bytes", path, maxKEKText)
	}
	return string(b), nil
}

// parseKEK never quotes the text: a mistyped secret is nearly the secret.
func parseKEK(text string) (KEK, error) {
	var b []byte
	var err error
	switch n := len(strings.TrimRight(text, "=")); {
	case len(text) == 2*len(KEK{}):
		b, err = hex.DecodeString(text)
	case n == base64.RawStdEncoding.EncodedLen(len(KEK{})) && len(text) <= n+1 && !strings.ContainsAny(text, "\r\n"):
		b, err = base64.RawStdEncoding.DecodeString(strings.NewReplacer("-", "+", "_", "/").Replace(text[:n]))
	default:
		err = errors.New("wrong length")
	}
	if err != nil || len(b) != len(KEK{}) {
		return KEK{}, fmt.Errorf("want 64 hexadecimal digits or the base64 of 32 bytes, got %d characters that are neither", len(text))
	}
	if KEK(b) == (KEK{}) {
		return KEK{}, errors.New("it is all zeros")
	}
	return KEK(b), nil
}

// CreateKEKFile makes a KEK and writes it to a new file that only its owner can read. It never overwrites.
func CreateKEKFile(path string) (KEK, error) {
	var k KEK
	_, _ = rand.Read(k[:]) // it never fails: the runtime ends the process first
	if err := createFile(path, []byte(hex.EncodeToString(k[:])+"\n")); err != nil {
		return KEK{}, fmt.Errorf("create key-encryption key: %w", err)
	}
	return k, nil
}

const kekRedacted = "keyring.KEK(secret)"

var errSecret = errors.New("a secret is not to be encoded")

// String, Format and LogValue keep the key out of logs whatever verb or handler meets it.
func (k KEK) String() string               { return kekRedacted }
func (k KEK) Format(f fmt.State, _ rune)   { fmt.Fprint(f, kekRedacted) }
func (k KEK) LogValue() slog.Value         { return slog.StringValue(kekRedacted) }
func (k KEK) MarshalText() ([]byte, error) { return nil, errSecret }
