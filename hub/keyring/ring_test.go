package keyring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

var (
	testKEK = KEK{0: 1, 31: 2}
	testID  = ledger.ContentID{0xc0, 15: 1}
	t0      = time.Unix(1_790_000_000, 0).UTC()
)

const testOrigin = "https://hub.example"

func newTestRing(t testing.TB) (*Ring, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ring")
	r, err := Create(path, testKEK, t0)
	if err != nil {
		t.Fatal(err)
	}
	return r, path
}

func reopen(t testing.TB, path string) *Ring {
	t.Helper()
	r, err := Open(path, testKEK)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sealTo(t testing.TB, key seal.PublicKey) seal.Header {
	t.Helper()
	s, err := seal.Seal(io.Discard, strings.NewReader("a work"), key, testOrigin, testID)
	if err != nil {
		t.Fatal(err)
	}
	h, err := seal.ParseHeader(s.Header)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestRotationKeepsOldWorksOpen(t *testing.T) {
	r, path := newTestRing(t)
	var headers []seal.Header
	var keys []seal.FileKey
	var wrapped []Wrapped
	derived := r.derived
	once := make(map[[32]byte]bool)
	for _, secret := range [][32]byte{r.TokenRoot(), r.LogKey(), r.LogSalts(), r.LiabilitySalts(), r.KeysendSecret(), r.ConnectSecret()} {
		if once[secret] {
			t.Fatal("one secret for two uses")
		}
		once[secret] = true
	}
	check := func(r *Ring) {
		t.Helper()
		for i, h := range headers {
			key, err := r.OpenHeader(h)
			if err != nil || key != keys[i] {
				t.Fatalf("work %d of %d: %v", i, len(headers), err)
			}
			if key, err := r.Unwrap(testID, wrapped[i]); err != nil || key != keys[i] {
				t.Fatalf("wrapped key %d of %d: %v", i, len(headers), err)
			}
		}
		if r.derived != derived {
			t.Fatal("another token root, log key or other secret")
		}
	}
	for i := range 4 {
		h := sealTo(t, r.Public())
		key, err := r.OpenHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		w, err := r.Wrap(testID, key)
		if err != nil {
			t.Fatal(err)
		}
		headers, keys, wrapped = append(headers, h), append(keys, key), append(wrapped, w)
		active := r.Public()
		if err := r.Rotate(t0.Add(time.Duration(i+1) * time.Hour)); err != nil {
			t.Fatal(err)
		}
		if r.Public().Equal(active) {
			t.Fatal("the old key is still active")
		}
		check(r)
		again := reopen(t, path)
		check(again)
		if !again.Public().Equal(r.Public()) {
			t.Fatal("another key is active after reopening")
		}
		if i%2 == 1 {
			r = again
		}
	}
	list, publics := r.Keys(), r.Publics()
	for i, k := range list {
		if k.Number != uint32(i+1) || !k.Created.Equal(t0.Add(time.Duration(i)*time.Hour)) || !k.Public.Equal(publics[i]) {
			t.Errorf("key %d: %+v", i+1, k)
		}
	}
	if len(list) != 5 || len(publics) != 5 || !publics[4].Equal(r.Public()) {
		t.Errorf("%d keys, %d public ones", len(list), len(publics))
	}
	if left, err := filepath.Glob(path + "?*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestUnknownKey(t *testing.T) {
	r, _ := newTestRing(t)
	other, _ := newTestRing(t)
	if _, err := r.OpenHeader(sealTo(t, other.Public())); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("another hub's work: %v", err)
	}
	if _, err := r.OpenHeader(seal.Header{}); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("no header: %v", err)
	}
}

func TestCreateNeverOverwrites(t *testing.T) {
	_, path := newTestRing(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path, testKEK, t0); !errors.Is(err, os.ErrExist) {
		t.Errorf("second Create: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the ring was touched: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none"), testKEK); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open of nothing: %v", err)
	}
	if _, err := Create(filepath.Join(path, "x"), testKEK, t0); err == nil {
		t.Error("created below a file")
	}
}

// The write of a rotation fails twice: lost, and done but reported lost. Either way the ring stays usable as it was, and
// no key is lost that anything was sealed to.
func TestRotateFails(t *testing.T) {
	errDisk := errors.New("disk on fire")
	for name, replace := range map[string]func(string, []byte) error{
		"lost": func(string, []byte) error { return errDisk },
		"done": func(path string, data []byte) error { return errors.Join(replaceFile(path, data), errDisk) },
	} {
		r, path := newTestRing(t)
		active := r.Public()
		h := sealTo(t, active)
		r.replace = replace
		if err := r.Rotate(t0); !errors.Is(err, errDisk) {
			t.Fatalf("%s: %v", name, err)
		}
		if !r.Public().Equal(active) || len(r.Keys()) != 1 {
			t.Errorf("%s: a key is in use that may not be durable", name)
		}
		r.replace = replaceFile
		err := r.Rotate(t0)
		if name == "lost" && err != nil {
			t.Errorf("lost: second try: %v", err)
		}
		if name == "done" && !errors.Is(err, ErrChanged) {
			t.Errorf("done: second try: %v", err)
		}
		if r = reopen(t, path); len(r.Keys()) != 2 {
			t.Errorf("%s: %d keys", name, len(r.Keys()))
		}
		if _, err := r.OpenHeader(h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRotateRefuses(t *testing.T) {
	r, path := newTestRing(t)
	if err := reopen(t, path).Rotate(t0); err != nil {
		t.Fatal(err)
	}
	if err := r.Rotate(t0); !errors.Is(err, ErrChanged) {
		t.Errorf("after someone else's rotation: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := r.Rotate(t0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the file went away: %v", err)
	}
	r.stored.keys = make([]storedKey, MaxKeys)
	if err := r.Rotate(t0); !errors.Is(err, ErrFull) {
		t.Errorf("full: %v", err)
	}
}

func TestConcurrentUse(t *testing.T) {
	r, _ := newTestRing(t)
	h := sealTo(t, r.Public())
	key, err := r.OpenHeader(h)
	if err != nil {
		t.Fatal(err)
	}
	w, err := r.Wrap(testID, key)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, err := r.Unwrap(testID, w); err != nil || got != key {
					t.Errorf("unwrap: %v", err)
					return
				}
				fresh, err := r.Wrap(testID, key)
				if err != nil {
					t.Errorf("wrap: %v", err)
					return
				}
				if got, err := r.Unwrap(testID, fresh); err != nil || got != key {
					t.Errorf("unwrap of a fresh one: %v", err)
					return
				}
				if _, err := r.OpenHeader(sealTo(t, r.Public())); err != nil {
					t.Errorf("open header: %v", err)
					return
				}
			}
		})
	}
	var rotations sync.WaitGroup
	for range 2 {
		rotations.Go(func() {
			for range 8 {
				if err := r.Rotate(t0); err != nil {
					t.Errorf("rotate: %v", err)
				}
			}
		})
	}
	rotations.Wait()
	close(stop)
	wg.Wait()
	if n := len(r.Keys()); n != 17 {
		t.Errorf("%d keys", n)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	// A time of day can hold any digits.
	noTime := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	r, _ := newTestRing(t)
	kek := KEK(bytes.Repeat([]byte{0xab}, 32))
	r.kek, r.derived.tokenRoot, r.stored.master = kek, kek, kek
	var out bytes.Buffer
	for _, v := range []any{r, kek, &kek, struct{ K KEK }{kek}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d", "%q"} {
			fmt.Fprintf(&out, verb, v)
		}
		slog.New(slog.NewTextHandler(&out, noTime)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, noTime)).Info("m", "v", v)
		if b, err := json.Marshal(v); err == nil && v != any(r) {
			t.Errorf("%T: JSON %s", v, b)
		}
	}
	for _, leak := range []string{"171", "abab", "ABAB", "0xab", "\xab"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q was printed in %s", leak, out.String())
		}
	}
}
