package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// watchWrites tells a scaffold of each write to the logs that its hub makes durable: the ledger's, and that of the rails' records.
func (s *scaffold) watchWrites(t *testing.T) {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	t.Cleanup(func() { _ = events.Close() })
	for _, folder := range []string{"ledger", "rails"} {
		if _, err := syscall.InotifyAddWatch(fd, filepath.Join(s.dir, folder), syscall.IN_MODIFY); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		buffer := make([]byte, 64<<10)
		for {
			n, err := events.Read(buffer)
			if err != nil {
				return
			}
			for b := buffer[:n]; len(b) >= syscall.SizeofInotifyEvent; {
				end := syscall.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
				name, _, _ := bytes.Cut(b[syscall.SizeofInotifyEvent:end], []byte{0})
				if strings.HasSuffix(string(name), ".log") {
					s.wrote()
				}
				b = b[end:]
			}
		}
	}()
}
