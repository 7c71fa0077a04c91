package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/hub/ageplugin"
	"github.com/millrace/millrace/hub/seal"
)

// ager is a market whose people use age itself, with the test binary as its plugin.
type ager struct {
	market
	program, search, claims string // age, the PATH with its plugin, and where claims go
}

func newAger(t *testing.T) ager {
	t.Helper()
	program, err := exec.LookPath("age")
	if err != nil {
		t.Skip("there is no age on this machine: make deps installs it")
	}
	dir := filepath.Join(t.TempDir(), "data")
	ok(t, "init", "--data", dir)
	url, _ := process(t, dir)
	m := market{served: served{url: url, dir: dir, operator: filepath.Join(dir, "operator.token")}, dir: t.TempDir()}
	_, m.seller = m.account(t, "")
	_, m.buyer = m.account(t, "1000")
	return ager{m, program, pluginOnPath(t), filepath.Join(t.TempDir(), "claims")}
}

// pluginOnPath is a PATH with the plugin.
func pluginOnPath(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\nBE_AGE_PLUGIN=1 exec '" + os.Args[0] + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "age-plugin-millrace"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir + ":" + os.Getenv("PATH")
}

// command is age with an environment in place of the test's own settings, and without a terminal.
func (a ager) command(t *testing.T, env []string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // one that asks where nobody answers
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, a.program, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MILLRACE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env, "PATH="+a.search, "MILLRACE_CLAIMS="+a.claims), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

func (a ager) age(t *testing.T, env []string, args ...string) result {
	t.Helper()
	var out, text bytes.Buffer
	cmd := a.command(t, env, args...)
	cmd.Stdout, cmd.Stderr = &out, &text
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), text.String()}
}

// as is the environment of who pays by it.
func (a ager) as(tokenFile string, more ...string) []string {
	return append([]string{"MILLRACE_HUB=" + a.url, "MILLRACE_TOKEN_FILE=" + tokenFile}, more...)
}

// sale seals bytes by age, and registers them for 100 msat.
func (a ager) sale(t *testing.T, name string, plain []byte) (sealed string) {
	t.Helper()
	to := ok(t, "age", "recipient", "--hub", a.url)["recipient"].(string)
	sealed = a.path(name + ".sealed")
	r := a.age(t, nil, "-r", to, "-o", sealed, writeFile(t, a.path(name), plain))
	if r.code != 0 || !strings.Contains(r.err, "keep that to yourself") {
		t.Fatalf("age -r: %+v", r)
	}
	got := millrace(t, []string{"MILLRACE_CLAIMS=" + a.claims}, nil, a.register(a.seller, sealed)...)
	if got.code != 0 || !strings.Contains(got.out, "is on sale") {
		t.Fatalf("register: %+v", got)
	}
	return sealed
}

// refuses opens a file that must not open, and for which nothing must be paid.
func (a ager) refuses(t *testing.T, says string, env []string, args ...string) {
	t.Helper()
	r := a.age(t, env, append([]string{"-d"}, args...)...)
	if r.code == 0 || r.out != "" || !strings.Contains(r.err, says) {
		t.Errorf("age -d %v: want %q, got %+v", args, says, r)
	}
	a.has(t, "1000")
}

func (a ager) has(t *testing.T, msat string) {
	t.Helper()
	if got := a.balance(t, a.buyer); got != msat {
		t.Errorf("the buyer has %s, want %s", got, msat)
	}
}

// TestAge: what age seals can be sold, and what is paid for opens: once, and then for nothing.
func TestAge(t *testing.T) {
	a := newAger(t)
	for i, size := range []int{0, 1, 200_000} {
		plain := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(plain)
		sealed := a.sale(t, fmt.Sprint("work", i), plain)
		if i == 0 {
			a.refuses(t, "no terminal to ask at", a.as(a.buyer), "-j", "millrace", sealed)
			a.refuses(t, "more than may be paid for one file, 0.099 sat", a.as(a.buyer, "MILLRACE_MAX_MSAT=99"), "-j", "millrace", sealed)
		}
		r := a.age(t, a.as(a.buyer, "MILLRACE_MAX_MSAT=100"), "-d", "-j", "millrace", sealed)
		if r.code != 0 || r.out != string(plain) || !strings.Contains(r.err, `paid 0.1 sat for "t"`) {
			t.Errorf("pays: exit %d, %d bytes, %s", r.code, len(r.out), r.err)
		}
		if r := a.age(t, a.as(a.buyer), "-d", "-j", "millrace", sealed); r.code != 0 || r.out != string(plain) || r.err != "" {
			t.Errorf("owned: exit %d, %d bytes, %s", r.code, len(r.out), r.err)
		}
		a.has(t, fmt.Sprint(1000-100*(i+1)))
	}
	plain, sealed, _ := a.seal(t, "by-millrace", 1000)
	if r := a.age(t, a.as(a.buyer, "MILLRACE_MAX_MSAT=1000"), "-d", "-j", "millrace", sealed); r.code != 0 || r.out != string(plain) {
		t.Errorf("what millrace sealed: exit %d, %s", r.code, r.err)
	}
	sealed = a.sale(t, "by-age", plain)
	ok(t, a.open(a.buyer, a.path("opened"), sealed)...)
	same(t, a.path("opened"), plain)
}

// TestAgeSeals: the recipient carries either kind of key, and nothing is sealed whose claim is not kept.
func TestAgeSeals(t *testing.T) {
	a := newAger(t)
	in, out := writeFile(t, a.path("in"), []byte("plain")), a.path("out")
	for _, kem := range []seal.KEM{seal.X25519, seal.MLKEM768X25519} {
		key, err := seal.NewPrivateKeyFor(kem, bytes.Repeat([]byte{7}, 32))
		if err != nil {
			t.Fatal(err)
		}
		to := ageplugin.Recipient{Origin: "https://hub.example", Key: key.Public()}.String()
		if r := a.age(t, nil, "-r", to, "-o", out, in); r.code != 0 {
			t.Fatalf("%v: %+v", kem, r)
		}
		h, _, err := seal.ReadHeader(bytes.NewReader(read(t, out)))
		if err != nil || h.Origin != "https://hub.example" {
			t.Fatalf("%v: %+v, %v", kem, h, err)
		}
		file, err := key.OpenHeader(h)
		claim, bad := seal.ParseClaim(read(t, ageplugin.ClaimPath(a.claims, h.Content)))
		if err != nil || bad != nil || claim.Content != h.Content || claim.Commitment != seal.Commitment(file) {
			t.Errorf("%v: %v, %v", kem, err, bad)
		}
	}
	if info, err := os.Stat(a.claims); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder of claims: %v, %v", info, err)
	}
	to := ok(t, "age", "recipient", "--hub", a.url)["recipient"].(string)
	for says, env := range map[string]string{"folder of claims": "MILLRACE_CLAIMS=" + in + "/x", "absolute path": "MILLRACE_CLAIMS=x"} {
		if r := a.age(t, []string{env}, "-r", to, in); r.code == 0 || !strings.Contains(r.err, says) || r.out != "" {
			t.Errorf("%s: %+v", env, r)
		}
	}
	if r := a.age(t, nil, "-r", to[:len(to)-1]+"q", in); r.code == 0 {
		t.Errorf("a bent recipient: %+v", r)
	}
}

// TestAgeIdentity: a file that pays up to its cap, at its own hub only.
func TestAgeIdentity(t *testing.T) {
	a := newAger(t)
	plain := []byte("words")
	sealed := a.sale(t, "work", plain)
	file, small, other := a.path("id"), a.path("small"), a.path("other")
	mine := []string{"age", "identity", "--hub", a.url, "--token-file", a.buyer, "-o"}
	r := millrace(t, nil, nil, append(mine, file, "--max-msat", "100", "--expires", "1h")...)
	if r.code != 0 || !strings.Contains(r.err, "keep it to yourself") {
		t.Fatalf("identity: %+v", r)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	ok(t, append(mine, small, "--max-msat", "99")...)
	fails(t, exitUsage, "exists already", append(mine, small)...)
	fails(t, exitUsage, "no account", "age", "identity", "--hub", a.url, "--token-file", a.operator, "-o", other)
	second := newHub(t)
	_, token := second.account(t, "1000")
	ok(t, "age", "identity", "--hub", second.url, "--token-file", token, "--max-msat", "1000", "-o", other)

	a.refuses(t, "more than may be paid", nil, "-i", small, sealed)
	a.refuses(t, "its token was not sent anywhere", nil, "-i", other, sealed)
	a.refuses(t, "sold by", a.as(token, "MILLRACE_HUB="+second.url, "MILLRACE_MAX_MSAT=1000"), "-j", "millrace", sealed)
	both := writeFile(t, a.path("both"), append(read(t, other), read(t, file)...))
	if r := a.age(t, nil, "-d", "-i", both, sealed); r.code != 0 || r.out != string(plain) {
		t.Errorf("with the second identity of a file: %+v", r)
	}
	if r := a.age(t, nil, "-d", "-i", small, sealed); r.code != 0 || r.out != string(plain) {
		t.Errorf("owned: %+v", r)
	}
	a.has(t, "900")
	fails(t, exitRefused, "scope_missing", "account", "show", "--hub", a.url, "--token", tokenIn(t, file))
}

// tokenIn is the token that an identity file carries.
func tokenIn(t *testing.T, file string) string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(string(read(t, file))), "\n")
	i, err := ageplugin.ReadIdentity(lines[len(lines)-1])
	if err != nil {
		t.Fatal(err)
	}
	return i.Token
}

// atTerminal runs age at a terminal where a key is pressed each time it asks.
func (a ager) atTerminal(t *testing.T, press string, env []string, args ...string) (exit int, screen string) {
	t.Helper()
	mux, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminals: ", err)
	}
	defer mux.Close()
	n, err := unix.IoctlGetInt(int(mux.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(mux.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Skip("no pseudo-terminals: ", err)
	}
	tty, err := os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := a.command(t, env, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr.Setctty = true
	err = cmd.Start()
	tty.Close()
	if err != nil {
		t.Fatal(err)
	}
	var seen bytes.Buffer
	var reading sync.WaitGroup
	reading.Go(func() {
		b, pressed := make([]byte, 4096), 0
		for {
			n, err := mux.Read(b)
			seen.Write(b[:n])
			if err != nil { // the last process at the terminal has gone
				return
			}
			if pressed < len(press) && strings.Count(seen.String(), `"do not pay")`) > pressed {
				_, _ = io.WriteString(mux, press[pressed:pressed+1])
				pressed++
			}
		}
	})
	_ = cmd.Wait()
	reading.Wait()
	return cmd.ProcessState.ExitCode(), seen.String()
}

// TestAgeAsks: at a terminal age asks, and only a yes pays, whatever the cap allows.
func TestAgeAsks(t *testing.T) {
	a := newAger(t)
	sealed, out := a.sale(t, "work", []byte("words")), a.path("out")
	for _, press := range []string{"2", "\x03", "x2"} {
		exit, screen := a.atTerminal(t, press, a.as(a.buyer, "MILLRACE_MAX_MSAT=500"), "-d", "-j", "millrace", "-o", out, sealed)
		told := strings.Contains(screen, "nothing was paid") || press == "\x03" // which ends age itself, if it comes early
		if exit == 0 || !told || !strings.Contains(screen, `Pay 0.1 sat for "t" to `) {
			t.Errorf("%q: exit %d: %s", press, exit, screen)
		}
		a.has(t, "1000")
	}
	if exit, screen := a.atTerminal(t, "1", a.as(a.buyer), "-d", "-j", "millrace", "-o", out, sealed); exit != 0 {
		t.Errorf("yes: exit %d: %s", exit, screen)
	}
	same(t, out, []byte("words"))
	a.has(t, "900")
	if exit, screen := a.atTerminal(t, "2", a.as(a.buyer), "-d", "-j", "millrace", "-o", out, sealed); exit != 0 || strings.Contains(screen, "Pay") {
		t.Errorf("again: exit %d: %s", exit, screen)
	}
}

// TestAgeHostileFiles: whatever a file says, it takes no money and no token.
func TestAgeHostileFiles(t *testing.T) {
	a := newAger(t)
	sealed := a.sale(t, "work", []byte("words"))
	whole := string(read(t, sealed))
	stanza := strings.Join(strings.SplitAfterN(whole, "\n", 4)[1:3], "")
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the thief was asked: %s", r.URL)
	}))
	defer thief.Close()
	key, err := seal.NewPrivateKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	var stolen, unsold bytes.Buffer
	for w, origin := range map[io.Writer]string{&stolen: thief.URL, &unsold: a.url} {
		if _, err := seal.Seal(w, strings.NewReader("x"), key.Public(), origin, [16]byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	pays := a.as(a.buyer, "MILLRACE_MAX_MSAT=1000")
	for _, test := range []struct{ name, says, data string }{
		{"of another hub", "this file is sold by " + thief.URL, stolen.String()},
		{"not on sale", "content_unknown", unsold.String()},
		{"two stanzas", "more than one", strings.Replace(whole, stanza, stanza+stanza, 1)},
		{"bent stanza", "want 4 arguments", strings.Replace(whole, "-> millrace.dev/v1 ", "-> millrace.dev/v1 x ", 1)},
		{"a megabyte", "header", strings.Replace(whole, stanza, strings.Repeat("-> x y\n\n", 1<<17)+stanza, 1)},
		{"a stanza of a megabyte", "larger than", strings.Replace(whole, stanza, stanza+"-> x\n"+strings.Repeat(strings.Repeat("A", 64)+"\n", 1<<14)+"\n", 1)},
		{"for others", "no identity matched", strings.Replace(whole, "millrace.dev/v1", "millrace.dev/v9", 1)},
	} {
		t.Log(test.name)
		a.refuses(t, test.says, pays, "-j", "millrace", writeFile(t, a.path("bent"), []byte(test.data)))
	}
	a.refuses(t, "absolute path", a.as("token", "MILLRACE_MAX_MSAT=1000"), "-j", "millrace", sealed)
	a.refuses(t, "a token is needed", []string{"MILLRACE_HUB=" + a.url}, "-j", "millrace", sealed)
	a.refuses(t, "this file is sold by", append(pays, "MILLRACE_HUB="), "-j", "millrace", sealed)
	a.refuses(t, "whole msat", append(pays, "MILLRACE_MAX_MSAT=1.5"), "-j", "millrace", sealed)
	_, poor := a.account(t, "")
	a.refuses(t, "insufficient_funds", a.as(poor, "MILLRACE_MAX_MSAT=1000"), "-j", "millrace", sealed)
}
