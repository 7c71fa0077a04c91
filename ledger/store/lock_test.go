package store_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
)

const holdFolder = "MILLRACE_TEST_HOLD_FOLDER"

func TestOneHolder(t *testing.T) {
	f := newFolder(t, nil, ledger.DefaultParams())
	s, _ := f.start()
	_, err := store.Open(f.opts)
	wantErr(t, "second Open in the process", err, store.ErrInUse)
	closeStore(t, s)
	s, _ = f.start()
	closeStore(t, s)
}

// TestOneProcess holds the folder in a child process, which then dies without closing it.
func TestOneProcess(t *testing.T) {
	if dir := os.Getenv(holdFolder); dir != "" {
		if _, err := store.Open(store.Options{Dir: dir}); err != nil {
			fmt.Println("held:", err)
			return
		}
		fmt.Println("held")
		_, _ = io.Copy(io.Discard, os.Stdin) // until killed
		return
	}
	f := newFolder(t, nil, ledger.DefaultParams())
	child := exec.Command(os.Args[0], "-test.run=^TestOneProcess$")
	child.Env = append(os.Environ(), holdFolder+"="+f.opts.Dir)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "held" {
		t.Errorf("child says %q, %v", line, err)
	}
	_, err = store.Open(f.opts)
	wantErr(t, "Open beside another process", err, store.ErrInUse)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	s, m := f.start()
	open(t, s, m, 1, 1)
	closeStore(t, s)
}
