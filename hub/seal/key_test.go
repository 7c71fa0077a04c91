package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/millrace/millrace/ledger"
)

func TestPublicKeyText(t *testing.T) {
	for _, kem := range []KEM{X25519, MLKEM768X25519} {
		pub := testKey(t, kem).Public()
		text := pub.String()
		got, err := ParsePublicKey(text)
		if err != nil || !got.Equal(pub) || got.ID() != pub.ID() || got.KEM() != kem || got.String() != text {
			t.Errorf("%v: %v", kem, err)
		}
		if len(pub.Bytes()) != kems[kem].publicSize || len(pub.ID()) != 2*keyIDSize || !strings.HasPrefix(text, "millrace-key-"+kem.String()+"-") {
			t.Errorf("%v: %q", kem, text)
		}
		var decoded struct{ Key PublicKey }
		if b, err := json.Marshal(struct{ Key PublicKey }{pub}); err != nil {
			t.Error(err)
		} else if err := json.Unmarshal(b, &decoded); err != nil || !decoded.Key.Equal(pub) {
			t.Errorf("%v: JSON: %v", kem, err)
		}
		for _, bad := range []string{"", "x" + text, text[:len(text)-1], text + "A", text + "=", text + "\n", strings.ToUpper(text),
			strings.Replace(text, kem.String(), "p256", 1), "millrace-key-", "millrace-key-x25519", "millrace-key-x25519-"} {
			if _, err := ParsePublicKey(bad); !errors.Is(err, ErrKey) {
				t.Errorf("%.40q: %v", bad, err)
			}
		}
	}
	if testKey(t, X25519).Public().Equal(testKey(t, MLKEM768X25519).Public()) {
		t.Error("two KEMs, one key")
	}
}

func TestPrivateKeyRefuses(t *testing.T) {
	for _, n := range []int{0, 31, 33} {
		if _, err := NewPrivateKey(make([]byte, n)); !errors.Is(err, ErrKey) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := NewPrivateKeyFor(9, make([]byte, seedSize)); !errors.Is(err, ErrKey) {
		t.Errorf("unknown KEM: %v", err)
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
	key := FileKey(bytes.Repeat([]byte{0xab}, fileKeySize))
	priv := testKey(t, X25519)
	var out bytes.Buffer
	for _, v := range []any{key, &key, priv, &priv, struct{ K FileKey }{key}, []FileKey{key}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d", "%q"} {
			fmt.Fprintf(&out, verb, v)
		}
		slog.New(slog.NewTextHandler(&out, noTime)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, noTime)).Info("m", "v", v)
		if b, err := json.Marshal(v); err == nil {
			t.Errorf("%T: JSON %s", v, b)
		}
	}
	for _, leak := range []string{"171", "abab", "ABAB", "0xab", "\xab"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q was printed in %s", leak, out.String())
		}
	}
}

func TestDelivery(t *testing.T) {
	seed := bytes.Repeat([]byte{3}, 32)
	k, err := kems[X25519].hpke.NewPrivateKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	key := FileKey(testBytes(fileKeySize))
	enc, ct, err := SealTo(k.PublicKey().Bytes(), testID, key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenDelivery(seed, enc, ct, testID); err != nil || got != key {
		t.Fatal(err)
	}
	if _, err := OpenDelivery(seed, enc, ct, ledger.ContentID{1}); !errors.Is(err, ErrDelivery) {
		t.Errorf("another content: %v", err)
	}
	if _, err := OpenDelivery(bytes.Repeat([]byte{4}, 32), enc, ct, testID); !errors.Is(err, ErrDelivery) {
		t.Errorf("another buyer: %v", err)
	}
	for i := range ct {
		ct[i] ^= 1
		if _, err := OpenDelivery(seed, enc, ct, testID); !errors.Is(err, ErrDelivery) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		ct[i] ^= 1
	}
	for _, bad := range [][]byte{nil, ct[1:], append(bytes.Clone(ct), 0)} {
		if _, err := OpenDelivery(seed, enc, bad, testID); !errors.Is(err, ErrDelivery) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
		if _, err := OpenDelivery(seed, bad, ct, testID); !errors.Is(err, ErrDelivery) {
			t.Errorf("enc of %d bytes: %v", len(bad), err)
		}
	}
	for _, bad := range [][]byte{nil, make([]byte, 31), make([]byte, 32)} { // the last is of low order
		if _, _, err := SealTo(bad, testID, key); !errors.Is(err, ErrKey) {
			t.Errorf("recipient of %d bytes: %v", len(bad), err)
		}
	}
}

func TestCommitment(t *testing.T) {
	const want = "59d5c2a1ca833ff94a1722a24945c4a2ed1f1b3eae3dd7e53104519f8ce42afe" // made with sha256sum
	if got := Commitment(FileKey{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}); fmt.Sprintf("%x", got) != want {
		t.Errorf("got %x", got)
	}
	if Commitment(FileKey{}) == Commitment(FileKey{1}) {
		t.Error("two keys, one commitment")
	}
}

func TestParseOrigin(t *testing.T) {
	long := "https://" + strings.Repeat(strings.Repeat("a", 61)+".", 4) + "aaaaa:65535"
	for in, want := range map[string]string{
		"https://hub.example":                "https://hub.example",
		"HTTPS://Hub.Example":                "https://hub.example",
		"https://hub.example:443":            "https://hub.example",
		"http://hub.example:80":              "http://hub.example",
		"http://hub.example:443":             "http://hub.example:443",
		"http://localhost:08402":             "http://localhost:8402",
		"http://127.0.0.1:8402":              "http://127.0.0.1:8402",
		"http://[2001:DB8:0::1]:8402":        "http://[2001:db8::1]:8402",
		"http://millrace_hub":                "http://millrace_hub",
		"https://xn--bcher-kva.example":      "https://xn--bcher-kva.example",
		long:                                 long,
		"":                                   "",
		"hub.example":                        "",
		"//hub.example":                      "",
		"https://":                           "",
		"https:hub.example":                  "",
		"https://hub.example/":               "",
		"https://hub.example/a":              "",
		"https://hub.example?":               "",
		"https://hub.example#":               "",
		"https://me@hub.example":             "",
		"https://hub.example:":               "",
		"https://hub.example:0":              "",
		"https://hub.example:65536":          "",
		"https://hub.example:+1":             "",
		"https://hub..example":               "",
		"https://hub.example.":               "",
		"https://-hub.example":               "",
		"https://h ub.example":               "",
		"https://h%75b.example":              "",
		"https://bücher.example":             "",
		"https://1.2.3":                      "",
		"https://1.2.3.256":                  "",
		"https://0x7f.1":                     "",
		"https://[1.2.3.4]":                  "",
		"https://[::1%25eth0]":               "",
		"https://[::ffff:1.2.3.4]":           "",
		"https://[::1":                       "",
		"https://hub.example\n":              "",
		"ftp://hub.example":                  "",
		" https://hub.example":               "",
		"https://" + strings.Repeat("a", 64): "",
		long + "0":                           "",
	} {
		got, err := ParseOrigin(in)
		if got != want || (want == "") != errors.Is(err, ErrOrigin) {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
		if want != "" {
			if again, err := ParseOrigin(got); again != got || err != nil {
				t.Errorf("%q is not a normal form: %q, %v", got, again, err)
			}
		}
	}
}

// FuzzText checks that what is accepted as an origin or a public key has one form, and that this form is stable.
func FuzzText(f *testing.F) {
	f.Add("https://hub.example:8443")
	f.Add("HTTP://[2001:DB8::1]:080")
	f.Add("http://127.0.0.1:1")
	f.Add(testKey(f, X25519).Public().String())
	f.Fuzz(func(t *testing.T, s string) {
		if o, err := ParseOrigin(s); err == nil {
			if again, err := ParseOrigin(o); err != nil || again != o || len(o) > MaxOrigin {
				t.Fatalf("%q is no normal form: %q, %v", o, again, err)
			}
		}
		if p, err := ParsePublicKey(s); err == nil && p.String() != s {
			t.Fatalf("%q is read, but written as %q", s, p.String())
		}
	})
}
