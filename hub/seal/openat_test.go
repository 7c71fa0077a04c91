package seal

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
)

// sealedKey is a sealed file with its header and file key.
func sealedKey(t testing.TB, plain []byte) (file []byte, h Header, key FileKey) {
	t.Helper()
	k := testKey(t, X25519)
	file, s := sealBytes(t, k, plain)
	h, err := ParseHeader(s.Header)
	if err != nil {
		t.Fatal(err)
	}
	if key, err = k.OpenHeader(h); err != nil {
		t.Fatal(err)
	}
	return file, h, key
}

func TestOpenAt(t *testing.T) {
	for _, size := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 2 * chunkSize, 3*chunkSize + 5} {
		plain := testBytes(size)
		file, h, key := sealedKey(t, plain)
		if n, err := PlainSize(h, int64(len(file))); err != nil || n != int64(size) {
			t.Errorf("%d bytes: PlainSize is %d, %v", size, n, err)
		}
		r, err := OpenAt(bytes.NewReader(file), int64(len(file)), key)
		if err != nil || r.Size() != int64(size) {
			t.Fatalf("%d bytes: %v", size, err)
		}
		edges := []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 2*chunkSize - 1, 2 * chunkSize, 3 * chunkSize, size - 1, size}
		for _, from := range edges {
			for _, to := range edges {
				if from < 0 || from > to || to > size {
					continue
				}
				got := make([]byte, to-from)
				if n, err := r.ReadAt(got, int64(from)); n != len(got) || err != nil && (err != io.EOF || to != size) || !bytes.Equal(got, plain[from:to]) {
					t.Errorf("%d bytes, from %d to %d: read %d, %v", size, from, to, n, err)
				}
			}
		}
		if n, err := r.ReadAt(make([]byte, 10), int64(size)); n != 0 || err != io.EOF {
			t.Errorf("%d bytes, behind the end: %d, %v", size, n, err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes, from end to end: %v", size, err)
		}
	}
}

func TestOpenAtByMany(t *testing.T) {
	plain := testBytes(5*chunkSize + 77)
	file, _, key := sealedKey(t, plain)
	r, err := OpenAt(bytes.NewReader(file), int64(len(file)), key)
	if err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for i := range 8 {
		readers.Go(func() {
			for from := i * 1000; from < len(plain); from += 50_000 {
				got := make([]byte, min(70_000, len(plain)-from))
				if _, err := r.ReadAt(got, int64(from)); err != nil && err != io.EOF || !bytes.Equal(got, plain[from:from+len(got)]) {
					t.Errorf("from %d: %v", from, err)
				}
			}
		})
	}
	readers.Wait()
}

// TestOpenAtTruncated: the length is authentic, so no cut passes for a shorter work, wherever the reading then begins.
func TestOpenAtTruncated(t *testing.T) {
	plain := testBytes(3*chunkSize + 5)
	file, h, key := sealedKey(t, plain)
	start := len(h.Raw) + payloadNonceSize
	const chunk = chunkSize + chunkTagSize
	for _, n := range []int{len(h.Raw), start - 1, start, start + 1, start + 15, start + 16, start + chunk - 1, start + chunk, start + chunk + 1,
		start + chunk + 16, start + chunk + 17, start + 2*chunk, start + 3*chunk, start + 3*chunk + 16, len(file) - 1} {
		if _, err := OpenAt(bytes.NewReader(file[:n]), int64(n), key); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut to %d: %v", n, err)
		}
		if _, err := OpenAt(bytes.NewReader(file[:n]), int64(len(file)), key); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut to %d, said to be whole: %v", n, err)
		}
		if got, err := PlainSize(h, int64(n)); err == nil && (got < 0 || got >= int64(len(plain))) || err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut to %d: %d, %v", n, got, err)
		}
	}
	for _, n := range []int{0, 10, 21} {
		if _, err := OpenAt(bytes.NewReader(file[:n]), int64(n), key); !errors.Is(err, ErrNotSealed) {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
	if _, err := OpenAt(bytes.NewReader(file[:100]), 100, key); !errors.Is(err, ErrHeader) {
		t.Errorf("cut in the header: %v", err)
	}
	longer := append(slices.Clone(file), make([]byte, 16)...)
	for n := len(file) + 1; n <= len(longer); n++ {
		if _, err := OpenAt(bytes.NewReader(longer[:n]), int64(n), key); !errors.Is(err, ErrCorrupt) {
			t.Errorf("longer by %d: %v", n-len(file), err)
		}
	}
}

func TestOpenAtBentChunks(t *testing.T) {
	plain := testBytes(4 * chunkSize)
	file, h, key := sealedKey(t, plain)
	start := len(h.Raw) + payloadNonceSize
	const chunk = chunkSize + chunkTagSize
	bent := slices.Clone(file)
	bent[start+chunk+chunkSize/2] ^= 1
	r, err := OpenAt(bytes.NewReader(bent), int64(len(bent)), key)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2*chunkSize)
	if n, err := r.ReadAt(got, 10); !errors.Is(err, ErrCorrupt) || n != chunkSize-10 || !bytes.Equal(got[:n], plain[10:chunkSize]) {
		t.Errorf("into the bent chunk: %d, %v", n, err)
	}
	if n, err := r.ReadAt(got[:1], 2*chunkSize-1); !errors.Is(err, ErrCorrupt) || n != 0 {
		t.Errorf("of the bent chunk: %d, %v", n, err)
	}
	if n, err := r.ReadAt(got, 2*chunkSize); n != len(got) || err != nil && err != io.EOF || !bytes.Equal(got, plain[2*chunkSize:]) {
		t.Errorf("behind the bent chunk: %d, %v", n, err)
	}
	swapped := slices.Concat(file[:start], file[start+chunk:start+2*chunk], file[start:start+chunk], file[start+2*chunk:])
	r, err = OpenAt(bytes.NewReader(swapped), int64(len(swapped)), key)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, chunkSize} {
		if _, err := r.ReadAt(got[:1], at); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a chunk in another's place: %v", err)
		}
	}
	last := slices.Clone(file)
	last[len(last)-1] ^= 1
	head := slices.Clone(file)
	head[len(h.Raw)+3] ^= 1 // the nonce
	for name, bad := range map[string][]byte{"last chunk": last, "nonce": head, "header": bytes.Replace(file, []byte("--- "), []byte("-> x\n\n--- "), 1)} {
		if _, err := OpenAt(bytes.NewReader(bad), int64(len(bad)), key); !errors.Is(err, ErrCorrupt) {
			t.Errorf("bent %s: %v", name, err)
		}
	}
	if _, err := OpenAt(bytes.NewReader(file), int64(len(file)), FileKey{1}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another key: %v", err)
	}
}

// brokenAt cannot be read from some offset on.
type brokenAt struct {
	io.ReaderAt
	from int64
}

func (b brokenAt) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.from {
		return 0, errDisk
	}
	return b.ReaderAt.ReadAt(p, off)
}

func TestOpenAtTellsBadFilesFromBadDisks(t *testing.T) {
	plain := testBytes(4 * chunkSize)
	file, _, key := sealedKey(t, plain)
	for _, from := range []int64{0, 100, 100_000} {
		if _, err := OpenAt(brokenAt{bytes.NewReader(file), from}, int64(len(file)), key); !errors.Is(err, errDisk) || errors.Is(err, ErrCorrupt) {
			t.Errorf("broken from %d: %v", from, err)
		}
	}
	disk := brokenAt{bytes.NewReader(file), int64(len(file))}
	r, err := OpenAt(&disk, int64(len(file)), key)
	if err != nil {
		t.Fatal(err)
	}
	disk.from = 100_000
	if _, err := r.ReadAt(make([]byte, 10), 2*chunkSize); !errors.Is(err, errDisk) || errors.Is(err, ErrCorrupt) {
		t.Errorf("broken in the middle: %v", err)
	}
	if n, err := r.ReadAt(make([]byte, 10), 5); n != 10 || err != nil {
		t.Errorf("before: %d, %v", n, err)
	}
}

// FuzzPlainSize checks it against what age makes of a length.
func FuzzPlainSize(f *testing.F) {
	for _, n := range []int64{-1, 0, 1, 316, 317, 332, 1 << 16, 1<<16 + 400, 1 << 40, 1<<63 - 1} {
		f.Add(n)
	}
	h := Header{Raw: make([]byte, 300)}
	f.Fuzz(func(t *testing.T, size int64) {
		n, err := PlainSize(h, size)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		if err == nil && int64(len(h.Raw))+payloadNonceSize+n+max(1, (n+chunkSize-1)/chunkSize)*chunkTagSize != size {
			t.Fatalf("%d bytes hold %d", size, n)
		}
	})
}
