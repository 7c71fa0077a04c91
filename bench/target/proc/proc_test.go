package proc

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

func TestFamily(t *testing.T) {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	all, err := Children(os.Getpid())
	if err != nil || !slices.Contains(all, child.Process.Pid) {
		t.Errorf("children %v, %v; want %d", all, err, child.Process.Pid)
	}
	cpu, memory, err := Family(os.Getpid())
	for end := time.Now().Add(time.Minute); err == nil && cpu <= 0 && time.Now().Before(end); { // a busy machine takes its time to give us some
		cpu, memory, err = Family(os.Getpid())
	}
	if err != nil || cpu <= 0 || memory < 1<<20 {
		t.Errorf("%v, %d bytes, %v", cpu, memory, err)
	}
	if Gone(child.Process.Pid) {
		t.Error("gone")
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	if !Gone(child.Process.Pid) {
		t.Error("not gone")
	}
	if _, _, err := Family(child.Process.Pid); err == nil {
		t.Error("a process that has ended uses something")
	}
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), make([]byte, 10_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := Disk(dir); err != nil || n%512 != 0 || n > 1<<20 {
		t.Errorf("%d, %v", n, err)
	}
}

// TestStart holds that a program's end is told, and that one that is not there is an error.
func TestStart(t *testing.T) {
	c := exec.Command("sleep", "60")
	ended, err := Start(c, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if <-ended; c.ProcessState == nil || c.ProcessState.Success() {
		t.Errorf("how it ended: %v", c.ProcessState)
	}
	if _, err := Start(exec.Command("/nowhere"), syscall.SIGKILL); err == nil {
		t.Error("a program that is not there has started")
	}
}
