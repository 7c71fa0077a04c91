package main

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
)

// TestMain lets the test binary be the program, for a process that can be killed.
func TestMain(m *testing.M) {
	if os.Getenv("BE_MILLRACE") != "" {
		main()
	}
	os.Exit(m.Run())
}

// process starts a hub in a process of its own.
func process(t *testing.T, dir string) (url string, cmd *exec.Cmd) {
	t.Helper()
	cmd = exec.Command(os.Args[0], "serve", "--data", dir, "--listen", "127.0.0.1:0", "--dev", "--json")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MILLRACE_") { // a hub refuses variables that it does not know
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "BE_MILLRACE=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return object(t, line)["hub"].(string), cmd
}

// TestKilled kills a hub while it is paid through. After the next start whatever was acknowledged is there, once; and what
// was not can be sent again, whatever had become of it.
func TestKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	ok(t, "init", "--data", dir)
	url, cmd := process(t, dir)
	hub := served{url: url, dir: dir, operator: filepath.Join(dir, "operator.token")}
	_, from := hub.account(t, "1000000")
	payee, to := hub.account(t, "")
	no, _ := ledger.ParseAccountNo(payee)
	token, err := readToken(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	sent := map[ledger.OpID]bool{} // by id: acknowledged
	acks := 0
	var payers sync.WaitGroup
	for range 8 {
		payers.Go(func() {
			c, err := client.New(client.Config{Hub: url, Token: token, Attempts: 1})
			for err == nil {
				id := client.NewID()
				mu.Lock()
				sent[id] = false
				mu.Unlock()
				if _, err = c.Transfer(context.Background(), id, no, 1); err == nil {
					mu.Lock()
					sent[id] = true
					if acks++; acks == 500 {
						_ = cmd.Process.Kill()
					}
					mu.Unlock()
				}
			}
		})
	}
	payers.Wait()
	_ = cmd.Wait()
	hub.url, _ = process(t, dir)
	c, err := client.New(client.Config{Hub: hub.url, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for id, acknowledged := range sent {
		got, err := c.Transfer(context.Background(), id, no, 1)
		if err != nil {
			t.Fatalf("%v: %v", id, err)
		}
		if acknowledged && got.Result != "repeated" {
			lost++
		}
	}
	if lost > 0 || acks < 500 {
		t.Errorf("%d of %d acknowledged payments lost", lost, acks)
	}
	if got := hub.balance(t, to); got != strconv.Itoa(len(sent)) {
		t.Errorf("the payee has %s for %d payments", got, len(sent))
	}
}

// TestStopped: SIGTERM ends a hub gracefully, and does not wait for clients that only keep their connections.
func TestStopped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	ok(t, "init", "--data", dir)
	url, cmd := process(t, dir)
	var idle http.Transport // keeps its connection open
	defer idle.CloseIdleConnections()
	c, err := client.New(client.Config{Hub: url, HTTP: &http.Client{Transport: &idle}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Hub(context.Background()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}
