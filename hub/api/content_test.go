package api_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// work is a sealed file.
type work struct {
	id            ledger.ContentID
	plain, sealed []byte
	about         seal.Sealed
}

// seal seals some bytes to the key that the hub names.
func (r *rig) seal(plain []byte) work {
	r.t.Helper()
	hub := r.do(ask{method: "GET", path: "/v1/hub/key"}).want(200)
	key, err := seal.ParsePublicKey(hub.text("public_key"))
	r.must(err)
	w := work{plain: plain}
	rand.Read(w.id[:])
	var out bytes.Buffer
	w.about, err = seal.Seal(&out, bytes.NewReader(plain), key, hub.text("origin"), w.id)
	r.must(err)
	w.sealed = out.Bytes()
	return w
}

func (w work) offer(price uint64) object {
	return object{"header": base64.StdEncoding.EncodeToString(w.about.Header), "commitment": hex.EncodeToString(w.about.Commitment[:]),
		"title": "A field recording", "price_msat": price, "size": w.about.Size, "sha256": hex.EncodeToString(w.about.SHA256[:])}
}

// sell seals and registers a work.
func (r *rig) sell(seller user, price uint64) work {
	r.t.Helper()
	w := r.seal([]byte("the sound of water over the weir"))
	seller.post("/v1/contents", w.offer(price)).want(201).has(object{"result": "applied", "content": w.id.String(), "price_version": 1})
	return w
}

func (w work) path(verb string) string { return "/v1/contents/" + w.id.String() + verb }

// opens fails the test unless the answer's file key opens the sealed bytes.
func (w work) opens(a answer) answer {
	a.t.Helper()
	b, err := base64.StdEncoding.DecodeString(a.text("file_key"))
	if err != nil || len(b) != 16 {
		a.t.Fatalf("file_key %q: %v", a.text("file_key"), err)
	}
	w.opensWith(a.t, seal.FileKey(b))
	return a
}

func (w work) opensWith(t testing.TB, key seal.FileKey) {
	t.Helper()
	var out bytes.Buffer
	if err := seal.Open(&out, bytes.NewReader(w.sealed), key); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), w.plain) {
		t.Fatal("the opened bytes are not the sealed ones")
	}
}

// TestMainJob: seal, register, quote, pay, open; a second time free; off sale, the owner still gets it.
func TestMainJob(t *testing.T) {
	r := newRig(t)
	seller, friend, buyer, late := r.user(0), r.user(0), r.user(1_000_000), r.user(1_000_000)
	w := r.seal(bytes.Repeat([]byte("water "), 50_000))
	offer := w.offer(250_000)
	offer["payees"] = []object{{"account": seller.account, "share": 70}, {"account": friend.account, "share": 30}}
	first := seller.post("/v1/contents", offer).want(201)
	seller.post("/v1/contents", offer).want(200).has(object{"result": "repeated", "seq": first.num("seq"), "price_version": 1})
	header := sha256.Sum256(w.about.Header)
	quote := r.do(ask{method: "GET", path: w.path("")}).want(200).has(object{
		"content": w.id.String(), "hub": origin, "title": "A field recording", "seller": seller.account, "price_msat": 250_000,
		"price_version": 1, "size": w.about.Size, "sha256": hex.EncodeToString(w.about.SHA256[:]),
		"header_sha256": hex.EncodeToString(header[:]), "fee_ppm": feePPM, "status": "on_sale"})

	buy := object{"price_version": quote.num("price_version"), "header_sha256": quote.text("header_sha256")}
	a := w.opens(buyer.post(w.path("/unlock"), buy).want(200).has(object{"result": "applied", "paid_msat": 250_000, "content": w.id.String()}))
	if a.header.Get("Cache-Control") != "no-store" {
		t.Error("an answer with a file key may be cached")
	}
	buyer.balance(750_000, 0)
	seller.balance(173_250, 0) // 70 % of what the fee of 1 % leaves
	friend.balance(74_250, 0)
	w.opens(buyer.post(w.path("/unlock"), buy).want(200).has(object{"result": "repeated", "paid_msat": 250_000, "seq": a.num("seq")}))
	w.opens(seller.post(w.path("/unlock"), object{"max_msat": 1}).want(200).has(object{"result": "repeated", "paid_msat": 0}))
	buyer.balance(750_000, 0)

	reprice := object{"price_msat": 300_000, "price_version": 1}
	seller.post(w.path("/reprice"), reprice).want(200).has(object{"result": "applied", "price_msat": 300_000, "price_version": 2})
	seller.post(w.path("/reprice"), reprice).want(200).has(object{"result": "repeated", "price_version": 2})
	before := r.frozen()
	seller.post(w.path("/reprice"), object{"price_msat": 1, "price_version": 1}).refused(409, "price_changed", "version")
	buyer.post(w.path("/reprice"), object{"price_msat": 1, "price_version": 2}).refused(403, "not_permitted", "another")
	late.post(w.path("/unlock"), object{"price_version": 1}).refused(409, "price_changed", "version")
	late.post(w.path("/unlock"), object{"max_msat": 299_999}).refused(402, "price_too_high", "price")
	late.post(w.path("/unlock"), object{"price_version": 2, "max_msat": 250_000}).refused(402, "price_too_high", "price")
	if r.frozen() != before {
		t.Fatal("a refusal changed the ledger")
	}
	w.opens(late.post(w.path("/unlock"), object{"max_msat": 1_000_000}).want(200).has(object{"paid_msat": 300_000}))

	seller.post(w.path("/retire"), nil).want(200).has(object{"result": "applied"})
	seller.post(w.path("/retire"), "{}").want(200).has(object{"result": "repeated"})
	r.do(ask{method: "GET", path: w.path("")}).want(200).has(object{"status": "retired"})
	nobody := r.user(0)
	before = r.frozen()
	nobody.post(w.path("/unlock"), object{"max_msat": 1_000_000}).refused(410, "content_retired", "off sale")
	seller.post(w.path("/reprice"), object{"price_msat": 1, "price_version": 2}).refused(410, "content_retired", "off sale")
	if r.frozen() != before {
		t.Fatal("a refusal changed the ledger")
	}
	w.opens(buyer.post(w.path("/unlock"), object{"max_msat": 1}).want(200).has(object{"result": "repeated"}))
	late.balance(700_000, 0)
}

// TestRecipient: the file key comes sealed to the buyer's own key, and not in the clear.
func TestRecipient(t *testing.T) {
	r := newRig(t)
	buyer, w := r.user(5000), r.sell(r.user(0), 1000)
	priv, err := ecdh.X25519().GenerateKey(rand.Reader)
	r.must(err)
	a := buyer.post(w.path("/unlock"), object{"price_version": 1, "recipient": base64.StdEncoding.EncodeToString(priv.PublicKey().Bytes())}).want(200)
	o := a.object()
	if o["file_key"] != nil {
		t.Fatal("the key came in the clear as well")
	}
	sealed := o["sealed_file_key"].(object)
	enc, err := base64.StdEncoding.DecodeString(sealed["enc"].(string))
	r.must(err)
	ciphertext, err := base64.StdEncoding.DecodeString(sealed["ciphertext"].(string))
	r.must(err)
	key, err := seal.OpenDelivery(priv.Bytes(), enc, ciphertext, w.id)
	r.must(err)
	w.opensWith(t, key)
	if bytes.Contains(a.body, []byte(base64.StdEncoding.EncodeToString(key[:]))) {
		t.Fatal("the key came in the clear as well")
	}
}

// TestRotation: after a rotation the old key's works still open and still register, and new ones go to the new key.
func TestRotation(t *testing.T) {
	r := newRig(t)
	seller, buyer := r.user(0), r.user(100_000)
	old := r.sell(seller, 1000)
	unregistered := r.seal([]byte("sealed before, registered after"))
	was := r.do(ask{method: "GET", path: "/v1/hub/key"}).want(200)
	r.must(r.ring.Rotate(time.Now()))
	r.must(r.ring.Rotate(time.Now()))
	now := r.do(ask{method: "GET", path: "/v1/hub/key"}).want(200)
	earlier := now.object()["earlier"].([]any)
	if now.text("key_id") == was.text("key_id") || len(earlier) != 2 || earlier[1] != was.text("public_key") {
		t.Fatalf("before %s, after %s", was.body, now.body)
	}
	fresh := r.sell(seller, 1000)
	h, err := seal.ParseHeader(fresh.about.Header)
	r.must(err)
	if h.KeyID != now.text("key_id") {
		t.Errorf("a new work is sealed to %s, not to %s", h.KeyID, now.text("key_id"))
	}
	seller.post("/v1/contents", unregistered.offer(1000)).want(201)
	for _, w := range []work{old, unregistered, fresh} {
		w.opens(buyer.post(w.path("/unlock"), object{"price_version": 1}).want(200).has(object{"paid_msat": 1000}))
	}
}
