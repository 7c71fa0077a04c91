package hub_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
)

// TestFlippedBit flips a bit in each file that the log and its index consist of, a few times, as a killed hub left them and as a
// stopped one did. Whoever opens the folder and reads all that is in it gets an error, or what was written.
func TestFlippedBit(t *testing.T) {
	r := newRig(t, setup{fee: 10_000})
	seller, a, b := r.account(0), r.account(1_000_000), r.account(1000)
	id := r.register(r.seal(seller, "a work", 1000))
	ch := r.channels(a, b, 2, 50_000)
	pay := func() {
		for i := range 40 {
			r.must(transfer(a, b, ledger.Msat(1+i)), transfer(b, seller, 1))
		}
		c, _ := r.Channel(ch[0])
		r.must(ledger.Op{Kind: ledger.OpAdvance, Actor: a, Target: uint32(ch[0]), Amount: c.Total + 100})
	}
	pay()
	r.stop() // which leaves tables and a checkpoint
	r.start()
	if _, _, err := r.Unlock(&hub.Batch{}, hub.Purchase{Buyer: a, Content: id, PriceVersion: 1}); err != nil {
		t.Fatal(err)
	}
	pay()
	killed, stopped := copyFolder(t, r.dir), ""
	r.stop()
	stopped = copyFolder(t, r.dir)
	want, err := readEverything(copyFolder(t, stopped))
	if err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"killed": killed, "stopped": stopped} {
		found, bent := 0, map[string]int{}
		rng := rand.New(rand.NewPCG(5, 6))
		for _, path := range filesBelow(t, dir) {
			info, err := os.Stat(filepath.Join(dir, path))
			if err != nil {
				t.Fatal(err)
			}
			for range 4 {
				if info.Size() == 0 {
					break
				}
				c := copyFolder(t, dir)
				bit := rng.Int64N(8 * info.Size())
				flip(t, filepath.Join(c, path), bit)
				got, err := readEverything(c)
				switch {
				case err != nil:
					found++
				case got != want:
					t.Errorf("%s: bit %d of %s with %d bytes: something else is served", name, bit, path, info.Size())
				}
				bent[strings.TrimRight(filepath.Dir(path), "/")]++
				if err := os.RemoveAll(c); err != nil {
					t.Fatal(err)
				}
			}
		}
		if bent["ledger"] == 0 || bent["index"] == 0 || bent["."] == 0 || found < 20 {
			t.Errorf("%s: found %d, of those bent in %v", name, found, bent)
		}
	}
}

func flip(t *testing.T, path string, bit int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[bit/8] ^= 1 << (bit % 8)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// filesBelow lists the files of a data folder but the ballast, which says nothing, and the keys, which have tests of their own.
func filesBelow(t *testing.T, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "BALLAST" || d.Name() == "keys" {
			return err
		}
		path, err = filepath.Rel(dir, path)
		paths = append(paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func copyFolder(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	for _, path := range filesBelow(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, path))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(to, path)), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, path), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// follower is an auditor that brings the index to the end of the log, too.
type follower struct{ auditor }

func (f *follower) Apply(index uint64, block []byte) error {
	err := f.auditor.Apply(index, block)
	if err == nil {
		f.index.Append(f.state.Last())
	}
	return err
}

// readEverything opens a folder, and returns a digest of all that can be asked for in it.
func readEverything(dir string) (digest string, err error) {
	log, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	var died atomic.Pointer[error]
	x, err := index.Open(index.Options{Dir: filepath.Join(dir, "index"), IDKeep: log.Params().IDWindow, Fatal: func(err error) { died.Store(&err) }})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	f := &follower{auditor{ledger.New(log.Params(), ledger.Seed{}), x}}
	f.state.Attach(x)
	if err := log.Start(context.Background(), f, x); err != nil {
		return "", err
	}
	if err := x.Wait(context.Background(), f.state.Index()); err != nil {
		return "", err
	}
	sum := sha256.New()
	if err := f.read(sum, log); err != nil {
		return "", err
	}
	if p := died.Load(); p != nil {
		return "", *p
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), nil
}

func (f *follower) read(sum hash.Hash, log *store.Store) error {
	err := log.Blocks(1, func(i uint64, b []byte) error { fmt.Fprint(sum, i, b); return nil })
	line := func(l *ledger.Line) bool { fmt.Fprintf(sum, "%+v", *l); return true }
	all := ledger.Range{From: 1, To: f.state.Seq()}
	back := all
	back.Newest = true
	fmt.Fprint(sum, f.state.Digest(), f.state.Head(), f.state.Seq())
	var lookups error
	entries := f.index.Entries(1, func(e *ledger.Entry) bool {
		fmt.Fprintf(sum, "%+v", *e)
		was, ok, err := f.index.ID(e.ID, e.Legs[0].From)
		fmt.Fprint(sum, was, ok)
		lookups = errors.Join(lookups, err)
		return true
	})
	err = errors.Join(err, entries, lookups)
	for no := ledger.AccountNo(0); no < ledger.FirstAccount+3; no++ {
		acc, _ := f.state.Account(no)
		now := [2]int64{acc.Available, int64(acc.Held)}
		fmt.Fprintf(sum, "%+v", acc)
		err = errors.Join(err, f.index.Account(no, all, now, line), f.index.Account(no, back, now, line))
		at, aerr := f.index.BalanceAt(no, f.state.Seq()/2)
		fmt.Fprint(sum, at)
		owned, ok, oerr := f.index.Owned(no, 0, 0)
		fmt.Fprint(sum, owned, ok)
		err = errors.Join(err, aerr, oerr)
	}
	for no := ledger.ChannelNo(1); no < 3; no++ {
		c, _ := f.state.Channel(no)
		fmt.Fprintf(sum, "%+v", c)
		now := [2]int64{int64(c.Funded - c.Total), int64(c.Total)}
		err = errors.Join(err, f.index.Channel(no, all, now, line))
	}
	return err
}
