package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// market is a hub with a seller and a buyer who has 1000 msat.
type market struct {
	served
	seller, buyer string // files of their tokens
	dir           string
}

func newMarket(t *testing.T) market {
	t.Helper()
	m := market{served: newHub(t), dir: t.TempDir()}
	_, m.seller = m.account(t, "")
	_, m.buyer = m.account(t, "1000")
	return m
}

func (m market) path(name string) string { return filepath.Join(m.dir, name) }

// seal puts random bytes on sale for 100 msat.
func (m market) seal(t *testing.T, name string, size int) (plain []byte, sealed, content string) {
	t.Helper()
	plain = make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(plain)
	in, sealed := writeFile(t, m.path(name), plain), m.path(name+".sealed")
	got := ok(t, "seal", "--hub", m.url, "--token-file", m.seller, "--price-msat", "100", "--title", name, "-o", sealed, in)
	return plain, sealed, got["content"].(string)
}

func (m market) open(token, out, in string, more ...string) []string {
	return append([]string{"open", "--hub", m.url, "--token-file", token, "--max-msat", "100", "-o", out, in}, more...)
}

func same(t *testing.T, path string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes, want %d (%v)", path, len(got), len(want), err)
	}
}

// onlyIn checks that a folder holds no leftovers.
func onlyIn(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(names) {
		t.Errorf("%s holds %v, want %v", dir, got, names)
	}
}

func TestRoundTrip(t *testing.T) {
	m := newMarket(t)
	balance := 1000
	for _, size := range []int{0, 1, 64 << 10, 5 << 20} {
		name := fmt.Sprint("work", size)
		plain, sealed, content := m.seal(t, name, size)
		out := m.path(name + ".opened")
		got := ok(t, m.open(m.buyer, out, sealed)...)
		same(t, out, plain)
		balance -= 100
		if got["result"] != "applied" || got["paid_msat"] != json.Number("100") || got["content"] != content || got["title"] != name {
			t.Errorf("%d bytes: %v", size, got)
		}
		if got := ok(t, m.open(m.buyer, out, sealed, "--force")...); got["result"] != "repeated" {
			t.Errorf("opened again: %v", got)
		}
		if got := m.balance(t, m.buyer); got != fmt.Sprint(balance) {
			t.Errorf("the buyer has %s, want %d", got, balance)
		}
	}
	if got := m.balance(t, m.seller); got != "400" {
		t.Errorf("the seller has %s", got)
	}
	onlyIn(t, m.dir, "work0", "work0.opened", "work0.sealed", "work1", "work1.opened", "work1.sealed",
		"work5242880", "work5242880.opened", "work5242880.sealed", "work65536", "work65536.opened", "work65536.sealed")
}

func TestStreams(t *testing.T) {
	m := newMarket(t)
	plain := bytes.Repeat([]byte("stream "), 30000)
	seal := []string{"seal", "--hub", m.url, "--token-file", m.seller, "--price-msat", "100", "--title", "s", "-o", "-", "-"}
	sealed := millrace(t, nil, bytes.NewReader(plain), seal...)
	if sealed.code != 0 || !strings.Contains(sealed.err, "on sale") {
		t.Fatalf("seal: exit %d, %s", sealed.code, sealed.err)
	}
	opened := millrace(t, nil, strings.NewReader(sealed.out), m.open(m.buyer, "-", "-")...)
	if opened.code != 0 || opened.out != string(plain) || !strings.Contains(opened.err, "cannot be checked before") {
		t.Errorf("open: exit %d, %d bytes, %s", opened.code, len(opened.out), opened.err)
	}
	out := m.path("out")
	if r := millrace(t, nil, strings.NewReader(sealed.out), m.open(m.buyer, out, "-")...); r.code != 0 {
		t.Errorf("open to a file: %+v", r)
	}
	same(t, out, plain)
	os.Remove(out)
	cut := sealed.out[:len(sealed.out)-1]
	if r := millrace(t, nil, strings.NewReader(cut), m.open(m.buyer, out, "-")...); r.code != exitFile || !strings.Contains(r.err, "nothing was paid") {
		t.Errorf("a stream cut off: %+v", r)
	}
	if r := millrace(t, nil, strings.NewReader(cut), m.open(m.buyer, out, "-", "--no-verify")...); r.code != exitFile || !strings.Contains(r.err, "opening it again is free") {
		t.Errorf("a stream cut off, not verified: %+v", r)
	}
	onlyIn(t, m.dir)
	if r := millrace(t, nil, strings.NewReader(sealed.out), "inspect", "-"); r.code != 0 || !strings.Contains(r.out, "100 msat") {
		t.Errorf("inspect: %+v", r)
	}
	if r := millrace(t, nil, bytes.NewReader(plain), append(seal, "--json")...); r.code != exitUsage || !strings.Contains(r.err, "both want standard output") {
		t.Errorf("seal to stdout with --json: %+v", r)
	}
}

func TestThirdPartyCannotOpen(t *testing.T) {
	m := newMarket(t)
	_, sealed, _ := m.seal(t, "work", 100)
	_, poor := m.account(t, "")
	fails(t, exitRefused, "refused: insufficient_funds", m.open(poor, m.path("out"), sealed)...)
	args := m.open(m.buyer, m.path("out"), sealed)
	args[6] = "99"
	fails(t, exitRefused, "refused: price_too_high", args...)
	fails(t, exitUsage, "a token is needed", append([]string{"open", "--hub", m.url}, args[5:]...)...)
	operator := m.open(m.operator, m.path("out"), sealed)
	fails(t, exitRefused, "no_account", operator...)
	onlyIn(t, m.dir, "work", "work.sealed")
	if got := m.balance(t, m.buyer); got != "1000" {
		t.Errorf("the buyer has %s", got)
	}
}

func TestBentFiles(t *testing.T) {
	m := newMarket(t)
	_, sealed, _ := m.seal(t, "work", 100000)
	_, other, _ := m.seal(t, "other", 100000)
	whole, err := os.ReadFile(sealed)
	if err != nil {
		t.Fatal(err)
	}
	foreign, _ := os.ReadFile(other)
	flip := func(at int) []byte { b := bytes.Clone(whole); b[at] ^= 1; return b }
	letter := func(at int) []byte { // another letter of base64
		b := bytes.Clone(whole)
		if b[at] = 'A'; whole[at] == 'A' {
			b[at] = 'B'
		}
		return b
	}
	end := bytes.Index(whole, []byte("\n---")) + 1
	header := end + bytes.IndexByte(whole[end:], '\n') + 1
	for _, test := range []struct {
		name, says string
		data       []byte
	}{
		{"intro", "not a sealed work", flip(3)},
		{"stanza's body", "differs", letter(end - 10)},
		{"header's MAC", "differs", letter(header - 10)},
		{"payload", "SHA-256 is not the registered one", flip(header + 5000)},
		{"last byte", "SHA-256 is not the registered one", flip(len(whole) - 1)},
		{"cut off", "has 50000 bytes", whole[:50000]},
		{"longer", "the registered one", append(bytes.Clone(whole), 0)},
		{"another's payload", "SHA-256 is not", append(bytes.Clone(whole[:header]), foreign[len(foreign)-len(whole)+header:]...)},
		{"cut off in the header", "cut off", whole[:100]},
		{"empty", "not a sealed work", nil},
		{"a text", "not a sealed work", []byte("hello\n")},
	} {
		bent := writeFile(t, m.path("bent"), test.data)
		fails(t, exitFile, test.says, m.open(m.buyer, m.path("out"), bent)...)
		if r := millrace(t, nil, nil, "inspect", bent, "--json"); r.code != exitFile {
			t.Errorf("%s: inspect: %+v", test.name, r)
		}
	}
	onlyIn(t, m.dir, "bent", "other", "other.sealed", "work", "work.sealed")
	if got := m.balance(t, m.buyer); got != "1000" {
		t.Errorf("the buyer has %s", got)
	}
}

func TestOutputs(t *testing.T) {
	m := newMarket(t)
	_, sealed, _ := m.seal(t, "work", 10)
	there := writeFile(t, m.path("there"), []byte("precious"))
	fails(t, exitUsage, "exists already", m.open(m.buyer, there, sealed)...)
	fails(t, exitUsage, "no such file", m.open(m.buyer, m.path("nowhere/out"), sealed)...)
	fails(t, exitUsage, "is a folder", m.open(m.buyer, m.dir, sealed)...)
	fails(t, exitUsage, "both what to open and where to", m.open(m.buyer, sealed, sealed, "--force")...)
	fails(t, exitUsage, "not a regular file", m.open(m.buyer, os.DevNull, sealed, "--force")...)
	fails(t, exitUsage, "no such file", m.open(m.buyer, m.path("out"), m.path("nothing"))...)
	seal := []string{"seal", "--hub", m.url, "--token-file", m.seller, "--price-msat", "1", "--title", "t", "-o"}
	fails(t, exitUsage, "exists already", append(seal, there, sealed)...)
	fails(t, exitUsage, "both what to seal and where to", append(seal, there, there, "--force")...)
	fails(t, exitUsage, "no such file", append(seal, m.path("nowhere/out"), sealed)...)
	fails(t, exitRefused, "payee_unknown", append(seal, m.path("out"), sealed, "--payee", ledger.AccountNo(9999).String()+"=1")...)
	fails(t, exitRefused, "no_account", append(append([]string{}, seal[:4]...), m.operator, "--price-msat", "1", "--title", "t", "-o", m.path("out"), sealed)...)
	same(t, there, []byte("precious"))
	onlyIn(t, m.dir, "there", "work", "work.sealed")
	if got := m.balance(t, m.buyer); got != "1000" {
		t.Errorf("the buyer has %s", got)
	}
}

func TestInspect(t *testing.T) {
	m := newMarket(t)
	_, sealed, content := m.seal(t, "work", 10)
	got := ok(t, "inspect", sealed)
	quote, _ := got["hub"].(map[string]any)
	if got["origin"] != m.url || got["content"] != content || quote["price_msat"] != json.Number("100") || got["header_agrees"] != true || got["file_agrees"] != true {
		t.Errorf("inspect: %v", got)
	}
	if r := millrace(t, nil, nil, "inspect", sealed); !strings.Contains(r.out, "price    100 msat (version 1), on_sale") || r.err != "" {
		t.Errorf("inspect: %+v", r)
	}
	b, _ := os.ReadFile(sealed)
	b[len(b)-1] ^= 1
	bent := writeFile(t, m.path("bent"), b)
	r := millrace(t, nil, nil, "inspect", "--json", bent)
	if got := object(t, r.out); r.code != exitFile || got["header_agrees"] != true || got["file_agrees"] != false {
		t.Errorf("a bent file: %+v", r)
	}
	m.stop()
	if got := ok(t, "inspect", sealed); got["hub"] != nil || got["hub_error"] == "" || got["header_agrees"] != nil {
		t.Errorf("without the hub: %v", got)
	}
	fails(t, exitUnreachable, "cannot be reached", m.open(m.buyer, m.path("out"), sealed)...)
	onlyIn(t, m.dir, "bent", "work", "work.sealed")
}

func TestOffline(t *testing.T) {
	m := newMarket(t)
	key := ok(t, "key", "show", "--hub", m.url)
	in, out := writeFile(t, m.path("work"), []byte("offline")), m.path("work.sealed")
	made := ok(t, "seal", "--offline", "--hub-key", key["public_key"].(string), "--origin", key["origin"].(string), "-o", out, in)
	if made["registered"] != false {
		t.Errorf("seal: %v", made)
	}
	if got := ok(t, "inspect", out); got["hub"] != nil || !strings.Contains(got["hub_error"].(string), "content_unknown") {
		t.Errorf("inspect: %v", got)
	}
	fails(t, exitRefused, "content_unknown", m.open(m.buyer, m.path("out"), out)...)
	register := []string{"register", "--hub", m.url, "--token-file", m.seller, "--price-msat", "100", "--title", "t", out}
	if got := ok(t, register...); got["result"] != "applied" || got["content"] != made["content"] {
		t.Errorf("register: %v", got)
	}
	if got := ok(t, register...); got["result"] != "repeated" {
		t.Errorf("register again: %v", got)
	}
	ok(t, m.open(m.buyer, m.path("out"), out)...)
	same(t, m.path("out"), []byte("offline"))
}

func TestSellersTerms(t *testing.T) {
	m := newMarket(t)
	plain, sealed, content := m.seal(t, "work", 10)
	ok(t, m.open(m.buyer, m.path("out"), sealed)...)
	mine := []string{"--hub", m.url, "--token-file", m.seller}
	if got := ok(t, append([]string{"content", "reprice", content, "--price-msat", "5000"}, mine...)...); got["price_version"] != json.Number("2") {
		t.Errorf("reprice: %v", got)
	}
	ok(t, append([]string{"content", "retire", content}, mine...)...)
	if got := ok(t, "content", "show", "--hub", m.url, content); got["status"] != "retired" || got["price_msat"] != json.Number("5000") {
		t.Errorf("show: %v", got)
	}
	if got := ok(t, m.open(m.buyer, m.path("out"), sealed, "--force")...); got["result"] != "repeated" {
		t.Errorf("who owns it pays again: %v", got)
	}
	same(t, m.path("out"), plain)
	_, late := m.account(t, "10000")
	fails(t, exitRefused, "content_retired", m.open(late, m.path("late"), sealed)...)
}

func TestPriceRaisedBetweenQuoteAndUnlock(t *testing.T) {
	m := newMarket(t)
	_, sealed, content := m.seal(t, "work", 10)
	target, _ := url.Parse(m.url)
	proxy := httputil.NewSingleHostReverseProxy(target)
	raised := 100
	proxy.ModifyResponse = func(r *http.Response) error {
		if r.Request.Method == "GET" && strings.HasPrefix(r.Request.URL.Path, "/v1/contents/") {
			raised++
			price := fmt.Sprint(raised)
			millrace(t, nil, nil, "content", "reprice", content, "--price-msat", price, "--hub", m.url, "--token-file", m.seller)
		}
		return nil
	}
	server := httptest.NewServer(proxy)
	defer server.Close()
	args := m.open(m.buyer, m.path("out"), sealed)
	args[2], args[6] = server.URL, "1000"
	fails(t, exitRefused, "price_changed", args...)
	if got := m.balance(t, m.buyer); got != "1000" {
		t.Errorf("the buyer has %s", got)
	}
	onlyIn(t, m.dir, "work", "work.sealed")
}

// TestHostileOrigin: a file can name any hub as its own. The token must not go there.
func TestHostileOrigin(t *testing.T) {
	m := newMarket(t)
	var thief *httptest.Server
	thief = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the thief got a token")
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"origin":"`+thief.URL+`"}`)
	}))
	defer thief.Close()
	key := ok(t, "key", "show", "--hub", m.url)["public_key"].(string)
	in, sealed := writeFile(t, m.path("work"), []byte("bait")), m.path("work.sealed")
	ok(t, "seal", "--offline", "--hub-key", key, "--origin", thief.URL, "-o", sealed, in)
	says := "your token was not sent anywhere"
	fails(t, exitUsage, says, m.open(m.buyer, m.path("out"), sealed)...)
	fails(t, exitUsage, says, "register", "--hub", m.url, "--token-file", m.seller, "--price-msat", "1", "--title", "t", sealed)
	// With no hub given there is only the default one, which is not the file's, whether it runs here or not.
	fails(t, exitUsage, says, "open", "--token-file", m.buyer, "--max-msat", "100", "-o", m.path("out"), sealed)
	onlyIn(t, m.dir, "work", "work.sealed", "work.sealed.claim")
}

// TestMovedHub: a hub that runs under another name still sells what was sealed under the old one, to who names it.
func TestMovedHub(t *testing.T) {
	m := newMarket(t)
	plain, sealed, _ := m.seal(t, "work", 1000)
	if r := m.stop(); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	old, err := net.Listen("tcp", strings.TrimPrefix(m.url, "http://")) // so that it gets another port
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	moved := serveIn(t, m.served.dir)
	args := m.open(m.buyer, m.path("out"), sealed)
	args[2] = moved.url
	ok(t, args...)
	same(t, m.path("out"), plain)
}

// TestInterrupted: a signal ends even a read that nobody answers, and leaves nothing behind.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = w.Write([]byte("some, and then no more"))
		cancel()
	}()
	var out, log bytes.Buffer
	code := run(ctx, []string{"millrace", "seal", "--offline", "--hub-key", "millrace-key-x25519-X9R2M7XkP8p7rRv75CT-rLF12dTUow8Wbb0wY28LRGs",
		"--origin", "http://hub.example", "-o", filepath.Join(dir, "out"), "-"}, nil, r, &out, &log)
	if code != exitInterrupted {
		t.Errorf("exit %d: %s", code, log.String())
	}
	onlyIn(t, dir)
}
