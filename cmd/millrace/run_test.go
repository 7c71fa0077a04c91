package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/client"
)

// result is what one command did.
type result struct {
	code     int
	out, err string
}

// millrace runs a command in this process.
func millrace(t *testing.T, env []string, stdin io.Reader, args ...string) result {
	t.Helper()
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	var out, err bytes.Buffer
	code := run(context.Background(), append([]string{"millrace"}, args...), env, stdin, &out, &err)
	return result{code, out.String(), err.String()}
}

// ok runs a command with --json that must succeed, and decodes its answer.
func ok(t *testing.T, args ...string) map[string]any {
	t.Helper()
	r := millrace(t, nil, nil, append(args, "--json")...)
	if r.code != 0 {
		t.Fatalf("%v: exit %d: %s", args, r.code, r.err)
	}
	return object(t, r.out)
}

func object(t *testing.T, text string) (v map[string]any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil || d.More() {
		t.Fatalf("want one JSON object, got %q (%v)", text, err)
	}
	return v
}

// fails runs a command that must exit with a code and leave nothing on stdout but, with --json, the error.
func fails(t *testing.T, code int, says string, args ...string) {
	t.Helper()
	r := millrace(t, nil, nil, args...)
	if r.code != code || !strings.Contains(r.err, says) || r.out != "" || !strings.HasPrefix(last(r.err), "millrace: ") {
		t.Errorf("%v: exit %d, want %d and %q; stdout %q, stderr %q", args, r.code, code, says, r.out, r.err)
	}
	if r := millrace(t, nil, nil, append(args, "--json")...); r.code != code {
		t.Errorf("%v --json: exit %d: %s", args, r.code, r.err)
	} else if e, ok := object(t, r.out)["error"].(map[string]any); !ok || e["code"] == "" || e["detail"] == "" {
		t.Errorf("%v --json: %s", args, r.out)
	}
}

func last(lines string) string {
	all := strings.Split(strings.TrimRight(lines, "\n"), "\n")
	return all[len(all)-1]
}

// served is a hub that runs in this process.
type served struct {
	url, dir, operator string
	stop               func() result
}

// client is one with the token in a file.
func (s served) client(t *testing.T, file string) *client.Client {
	t.Helper()
	token, err := readToken(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Hub: s.url, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lockedBuffer is read by a test while a hub writes to it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serveIn runs a hub in an initialised folder until the test ends or stop is called.
func serveIn(t *testing.T, dir string, args ...string) served {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var out, log lockedBuffer
	done := make(chan int, 1)
	all := append([]string{"millrace", "serve", "--data", dir, "--listen", "127.0.0.1:0", "--dev", "--json"}, args...)
	go func() { done <- run(ctx, all, nil, strings.NewReader(""), &out, &log) }()
	stop := sync.OnceValue(func() result {
		cancel()
		return result{<-done, out.String(), log.String()}
	})
	t.Cleanup(func() { stop() })
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(out.String(), "\n"); time.Sleep(5 * time.Millisecond) {
		if len(done) > 0 || time.Now().After(deadline) {
			t.Fatalf("the hub does not serve: %s", log.String())
		}
	}
	info := object(t, out.String())
	return served{url: info["hub"].(string), dir: dir, operator: info["operator_token_file"].(string), stop: stop}
}

func newHub(t *testing.T) served {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	ok(t, "init", "--data", dir)
	return serveIn(t, dir)
}

// account makes an account with money, and returns it and the file of its token.
func (s served) account(t *testing.T, msat string) (account, tokenFile string) {
	t.Helper()
	tokenFile = filepath.Join(t.TempDir(), "token")
	account = ok(t, "account", "create", "--hub", s.url, "--save-token", tokenFile)["account"].(string)
	if msat != "" {
		ok(t, "fund", "--hub", s.url, "--token-file", s.operator, "--account", account, "--amount-msat", msat)
	}
	return account, tokenFile
}

func (s served) balance(t *testing.T, tokenFile string) string {
	t.Helper()
	return ok(t, "account", "show", "--hub", s.url, "--token-file", tokenFile)["balance_msat"].(json.Number).String()
}

func writeFile(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUsage(t *testing.T) {
	token := "@" + writeFile(t, filepath.Join(t.TempDir(), "t"), []byte("!!!"))
	for _, test := range []struct {
		says string
		args []string
	}{
		{"unknown command", []string{"mill"}},
		{"want one of create, show", []string{"account"}},
		{"want one of create, show", []string{"account", "destroy"}},
		{"unknown flag", []string{"pay", "--too", "a"}},
		{`required flag(s) "amount-msat", "to" not set`, []string{"pay"}},
		{"whole msat", []string{"pay", "--to", "ag0g", "--amount-msat", "0"}},
		{"whole msat", []string{"pay", "--to", "ag0g", "--amount-msat", "-1"}},
		{"whole msat", []string{"pay", "--to", "ag0g", "--amount-msat", "1.5"}},
		{"whole msat", []string{"pay", "--to", "ag0g", "--amount-msat", "2100000000000000001"}},
		{"not a valid id", []string{"pay", "--to", "ag0h", "--amount-msat", "1"}},
		{"UUIDv7", []string{"pay", "--to", "ag0g", "--amount-msat", "1", "--id", "0192f3a1-7c00-4abc-8def-0123456789ab"}},
		{"a token is needed", []string{"pay", "--to", "ag0g", "--amount-msat", "1"}},
		{"give one", []string{"account", "show", "--token", "x", "--token-file", "y"}},
		{"this is not a token", []string{"account", "show", "--token", token}},
		{"no such file", []string{"account", "show", "--token-file", "nowhere/t"}},
		{"accepts 1 arg(s)", []string{"seal", "-o", "x"}},
		{"--title", []string{"seal", "-o", "x", "--price-msat", "1", "--title", "a\nb", "in"}},
		{"--price or --price-msat is needed", []string{"seal", "-o", "x", "--title", "a", "in"}},
		{"--payee", []string{"seal", "-o", "x", "--price-msat", "1", "--title", "a", "--payee", "ag0g", "in"}},
		{"--hub-key and --origin", []string{"seal", "-o", "x", "--offline", writeFile(t, filepath.Join(t.TempDir(), "f"), nil)}},
		{"hub URL", []string{"content", "show", "--hub", "hub.example", "5f0c2a9be1d84477b6f3c0d1e2a39485"}},
		{"content: not a valid id", []string{"content", "show", "5f0c"}},
		{"not host:port", []string{"serve", "--listen", "nowhere"}},
		{"fee of", []string{"init", "--data", filepath.Join(t.TempDir(), "d"), "--fee-ppm", "1000001"}},
		{"720h", []string{"channel", "open", "--to", "ag0g", "--amount-msat", "1", "--expires", "tomorrow"}},
	} {
		fails(t, exitUsage, test.says, test.args...)
	}
	if r := millrace(t, []string{"MILLRACE_LISTN=x"}, nil, "serve"); r.code != exitUsage || !strings.Contains(r.err, "MILLRACE_LISTN") {
		t.Errorf("a misspelt variable: %+v", r)
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"help", "exit-codes"}, {"--help"}, {"help"}} {
		if r := millrace(t, nil, nil, args...); r.code != 0 || !strings.Contains(r.out, "refused by the hub") || r.err != "" {
			t.Errorf("%v: %+v", args, r)
		}
	}
	if v := ok(t, "version"); v["version"] == "" {
		t.Errorf("version %v", v)
	}
}

func TestPlain(t *testing.T) {
	if got := plain("a\x1b[31mb\nc\u202e"); got != "a\ufffd[31mb c\ufffd" {
		t.Errorf("%q", got)
	}
	if got := quote("it's"); got != `'it'\''s'` {
		t.Error(got)
	}
}
