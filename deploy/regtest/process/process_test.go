package process_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/deploy/regtest/process"
)

func shell(t *testing.T, script string) *process.Process {
	t.Helper()
	p := &process.Process{Name: "the shell", Path: "/bin/sh", Dir: filepath.Join(t.TempDir(), "shell"), Args: []string{"-c", script}, Orphan: syscall.SIGKILL}
	t.Cleanup(func() {
		if err := p.End(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	})
	return p
}

// made waits until the program has made a file in its folder.
func made(p *process.Process, name string) func(context.Context) (bool, error) {
	return func(context.Context) (bool, error) {
		_, err := os.Stat(filepath.Join(p.Dir, name))
		return err == nil, err
	}
}

func start(t *testing.T, p *process.Process) {
	t.Helper()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
}

func TestAgain(t *testing.T) {
	p := shell(t, "trap 'echo bye; exit 0' TERM; touch up; while :; do sleep 0.01; done")
	if err := p.Ready(t.Context(), made(p, "up")); !errors.Is(err, process.ErrDown) {
		t.Errorf("ready before it was started: %v", err)
	}
	for range 2 {
		start(t, p)
		if err := p.Start(); err == nil || !p.Runs() {
			t.Error("started twice")
		}
		if err := p.Ready(t.Context(), made(p, "up")); err != nil {
			t.Fatal(err)
		}
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			t.Error(err)
		}
		if err := p.End(syscall.SIGTERM); err != nil { // although it is stopped
			t.Error(err)
		}
		if err := os.Remove(filepath.Join(p.Dir, "up")); err != nil {
			t.Error(err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(p.Dir, "output.log")); err != nil || string(b) != "bye\nbye\n" {
		t.Errorf("log %q, %v", b, err)
	}
	if err := errors.Join(p.Signal(syscall.SIGTERM), p.End(syscall.SIGTERM)); err != nil {
		t.Errorf("ending what does not run: %v", err)
	}
}

func TestEndedByItself(t *testing.T) {
	p := shell(t, "echo why; exit 3")
	start(t, p)
	err := p.Ready(t.Context(), func(context.Context) (bool, error) { return false, nil })
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "why") {
		t.Errorf("ready: %v", err)
	}
	<-p.Ended()
	if p.Runs() {
		t.Error("what has ended runs")
	}
	start(t, p)
}

func TestNotYet(t *testing.T) {
	p := shell(t, "exec sleep 60")
	start(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Ready(ctx, made(p, "up")); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ready: %v", err)
	}
}
