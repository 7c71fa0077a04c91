package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestOutputIsItsOwnersUntilDone(t *testing.T) {
	dir := t.TempDir()
	mode := func(path string) fs.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	usual, err := os.Create(filepath.Join(dir, "usual"))
	if err != nil {
		t.Fatal(err)
	}
	usual.Close()
	for name, want := range map[string]fs.FileMode{"work": mode(usual.Name()), "secret": 0o600} {
		asked := fs.FileMode(0o666)
		if name == "secret" {
			asked = 0o600
		}
		o, err := newOutput(filepath.Join(dir, name), false, asked)
		if err != nil {
			t.Fatal(err)
		}
		if got := mode(o.temp); got != 0o600 {
			t.Errorf("%s: mode %v while it is written", name, got)
		}
		if err := o.finish("words"); err != nil {
			t.Fatal(err)
		}
		if got := mode(o.path); got != want {
			t.Errorf("%s: mode %v, want %v", name, got, want)
		}
	}
	onlyIn(t, dir, "secret", "usual", "work")
}
