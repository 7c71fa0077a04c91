package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPipesWithoutWriter is about named pipes that nobody opens for writing: to open one of them takes for ever.
func TestPipesWithoutWriter(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("no named pipes: ", err)
	}
	out := filepath.Join(t.TempDir(), "out")
	for _, args := range [][]string{
		{"inspect", pipe},
		{"open", "--max-msat", "1", "-o", out, pipe},
		{"seal", "--offline", "--hub-key", "x", "--origin", "y", "-o", out, pipe},
		{"account", "show", "--token-file", pipe},
		{"account", "show", "--token", "@" + pipe},
		{"account", "show", "@" + pipe, "--token", "@" + pipe},
		{"pay", "--to", "@" + pipe, "--amount-msat", "1"},
		{"fund", "--account", "@" + pipe, "--amount-msat", "1"},
		{"channel", "open", "--to", "@" + pipe, "--amount-msat", "1", "--expires", "1h"},
		{"register", "--price-msat", "1", "--title", "T", "--payee", "@" + pipe + "=1", pipe},
		{"key", "show", "--config", pipe},
	} {
		interrupt, stop := context.WithCancel(context.Background())
		done := make(chan int, 1)
		var stdout, stderr lockedBuffer
		go func() {
			done <- run(interrupt, append([]string{"millrace"}, args...), nil, &bytes.Buffer{}, &stdout, &stderr)
		}()
		select {
		case code := <-done:
			t.Errorf("%v: exit %d without waiting: %s", args, code, stderr.String())
			done <- code
		case <-time.After(20 * time.Millisecond):
		}
		stop()
		select {
		case code := <-done:
			if code != exitInterrupted || !strings.Contains(stderr.String(), "canceled") {
				t.Errorf("%v: exit %d: %s", args, code, stderr.String())
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%v: waits for ever", args)
		}
	}
}
