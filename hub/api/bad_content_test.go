package api_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// TestBentHeaders: a header with any byte changed, cut off, moved or made for somebody else is not registered.
func TestBentHeaders(t *testing.T) {
	r := newRig(t)
	seller := r.user(0)
	w := r.seal([]byte("the sound of water"))
	refuse := func(header []byte, mention string) {
		t.Helper()
		offer := w.offer(10)
		offer["header"] = b64(header)
		r.still("a bent header", func() { seller.post("/v1/contents", offer).refused(422, "offer_refused", mention) })
	}
	header := w.about.Header
	for i := range header {
		bent := bytes.Clone(header)
		bent[i] ^= 1
		refuse(bent, "")
	}
	for size := 1; size < len(header); size += 17 {
		refuse(header[:size], "header")
	}
	refuse(append(bytes.Clone(header), 'x'), "header")
	refuse([]byte("%PDF-1.7\n"), "age")
	var other ledger.ContentID
	rand.Read(other[:])
	refuse(bytes.Replace(header, []byte(w.id.String()), []byte(other.String()), 1), "")

	elsewhere := func(key seal.PublicKey, origin string) []byte {
		about, err := seal.Seal(&bytes.Buffer{}, strings.NewReader("x"), key, origin, other)
		r.must(err)
		return about.Header
	}
	refuse(elsewhere(r.ring.Public(), "https://other.example"), "https://other.example")
	refuse(elsewhere(newRig(t).ring.Public(), origin), "")
	plain, err := age.GenerateX25519Identity()
	r.must(err)
	var out bytes.Buffer
	_, err = age.Encrypt(&out, plain.Recipient())
	r.must(err)
	refuse(out.Bytes()[:out.Len()-16], "stanza")
	seller.post("/v1/contents", w.offer(10)).want(201) // as it was
}

// wrapped is a header around a file key of the test's own choice.
func wrapped(t testing.TB, key seal.PublicKey, id ledger.ContentID, fileKey []byte) []byte {
	t.Helper()
	recipient, err := seal.NewRecipient(key, origin, id)
	if err != nil {
		t.Fatal(err)
	}
	stanzas, err := recipient.Wrap(fileKey)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.WriteString("age-encryption.org/v1\n")
	for _, s := range stanzas {
		fmt.Fprintf(&b, "-> %s %s\n%s\n", s.Type, strings.Join(s.Args, " "), base64.RawStdEncoding.EncodeToString(s.Body))
	}
	b.WriteString("---")
	macKey, err := hkdf.Key(sha256.New, fileKey, nil, "header", 32)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, macKey)
	mac.Write(b.Bytes())
	fmt.Fprintf(&b, " %s\n", base64.RawStdEncoding.EncodeToString(mac.Sum(nil)))
	return b.Bytes()
}

// TestRelisting: nobody sells another's file key under a content of his own, nor other terms under a content that is there.
func TestRelisting(t *testing.T) {
	r := newRig(t)
	seller, thief := r.user(0), r.user(0)
	fileKey := make([]byte, 16)
	rand.Read(fileKey)
	var id, own ledger.ContentID
	rand.Read(id[:])
	rand.Read(own[:])
	commitment := seal.Commitment(seal.FileKey(fileKey))
	offer := object{"header": b64(wrapped(t, r.ring.Public(), id, fileKey)), "commitment": hex.EncodeToString(commitment[:]), "title": "mine", "price_msat": 10, "size": 5, "sha256": strings.Repeat("0", 64)}
	seller.post("/v1/contents", offer).want(201).has(object{"content": id.String()})
	with := func(member string, v any) object {
		o := maps.Clone(offer)
		o[member] = v
		return o
	}
	r.still("a second listing", func() {
		relisted := with("header", b64(wrapped(t, r.ring.Public(), own, fileKey)))
		thief.post("/v1/contents", relisted).refused(409, "commitment_taken", "file key")
		seller.post("/v1/contents", relisted).refused(409, "commitment_taken", "file key")
		thief.post("/v1/contents", offer).refused(409, "content_exists", "content id")
		for member, v := range map[string]any{"price_msat": 11, "title": "ours", "size": 6, "sha256": strings.Repeat("1", 64),
			"payees": []object{{"account": thief.account, "share": 1}}, "header": b64(wrapped(t, r.ring.Public(), id, fileKey))} {
			seller.post("/v1/contents", with(member, v)).refused(409, "content_exists", "content id")
		}
	})
}

// TestThief: who has a copy of a sealed file before it is registered does not get to register it.
func TestThief(t *testing.T) {
	r := newRig(t)
	creator, thief, buyer := r.user(0), r.user(0), r.user(1000)
	w, own := r.seal([]byte("the sound of water")), r.seal([]byte("the sound of money"))
	header := sha256.Sum256(w.about.Header)
	for name, guess := range map[string][32]byte{
		"zeros": {}, "digest of the file": w.about.SHA256, "digest of the header": header, "a work of his own": own.about.Commitment,
	} {
		stolen := w.offer(10)
		stolen["commitment"] = hex.EncodeToString(guess[:])
		r.still(name, func() {
			thief.post("/v1/contents", stolen).refused(422, "offer_refused", "not sealed by who registers it")
			thief.post(w.path("/unlock"), object{"max_msat": 10}).refused(404, "content_unknown", "content")
		})
	}
	creator.post("/v1/contents", w.offer(1000)).want(201).has(object{"result": "applied", "content": w.id.String()})
	w.opens(buyer.post(w.path("/unlock"), object{"price_version": 1}).want(200))
	creator.balance(990, 0)
	thief.balance(0, 0)
}

func TestBadOffers(t *testing.T) {
	r := newRig(t)
	seller, b := r.user(0), r.user(0)
	w := r.seal([]byte("the sound of water"))
	with := func(member string, v any) object {
		o := w.offer(10)
		o[member] = v
		return o
	}
	refuse := func(member string, v any, status int, code, mention string) {
		t.Helper()
		r.still(fmt.Sprint(member, v)[:min(40, len(fmt.Sprint(member, v)))], func() { seller.post("/v1/contents", with(member, v)).refused(status, code, mention) })
	}
	good := b64(w.about.Header)
	for _, header := range []string{"!", "A", "AA=", "AB==", "AA==A", good[:8] + "\n" + good[8:], good + "\n", good[:4] + " " + good[4:], strings.TrimRight(b64([]byte("ab")), "="),
		"_-_-", b64(make([]byte, seal.MaxHeader+1)), strings.Repeat("A", 87_388)} {
		refuse("header", header, 400, "malformed_body", "header")
	}
	for _, title := range []string{strings.Repeat("x", 201), strings.Repeat("é", 101), "a\nb", "\x00", "a\x7f", "a\u0085"} {
		refuse("title", title, 400, "malformed_body", "title")
	}
	for _, sum := range []string{strings.Repeat("0", 63), strings.Repeat("0", 65), strings.Repeat("A", 64), strings.Repeat("g", 64)} {
		refuse("sha256", sum, 400, "malformed_body", "sha256")
		refuse("commitment", sum, 400, "malformed_body", "commitment")
	}
	refuse("size", uint64(1)<<53, 400, "malformed_body", "size")
	payee := func(account string, share any) object { return object{"account": account, "share": share} }
	for _, payees := range []any{[]object{}, object{}, "x", nil, 5, []any{5}, []any{nil}, []object{{}}, []object{payee(b.account, 0)}, []object{payee(b.account, 1_000_001)},
		[]object{payee(b.account, -1)}, []object{payee(b.account, "1")}, []object{payee("a17", 1)}, []object{{"account": b.account}},
		[]object{{"account": b.account, "share": 1, "name": "x"}}, make([]object, 17)} {
		refuse("payees", payees, 400, "malformed_body", "payee")
	}
	refuse("payees", []object{payee(b.account, 1), payee(b.account, 2)}, 422, "split_invalid", "payees")
	refuse("payees", []object{payee(ledger.AccountNo(999).String(), 1)}, 404, "payee_unknown", "account")
	refuse("payees", []object{payee(ledger.Dev.String(), 1)}, 404, "payee_unknown", "account")
	sixteen := make([]object, 16)
	for i := range sixteen {
		sixteen[i] = payee(r.user(0).account, 1_000_000)
	}
	o := with("payees", sixteen)
	o["title"] = strings.Repeat("é", 100)
	seller.post("/v1/contents", o).want(201)
}

// TestBadUnlocks: whatever is wrong with a purchase, no money moves.
func TestBadUnlocks(t *testing.T) {
	r := newRig(t)
	seller, buyer := r.user(0), r.user(1_000_000)
	w := r.sell(seller, 1000)
	refuse := func(body object, status int, code, mention string) {
		t.Helper()
		r.still(fmt.Sprint(body), func() { buyer.post(w.path("/unlock"), body).refused(status, code, mention) })
		buyer.balance(1_000_000, 0)
	}
	bent := sha256.Sum256(append([]byte{1}, w.about.Header...))
	refuse(object{"price_version": 1, "header_sha256": hex.EncodeToString(bent[:])}, 409, "header_mismatch", "header")
	refuse(object{}, 400, "malformed_body", "price")
	refuse(object{"price_version": 2}, 409, "price_changed", "version")
	refuse(object{"max_msat": 999}, 402, "price_too_high", "price")
	for _, size := range []int{0, 1, 31, 33, 64} {
		refuse(object{"price_version": 1, "recipient": b64(make([]byte, size))}, 400, "malformed_body", "recipient")
	}
	refuse(object{"price_version": 1, "recipient": strings.TrimRight(b64(bytes.Repeat([]byte{9}, 32)), "=")}, 400, "malformed_body", "recipient")
	key := b64(bytes.Repeat([]byte{9}, 32))
	refuse(object{"price_version": 1, "recipient": key[:10] + "\n" + key[10:]}, 400, "malformed_body", "recipient")
	one, minusOne := make([]byte, 32), bytes.Repeat([]byte{0xff}, 32)
	one[0], minusOne[0], minusOne[31] = 1, 0xec, 0x7f
	for _, low := range [][]byte{make([]byte, 32), one, minusOne} { // points of low order, to which anybody could open
		refuse(object{"price_version": 1, "recipient": b64(low)}, 400, "malformed_body", "recipient")
	}
	poor := r.user(999)
	r.still("a poor buyer", func() {
		poor.post(w.path("/unlock"), object{"price_version": 1}).refused(402, "insufficient_funds", "enough")
	})
	w.opens(buyer.post(w.path("/unlock"), object{"price_version": 1}).want(200))
}
