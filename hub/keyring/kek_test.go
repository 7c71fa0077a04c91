package keyring

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadKEK(t *testing.T) {
	want := KEK{0: 0xfb, 1: 0xff, 31: 7} // has '+' and '/' in base64
	text := hex.EncodeToString(want[:])
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("TEST_KEK", " "+text+"\n")
	t.Setenv("TEST_KEK_EMPTY", "")
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	write("cred", text+"\n", 0o440) // as systemd's ACLs look
	for name, src := range map[string]Source{
		"hex":        {File: write("hex", text+"\n", 0o600)},
		"upper case": {File: write("upper", strings.ToUpper(text), 0o400)},
		"base64":     {File: write("b64", base64.StdEncoding.EncodeToString(want[:])+"\n", 0o600)},
		"unpadded":   {File: write("raw", base64.RawStdEncoding.EncodeToString(want[:]), 0o600)},
		"base64url":  {File: write("url", base64.URLEncoding.EncodeToString(want[:]), 0o600)},
		"variable":   {Env: "TEST_KEK"},
		"credential": {Credential: "cred"},
	} {
		if got, err := LoadKEK(src); err != nil || got != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, src := range map[string]Source{
		"none":             {},
		"two":              {File: filepath.Join(dir, "hex"), Env: "TEST_KEK"},
		"group":            {File: write("group", text, 0o640)},
		"others":           {File: write("others", text, 0o604)},
		"no file":          {File: filepath.Join(dir, "none")},
		"a folder":         {File: dir},
		"unset":            {Env: "TEST_KEK_NONE"},
		"empty":            {Env: "TEST_KEK_EMPTY"},
		"no credential":    {Credential: "none"},
		"path":             {Credential: "../" + filepath.Base(dir) + "/cred"},
		"dot":              {Credential: "."},
		"dots":             {Credential: ".."},
		"short":            {File: write("short", text[:62], 0o600)},
		"long":             {File: write("long", text+"00", 0o600)},
		"not hex":          {File: write("nothex", text[:63]+"g", 0o600)},
		"not base64":       {File: write("notb64", strings.Repeat("!", 43), 0o600)},
		"over-padded":      {File: write("pad", base64.StdEncoding.EncodeToString(want[:])+"==", 0o600)},
		"zeros":            {File: write("zero", strings.Repeat("0", 64), 0o600)},
		"much too long":    {File: write("huge", strings.Repeat(" ", 1<<20)+text, 0o600)},
		"newline in digit": {File: write("nl", base64.RawStdEncoding.EncodeToString(want[:])[:42]+"\n"+"A=", 0o600)},
	} {
		_, err := LoadKEK(src)
		if !errors.Is(err, ErrKEK) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), text[:16]) {
			t.Errorf("%s: the secret is in the error: %v", name, err)
		}
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := LoadKEK(Source{Credential: "cred"}); !errors.Is(err, ErrKEK) {
		t.Errorf("not under systemd: %v", err)
	}
}

func TestCreateKEKFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek")
	made, err := CreateKEKFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := LoadKEK(Source{File: path}); err != nil || got != made {
		t.Errorf("read back: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: %v", err)
	}
	if _, err := CreateKEKFile(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("second time: %v", err)
	}
	if got, err := LoadKEK(Source{File: path}); err != nil || got != made {
		t.Errorf("the key was touched: %v", err)
	}
}

// FuzzParseKEK checks that what is accepted is the one value that its text means.
func FuzzParseKEK(f *testing.F) {
	f.Add(strings.Repeat("0f", 32))
	f.Add(base64.StdEncoding.EncodeToString(testKEK[:]))
	f.Fuzz(func(t *testing.T, s string) {
		k, err := parseKEK(s)
		if err != nil {
			return
		}
		if again, err := parseKEK(hex.EncodeToString(k[:])); err != nil || again != k || k == (KEK{}) {
			t.Fatalf("does not round-trip: %v", err)
		}
	})
}
