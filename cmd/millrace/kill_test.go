package main

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/ageplugin"
	"github.com/millrace/millrace/hub/client"
)

// TestMain lets the test binary be the program, for a process that can be killed, and age's plugin.
func TestMain(m *testing.M) {
	if os.Getenv("BE_AGE_PLUGIN") != "" {
		os.Exit(ageplugin.Program{Args: os.Args[1:], Getenv: os.Getenv, In: os.Stdin, Out: os.Stdout, Err: os.Stderr}.Run())
	}
	if os.Getenv("BE_MILLRACE") != "" {
		main()
	}
	os.Exit(m.Run())
}

// process starts a hub in a process of its own.
func process(t *testing.T, dir string, args ...string) (url string, cmd *exec.Cmd) {
	t.Helper()
	cmd, out := spawn(t, dir, args...)
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return object(t, line)["hub"].(string), cmd
}

// spawn starts the process. What it prints begins with a line about the hub, when that serves.
func spawn(t *testing.T, dir string, args ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "serve", "--data", dir, "--listen", "127.0.0.1:0", "--dev", "--json")
	cmd.Args = append(cmd.Args, args...)
	cmd.Stderr = t.Output()
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
	return cmd, bufio.NewReader(out)
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
