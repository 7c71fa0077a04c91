package seal

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"
)

func openFile(k PrivateKey, file []byte) ([]byte, error) {
	h, whole, err := ReadHeader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	key, err := k.OpenHeader(h)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = Open(&out, whole, key)
	return out.Bytes(), err
}

func TestEveryFlippedHeaderByteIsDetected(t *testing.T) {
	k := testKey(t, X25519)
	file, s := sealBytes(t, k, []byte("a work"))
	h, err := ParseHeader(s.Header)
	if err != nil {
		t.Fatal(err)
	}
	key, err := k.OpenHeader(h)
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Header {
		for _, flip := range []byte{1, 0x20, 0x80} {
			bad := slices.Clone(file)
			bad[i] ^= flip
			if _, err := openFile(k, bad); err == nil || !isOurs(err) {
				t.Fatalf("byte %d flipped by %#x: hub says %v", i, flip, err)
			}
			if err := Open(io.Discard, bytes.NewReader(bad), key); err == nil || !isOurs(err) {
				t.Fatalf("byte %d flipped by %#x: buyer says %v", i, flip, err)
			}
		}
	}
}

func isOurs(err error) bool {
	for _, s := range []error{ErrNotSealed, ErrNoStanza, ErrHeader, ErrStanza, ErrCorrupt} {
		if errors.Is(err, s) {
			return true
		}
	}
	return false
}

func TestFlippedAndMissingPayload(t *testing.T) {
	k := testKey(t, X25519)
	plain := testBytes(3*64<<10 + 5)
	file, s := sealBytes(t, k, plain)
	start := len(s.Header)
	for i := start; i < len(file); i += 1 + (i-start)/7 + 61 {
		bad := slices.Clone(file)
		bad[i] ^= 0x10
		if got, err := openFile(k, bad); !errors.Is(err, ErrCorrupt) || !bytes.HasPrefix(plain, got) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	const chunk = 64<<10 + 16
	cuts := []int{start, start + 1, start + 15, start + 16, start + 17, start + 16 + chunk - 1, start + 16 + chunk,
		start + 16 + chunk + 1, start + 16 + chunk + 16, start + 16 + 3*chunk, len(file) - 1}
	for _, n := range cuts {
		if _, err := openFile(k, file[:n]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut to %d of %d bytes: %v", n, len(file), err)
		}
	}
	if _, err := openFile(k, append(slices.Clone(file), 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a byte too many: %v", err)
	}
	swapped := slices.Concat(file[:start+16], file[start+16+chunk:start+16+2*chunk], file[start+16:start+16+chunk], file[start+16+2*chunk:])
	if _, err := openFile(k, swapped); !errors.Is(err, ErrCorrupt) {
		t.Errorf("chunks swapped: %v", err)
	}
	if err := Open(io.Discard, bytes.NewReader(file), FileKey{1}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another key: %v", err)
	}
}

func TestOpenTellsBadFilesFromBadDisks(t *testing.T) {
	k := testKey(t, X25519)
	file, s := sealBytes(t, k, testBytes(200<<10))
	h, err := ParseHeader(s.Header)
	if err != nil {
		t.Fatal(err)
	}
	key, err := k.OpenHeader(h)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 10, len(s.Header) + 3, 100 << 10} {
		src := io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(errDisk))
		if err := Open(io.Discard, src, key); !errors.Is(err, errDisk) || errors.Is(err, ErrCorrupt) {
			t.Errorf("source fails after %d bytes: %v", n, err)
		}
	}
	if err := Open(&limitedWriter{100 << 10}, bytes.NewReader(file), key); !errors.Is(err, errFull) || errors.Is(err, ErrCorrupt) {
		t.Errorf("destination fails: %v", err)
	}
	var got bytes.Buffer
	if err := Open(&got, iotest.OneByteReader(bytes.NewReader(file)), key); err != nil || got.Len() != 200<<10 {
		t.Errorf("byte by byte: %v", err)
	}
}

// FuzzOpen checks that nothing but the sealed bytes themselves opens, however the file is bent.
func FuzzOpen(f *testing.F) {
	k := testKey(f, X25519)
	header, file, key := goldenFile(f, k)
	f.Add(file)
	f.Add(file[:len(header)])
	f.Add(file[:len(file)-1])
	f.Add([]byte(intro))
	f.Fuzz(func(t *testing.T, data []byte) {
		var out bytes.Buffer
		err := Open(&out, bytes.NewReader(data), key)
		if err == nil && (!bytes.Equal(data, file) || !bytes.Equal(out.Bytes(), []byte(goldenPlain))) {
			t.Fatal("opened what was not sealed")
		}
		if err != nil && !isOurs(err) {
			t.Fatalf("unknown kind of error: %v", err)
		}
	})
}
