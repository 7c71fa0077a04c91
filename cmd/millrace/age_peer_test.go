package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"filippo.io/age/plugin"

	"github.com/millrace/millrace/hub/ageplugin"
	"github.com/millrace/millrace/hub/seal"
)

// agePeer stands in for age, and may speak nonsense.
type agePeer struct {
	env      map[string]string
	terminal bool
	confirm  string // what it answers to a question; empty: that it cannot ask
	message  string // what it answers to a message; empty: ok
}

// ageHeard is what the plugin said, in one line for each stanza.
type ageHeard struct {
	exit int
	says []string
	keys map[string]string // by number of the file
	log  string
}

func (h ageHeard) String() string { return fmt.Sprintf("exit %d: %q, %s", h.exit, h.says, h.log) }

// run is one run of the plugin.
func (p agePeer) run(t *testing.T, phase, first string) ageHeard {
	t.Helper()
	in, toPlugin := io.Pipe()
	fromPlugin, out := io.Pipe()
	var log bytes.Buffer
	h := ageHeard{keys: map[string]string{}}
	done := make(chan int)
	go func() {
		exit := ageplugin.Program{Args: []string{"--age-plugin=" + phase}, Getenv: func(name string) string { return p.env[name] },
			In: in, Out: out, Err: &log, Terminal: func() bool { return p.terminal }}.Run()
		out.Close()
		in.Close()
		done <- exit
	}()
	go func() { _, _ = io.WriteString(toPlugin, first) }()
	r := bufio.NewReader(fromPlugin)
	for {
		kind, body, err := readAgeStanza(r)
		if err != nil {
			break
		}
		answer := "-> unsupported\n\n"
		name, args, _ := strings.Cut(kind, " ")
		switch name {
		case "file-key":
			h.keys[args] = body
			answer = "-> ok\n\n"
		case "msg":
			answer = p.message
		case "confirm":
			answer = p.confirm
			if answer == "" {
				answer = "-> fail\n\n"
			}
		case "error", "recipient-stanza", "labels":
			answer = "-> ok\n\n"
		case "done":
			answer = ""
		default: // grease
			kind = ""
		}
		if name == "msg" && answer == "" {
			answer = "-> ok\n\n"
		}
		if kind != "" && name != "done" && name != "file-key" {
			h.says = append(h.says, name+" "+body)
		}
		if _, err := io.WriteString(toPlugin, answer); err != nil {
			break
		}
		if answer == "EOF" {
			toPlugin.Close()
		}
	}
	toPlugin.Close()
	_, _ = io.Copy(io.Discard, r)
	h.exit, h.log = <-done, log.String()
	return h
}

// readAgeStanza returns a stanza's first line, without the arrow, and its body.
func readAgeStanza(r *bufio.Reader) (head, body string, err error) {
	if head, err = r.ReadString('\n'); err != nil {
		return "", "", err
	}
	var text strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", "", err
		}
		text.WriteString(strings.TrimSuffix(line, "\n"))
		if len(line) < 65 {
			b, err := base64.RawStdEncoding.DecodeString(text.String())
			return strings.TrimSpace(strings.TrimPrefix(head, "->")), string(b), err
		}
	}
}

// fileStanza is a file's own stanza as age shows it.
func fileStanza(t *testing.T, number int, sealed string) string {
	t.Helper()
	lines := strings.SplitAfterN(string(read(t, sealed)), "\n", 4)
	return strings.Replace(lines[1], "-> ", fmt.Sprintf("-> recipient-stanza %d ", number), 1) + lines[2]
}

// opens says whether a file key opens a sealed file.
func opens(t *testing.T, sealed, key string, plain []byte) bool {
	t.Helper()
	var out bytes.Buffer
	return len(key) == 16 && seal.Open(&out, bytes.NewReader(read(t, sealed)), seal.FileKey([]byte(key))) == nil && bytes.Equal(out.Bytes(), plain)
}

const noIdentity = "-> add-identity AGE-PLUGIN-MILLRACE-12APXGJ\n\n"

// TestAgePeerUnwraps: several files of one run, with what age may say at any time between.
func TestAgePeerUnwraps(t *testing.T) {
	m := newMarket(t)
	if plugin.EncodeIdentity("millrace", nil) != strings.Fields(noIdentity)[2] {
		t.Fatal(plugin.EncodeIdentity("millrace", nil))
	}
	one, first, _ := m.seal(t, "one", 10)
	two, second, _ := m.seal(t, "two", 20)
	secret, err := readToken(t.Context(), m.buyer)
	if err != nil {
		t.Fatal(err)
	}
	p := agePeer{env: map[string]string{"MILLRACE_HUB": m.url, "MILLRACE_TOKEN": secret, "MILLRACE_MAX_MSAT": "100"}}
	const grease = "-> x-grease-1 a b\nAAAA\n-> y\n\n"
	all := grease + noIdentity + fileStanza(t, 0, first) + grease + fileStanza(t, 1, second) +
		"-> recipient-stanza 1 X25519 abc\n\n-> recipient-stanza 2 X25519 abc\n\n" + grease + "-> done\n\n"
	for _, want := range []string{"800", "800"} {
		h := p.run(t, "identity-v1", all)
		if h.exit != 0 || len(h.keys) != 2 || !opens(t, first, h.keys["0"], one) || !opens(t, second, h.keys["1"], two) {
			t.Errorf("%v", h)
		}
		if got := m.balance(t, m.buyer); got != want {
			t.Errorf("the buyer has %s, want %s", got, want)
		}
	}
	ok(t, "content", "reprice", strings.Fields(fileStanza(t, 0, first))[5], "--price-msat", "5000", "--hub", m.url, "--token-file", m.seller)
	p.env["MILLRACE_MAX_MSAT"] = ""
	if h := p.run(t, "identity-v1", all); h.exit != 0 || len(h.keys) != 2 {
		t.Errorf("owned, at another price now: %v", h)
	}
}

// TestAgePeerMoved: a hub is known by what it sells, also at another address than files name.
func TestAgePeerMoved(t *testing.T) {
	m := newMarket(t)
	plain, sealed, _ := m.seal(t, "work", 10)
	all := noIdentity + fileStanza(t, 0, sealed) + "-> done\n\n"
	target, err := url.Parse(m.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(httputil.NewSingleHostReverseProxy(target))
	defer proxy.Close()
	p := agePeer{env: map[string]string{"MILLRACE_HUB": proxy.URL, "MILLRACE_TOKEN": "@" + m.buyer, "MILLRACE_MAX_MSAT": "100"}}
	if h := p.run(t, "identity-v1", all); !opens(t, sealed, h.keys["0"], plain) {
		t.Errorf("by another way: %v", h)
	}
	m.stop()
	if h := p.run(t, "identity-v1", all); h.exit != 0 || len(h.keys) != 0 || !strings.Contains(h.String(), "error") {
		t.Errorf("no hub: %v", h)
	}
	p.env["MILLRACE_HUB"] = serveIn(t, m.served.dir).url
	if h := p.run(t, "identity-v1", all); !opens(t, sealed, h.keys["0"], plain) {
		t.Errorf("moved: %v", h)
	}
	p.env["MILLRACE_HUB"] = newHub(t).url
	if h := p.run(t, "identity-v1", all); len(h.keys) != 0 || !strings.Contains(h.String(), "its token was not sent anywhere") {
		t.Errorf("another hub: %v", h)
	}
}

// TestAgePeerNonsense: a peer that does not keep to the protocol gets an error, and nothing is paid.
func TestAgePeerNonsense(t *testing.T) {
	m := newMarket(t)
	_, sealed, _ := m.seal(t, "work", 10)
	env := map[string]string{"MILLRACE_HUB": m.url, "MILLRACE_TOKEN": "@" + m.buyer, "MILLRACE_MAX_MSAT": "100"}
	capless := map[string]string{"MILLRACE_HUB": m.url, "MILLRACE_TOKEN": "@" + m.buyer}
	file := fileStanza(t, 0, sealed)
	good := noIdentity + file + "-> done\n\n"
	stanza := strings.TrimPrefix(file, "-> recipient-stanza 0 ")
	for name, test := range map[string]struct {
		peer  agePeer
		first string
		exit  int
		says  string
	}{
		"cannot ask, no cap":                {agePeer{env: capless}, good, 0, "no terminal to ask at"},
		"says no":                           {agePeer{env: env, confirm: "-> ok no\n\n"}, good, 0, "did not agree"},
		"says something":                    {agePeer{env: env, confirm: "-> ok maybe\n\n"}, good, 0, "did not agree"},
		"cannot ask, at terminal":           {agePeer{env: env, terminal: true}, good, 0, "did not agree"},
		"says no word":                      {agePeer{env: env, confirm: "-> ok\n\n"}, good, 2, "has 0 arguments"},
		"says anything":                     {agePeer{env: env, confirm: "-> hello\n\n"}, good, 2, "expected ok or fail"},
		"says no stanza":                    {agePeer{env: env, confirm: "yes please\n"}, good, 2, "malformed"},
		"fails with words":                  {agePeer{env: env, confirm: "-> fail\nAAAA\n"}, good, 2, "want 0"},
		"goes away":                         {agePeer{env: env, confirm: "EOF"}, good, 2, "failed to read"},
		"no files":                          {agePeer{env: env}, noIdentity + "-> done\n\n", 1, "no stanzas"},
		"no identity":                       {agePeer{env: env}, file + "-> done\n\n", 1, "no identities"},
		"files out of order":                {agePeer{env: env}, noIdentity + strings.Replace(file, " 0 ", " 7 ", 1) + "-> done\n\n", 1, "unexpected file index"},
		"a file below zero":                 {agePeer{env: env}, noIdentity + strings.Replace(file, " 0 ", " -1 ", 1) + "-> done\n\n", 1, "unexpected file index"},
		"two of our stanzas":                {agePeer{env: env}, noIdentity + file + file + "-> done\n\n", 0, "more than one"},
		"a bare stanza":                     {agePeer{env: env}, noIdentity + "-> recipient-stanza 0 millrace.dev/v1\n\n-> done\n\n", 0, "want 4 arguments"},
		"bent identity":                     {agePeer{env: env}, strings.Replace(good, "12APXGJ", "12APXGJX", 1), 3, "invalid"},
		"identity of nonsense":              {agePeer{env: env}, strings.Replace(good, "AGE-PLUGIN-MILLRACE-12APXGJ", plugin.EncodeIdentity("millrace", []byte("\x01secret")), 1), 3, "not a Millrace identity"},
		"no stanzas at all":                 {agePeer{env: env}, "hello\n" + good, 1, "malformed"},
		"never done":                        {agePeer{env: env}, noIdentity + strings.Repeat("-> recipient-stanza 0 x\n\n", 1<<20), 1, "more than 16777216 bytes"},
		"an endless line":                   {agePeer{env: env}, noIdentity + "-> x " + strings.Repeat("x", 17<<20), 1, "more than 16777216 bytes"},
		"too large a header":                {agePeer{env: env}, noIdentity + file + strings.Repeat("-> recipient-stanza 0 x\n\n", 1<<15) + "-> done\n\n", 0, "larger than 65536"},
		"a stanza of our type as a command": {agePeer{env: env}, noIdentity + "-> " + stanza + "-> done\n\n", 1, "no stanzas"},
	} {
		h := test.peer.run(t, "identity-v1", test.first)
		if h.exit != test.exit || len(h.keys) != 0 || !strings.Contains(h.log+strings.Join(h.says, "\n"), test.says) || strings.Contains(h.String(), "secret") {
			t.Errorf("%s: want exit %d and %q, got %v", name, test.exit, test.says, h)
		}
	}
	if got := m.balance(t, m.buyer); got != "1000" {
		t.Errorf("the buyer has %s", got)
	}
	p := agePeer{env: capless, confirm: "-> ok yes\n\n", message: "-> fail\n\n"}
	if h := p.run(t, "identity-v1", good); h.exit != 0 || len(h.keys) != 1 || !strings.HasPrefix(h.says[0], `confirm Pay 0.1 sat for "work" to `) {
		t.Errorf("who says yes: %v", h)
	}
}

// TestAgePeerWraps: each file is a content of its own, and goes to one hub.
func TestAgePeerWraps(t *testing.T) {
	m := newMarket(t)
	to := ok(t, "age", "recipient", "--hub", m.url)["recipient"].(string)
	p := agePeer{env: map[string]string{"HOME": m.dir}}
	const key = "AAECAwQFBgcICQoLDA0ODw"
	add, wrap := "-> add-recipient "+to+"\n\n", "-> wrap-file-key\n"+key+"\n"
	h := p.run(t, "recipient-v1", "-> grease\n\n"+add+wrap+wrap+"-> extension-labels\n\n-> done\n\n")
	if h.exit != 0 {
		t.Fatalf("%v", h)
	}
	onlyIn(t, m.path(".local/share/millrace"), "claims")
	if h := p.run(t, "recipient-v1", add+add+wrap+"-> done\n\n"); h.exit != 3 || !strings.Contains(h.says[0], "sold by one hub") {
		t.Errorf("two hubs: %v", h)
	}
	if h := p.run(t, "recipient-v1", add+"-> wrap-file-key\nAAAA\n-> done\n\n"); h.exit != 3 || !strings.Contains(strings.Join(h.says, " "), "a file key has 16 bytes") {
		t.Errorf("a short key: %v", h)
	}
	if h := p.run(t, "recipient-v1", noIdentity+wrap+"-> done\n\n"); h.exit != 3 || !strings.Contains(h.says[0], "not supported") {
		t.Errorf("an identity to seal to: %v", h)
	}
	p.env = map[string]string{}
	if h := p.run(t, "recipient-v1", add+wrap+"-> done\n\n"); h.exit != 3 || !strings.Contains(strings.Join(h.says, " "), "where do claims go") {
		t.Errorf("no place for claims: %v", h)
	}
	for _, args := range [][]string{nil, {"--age-plugin=recipient-v1", "x"}, {"--age-plugin=surprise-v9"}, {"--surprise"}} {
		var text bytes.Buffer
		if exit := (ageplugin.Program{Args: args, In: strings.NewReader(""), Out: io.Discard, Err: &text}).Run(); exit == 0 || text.Len() == 0 {
			t.Errorf("%q: exit %d, %s", args, exit, &text)
		}
	}
}
