package nwc

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// TestBIP340: the vectors of the BIP for messages of 32 bytes, which all of ours are.
func TestBIP340(t *testing.T) {
	f, err := os.Open("testdata/bip340.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 16 {
		t.Fatal(len(rows), err)
	}
	for _, row := range rows[1:] {
		secret, public, message, sig, valid := unhex(t, row[1]), unhex(t, row[2]), unhex(t, row[4]), unhex(t, row[5]), row[6] == "TRUE"
		if len(message) != 32 {
			continue
		}
		if got := publicKey(public).verify([32]byte(message), [64]byte(sig)); got != valid {
			t.Errorf("vector %s: %v (%s)", row[0], got, row[7])
		}
		if len(secret) == 0 {
			continue
		}
		k, err := parsePrivate(secret)
		if err != nil || k.public() != publicKey(public) {
			t.Errorf("vector %s: %s, %v", row[0], k.public(), err)
		}
		own, err := k.sign([32]byte(message))
		if err != nil || !k.public().verify([32]byte(message), own) {
			t.Errorf("vector %s: our own signature, %v", row[0], err)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestNIP44: the vectors of its authors.
func TestNIP44(t *testing.T) {
	text, err := os.ReadFile("testdata/nip44.vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	type exchange struct {
		Sec1, Sec2, Pub2, Conversation string
		ConversationKey                string `json:"conversation_key"`
		Nonce, Plaintext, Payload      string
		Pattern                        string
		Repeat                         int
		PlaintextSHA256                string `json:"plaintext_sha256"`
		PayloadSHA256                  string `json:"payload_sha256"`
		Note                           string
	}
	var all struct {
		V2 struct {
			Valid struct {
				Keys    []exchange `json:"get_conversation_key"`
				Message struct {
					ConversationKey string `json:"conversation_key"`
					Keys            []struct {
						Nonce string
						Key   string `json:"chacha_key"`
						IV    string `json:"chacha_nonce"`
						MAC   string `json:"hmac_key"`
					}
				} `json:"get_message_keys"`
				Padded [][2]int   `json:"calc_padded_len"`
				Both   []exchange `json:"encrypt_decrypt"`
				Long   []exchange `json:"encrypt_decrypt_long_msg"`
			}
			Invalid struct {
				Keys    []exchange `json:"get_conversation_key"`
				Decrypt []exchange
			}
		}
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	valid, invalid := all.V2.Valid, all.V2.Invalid
	if len(valid.Keys) < 30 || len(valid.Padded) < 20 || len(valid.Both) < 8 || len(valid.Long) < 2 || len(invalid.Keys) < 6 || len(invalid.Decrypt) < 10 {
		t.Fatal("vectors are missing")
	}
	key := func(sec, pub string) ([]byte, error) {
		k, err := parsePrivate(unhex(t, sec))
		if err != nil {
			return nil, err
		}
		shared, err := k.shared(publicKey(unhex(t, pub)))
		if err != nil {
			return nil, err
		}
		return conversation(shared), nil
	}
	for _, v := range valid.Keys {
		if got, err := key(v.Sec1, v.Pub2); hex.EncodeToString(got) != v.ConversationKey || err != nil {
			t.Errorf("%x, %v: %s", got, err, v.Note)
		}
	}
	for _, v := range invalid.Keys {
		if got, err := key(v.Sec1, v.Pub2); err == nil {
			t.Errorf("%x: %s", got, v.Note)
		}
	}
	for _, v := range valid.Message.Keys {
		k, iv, mac := messageKeys(unhex(t, valid.Message.ConversationKey), [32]byte(unhex(t, v.Nonce)))
		if hex.EncodeToString(k) != v.Key || hex.EncodeToString(iv) != v.IV || hex.EncodeToString(mac) != v.MAC {
			t.Errorf("keys of %s: %x %x %x", v.Nonce, k, iv, mac)
		}
	}
	for _, v := range valid.Padded {
		if got := paddedSize(v[0]); got != v[1] {
			t.Errorf("%d is padded to %d: want %d", v[0], got, v[1])
		}
	}
	for _, v := range valid.Both {
		k, _ := parsePrivate(unhex(t, v.Sec1))
		other, _ := parsePrivate(unhex(t, v.Sec2))
		shared, err := k.shared(other.public())
		c := conversation(shared)
		if hex.EncodeToString(c) != v.ConversationKey || err != nil {
			t.Errorf("%x, %v", c, err)
		}
		if got, err := seal44(c, [32]byte(unhex(t, v.Nonce)), []byte(v.Plaintext)); got != v.Payload || err != nil {
			t.Errorf("%s, %v", got, err)
		}
		if got, err := open44(c, v.Payload); string(got) != v.Plaintext || err != nil {
			t.Errorf("%s, %v", got, err)
		}
	}
	for _, v := range valid.Long {
		plain := strings.Repeat(v.Pattern, v.Repeat)
		sum := sha256.Sum256([]byte(plain))
		if hex.EncodeToString(sum[:]) != v.PlaintextSHA256 {
			t.Fatalf("the vector's own text: %x", sum)
		}
		c := unhex(t, v.ConversationKey)
		got, err := seal44(c, [32]byte(unhex(t, v.Nonce)), []byte(plain))
		sum = sha256.Sum256([]byte(got))
		if hex.EncodeToString(sum[:]) != v.PayloadSHA256 || err != nil {
			t.Errorf("%d bytes: %x, %v", len(plain), sum, err)
		}
		if back, err := open44(c, got); string(back) != plain || err != nil {
			t.Errorf("%d bytes come back as %d, %v", len(plain), len(back), err)
		}
	}
	for _, v := range invalid.Decrypt {
		if got, err := open44(unhex(t, v.ConversationKey), v.Payload); err == nil {
			t.Errorf("%q: %s", got, v.Note)
		}
	}
	for _, n := range []int{0, 65536} {
		if _, err := seal44(make([]byte, 32), [32]byte{}, make([]byte, n)); err == nil {
			t.Errorf("%d bytes", n)
		}
	}
}

// TestNIP04: a message that nostr-tools has encrypted, and what is damaged. There are no vectors.
func TestNIP04(t *testing.T) {
	k, _ := parsePrivate(unhex(t, "91ba716fa9e7ea2fcbad360cf4f8e0d312f73984da63d90f524ad61a6a1e7dbe"))
	other, _ := parsePrivate(unhex(t, "96f6fa197aa07477ab88f6981118466ae3a982faab8ad5db9d5426870c73d220"))
	const theirs = "zJxfaJ32rN5Dg1ODjOlEew==?iv=EV5bUjcc4OX2Km/zPp4ndQ=="
	if got, err := open(nip04, k, other.public(), theirs); string(got) != "nanana" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	for _, text := range []string{"", "x", "sixteen bytes...", strings.Repeat("long ", 3000)} {
		content, err := seal(nip04, k, other.public(), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := open(nip04, other, k.public(), content); string(got) != text || err != nil {
			t.Errorf("%.20q: %.20q, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "?iv=", "AAAA?iv=AAAA", theirs[:20], strings.Replace(theirs, "zJ", "zK", 1), "?iv=EV5bUjcc4OX2Km/zPp4ndQ==", "!!!!?iv=EV5bUjcc4OX2Km/zPp4ndQ=="} {
		if got, err := open(nip04, k, other.public(), bad); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

// TestEvent: what is signed is what is read, and nothing else.
func TestEvent(t *testing.T) {
	k := newKey()
	e, err := newEvent(k, kindRequest, time.Unix(1_800_000_000, 0), "a \"quoted\" <b>&\n\\\t\u2028\x01 ü", []string{"p", "x<y"}, []string{"encryption", "nip44_v2"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseEvent(text)
	if err == nil {
		err = got.verify()
	}
	if err != nil || got.Content != e.Content || got.Key != k.public() {
		t.Fatalf("%+v, %v", got, err)
	}
	if v, ok := got.tag("p"); v != "x<y" || !ok {
		t.Errorf("%s", v)
	}
	if s, ok := schemeOf(got); s != nip44 || !ok {
		t.Errorf("%s", s)
	}
	for _, change := range [][2]string{
		{`"kind":23194`, `"kind":23195`}, {"1800000000", "1800000001"}, {"quoted", "Quoted"}, {`"p"`, `"q"`}, {`"id":"`, `"id":"0`},
		{e.ID.String(), strings.ToUpper(e.ID.String())}, {k.public().String(), newKey().public().String()}, {`"sig":"`, `"sig":"00`}, {"{", "["},
	} {
		if changed := strings.Replace(string(text), change[0], change[1], 1); changed == string(text) {
			t.Errorf("%s is not there", change[0])
		} else if e, err := parseEvent([]byte(changed)); err == nil && e.verify() == nil {
			t.Errorf("%s was changed into %s", change[0], change[1])
		}
	}
	// One that nostr-tools has signed.
	const theirs = `{"kind":1,"pubkey":"6af0f9de588f2c53cedcba26c5e2402e0d0aa64ec7b47c9f8d97b5bc562bab5f","created_at":1617932115,"tags":[],"content":"Hello, world!"}`
	var his event
	if err := json.Unmarshal([]byte(theirs), &his); err != nil {
		t.Fatal(err)
	}
	if got := his.hash().String(); got != "b2a44af84ca99b14820ae91c44e1ef0908f8aadc4e10620a6e6caa344507f03c" {
		t.Errorf("%s", got)
	}
}

// TestStray: whatever relays bring, nothing breaks, and nothing opens that was not sealed.
func TestStray(t *testing.T) {
	k, other := newKey(), newKey()
	for _, how := range []scheme{nip44, nip04} {
		content, err := seal(how, k, other.public(), []byte(`{"method":"get_info"}`))
		if err != nil {
			t.Fatal(err)
		}
		for n := range 400 {
			stray := []byte(content)
			for range 1 + n%3 {
				stray[rand.N(len(stray))] = byte(rand.N(256))
			}
			if n%5 == 0 {
				stray = stray[:rand.N(len(stray))]
			}
			if string(stray) == content {
				continue
			}
			if text, err := open(nip44, k, other.public(), string(stray)); err == nil {
				t.Errorf("%q opens as %q", stray, text)
			}
			_, _ = open(nip04, k, other.public(), string(stray))
			_, _ = parseEvent(stray)
		}
	}
}
