package seal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/millrace/millrace/ledger"
)

const testOrigin = "https://hub.example:8443"

var testID = ledger.ContentID{0xc0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

func testKey(t testing.TB, kem KEM) PrivateKey {
	t.Helper()
	k, err := NewPrivateKeyFor(kem, bytes.Repeat([]byte{7}, seedSize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func testBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func sealBytes(t testing.TB, k PrivateKey, plain []byte) ([]byte, Sealed) {
	t.Helper()
	var out bytes.Buffer
	s, err := Seal(&out, bytes.NewReader(plain), k.Public(), testOrigin, testID)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), s
}

func TestRoundTrip(t *testing.T) {
	sizes := []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1<<20 + 3}
	for _, kem := range []KEM{X25519, MLKEM768X25519} {
		for _, size := range sizes {
			k, plain := testKey(t, kem), testBytes(size)
			file, s := sealBytes(t, k, plain)
			if s.Size != int64(len(file)) || s.SHA256 != sha256.Sum256(file) || !bytes.HasPrefix(file, s.Header) {
				t.Fatalf("%v, %d bytes: what Seal says is not what it wrote", kem, size)
			}
			h, whole, err := ReadHeader(bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(h.Raw, s.Header) || h.SHA256() != sha256.Sum256(s.Header) {
				t.Fatal("ReadHeader and Seal disagree about the header")
			}
			if h.Origin != testOrigin || h.Content != testID || h.KeyID != k.Public().ID() {
				t.Fatalf("stanza %q %v %q", h.Origin, h.Content, h.KeyID)
			}
			key, err := k.OpenHeader(h)
			if err != nil {
				t.Fatal(err)
			}
			if s.Commitment != Commitment(key) {
				t.Fatal("the commitment is not the file key's")
			}
			var got bytes.Buffer
			if err := Open(&got, whole, key); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), plain) {
				t.Fatalf("%v, %d bytes: another plaintext", kem, size)
			}
		}
	}
}

func TestSealRefuses(t *testing.T) {
	k := testKey(t, X25519)
	if _, err := Seal(io.Discard, bytes.NewReader(nil), k.Public(), "https://hub.example/path", testID); !errors.Is(err, ErrOrigin) {
		t.Errorf("a path: %v", err)
	}
	if _, err := Seal(io.Discard, bytes.NewReader(nil), PublicKey{}, testOrigin, testID); !errors.Is(err, ErrKey) {
		t.Errorf("no key: %v", err)
	}
	low, err := ParsePublicKey("millrace-key-x25519-" + b64URL.EncodeToString(make([]byte, 32)))
	if err == nil {
		_, err = Seal(io.Discard, bytes.NewReader(nil), low, testOrigin, testID)
	}
	if err == nil {
		t.Error("sealed to the point of low order")
	}
}

// limitedWriter fails after n bytes, as a full disk does.
type limitedWriter struct{ n int }

func (w *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > w.n {
		return 0, errFull
	}
	w.n -= len(p)
	return len(p), nil
}

type brokenReader struct{ n int }

func (r *brokenReader) Read(p []byte) (int, error) {
	if r.n <= 0 {
		return 0, errDisk
	}
	n := min(len(p), r.n)
	clear(p[:n])
	r.n -= n
	return n, nil
}

var errFull, errDisk = errors.New("no space left"), errors.New("disk on fire")

func TestSealReportsIO(t *testing.T) {
	pub, plain := testKey(t, X25519).Public(), testBytes(200<<10)
	for _, n := range []int{0, 100, 1000, 70 << 10, 200 << 10} {
		if _, err := Seal(&limitedWriter{n}, bytes.NewReader(plain), pub, testOrigin, testID); !errors.Is(err, errFull) {
			t.Errorf("disk full after %d bytes: %v", n, err)
		}
	}
	if _, err := Seal(io.Discard, &brokenReader{100 << 10}, pub, testOrigin, testID); !errors.Is(err, errDisk) {
		t.Errorf("source broken: %v", err)
	}
}

// zeros yields n bytes and notes the largest heap on the way.
type zeros struct {
	n    int64
	peak uint64
	tick int
}

func (z *zeros) Read(p []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	if z.tick++; z.tick%64 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		z.peak = max(z.peak, m.HeapAlloc)
	}
	n := min(int64(len(p)), z.n)
	clear(p[:n])
	z.n -= n
	return int(n), nil
}

func TestMemoryIsBounded(t *testing.T) {
	const size = 64 << 20
	const allowed = 16 << 20 // the garbage collector's slack; what is in use at once is well below 1 MiB
	k := testKey(t, X25519)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	src := &zeros{n: size}
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := Seal(w, src, k.Public(), testOrigin, testID)
		w.CloseWithError(err)
		done <- err
	}()
	h, whole, err := ReadHeader(r)
	if err != nil {
		t.Fatal(err)
	}
	key, err := k.OpenHeader(h)
	if err != nil {
		t.Fatal(err)
	}
	if err := Open(io.Discard, whole, key); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if src.peak > before.HeapAlloc+allowed {
		t.Errorf("heap grew from %d to %d bytes", before.HeapAlloc, src.peak)
	}
	// Sealing alone allocates nothing per chunk. (age's reader takes a chunk's buffer afresh each time.)
	runtime.ReadMemStats(&before)
	if _, err := Seal(io.Discard, &zeros{n: size, tick: -1 << 40}, k.Public(), testOrigin, testID); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("sealing %d bytes allocated %d", size, got)
	}
}
