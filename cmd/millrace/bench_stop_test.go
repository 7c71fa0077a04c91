package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/bench/target/proc"
)

// suite is a bench in a process of its own.
type suite struct {
	cmd *exec.Cmd
	log string // the file that it writes its output to
}

// startSuite runs millrace bench with a scenario's text.
func startSuite(t *testing.T, verb, text string, args ...string) *suite {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "test.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := itself(append([]string{"bench", verb, file, "--dir", dir}, args...)...)
	cmd.Env = append(cmd.Env, "BE_MILLRACE=1")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &suite{cmd, out.Name()}
}

func (s *suite) text() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// await waits until something holds, which on a busy machine may take a while.
func (s *suite) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: never\n%s", what, s.text())
		}
	}
}

// loads waits until a load is on.
func (s *suite) loads(t *testing.T) {
	t.Helper()
	s.await(t, "a load", func() bool { return strings.Contains(s.text(), " s  ") && strings.Contains(s.text(), "p99") })
}

// TestBenchKilled holds that a bench that is killed leaves no hub behind.
func TestBenchKilled(t *testing.T) {
	for name, fault := range map[string]string{"plain": "", "slow disk": "[[faults]]\nkind = \"slow_sync\"\nat = \"1h\"\nfor = \"1s\"\ndelay = \"1ms\"\n"} {
		t.Run(name, func(t *testing.T) {
			s := startSuite(t, "run", fmt.Sprintf(everything, "2h", 0, 1, "binary")+fault)
			s.loads(t)
			hubs, err := proc.Children(s.cmd.Process.Pid)
			if err != nil || len(hubs) != 1 {
				t.Fatalf("a bench has the processes %v, %v", hubs, err)
			}
			if err := s.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = s.cmd.Wait() // it was killed
			s.await(t, "the end of the hub", func() bool { return !slices.ContainsFunc(hubs, func(pid int) bool { return !proc.Gone(pid) }) })
		})
	}
}

// exits waits for the end of a bench, and returns its exit code.
func (s *suite) exits() int {
	_ = s.cmd.Wait() // the code says it
	return s.cmd.ProcessState.ExitCode()
}

// TestBenchInterrupted holds that Ctrl-C ends a load early, with what was measured, a verdict on that, and the exit code of what was interrupted.
func TestBenchInterrupted(t *testing.T) {
	scene := fmt.Sprintf(everything, "2h", 0, 1, "binary")
	for verb, args := range map[string][]string{"run": {"--rounds", "3"}, "knee": {"--from", "200", "--most", "200", "--step", "1h"}} {
		t.Run(verb, func(t *testing.T) {
			s := startSuite(t, verb, scene, args...)
			if verb == "run" {
				s.loads(t)
			} else {
				s.await(t, "a hub", func() bool {
					hubs, err := proc.Children(s.cmd.Process.Pid)
					return err == nil && len(hubs) == 1 && strings.Contains(s.text(), "making")
				})
			}
			if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if code := s.exits(); code != exitInterrupted {
				t.Errorf("exit code %d\n%s", code, s.text())
			}
			if verb != "run" {
				return
			}
			for _, want := range []string{"stopping; settling up to", "stopped before its time", "until it was stopped"} {
				if !strings.Contains(s.text(), want) {
					t.Errorf("no %q in\n%s", want, s.text())
				}
			}
		})
	}
}

// TestBenchHubKilled holds that it is said of a hub that ends in the middle of a load, and that nothing is waited for.
func TestBenchHubKilled(t *testing.T) {
	s := startSuite(t, "run", fmt.Sprintf(everything, "15m", 0, 1, "binary"))
	s.loads(t)
	hubs, err := proc.Children(s.cmd.Process.Pid)
	if err != nil || len(hubs) != 1 {
		t.Fatalf("a bench has the processes %v, %v", hubs, err)
	}
	if err := syscall.Kill(hubs[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.await(t, "errors", func() bool { return strings.Contains(s.text(), "errors ") })
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := s.exits(); code != exitInterrupted || !strings.Contains(s.text(), "the hub has ended by itself: signal: killed") {
		t.Errorf("exit code %d\n%s", code, s.text())
	}
}

// TestBenchKneeNone holds that a search that finds nothing has failed.
func TestBenchKneeNone(t *testing.T) {
	s := startSuite(t, "knee", fmt.Sprintf(everything, "1s", 0, 1, "binary"), "--target", "millrace-inprocess", "--objective", "p50 < 1us", "--from", "100", "--most", "100", "--step", "100ms")
	if code := s.exits(); code != exitFailed || !strings.Contains(s.text(), "holds at no rate") || strings.Count(s.text(), "tried again") == 0 {
		t.Errorf("exit code %d\n%s", code, s.text())
	}
}
