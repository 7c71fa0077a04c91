package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// told are backups that a node tells of.
type told [][]byte

func (b told) Backups(_ context.Context, f func([]byte) error) error {
	for _, one := range b {
		if err := f(one); err != nil {
			return err
		}
	}
	return context.Canceled
}

// TestKeeper: the newest is found, what is the same is kept once, the last ones stay, and what a crash left goes.
func TestKeeper(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scb")
	k := &Keeper{Dir: dir}
	if _, err := k.Newest(); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	tell := func(backups ...[]byte) {
		t.Helper()
		k := &Keeper{Dir: dir, Node: told(backups)} // each time a new process
		if err := k.Run(t.Context()); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		path, err := k.Newest()
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != string(backups[len(backups)-1]) {
			t.Fatalf("%q, %v", got, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
	count := func(want int) {
		t.Helper()
		all, err := filepath.Glob(filepath.Join(dir, "*"))
		hidden, err2 := filepath.Glob(filepath.Join(dir, ".new-*"))
		if err != nil || err2 != nil || len(all) != want || len(hidden) != 0 {
			t.Errorf("%v, %v", all, hidden)
		}
	}
	tell([]byte("one"), []byte("one"))
	count(1)
	if err := os.WriteFile(filepath.Join(dir, ".new-123"), []byte("hal"), 0o600); err != nil {
		t.Fatal(err)
	}
	tell([]byte("one"), []byte("two"), []byte("one"))
	count(3)
	for n := range 40 {
		tell(fmt.Append(nil, "number ", n))
	}
	count(maxKept)
	k.Node = told{nil}
	if err := k.Run(t.Context()); err == nil {
		t.Error("a backup of nothing")
	}
	k.Dir = filepath.Join(dir, "channels-00000043-x.backup", "no folder")
	if err := k.Run(t.Context()); err == nil {
		t.Error("no folder")
	}
}
