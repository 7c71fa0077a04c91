package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger/store"
)

func TestFullDisk(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		full := &fs.PathError{Op: "write", Path: "x", Err: cause}
		for _, err := range []error{full, usage("%w", full), fmt.Errorf("%w: %w", errData, full), fmt.Errorf("%w: %w", store.ErrCorrupt, full),
			fmt.Errorf("%w: %w", seal.ErrCorrupt, full)} {
			if f := classify(err); f.exit != exitInternal || f.Code != "no_space" || f.kind != "" || !strings.Contains(f.Detail, "no space left on device") {
				t.Errorf("%v: %+v", err, f)
			}
		}
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full: ", err)
	}
	defer full.Close()
	m := newMarket(t)
	_, sealed, _ := m.seal(t, "work", 200000)
	for _, args := range [][]string{{"version"}, m.open(m.buyer, "-", sealed)} {
		var log lockedBuffer
		if code := run(context.Background(), append([]string{"millrace"}, args...), nil, strings.NewReader(""), full, &log); code != exitInternal ||
			!strings.Contains(log.String(), "no space left on device") {
			t.Errorf("%v: exit %d: %s", args, code, log.String())
		}
	}
}
