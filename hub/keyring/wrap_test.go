package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

func TestWrap(t *testing.T) {
	r, _ := newTestRing(t)
	key := seal.FileKey{1, 2, 3}
	w, err := r.Wrap(testID, key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Unwrap(testID, w); err != nil || got != key {
		t.Fatalf("round trip: %v", err)
	}
	if again, err := r.Wrap(testID, key); err != nil || again == w {
		t.Errorf("two wraps with one nonce: %v", err)
	}
	if _, err := r.Unwrap(ledger.ContentID{}, w); !errors.Is(err, ErrWrapped) {
		t.Errorf("another content: %v", err)
	}
	for i := range w {
		bad := w
		bad[i] ^= 1
		want := ErrWrapped
		if i < 4 {
			want = ErrUnknownKey // the only number is 1
		}
		if _, err := r.Unwrap(testID, bad); !errors.Is(err, want) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
	}
	if err := r.Rotate(t0); err != nil {
		t.Fatal(err)
	}
	w[0] = 2
	if _, err := r.Unwrap(testID, w); !errors.Is(err, ErrWrapped) {
		t.Errorf("another key's number: %v", err)
	}
	if got := testing.AllocsPerRun(100, func() { _, _ = r.Unwrap(testID, w) }); got > 8 {
		t.Errorf("a refusal allocates %v times", got)
	}
}

// TestWrapFormat opens a wrapped key by the description of [Wrapped] alone.
func TestWrapFormat(t *testing.T) {
	r, _ := newTestRing(t)
	want := seal.FileKey{9: 9}
	w, err := r.Wrap(testID, want)
	if err != nil {
		t.Fatal(err)
	}
	k, err := hkdf.Key(sha256.New, r.stored.keys[0].seed[:], nil, "millrace.dev/keyring/v1 wrap", 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	got, err := gcm.Open(nil, w[4:16], w[16:], testID[:])
	if err != nil || seal.FileKey(got) != want || binary.LittleEndian.Uint32(w[:]) != 1 || len(w) != 48 {
		t.Errorf("got %x, %v", got, err)
	}
}

func BenchmarkUnwrap(b *testing.B) {
	r, _ := newTestRing(b)
	w, err := r.Wrap(testID, seal.FileKey{1})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Unwrap(testID, w); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnwrapParallel(b *testing.B) {
	r, _ := newTestRing(b)
	w, err := r.Wrap(testID, seal.FileKey{1})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.Unwrap(testID, w); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkOpenHeader(b *testing.B) {
	r, _ := newTestRing(b)
	h := sealTo(b, r.Public())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.OpenHeader(h); err != nil {
			b.Fatal(err)
		}
	}
}
