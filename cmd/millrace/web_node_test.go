package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// page is the JavaScript that pages open sealed works with, in Node, against a hub.
type page struct {
	market
	token string // the buyer's
	in    io.Writer
	out   *bufio.Scanner
}

func newPage(t *testing.T) page {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node on this machine")
	}
	folder := filepath.Join("..", "..", "hub", "web")
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "age-encryption")); errors.Is(err, fs.ErrNotExist) {
		t.Skip("the npm package age-encryption is not installed: make deps does it")
	}
	p := page{market: newMarket(t)}
	cmd := exec.CommandContext(t.Context(), node, "test/open.mjs")
	cmd.Dir, cmd.Stderr = folder, t.Output()
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	p.token, err = readToken(t.Context(), p.buyer)
	if err := errors.Join(err, errIn, errOut, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("node: %v", err)
		}
	})
	p.in, p.out = in, bufio.NewScanner(out)
	return p
}

// order is what test/open.mjs reads; by default the buyer opens a file at the hub.
type order map[string]any

// opened is what it says.
type opened struct {
	Error, Code, Plain string
	Asked, Sent, Parts []string
	Size, Read         int
}

func (p page) open(t *testing.T, o order) (x opened) {
	t.Helper()
	all := order{"hub": p.url, "token": p.token}
	for name, value := range o {
		all[name] = value
	}
	text, err := json.Marshal(all)
	if err == nil {
		_, err = p.in.Write(append(text, '\n'))
	}
	if err != nil {
		t.Fatal(err)
	}
	if !p.out.Scan() {
		t.Fatal("node says nothing", p.out.Err())
	}
	if err := json.Unmarshal(p.out.Bytes(), &x); err != nil {
		t.Fatalf("%v: %s", err, p.out.Bytes())
	}
	return x
}

func (p page) has(t *testing.T, msat string) {
	t.Helper()
	if got := p.balance(t, p.buyer); got != msat {
		t.Errorf("the buyer has %s, want %s", got, msat)
	}
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestWebPays: the identity asks, pays once, and from then on for nothing, with age-encryption itself and without.
func TestWebPays(t *testing.T) {
	p := newPage(t)
	plain, sealed, content := p.seal(t, "work", 70_000)
	if x := p.open(t, order{"file": sealed, "how": "decrypter"}); !strings.Contains(x.Error, "nobody agreed to pay 100 msat") {
		t.Errorf("nobody asked: %+v", x)
	}
	if x := p.open(t, order{"file": sealed, "answer": false, "maxMsat": "1000"}); !strings.Contains(x.Error, "nobody agreed") || len(x.Asked) != 1 || !strings.HasPrefix(x.Asked[0], "work 100 a") {
		t.Errorf("the reader says no: %+v", x)
	}
	if x := p.open(t, order{"file": sealed, "answer": true, "maxMsat": "99"}); !strings.Contains(x.Error, "more than may be paid") || len(x.Asked) != 0 {
		t.Errorf("above the cap: %+v", x)
	}
	p.has(t, "1000")
	x := p.open(t, order{"file": sealed, "how": "decrypter", "answer": true})
	if x.Plain != hexSum(plain) || len(x.Asked) != 1 {
		t.Errorf("the reader says yes: %+v", x)
	}
	unlock := "POST " + p.url + "/v1/contents/" + content + "/unlock with token"
	if want := fmt.Sprint([]string{unlock, "GET " + p.url + "/v1/contents/" + content, unlock}); fmt.Sprint(x.Sent) != want {
		t.Errorf("sent %v", x.Sent)
	}
	p.has(t, "900")
	for _, how := range []string{"decrypter", "stream"} {
		if x := p.open(t, order{"file": sealed, "how": how}); x.Plain != hexSum(plain) {
			t.Errorf("owned, %s: %+v", how, x)
		}
	}
	other, second, _ := p.seal(t, "other", 10)
	if x := p.open(t, order{"file": second, "how": "stream", "maxMsat": "100"}); x.Plain != hexSum(other) {
		t.Errorf("within the cap: %+v", x)
	}
	p.has(t, "800")
	ok(t, "content", "reprice", content, "--price-msat", "2000000000000000001", "--hub", p.url, "--token-file", p.seller)
	if x := p.open(t, order{"file": sealed, "how": "decrypter"}); x.Plain != hexSum(plain) {
		t.Errorf("owned, at another price now: %+v", x)
	}
	_, stranger := p.account(t, "")
	token, err := readToken(t.Context(), stranger)
	if err != nil {
		t.Fatal(err)
	}
	if x := p.open(t, order{"file": sealed, "token": token, "answer": true}); x.Code != "insufficient_funds" || len(x.Asked) != 1 || !strings.Contains(x.Asked[0], " 2000000000000000001 ") {
		t.Errorf("a price beyond what a double holds: %+v", x)
	}
}

// TestWebRefuses: whatever a file says, it takes no money and no token.
func TestWebRefuses(t *testing.T) {
	p := newPage(t)
	_, sealed, content := p.seal(t, "work", 70_000)
	whole := string(read(t, sealed))
	stanza := strings.Join(strings.SplitAfterN(whole, "\n", 4)[1:3], "")
	bent := func(data string) string { return writeFile(t, p.path("bent"), []byte(data)) }
	for _, test := range []struct {
		says, data string
		order      order
	}{
		{"no identity matched", whole, order{"hub": "https://hub.example"}},
		{"no identity matched", strings.Replace(whole, "millrace.dev/v1", "millrace.dev/v9", 1), nil},
		{"more than one", strings.Replace(whole, stanza, stanza+stanza, 1), nil},
		{"malformed", strings.Replace(whole, "millrace.dev/v1 ", "millrace.dev/v1 x ", 1), nil},
		{"malformed", strings.Replace(whole, content, strings.ToUpper(content[:30])+"/.", 1), nil},
		{"content_unknown", strings.Replace(whole, content, strings.Repeat("0", 32), 1), nil},
		{"header_mismatch", strings.Replace(whole, stanza, stanza+"-> x\n\n", 1), nil},
		{"larger than", strings.Replace(whole, stanza, strings.Repeat("-> x y\n\n", 1<<14)+stanza, 1), nil},
		{"cut off", whole[:200], nil},
		{"no age header", "hello" + whole, nil},
		{"the file is cut off", whole[:len(whole)-4470], nil},
		{"it is not paid for", whole[:len(whole)-5000], nil},
		{"not a token", whole, order{"token": "x y"}},
	} {
		o := order{"file": bent(test.data), "maxMsat": "1000"}
		for name, value := range test.order {
			o[name] = value
		}
		if x := p.open(t, o); !strings.Contains(x.Error, test.says) || len(x.Parts) > 0 {
			t.Errorf("want %q: %+v", test.says, x)
		}
	}
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			t.Errorf("asked without a token: %s", r.URL)
		}
		http.Redirect(w, r, p.url+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer thief.Close()
	if x := p.open(t, order{"file": sealed, "hub": thief.URL, "origin": p.url, "maxMsat": "1000"}); x.Error == "" {
		t.Errorf("followed a redirect: %+v", x)
	}
	nonsense := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Repeat("{", 1<<20))
	}))
	defer nonsense.Close()
	if x := p.open(t, order{"file": sealed, "hub": nonsense.URL, "origin": p.url, "maxMsat": "1000"}); !strings.Contains(x.Error, "not an answer of a hub") {
		t.Errorf("a hub that is none: %+v", x)
	}
	p.has(t, "1000")
}

// TestWebParts: any part of a file, from memory and from a web server, and nothing that was not sealed there.
func TestWebParts(t *testing.T) {
	p := newPage(t)
	const chunk = 64 << 10
	for _, size := range []int{0, 1, chunk, 3*chunk + 5} {
		plain, sealed, _ := p.seal(t, fmt.Sprint("work", size), size)
		var parts [][2]int
		var want []string
		for _, from := range []int{0, 1, chunk - 1, chunk, chunk + 1, 2*chunk + 7, size - 1, size} {
			for _, to := range []int{0, 1, chunk, chunk + 1, 2 * chunk, size} {
				if 0 <= from && from <= to && to <= size {
					parts, want = append(parts, [2]int{from, to}), append(want, hexSum(plain[from:to]))
				}
			}
		}
		parts, want = append(parts, [2]int{0, size + 1}, [2]int{size + 1, size + 2}), append(want, hexSum(plain), fmt.Sprintf("RangeError: want a part of 0 to %d", size))
		x := p.open(t, order{"file": sealed, "maxMsat": "100", "parts": parts})
		if x.Error != "" || x.Size != size || fmt.Sprint(x.Parts) != fmt.Sprint(want) {
			t.Errorf("%d bytes: %+v, want %v", size, x, want)
		}
	}
	plain, sealed, _ := p.seal(t, "film", 9<<20)
	files := httptest.NewServer(http.FileServer(http.Dir(p.dir)))
	defer files.Close()
	film := order{"url": files.URL + "/film.sealed", "maxMsat": "100", "parts": [][2]int{{5 << 20, 5<<20 + 100}}}
	if x := p.open(t, film); x.Error != "" || len(x.Parts) != 1 || x.Parts[0] != hexSum(plain[5<<20:5<<20+100]) || x.Read > 5*chunk {
		t.Errorf("from a web server: %+v", x)
	}
	film["how"] = "stream"
	if x := p.open(t, film); x.Plain != hexSum(plain[5<<20:]) {
		t.Errorf("streamed from the middle: %+v", x)
	}
	whole := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(plain) }))
	defer whole.Close()
	if x := p.open(t, order{"url": whole.URL}); !strings.Contains(x.Error, "does not serve parts") {
		t.Errorf("a server that serves no parts: %+v", x)
	}

	data := read(t, sealed)
	const sealedChunk = chunk + 16
	start := len(data) - 9<<20 - 9<<20/chunk*16
	data[start+sealedChunk+9] ^= 1
	x := p.open(t, order{"file": writeFile(t, p.path("bent"), data), "parts": [][2]int{{0, chunk}, {chunk, chunk + 1}, {0, 2 * chunk}, {2 * chunk, 9 << 20}}})
	if x.Error != "" || len(x.Parts) != 4 || x.Parts[0] != hexSum(plain[:chunk]) || !strings.Contains(x.Parts[1], "Error") || !strings.Contains(x.Parts[2], "Error") ||
		x.Parts[3] != hexSum(plain[2*chunk:]) {
		t.Errorf("a bent chunk: %+v", x)
	}
	for _, cut := range []int{start + 8*sealedChunk, start + 8*sealedChunk + 17, len(data) - 1} {
		if x := p.open(t, order{"file": writeFile(t, p.path("cut"), data[:cut]), "parts": [][2]int{{0, 1}}}); x.Error == "" || len(x.Parts) != 0 {
			t.Errorf("cut to %d: %+v", cut, x)
		}
	}
}
