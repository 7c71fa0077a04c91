package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/gorilla/websocket"
)

// Kinds of events (NIP-47); notifications are in NIP-04.
const (
	kindAsked    = 23194
	kindAnswered = 23195
	kindNotified = 23196
)

// nostrEvent is what passes through relays (NIP-01).
type nostrEvent struct {
	ID      string     `json:"id"`
	Key     string     `json:"pubkey"`
	Made    int64      `json:"created_at"`
	Kind    int        `json:"kind"`
	Tags    [][]string `json:"tags"`
	Content string     `json:"content"`
	Sig     string     `json:"sig"`
}

func (e *nostrEvent) tag(name string) string {
	for _, t := range e.Tags {
		if len(t) > 1 && t[0] == name {
			return t[1]
		}
	}
	return ""
}

// hash is its id. Nothing in it needs an escape.
func (e *nostrEvent) hash(t *testing.T) [32]byte {
	t.Helper()
	text, err := json.Marshal([]any{0, e.Key, e.Made, e.Kind, e.Tags, e.Content})
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(text)
}

// nostrRelay is a relay that keeps all that it gets. Hubs come by websocket; the test's applications reach into it.
type nostrRelay struct {
	t   *testing.T
	url string

	mu     sync.Mutex
	events []*nostrEvent
	hub    *websocket.Conn
	asked  map[string][]string // keys that the hub has asked for, by subscription
}

func newNostrRelay(t *testing.T) *nostrRelay {
	r := &nostrRelay{t: t}
	s := httptest.NewServer(http.HandlerFunc(r.serve))
	r.url = "ws" + strings.TrimPrefix(s.URL, "http")
	t.Cleanup(func() {
		r.mu.Lock()
		if r.hub != nil {
			_ = r.hub.Close()
		}
		r.mu.Unlock()
		s.Close()
	})
	return r
}

// serve is one connection of a hub, the only one at a time.
func (r *nostrRelay) serve(w http.ResponseWriter, req *http.Request) {
	conn, err := new(websocket.Upgrader).Upgrade(w, req, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	r.mu.Lock()
	r.hub, r.asked = conn, make(map[string][]string)
	r.mu.Unlock()
	for {
		var m []json.RawMessage
		if err := conn.ReadJSON(&m); err != nil {
			return
		}
		if len(m) >= 2 {
			r.hear(conn, m)
		}
	}
}

func (r *nostrRelay) hear(conn *websocket.Conn, m []json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if conn != r.hub {
		return // there is a newer one
	}
	var sub string
	switch string(m[0]) {
	case `"EVENT"`:
		e := new(nostrEvent)
		if err := json.Unmarshal(m[1], e); err != nil {
			r.t.Errorf("%s: %v", m[1], err)
			return
		}
		r.events = append(r.events, e)
		_ = conn.WriteJSON([]any{"OK", e.ID, true, ""})
	case `"REQ"`:
		var filter struct {
			P     []string `json:"#p"`
			Since int64    `json:"since"`
		}
		if len(m) != 3 || json.Unmarshal(m[1], &sub) != nil || json.Unmarshal(m[2], &filter) != nil {
			r.t.Errorf("%s", m)
			return
		}
		r.asked[sub] = filter.P
		for _, e := range r.events {
			if e.Kind == kindAsked && e.Made >= filter.Since && slices.Contains(filter.P, e.tag("p")) {
				_ = conn.WriteJSON([]any{"EVENT", sub, e})
			}
		}
	case `"CLOSE"`:
		_ = json.Unmarshal(m[1], &sub)
		delete(r.asked, sub)
	}
}

// put is what an application publishes. It is kept until the hub asks, if that is not there.
func (r *nostrRelay) put(e *nostrEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	for sub, keys := range r.asked {
		if slices.Contains(keys, e.tag("p")) {
			_ = r.hub.WriteJSON([]any{"EVENT", sub, e})
		}
	}
}

// knows says whether the hub has asked for what is sent to a key.
func (r *nostrRelay) knows(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, keys := range r.asked {
		if slices.Contains(keys, key) {
			return true
		}
	}
	return false
}

// of are the events of a kind from a key.
func (r *nostrRelay) of(kind int, key string) (all []*nostrEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == kind && e.Key == key {
			all = append(all, e)
		}
	}
	return all
}

// application is one with a connection, that knows no more than the URI.
type application struct {
	t      *testing.T
	relay  *nostrRelay
	key    *btcec.PrivateKey
	hub    string // its key
	shared []byte
}

func newApplication(t *testing.T, relay *nostrRelay, uri string) *application {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "nostr+walletconnect" || u.Query().Get("relay") != relay.url {
		t.Fatalf("not a URI of a connection by %s: %v", relay.url, err)
	}
	secret, err := hex.DecodeString(u.Query().Get("secret"))
	if err != nil {
		t.Fatal(err)
	}
	a := &application{t: t, relay: relay, hub: u.Host}
	a.key, _ = btcec.PrivKeyFromBytes(secret)
	x, err := hex.DecodeString(a.hub)
	if err != nil {
		t.Fatal(err)
	}
	point, err := schnorr.ParsePubKey(x)
	if err != nil {
		t.Fatal(err)
	}
	a.shared = btcec.GenerateSharedSecret(a.key, point)
	until(t, "the hub asks the relay for it", func() bool { return relay.knows(a.hub) })
	return a
}

// ask publishes a request.
func (a *application) ask(method string, params map[string]any) *nostrEvent {
	a.t.Helper()
	text, err := json.Marshal(map[string]any{"method": method, "params": params})
	if err != nil {
		a.t.Fatal(err)
	}
	block, err := aes.NewCipher(a.shared)
	if err != nil {
		a.t.Fatal(err)
	}
	pad := aes.BlockSize - len(text)%aes.BlockSize
	text = append(text, bytes.Repeat([]byte{byte(pad)}, pad)...)
	var iv [aes.BlockSize]byte
	rand.Read(iv[:])
	cipher.NewCBCEncrypter(block, iv[:]).CryptBlocks(text, text)
	content := base64.StdEncoding.EncodeToString(text) + "?iv=" + base64.StdEncoding.EncodeToString(iv[:])
	e := &nostrEvent{
		Key: hex.EncodeToString(schnorr.SerializePubKey(a.key.PubKey())), Made: time.Now().Unix(), Kind: kindAsked,
		Tags: [][]string{{"p", a.hub}}, Content: content,
	}
	id := e.hash(a.t)
	sig, err := schnorr.Sign(a.key, id[:])
	if err != nil {
		a.t.Fatal(err)
	}
	e.ID, e.Sig = hex.EncodeToString(id[:]), hex.EncodeToString(sig.Serialize())
	a.relay.put(e)
	return e
}

// open reads what the hub has sealed and signed.
func (a *application) open(e *nostrEvent, into any) {
	a.t.Helper()
	sum := e.hash(a.t)
	signed, errSig := hex.DecodeString(e.Sig)
	by, errKey := hex.DecodeString(e.Key)
	if errSig != nil || errKey != nil || e.ID != hex.EncodeToString(sum[:]) {
		a.t.Fatalf("not an event: %+v", e)
	}
	sig, errSig := schnorr.ParseSignature(signed)
	key, errKey := schnorr.ParsePubKey(by)
	if errSig != nil || errKey != nil || !sig.Verify(sum[:], key) {
		a.t.Fatalf("not signed: %+v", e)
	}
	text, iv, _ := strings.Cut(e.Content, "?iv=")
	raw, errText := base64.StdEncoding.DecodeString(text)
	start, errIV := base64.StdEncoding.DecodeString(iv)
	block, err := aes.NewCipher(a.shared)
	if errText != nil || errIV != nil || err != nil || len(start) != aes.BlockSize || len(raw) == 0 || len(raw)%aes.BlockSize != 0 {
		a.t.Fatalf("not sealed by NIP-04: %+v", e)
	}
	cipher.NewCBCDecrypter(block, start).CryptBlocks(raw, raw)
	raw = raw[:len(raw)-int(raw[len(raw)-1])]
	if err := json.Unmarshal(raw, into); err != nil {
		a.t.Fatalf("%q: %v", raw, err)
	}
}

// nostrAnswer is what a request was answered with.
type nostrAnswer struct {
	Type  string `json:"result_type"`
	Error *struct{ Code, Message string }

	Result struct {
		Pubkey, Invoice, Preimage, State string
		Hash                             string `json:"payment_hash"`
		Balance                          int64
		Fees                             int64 `json:"fees_paid"`
	}
}

// answers are those that there are to a request.
func (a *application) answers(to *nostrEvent) (all []nostrAnswer) {
	a.t.Helper()
	for _, e := range a.relay.of(kindAnswered, a.hub) {
		if e.tag("e") == to.ID {
			var got nostrAnswer
			a.open(e, &got)
			all = append(all, got)
		}
	}
	return all
}

// call asks, and waits for the answer: its code is empty if there is no error.
func (a *application) call(method string, params map[string]any) (got nostrAnswer, code string) {
	a.t.Helper()
	e := a.ask(method, params)
	var all []nostrAnswer
	until(a.t, method+" is answered", func() bool { all = a.answers(e); return len(all) > 0 })
	if got = all[0]; got.Error != nil {
		code = got.Error.Code
	}
	return got, code
}

// notified waits until the application is told of something so many msat large.
func (a *application) notified(what string, msat int64) {
	a.t.Helper()
	until(a.t, what+" is told", func() bool {
		for _, e := range a.relay.of(kindNotified, a.hub) {
			var got struct {
				Type string                 `json:"notification_type"`
				Of   struct{ Amount int64 } `json:"notification"`
			}
			a.open(e, &got)
			if got.Type == what && got.Of.Amount == msat {
				return true
			}
		}
		return false
	})
}
