package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/deploy/regtest/network"
)

func TestMain(m *testing.M) {
	if os.Getenv("BE_REGTEST") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// regtest runs the command as a person would.
func regtest(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "BE_REGTEST=1", "GORACE=atexit_sleep_ms=0") // the race detector sleeps a second when a program ends
	text, err := cmd.CombinedOutput()
	return string(text), err
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	nodes := filepath.Join(dir, "nodes") // whether or not make nodes was run: what is refused, is refused before any of them is run
	if err := os.Mkdir(nodes, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"btcd", "lnd"} {
		if err := os.WriteFile(filepath.Join(nodes, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for want, args := range map[string][]string{
		"what to do":        {},
		"not one of start":  {"begin"},
		"too much":          {"start", "--millrace=", "now"},
		"run make build":    {"start", "--dir", dir, "--nodes", nodes, "--millrace", filepath.Join(dir, "none")},
		"run make nodes":    {"start", "--dir", dir, "--millrace=", "--nodes", filepath.Join(dir, "none")},
		"nothing runs in":   {"show", "--dir", dir, "--millrace="},
		"flag provided but": {"start", "--no"},
	} {
		if text, err := regtest(t, args...); err == nil || !strings.Contains(text, want) {
			t.Errorf("%v: %s%v", args, text, err)
		}
	}
	if text, err := regtest(t, "stop", "--dir", filepath.Join(dir, "none"), "--millrace="); err != nil || !strings.Contains(text, "nothing runs") {
		t.Errorf("stop: %s%v", text, err)
	}
}

// TestRegtestCommand starts a network in the background, looks at it, ends it, starts it again and ends it by force.
func TestRegtestCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("real nodes take longer than -short allows")
	}
	programs, err := network.Programs("")
	if errors.Is(err, network.ErrNotBuilt) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	hub := filepath.Join(t.TempDir(), "millrace")
	if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", hub, "../../cmd/millrace").CombinedOutput(); err != nil {
		t.Fatalf("building the hub: %v\n%s", err, text)
	}
	dir := filepath.Join(t.TempDir(), "network")
	flags := []string{"--dir", dir, "--nodes", programs, "--port=0", "--listen", unused(t), "--millrace", hub}
	do := func(verb, want string) {
		t.Helper()
		if text, err := regtest(t, append([]string{verb}, flags...)...); err != nil || !strings.Contains(text, want) {
			log, _ := os.ReadFile(filepath.Join(dir, "output.log"))
			t.Fatalf("%s: %s%v\n%s", verb, text, err, log)
		}
	}
	t.Cleanup(func() { do("stop", "") })
	do("start", "ready in")
	if text, err := regtest(t, append([]string{"start"}, flags...)...); err == nil || !strings.Contains(text, "runs already") {
		t.Errorf("a second start: %s%v", text, err)
	}
	do("show", "lnd payer")
	if height := height(t, dir); height < 310 {
		t.Errorf("a chain of %d blocks", height)
	}
	before := height(t, dir)
	do("stop", "stopped")
	do("start", "ready in")
	if after := height(t, dir); after <= before {
		t.Errorf("%d blocks, after %d", after, before)
	}
	pid := strings.TrimSpace(read(t, filepath.Join(dir, "lock")))
	if text, err := exec.CommandContext(t.Context(), "kill", "-KILL", pid).CombinedOutput(); err != nil {
		t.Fatalf("kill: %v\n%s", err, text)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) { // btcd writes its chain, since its parent has died
		if log := read(t, filepath.Join(dir, "btcd", "output.log")); strings.HasSuffix(strings.TrimSpace(log), "Shutdown complete") {
			break
		} else if time.Now().After(end) {
			t.Fatalf("btcd goes on:\n%s", log)
		}
	}
	do("start", "ready in")
	if again := height(t, dir); again <= before {
		t.Errorf("%d blocks, after %d", again, before)
	}
	do("stop", "stopped")
	do("stop", "nothing runs")
}

// unused is an address that nobody listens on.
func unused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// height asks btcd by the shortcut.
func height(t *testing.T, dir string) (n int) {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), filepath.Join(dir, "bin", "chain"), "getblockcount").CombinedOutput()
	if err != nil || !regexp.MustCompile(`^\d+\n$`).Match(text) {
		t.Fatalf("getblockcount: %s%v", text, err)
	}
	for _, digit := range strings.TrimSpace(string(text)) {
		n = 10*n + int(digit-'0')
	}
	return n
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
