package proc

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	for at := time.Now(); time.Since(at) < 20*time.Millisecond; { // some CPU
	}
	cpu, memory, err := Family(os.Getpid())
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
