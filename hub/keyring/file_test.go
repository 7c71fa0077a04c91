package keyring

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "make new golden files; the old ones must then stay as files of an older version")

func testContents() (c contents, salt [saltSize]byte, nonce [nonceSize]byte) {
	fill := func(b []byte, from byte) {
		for i := range b {
			b[i] = from + byte(i)
		}
	}
	fill(c.master[:], 0x10)
	c.keys = []storedKey{{created: 1_790_000_000}, {created: 1_790_086_400}}
	fill(c.keys[0].seed[:], 0x40)
	fill(c.keys[1].seed[:], 0x80)
	fill(salt[:], 0xa0)
	fill(nonce[:], 0xf0)
	return c, salt, nonce
}

// TestGolden pins the file, byte for byte, and with it every derivation: KEK to file, seed to public key, master to tokens.
func TestGolden(t *testing.T) {
	const path = "testdata/v1.ring.txt"
	data, err := testEncode(testKEK)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ring")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	r := reopen(t, file)
	root := r.TokenRoot()
	got := hex.EncodeToString(data) + "\n" + hex.EncodeToString(root[:]) + "\n"
	for _, p := range r.Publics() {
		got += p.String() + "\n"
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if minFile+keySize != len(data) || maxFile != 45200 {
		t.Errorf("%d bytes of %d", len(data), maxFile)
	}
}

func testEncode(kek KEK) ([]byte, error) {
	c, salt, nonce := testContents()
	return c.encode(kek, salt, nonce)
}

func TestDecodeErrors(t *testing.T) {
	data, err := testEncode(testKEK)
	if err != nil {
		t.Fatal(err)
	}
	want, _, _ := testContents()
	if c, err := decode(data, testKEK); err != nil || c.master != want.master || !slices.Equal(c.keys, want.keys) {
		t.Fatalf("round trip: %v", err)
	}
	if _, err := decode(data, KEK{9}); !errors.Is(err, ErrWrongKEK) {
		t.Errorf("another KEK: %v", err)
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 4
		want := ErrCorrupt
		if i < len(magic)+4 || i >= headSize-4 && i < headSize {
			want = ErrFormat // magic, version, length
		}
		if _, err := decode(bad, testKEK); !errors.Is(err, want) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
	}
	for n := range data {
		if _, err := decode(data[:n], testKEK); !errors.Is(err, ErrFormat) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := decode(append(bytes.Clone(data), 0), testKEK); !errors.Is(err, ErrFormat) {
		t.Errorf("a byte too many: %v", err)
	}
	newer := bytes.Clone(data)
	newer[len(magic)] = 2
	if _, err := decode(newer, testKEK); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("a newer version: %v", err)
	}
	// The digest is no protection: with it made anew, the tag still holds.
	for i := len(magic) + 4; i < len(data)-sha256.Size; i++ {
		bad := bytes.Clone(data)
		bad[i] ^= 4
		sum := sha256.Sum256(bad[:len(bad)-sha256.Size])
		copy(bad[len(bad)-sha256.Size:], sum[:])
		if _, err := decode(bad, testKEK); err == nil {
			t.Errorf("byte %d forged", i)
		}
	}
}

func TestDecodePlainErrors(t *testing.T) {
	good := make([]byte, plainBase+2*keySize)
	binary.LittleEndian.PutUint32(good[secretSize:], 2)
	binary.LittleEndian.PutUint32(good[plainBase:], 1)
	binary.LittleEndian.PutUint32(good[plainBase+keySize:], 2)
	if _, err := decodePlain(good); err != nil {
		t.Fatal(err)
	}
	with := func(at int, v uint32) []byte {
		b := bytes.Clone(good)
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	huge := make([]byte, plainBase+(MaxKeys+1)*keySize)
	binary.LittleEndian.PutUint32(huge[secretSize:], MaxKeys+1)
	for name, b := range map[string][]byte{
		"empty": nil, "no keys": make([]byte, plainBase), "half a key": good[:len(good)-1], "count": with(secretSize, 3),
		"huge count": with(secretSize, 1<<32-1), "number": with(plainBase, 2), "gap": with(plainBase+keySize, 3), "too many": huge,
	} {
		if _, err := decodePlain(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(big, testKEK); !errors.Is(err, ErrFormat) {
		t.Errorf("too large: %v", err)
	}
}

// FuzzDecode checks that the decoder stays in bounds, and that what it accepts is what was encoded.
func FuzzDecode(f *testing.F) {
	data, err := testEncode(testKEK)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:headSize])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		// What is behind the tag is reached with the plaintext itself, and the tag with a digest made anew.
		if c, err := decodePlain(b); err == nil {
			enc, err := c.encode(testKEK, [saltSize]byte{}, [nonceSize]byte{})
			if err != nil {
				t.Fatal(err)
			}
			if again, err := decode(enc, testKEK); err != nil || again.master != c.master || !slices.Equal(again.keys, c.keys) {
				t.Fatalf("does not round-trip: %v", err)
			}
		}
		if len(b) > sha256.Size {
			fixed := bytes.Clone(b)
			sum := sha256.Sum256(fixed[:len(b)-sha256.Size])
			copy(fixed[len(b)-sha256.Size:], sum[:])
			if _, err := decode(fixed, testKEK); err == nil && !bytes.Equal(fixed, data) {
				t.Fatal("accepted what nobody wrote")
			}
		}
		if _, err := decode(b, testKEK); err == nil && !bytes.Equal(b, data) {
			t.Fatal("accepted what nobody wrote")
		} else if err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrWrongKEK) {
			t.Fatalf("unknown kind of error: %v", err)
		}
	})
}
