package seal

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"

	"github.com/millrace/millrace/ledger"
)

func TestTruncatedHeader(t *testing.T) {
	_, s := sealBytes(t, testKey(t, X25519), nil)
	for n := range s.Header {
		want := ErrHeader
		if n < len(intro) {
			want = ErrNotSealed
		}
		if _, err := ParseHeader(s.Header[:n]); !errors.Is(err, want) {
			t.Errorf("ParseHeader of %d bytes: %v", n, err)
		}
		if _, _, err := ReadHeader(bytes.NewReader(s.Header[:n])); !errors.Is(err, want) {
			t.Errorf("ReadHeader of %d bytes: %v", n, err)
		}
	}
}

// age builds a header of any stanzas, with a MAC that no key makes.
func ageHeader(lines ...string) []byte {
	return []byte(intro + strings.Join(append(lines, "--- "+strings.Repeat("A", 43), ""), "\n"))
}

func TestHeaderRefuses(t *testing.T) {
	_, s := sealBytes(t, testKey(t, X25519), nil)
	lines := strings.Split(string(s.Header), "\n")
	open, body := lines[1], lines[2]
	args := strings.Split(open, " ")
	with := func(i int, v string) []byte {
		a := slices.Clone(args)
		a[i] = v
		return ageHeader(strings.Join(a, " "), body)
	}
	origin := func(o string) []byte { return with(2, b64URL.EncodeToString([]byte(o))) }
	if _, err := ParseHeader(ageHeader(open, body)); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseHeader(ageHeader("-> X25519 abc", "", open, body, "-> x-grease q", "")); err != nil {
		t.Errorf("other stanzas beside ours: %v", err)
	}
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"empty":               {nil, ErrNotSealed},
		"text":                {[]byte("hello\nworld\n"), ErrNotSealed},
		"another version":     {[]byte("age-encryption.org/v2\n"), ErrNotSealed},
		"armor":               {[]byte("-----BEGIN AGE ENCRYPTED FILE-----\n"), ErrNotSealed},
		"no newline":          {bytes.Repeat([]byte("age"), MaxHeader/3), ErrNotSealed},
		"only others":         {ageHeader("-> X25519 abc", ""), ErrNoStanza},
		"near type":           {ageHeader(strings.Replace(open, "v1", "v2", 1), body), ErrNoStanza},
		"no stanzas":          {ageHeader(), ErrHeader},
		"two of ours":         {ageHeader(open, body, open, body), ErrHeader},
		"too large":           {ageHeader(open, body, "-> x "+strings.Repeat("y", MaxHeader), ""), ErrHeader},
		"too many lines":      {ageHeader(open, body, strings.Repeat("-> x\n\n", MaxHeader/6)+"-> x", ""), ErrHeader},
		"an argument less":    {ageHeader(strings.Join(args[:5], " "), body), ErrHeader},
		"an argument more":    {ageHeader(open+" x", body), ErrHeader},
		"two spaces":          {ageHeader(strings.Replace(open, " ", "  ", 1), body), ErrHeader},
		"carriage return":     {ageHeader(open+"\r", body), ErrHeader},
		"short body":          {ageHeader(open, body[:42]), ErrHeader},
		"empty body":          {ageHeader(open, ""), ErrHeader},
		"padded origin":       {with(2, args[2]+"="), ErrHeader},
		"std origin":          {with(2, "a+/a"), ErrHeader},
		"upper-case origin":   {origin("https://HUB.example"), ErrHeader},
		"default port":        {origin("https://hub.example:443"), ErrHeader},
		"origin with path":    {origin("https://hub.example/"), ErrHeader},
		"long origin":         {origin("https://" + strings.Repeat("a.", 200) + "a"), ErrHeader},
		"upper-case id":       {with(3, strings.ToUpper(args[3])), ErrHeader},
		"short id":            {with(3, args[3][1:]), ErrHeader},
		"upper-case key id":   {with(4, strings.Repeat("A", 16)), ErrHeader},
		"short key id":        {with(4, args[4][1:]), ErrHeader},
		"enc of another size": {with(5, b64Std.EncodeToString(make([]byte, 31))), ErrHeader},
		"huge enc":            {with(5, b64Std.EncodeToString(make([]byte, 30000))), ErrHeader},
		"loose bits in enc":   {with(5, args[5][:42]+string(args[5][42]+1)), ErrHeader},
		"no MAC":              {[]byte(intro + open + "\n" + body + "\n---\n"), ErrHeader},
		"short MAC":           {[]byte(intro + open + "\n" + body + "\n--- AAAA\n"), ErrHeader},
	} {
		if _, err := ParseHeader(c.raw); !errors.Is(err, c.want) {
			t.Errorf("%s: ParseHeader: %v", name, err)
		}
		if _, _, err := ReadHeader(bytes.NewReader(c.raw)); !errors.Is(err, c.want) {
			t.Errorf("%s: ReadHeader: %v", name, err)
		} else if len(err.Error()) > 600 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
	if _, err := ParseHeader(append(slices.Clone(s.Header), 'x')); !errors.Is(err, ErrHeader) {
		t.Errorf("bytes after the header: %v", err)
	}
	if _, _, err := ReadHeader(iotest.ErrReader(errDisk)); !errors.Is(err, errDisk) || isOurs(err) {
		t.Errorf("source fails: %v", err)
	}
}

func TestReadHeaderYieldsTheWholeFile(t *testing.T) {
	file, _ := sealBytes(t, testKey(t, X25519), testBytes(100<<10))
	for _, src := range []io.Reader{bytes.NewReader(file), iotest.OneByteReader(bytes.NewReader(file)), iotest.DataErrReader(bytes.NewReader(file))} {
		_, whole, err := ReadHeader(src)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(whole); err != nil || !bytes.Equal(got, file) {
			t.Errorf("%T: %d of %d bytes, %v", src, len(got), len(file), err)
		}
	}
}

func TestMovedStanza(t *testing.T) {
	k := testKey(t, X25519)
	_, s := sealBytes(t, k, []byte("one"))
	_, other := sealBytes(t, k, []byte("two"))
	h, err := ParseHeader(s.Header)
	if err != nil {
		t.Fatal(err)
	}
	moved := func(change func(*Stanza)) error {
		st := h.Stanza
		change(&st)
		raw := bytes.Replace(s.Header, []byte(strings.Join(h.age().Args, " ")), []byte(strings.Join(st.age().Args, " ")), 1)
		p, err := ParseHeader(raw)
		if err != nil {
			t.Fatal(err)
		}
		_, err = k.OpenHeader(p)
		return err
	}
	for name, change := range map[string]func(*Stanza){
		"content":  func(s *Stanza) { s.Content = ledger.ContentID{1} },
		"origin":   func(s *Stanza) { s.Origin = "https://evil.example" },
		"boundary": func(s *Stanza) { s.Origin = s.Origin[:len(s.Origin)-1] },
		"key id":   func(s *Stanza) { s.KeyID = "0011223344556677" },
		"enc":      func(s *Stanza) { s.Enc = testBytes(32) },
		"kem":      func(s *Stanza) { s.Enc = testBytes(maxEncSize) },
		"low enc":  func(s *Stanza) { s.Enc = make([]byte, 32) },
	} {
		if err := moved(change); !errors.Is(err, ErrStanza) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The stanza opens in any header; only the MAC shows that it is another file's.
	mac := bytes.LastIndex(s.Header, []byte("--- "))
	p, err := ParseHeader(slices.Concat(s.Header[:mac], other.Header[bytes.LastIndex(other.Header, []byte("--- ")):]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.OpenHeader(p); !errors.Is(err, ErrStanza) {
		t.Errorf("another file's MAC: %v", err)
	}
	mixed := h
	mixed.Content = ledger.ContentID{1}
	if _, err := k.OpenHeader(mixed); !errors.Is(err, ErrStanza) {
		t.Errorf("fields that are not Raw's: %v", err)
	}
	mixed = h
	mixed.Raw = append(slices.Clone(h.Raw), "tail"...)
	if _, err := k.OpenHeader(mixed); !errors.Is(err, ErrHeader) {
		t.Errorf("bytes after Raw: %v", err)
	}
	stranger, err := NewPrivateKey(testBytes(32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.OpenHeader(h); !errors.Is(err, ErrStanza) {
		t.Errorf("another hub's key: %v", err)
	}
	if _, err := (PrivateKey{}).OpenHeader(h); !errors.Is(err, ErrKey) {
		t.Errorf("no key: %v", err)
	}
}

// hubIdentity is what a stranger would write with the stock age library and a hub's answer.
type hubIdentity struct{ k PrivateKey }

func (i hubIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, a := range stanzas {
		if a.Type != StanzaType {
			continue
		}
		s, err := ParseStanza(a)
		if err != nil {
			return nil, err
		}
		return (&identity{key: i.k, stanza: s}).Unwrap(nil)
	}
	return nil, age.ErrIncorrectIdentity
}

func TestStockAgeOpens(t *testing.T) {
	plain := testBytes(100 << 10)
	for _, kem := range []KEM{X25519, MLKEM768X25519} {
		k := testKey(t, kem)
		file, _ := sealBytes(t, k, plain)
		r, err := age.Decrypt(bytes.NewReader(file), hubIdentity{k})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%v: %v", kem, err)
		}
	}
}

// A creator may keep a key to his own file: our recipient works beside age's own.
func TestSecondRecipient(t *testing.T) {
	k := testKey(t, X25519)
	own, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	ours, err := NewRecipient(k.Public(), testOrigin, testID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Wrap(make([]byte, fileKeySize-1)); err == nil || ours.Commitment() != [32]byte{} {
		t.Errorf("a file key that is none: %v", err)
	}
	var file bytes.Buffer
	w, err := age.Encrypt(&file, own.Recipient(), ours)
	if err != nil {
		t.Fatal(err)
	}
	h, _, err := ReadHeader(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if key, err := k.OpenHeader(h); err != nil || ours.Commitment() != Commitment(key) {
		t.Errorf("the commitment is not the file key's: %v", err)
	}
	if _, err := io.WriteString(w, "shared"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := openFile(k, file.Bytes()); err != nil || string(got) != "shared" {
		t.Errorf("hub: %q, %v", got, err)
	}
	r, err := age.Decrypt(bytes.NewReader(file.Bytes()), own)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "shared" {
		t.Errorf("creator: %q, %v", got, err)
	}
	pq, err := NewRecipient(testKey(t, MLKEM768X25519).Public(), testOrigin, testID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := age.Encrypt(io.Discard, own.Recipient(), pq); err == nil {
		t.Error("a post-quantum recipient was mixed with a classic one")
	}
}

// FuzzParseHeader checks that any header that is accepted says the same however it is read, and is what age would write.
func FuzzParseHeader(f *testing.F) {
	k := testKey(f, X25519)
	header, _, _ := goldenFile(f, k) // not a fresh one: every fuzzing process must have the same
	f.Add(header)
	_, pq := sealBytes(f, testKey(f, MLKEM768X25519), nil)
	f.Add(pq.Header)
	f.Add(ageHeader("-> X25519 abc", ""))
	f.Add(header[:len(header)-1])
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := ParseHeader(raw)
		if err != nil {
			if !isOurs(err) || len(err.Error()) > 600 {
				t.Fatalf("error of %d bytes: %.600v", len(err.Error()), err)
			}
			return
		}
		if !bytes.Equal(h.Raw, raw) {
			t.Fatal("Raw is not what was read")
		}
		r, _, err := ReadHeader(io.MultiReader(bytes.NewReader(raw), strings.NewReader("payload")))
		if err != nil || !r.equal(h.Stanza) || r.SHA256() != h.SHA256() {
			t.Fatalf("ReadHeader disagrees: %v", err)
		}
		if again, err := ParseStanza(h.age()); err != nil || !again.equal(h.Stanza) {
			t.Fatalf("stanza does not round-trip: %v", err)
		}
		if _, err := k.OpenHeader(h); err == nil && !bytes.Equal(raw, header) {
			t.Fatal("opened a header that nobody sealed")
		}
	})
}
