package store_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/storetest"
)

// TestBackup copies a log while it grows: the copy is the blocks up to some block, with all that were applied before.
func TestBackup(t *testing.T) {
	f := newFolder(t, vfs.NewMem(), ledger.DefaultParams())
	s, m := f.start()
	open(t, s, m, 0, 20)
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := uint64(100); !stop.Load(); n++ {
			open(t, s, m, n, 1)
		}
	})
	last := ""
	for round := range 5 {
		before := m.index()
		name, path, through, err := s.Backup(nil)
		if err != nil {
			t.Fatal(err)
		}
		if through < before || name <= last {
			t.Errorf("%s through block %d, and %d were applied", name, through, before)
		}
		last = name
		_, _, _, err = s.Backup(nil)
		wantErr(t, "while one is read", err, store.ErrLent)
		copied := restored(t, f, path)
		opts := copied.opts
		if _, err := store.Open(opts); !errors.Is(err, store.ErrFormat) {
			t.Fatalf("round %d: a copy is a data folder: %v", round, err)
		}
		if err := store.Adopt(t.Context(), opts, through, replays); err != nil {
			t.Fatal(err)
		}
		again, n := copied.start()
		if n.index() < through {
			t.Errorf("round %d: %d blocks, want %d", round, n.index(), through)
		}
		var theirs [][]byte
		collect := func(i uint64, b []byte) error { theirs = append(theirs, bytes.Clone(b)); return nil }
		if err := again.Blocks(1, collect); err != nil {
			t.Fatal(err)
		}
		barrier(t, s)
		err = s.Blocks(1, func(i uint64, b []byte) error {
			if i <= uint64(len(theirs)) && !bytes.Equal(b, theirs[i-1]) {
				t.Errorf("round %d: block %d is another", round, i)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		open(t, again, n, 1<<40, 3) // and it goes on
		closeStore(t, again)
		if err := s.DropBackup(name); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	wg.Wait()
	if names, err := f.fs().List(f.path("backups")); err != nil || len(names) != 0 {
		t.Errorf("left: %v, %v", names, err)
	}
	if _, _, _, err := s.Backup(nil); err != nil {
		t.Error(err)
	}
	closeStore(t, s)
	if _, err := f.fs().Stat(f.path("backups")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left after Close: %v", err)
	}
	_, _, _, err := s.Backup(nil)
	wantErr(t, "after Close", err, store.ErrClosed)
}

// TestBackupAbandoned: one that nobody dropped is in nobody's way for ever.
func TestBackupAbandoned(t *testing.T) {
	f := newFolder(t, vfs.NewMem(), ledger.DefaultParams())
	f.opts.LentFor = 1 // a nanosecond
	s, m := f.start()
	open(t, s, m, 0, 5)
	_, first, _, err := s.Backup(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := s.Backup(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := f.fs().Stat(first); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the first is there still: %v", err)
	}
	closeStore(t, s)
}

// restored is a folder with the files of a backup, as whoever carried them leaves it.
func restored(t *testing.T, f *folder, path string) *folder {
	t.Helper()
	mem := vfs.NewMem()
	if _, err := vfs.Clone(f.fs(), mem, path, "/restored"); err != nil {
		t.Fatal(err)
	}
	storetest.WriteFile(t, mem, "/restored/"+store.Restoring, nil)
	g := f.on(mem)
	g.opts.Dir = "/restored"
	return g
}

// replays finds a log in order that a machine can be brought to the end of.
func replays(s *store.Store) error {
	_, err := s.Replay(context.Background(), newMachine(s.Params()), nil)
	return err
}

// TestAdoptRefuses: what is damaged, short, or a data folder already does not become one.
func TestAdoptRefuses(t *testing.T) {
	f := newFolder(t, vfs.NewMem(), ledger.DefaultParams())
	s, m := f.start()
	open(t, s, m, 0, 50)
	closeStore(t, s)
	s, err := store.Open(f.opts)
	if err != nil {
		t.Fatal(err)
	}
	_, path, through, err := s.Backup(nil)
	if err != nil || through != 50 {
		t.Fatalf("of a store that is not started: through block %d, %v", through, err)
	}
	defer closeStore(t, s)
	whole := restored(t, f, path)
	if err := store.Adopt(t.Context(), whole.opts, 51, replays); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("shorter than it should be: %v", err)
	}
	rng, refused := newRand(2), 0
	for _, file := range files(t, restored(t, f, path).fs(), "/restored") {
		for range 10 {
			g := restored(t, f, path)
			b := storetest.ReadFile(t, g.fs(), file)
			if len(b) == 0 {
				break
			}
			b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
			storetest.WriteFile(t, g.fs(), file, b)
			if store.Adopt(t.Context(), g.opts, through, replays) == nil {
				if err := serves(g, m.print(), blocksIn(t, s)); err != nil {
					t.Errorf("%s: %v", file, err)
				}
				continue
			}
			refused++
			if _, err := store.Open(g.opts); !errors.Is(err, store.ErrFormat) {
				t.Errorf("%s: refused, and a data folder all the same: %v", file, err)
			}
		}
	}
	if refused == 0 {
		t.Error("no flipped bit was found")
	}
	whole = restored(t, f, path)
	if err := store.Adopt(t.Context(), whole.opts, through, replays); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "twice", store.Adopt(t.Context(), whole.opts, through, replays), store.ErrExists)
}

func blocksIn(t *testing.T, s *store.Store) (all [][]byte) {
	t.Helper()
	if err := s.Blocks(1, func(_ uint64, b []byte) error { all = append(all, bytes.Clone(b)); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}
