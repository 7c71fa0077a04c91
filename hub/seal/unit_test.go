package seal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestUnitKey: the derivation is HKDF by RFC 5869, spelled out here with HMAC alone, and pinned.
func TestUnitKey(t *testing.T) {
	key := FileKey(bytes.Repeat([]byte{5}, 16))
	for _, n := range []uint32{0, 1, 1<<32 - 1} {
		extract := hmac.New(sha256.New, make([]byte, 32)) // no salt: as many zeros as the hash has bytes
		extract.Write(key[:])
		expand := hmac.New(sha256.New, extract.Sum(nil))
		expand.Write(binary.BigEndian.AppendUint32([]byte("millrace unit/1"), n))
		expand.Write([]byte{1})
		want := hex.EncodeToString(expand.Sum(nil)[:16])
		if got := key.Unit(n); hex.EncodeToString(got[:]) != want {
			t.Errorf("unit %d: %x, want %s", n, got[:], want)
		}
	}
	if got := key.Unit(7); hex.EncodeToString(got[:]) != "bb47cfe1e94a3498b0abb23373f31214" {
		t.Errorf("unit 7 of a fixed key: %x", got[:])
	}
	if s := fmt.Sprintf("%v %+v %#v %x %s", key.Unit(0), key.Unit(0), key.Unit(0), key.Unit(0), key.Unit(0)); strings.Count(s, "secret") != 5 {
		t.Errorf("printed: %s", s)
	}
	if _, err := key.Unit(0).MarshalText(); err == nil {
		t.Error("a unit key was encoded")
	}
}

func TestSealUnits(t *testing.T) {
	k, manifest := testKey(t, X25519), []byte(`{"units":3}`)
	var out bytes.Buffer
	var given FileKey
	s, err := SealUnits(&out, k.Public(), testOrigin, testID, func(key FileKey) ([]byte, uint32, error) {
		given = key
		return manifest, 3, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h, whole, err := ReadHeader(&out)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Units{3, sha256.Sum256(manifest)}); h.Units != want || !bytes.Equal(h.Raw, s.Header) {
		t.Errorf("units %+v, want %+v", h.Units, want)
	}
	key, err := k.OpenHeader(h)
	if err != nil || key != given || Commitment(key) != s.Commitment {
		t.Fatalf("the file key is another: %v", err)
	}
	var plain bytes.Buffer
	if err := Open(&plain, whole, key); err != nil || !bytes.Equal(plain.Bytes(), manifest) {
		t.Errorf("payload %q, %v", plain.Bytes(), err)
	}
	// The stanza is the header's: another number does not pass the MAC.
	bent, err := ParseHeader(bytes.Replace(h.Raw, []byte("/units/v1 3 "), []byte("/units/v1 4 "), 1))
	if err != nil || bent.Units.Count != 4 {
		t.Fatalf("%+v, %v", bent.Units, err)
	}
	if _, err := k.OpenHeader(bent); !errors.Is(err, ErrStanza) {
		t.Errorf("a changed number of units: %v", err)
	}
}

func TestSealUnitsRefuses(t *testing.T) {
	k, failed := testKey(t, X25519), errors.New("no such film")
	for _, units := range []uint32{0, MaxUnits + 1} {
		_, err := SealUnits(io.Discard, k.Public(), testOrigin, testID, func(FileKey) ([]byte, uint32, error) { return nil, units, nil })
		if err == nil {
			t.Errorf("%d units: no error", units)
		}
	}
	if _, err := SealUnits(io.Discard, k.Public(), testOrigin, testID, func(FileKey) ([]byte, uint32, error) { return nil, 1, failed }); !errors.Is(err, failed) {
		t.Errorf("prepare's own error: %v", err)
	}
}

func TestUnitsStanzaRefuses(t *testing.T) {
	_, s := sealBytes(t, testKey(t, X25519), nil)
	lines := strings.Split(string(s.Header), "\n")
	digest := strings.Repeat("0a", 32)
	if h, err := ParseHeader(ageHeader(lines[1], lines[2], "-> "+UnitsType+" 12 "+digest, "")); err != nil || h.Units.Count != 12 || h.Units.Manifest[31] != 10 {
		t.Fatalf("%+v, %v", h.Units, err)
	}
	for name, stanza := range map[string][]string{
		"no number":     {"-> " + UnitsType + " " + digest, ""},
		"zero":          {"-> " + UnitsType + " 0 " + digest, ""},
		"leading zero":  {"-> " + UnitsType + " 012 " + digest, ""},
		"signed":        {"-> " + UnitsType + " +12 " + digest, ""},
		"too many":      {"-> " + UnitsType + " 131073 " + digest, ""},
		"short digest":  {"-> " + UnitsType + " 12 " + digest[2:], ""},
		"upper case":    {"-> " + UnitsType + " 12 " + strings.ToUpper(digest), ""},
		"a third":       {"-> " + UnitsType + " 12 " + digest + " x", ""},
		"with a body":   {"-> " + UnitsType + " 12 " + digest, "AAAA"},
		"two of them":   {"-> " + UnitsType + " 12 " + digest, "", "-> " + UnitsType + " 12 " + digest, ""},
		"another after": {"-> " + UnitsType + " 12 " + digest, "", "-> " + UnitsType + " 13 " + digest, ""},
	} {
		if _, err := ParseHeader(ageHeader(append([]string{lines[1], lines[2]}, stanza...)...)); !errors.Is(err, ErrHeader) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnitDelivery(t *testing.T) {
	priv, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	file := FileKey{1, 2, 3}
	enc, ciphertext, err := SealUnitTo(priv.PublicKey().Bytes(), testID, 4, file.Unit(4))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenUnitDelivery(priv.Bytes(), enc, ciphertext, testID, 4); err != nil || got != file.Unit(4) {
		t.Errorf("%v", err)
	}
	if _, err := OpenUnitDelivery(priv.Bytes(), enc, ciphertext, testID, 5); !errors.Is(err, ErrDelivery) {
		t.Errorf("as another unit: %v", err)
	}
	if _, err := OpenDelivery(priv.Bytes(), enc, ciphertext, testID); !errors.Is(err, ErrDelivery) {
		t.Errorf("as a file key: %v", err)
	}
}
