package slow_test

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger/store/slow"
)

// TestSlow holds that a commit waits for a slow disk, and for one that has halted until it goes on.
func TestSlow(t *testing.T) {
	var disk slow.Disk
	db, err := pebble.Open("db", &pebble.Options{FS: disk.FS(vfs.NewMem()), Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	set := func() time.Duration {
		began := time.Now()
		if err := db.Set([]byte("a"), []byte("b"), pebble.Sync); err != nil {
			t.Error(err)
		}
		return time.Since(began)
	}
	set()
	disk.Slow(30 * time.Millisecond)
	if took := set(); took < 30*time.Millisecond {
		t.Errorf("a sync that takes 30 ms longer took %v", took)
	}
	disk.Slow(-1)
	ended := make(chan struct{})
	go func() {
		set()
		close(ended)
	}()
	select {
	case <-ended:
		t.Error("a disk that has halted made something durable")
	case <-time.After(50 * time.Millisecond):
	}
	disk.Slow(0)
	<-ended
	set()
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}
