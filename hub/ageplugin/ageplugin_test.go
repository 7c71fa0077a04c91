package ageplugin

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"filippo.io/age/plugin"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/hub/token"
	"github.com/millrace/millrace/ledger"
)

func testToken(t testing.TB) string {
	t.Helper()
	text, err := token.NewMint([32]byte{1}, 0).Issue(17, token.Limits{MaxMsat: 5000})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRecipient(t *testing.T) {
	for _, kem := range []seal.KEM{seal.X25519, seal.MLKEM768X25519} {
		key, err := seal.NewPrivateKeyFor(kem, bytes.Repeat([]byte{7}, 32))
		if err != nil {
			t.Fatal(err)
		}
		r := Recipient{Origin: "https://hub.example", Key: key.Public()}
		name, data, err := plugin.ParseRecipient(r.String())
		if err != nil || name != Name {
			t.Fatal(name, err)
		}
		got, err := ParseRecipient(data)
		if err != nil || got.Origin != r.Origin || !got.Key.Equal(r.Key) {
			t.Errorf("%v: %+v, %v", kem, got, err)
		}
		for i := range 2 + kem.PublicSize() + len("https://") { // a shorter name is another one
			if _, err := ParseRecipient(data[:i]); !errors.Is(err, ErrRecipient) {
				t.Errorf("%v: %d bytes: %v", kem, i, err)
			}
		}
		for _, bad := range [][]byte{nil, append([]byte{2}, data[1:]...), append([]byte{1, 9}, data[2:]...), append(data, '/'),
			bytes.Replace(data, []byte("hub.e"), []byte("HUB.E"), 1), data[:2+kem.PublicSize()]} {
			if _, err := ParseRecipient(bad); !errors.Is(err, ErrRecipient) {
				t.Errorf("%v: %x: %v", kem, bad, err)
			}
		}
	}
}

func TestIdentity(t *testing.T) {
	i := Identity{Hub: "https://hub.example:8402", Token: testToken(t), Cap: 5000}
	text, err := i.Encode()
	if err != nil || !strings.HasPrefix(text, "AGE-PLUGIN-MILLRACE-1") {
		t.Fatal(text, err)
	}
	if got, err := ReadIdentity(text); err != nil || got != i {
		t.Errorf("%v", err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if s := fmt.Sprintf(format, i); s != identityRedacted {
			t.Errorf("%s prints %s", format, s)
		}
	}
	_, data, _ := plugin.ParseIdentity(text)
	with := func(at int, b byte) []byte { d := bytes.Clone(data); d[at] = b; return d }
	for _, bad := range [][]byte{nil, data[:10], data[:11], data[:20], data[:len(data)-1], with(0, 2), with(1, 0xff), with(9, 0xff),
		with(11, 'H'), with(len(data)-33, 0), append(bytes.Clone(data), 0)} {
		if _, err := ParseIdentity(bad); !errors.Is(err, ErrIdentity) {
			t.Errorf("%x: %v", bad, err)
		}
	}
	for _, bad := range []Identity{{}, {Hub: i.Hub}, {Hub: i.Hub, Token: "!"}, {Hub: i.Hub + "/", Token: i.Token}, {Hub: i.Hub, Token: i.Token, Cap: ledger.MaxMsat + 1}} {
		if text, err := bad.Encode(); err == nil {
			t.Errorf("made %s", text)
		}
	}
	for _, bad := range []string{"", "AGE-SECRET-KEY-1", plugin.EncodeIdentity("other", data), text + "Q"} {
		if _, err := ReadIdentity(bad); !errors.Is(err, ErrIdentity) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// FuzzParseIdentity: what is read is written again the same, and nothing stops the program.
func FuzzParseIdentity(f *testing.F) {
	text, err := Identity{Hub: "https://hub.example", Token: testToken(f), Cap: 1}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	_, data, _ := plugin.ParseIdentity(text)
	f.Add(data)
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := ParseIdentity(data)
		if err != nil {
			return
		}
		text, err := i.Encode()
		if _, again, _ := plugin.ParseIdentity(text); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%x is written as %x, %v", data, again, err)
		}
	})
}

func TestSat(t *testing.T) {
	for m, want := range map[ledger.Msat]string{0: "0 sat", 1: "0.001 sat", 250: "0.25 sat", 1000: "1 sat", 999_999: "999.999 sat", 1_000_000: "1,000 sat",
		1_234_567_890: "1,234,567.89 sat", ledger.MaxMsat: "2,100,000,000,000,000 sat"} {
		if got := sat(m); got != want {
			t.Errorf("%d: %s, want %s", m, got, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	secret := testToken(t)
	for _, test := range []struct {
		says string
		env  map[string]string
	}{
		{"", map[string]string{"MILLRACE_TOKEN": secret}},
		{"", map[string]string{"MILLRACE_TOKEN": " " + secret + "\n", "MILLRACE_HUB": "https://HUB.example/", "MILLRACE_MAX_MSAT": "5"}},
		{"a token is needed", nil},
		{"set one", map[string]string{"MILLRACE_TOKEN": secret, "MILLRACE_TOKEN_FILE": "/x"}},
		{"absolute path", map[string]string{"MILLRACE_TOKEN_FILE": "x"}},
		{"absolute path", map[string]string{"MILLRACE_TOKEN": "@x"}},
		{"no such file", map[string]string{"MILLRACE_TOKEN_FILE": "/nowhere/x"}},
		{"is none", map[string]string{"MILLRACE_TOKEN": "secret"}},
		{"MILLRACE_HUB: not a valid origin", map[string]string{"MILLRACE_TOKEN": secret, "MILLRACE_HUB": "hub"}},
		{"whole msat", map[string]string{"MILLRACE_TOKEN": secret, "MILLRACE_MAX_MSAT": "0"}},
		{"whole msat", map[string]string{"MILLRACE_TOKEN": secret, "MILLRACE_MAX_MSAT": "2100000000000000001"}},
	} {
		a, err := accountOf(nil, func(name string) string { return test.env[name] })
		switch {
		case test.says == "" && (err != nil || a.Token != secret || a.chosen != (test.env["MILLRACE_HUB"] != "") || (a.Cap == 5) != a.chosen):
			t.Errorf("%v: %v, %v, %d, %v", test.env, a.chosen, a.Hub, a.Cap, err)
		case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%v: %v", test.env, err)
		}
	}
}
