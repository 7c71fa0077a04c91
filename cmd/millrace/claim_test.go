package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// offline is a command that seals a work in the market's folder without the hub.
func (m market) offline(t *testing.T, out, in string, more ...string) []string {
	t.Helper()
	key := ok(t, "key", "show", "--hub", m.url)
	return append([]string{"seal", "--offline", "--hub-key", key["public_key"].(string), "--origin", key["origin"].(string), "-o", out, in}, more...)
}

func (m market) register(token, in string, more ...string) []string {
	return append([]string{"register", "--hub", m.url, "--token-file", token, "--price-msat", "100", "--title", "t", in}, more...)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestClaim: a copy of a file that was sealed offline is not enough to register it; with its claim it is.
func TestClaim(t *testing.T) {
	m := newMarket(t)
	in, out := writeFile(t, m.path("work"), []byte("offline")), m.path("work.sealed")
	r := millrace(t, nil, nil, m.offline(t, out, in)...)
	if r.code != 0 || !strings.Contains(r.err, "keep "+out+".claim to yourself") || !strings.Contains(r.out, "claim   "+out+".claim\n") {
		t.Fatalf("seal: %+v", r)
	}
	info, err := os.Stat(out + ".claim")
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("the claim: %v, %v", info, err)
	}
	other := m.path("other.sealed")
	ok(t, m.offline(t, other, in)...)

	_, thief := m.account(t, "")
	stolen := writeFile(t, m.path("stolen"), read(t, out))
	mine, err := seal.ParseClaim(read(t, other+".claim"))
	if err != nil {
		t.Fatal(err)
	}
	content := object(t, string(read(t, out+".claim")))["content"].(string)
	if mine.Content, err = ledger.ParseContentID(content); err != nil {
		t.Fatal(err)
	}
	forged := writeFile(t, m.path("forged"), []byte(mine.Text()))
	fails(t, exitUsage, "there is no claim "+stolen+".claim", m.register(thief, stolen)...)
	fails(t, exitUsage, "is the claim to content", m.register(thief, stolen, "--claim", other+".claim")...)
	fails(t, exitRefused, "not sealed by who registers it", m.register(thief, stolen, "--claim", forged)...)
	for _, text := range []string{"", "{}", "secret", `{"content":"` + content + `"}`, `{"content":"` + content + `","commitment":"00"}`,
		mine.Text() + "x", strings.Repeat(" ", seal.MaxClaim) + mine.Text()} {
		bad := writeFile(t, m.path("bad"), []byte(text))
		fails(t, exitUsage, "is not a claim", m.register(thief, stolen, "--claim", bad)...)
	}
	fails(t, exitRefused, "content_unknown", m.open(m.buyer, m.path("opened"), out)...)

	if got := ok(t, m.register(m.seller, out)...); got["result"] != "applied" || got["content"] != content {
		t.Errorf("register: %v", got)
	}
	ok(t, m.open(m.buyer, m.path("opened"), out)...)
	same(t, m.path("opened"), []byte("offline"))
	if got := m.balance(t, thief); got != "0" {
		t.Errorf("the thief has %s", got)
	}
}

// TestClaimPlaces: a claim goes beside the sealed file or where it is told to, and replaces nothing unasked.
func TestClaimPlaces(t *testing.T) {
	m := newMarket(t)
	in, out, elsewhere := writeFile(t, m.path("work"), []byte("offline")), m.path("sealed"), m.path("elsewhere")
	there := writeFile(t, out+".claim", []byte("precious"))
	fails(t, exitUsage, there+" exists already", m.offline(t, out, in)...)
	fails(t, exitUsage, "both the sealed file and its claim", m.offline(t, out, in, "--claim", m.dir+"/./sealed", "--force")...)
	fails(t, exitUsage, "where to put the claim", m.offline(t, out, in, "--claim", in, "--force")...)
	fails(t, exitUsage, "want a file", m.offline(t, out, in, "--claim", "-")...)
	fails(t, exitUsage, "--claim is for --offline", "seal", "--hub", m.url, "--token-file", m.seller, "--price-msat", "1", "--title", "t", "--claim", "x", "-o", out, in)
	same(t, there, []byte("precious"))
	onlyIn(t, m.dir, "sealed.claim", "work")
	if r := millrace(t, nil, nil, m.offline(t, "-", in)...); r.code != exitUsage || !strings.Contains(r.err, "needs --claim FILE") {
		t.Errorf("to standard output: %+v", r)
	}

	ok(t, m.offline(t, out, in, "--force")...)
	if bytes.Equal(read(t, there), []byte("precious")) {
		t.Error("--force did not replace the claim")
	}
	ok(t, m.register(m.seller, out)...)
	streamed := millrace(t, nil, nil, m.offline(t, "-", in, "--claim", elsewhere)...)
	if streamed.code != 0 || !strings.Contains(streamed.err, "--claim '"+elsewhere+"'") && !strings.Contains(streamed.err, "--claim "+elsewhere) {
		t.Fatalf("to standard output: exit %d: %s", streamed.code, streamed.err)
	}
	piped := writeFile(t, m.path("piped"), []byte(streamed.out))
	ok(t, m.register(m.seller, piped, "--claim", elsewhere)...)
	onlyIn(t, m.dir, "elsewhere", "piped", "sealed", "sealed.claim", "work")
}
