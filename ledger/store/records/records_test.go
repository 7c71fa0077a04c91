package records

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/millrace/millrace/ledger/store/pebblelog"
)

func open(t *testing.T, fs vfs.FS, dir string) *Records {
	t.Helper()
	r, err := Open(Options{Dir: dir, FS: fs, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func write(t *testing.T, r *Records, rows ...Row) {
	t.Helper()
	if err := r.Write(rows...); err != nil {
		t.Fatal(err)
	}
}

func row(key, value string) Row { return Row{[]byte(key), []byte(value)} }

func scan(t *testing.T, r *Records, prefix string, from []byte) (all []string) {
	t.Helper()
	err := r.Scan([]byte(prefix), from, func(k, v []byte) bool {
		all = append(all, string(k)+"="+string(v))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRecords(t *testing.T) {
	fs := vfs.NewMem()
	r := open(t, fs, "rails")
	if v, err := r.Get([]byte("a")); v != nil || err != nil {
		t.Errorf("nothing written: %q, %v", v, err)
	}
	write(t, r, row("a", "1"), row("a\xff", "2"), row("b", ""), row("\xff\xff", "last"), row("b", "3"))
	write(t, r, row("empty", ""), row("c", "4"), Row{Key: []byte("c")}, Row{Key: []byte("never there")})
	if v, err := r.Get([]byte("empty")); v == nil || len(v) != 0 || err != nil {
		t.Errorf("an empty value: %q, %v", v, err)
	}
	for _, c := range []struct {
		prefix string
		from   []byte
		want   string
	}{
		{"", nil, "a=1 a\xff=2 b=3 empty= \xff\xff=last"},
		{"a", nil, "a=1 a\xff=2"},
		{"a", []byte("a\x00"), "a\xff=2"},
		{"a", []byte("0"), "a=1 a\xff=2"},
		{"a", []byte("b"), ""},
		{"\xff", nil, "\xff\xff=last"},
		{"x", nil, ""},
	} {
		if got := strings.Join(scan(t, r, c.prefix, c.from), " "); got != c.want {
			t.Errorf("prefix %q from %q: %q, want %q", c.prefix, c.from, got, c.want)
		}
	}
	n := 0
	if err := r.Scan(nil, nil, func(_, _ []byte) bool { n++; return n < 2 }); err != nil || n != 2 {
		t.Errorf("a scan that was to end after two: %d, %v", n, err)
	}
	if err := r.Write(Row{bytes.Repeat([]byte("k"), MaxKey+1), nil}); !errors.Is(err, ErrSize) {
		t.Errorf("a long key: %v", err)
	}
	if err := r.Copy("copy"); err != nil {
		t.Fatal(err)
	}
	write(t, r, row("a", "after the copy"))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Write(row("a", "x")); !errors.Is(err, ErrClosed) {
		t.Errorf("written when closed: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if got := scan(t, open(t, fs, "rails"), "a", nil); !slices.Equal(got, []string{"a=after the copy", "a\xff=2"}) {
		t.Errorf("opened again: %q", got)
	}
	if got := scan(t, open(t, fs, "copy"), "a", nil); !slices.Equal(got, []string{"a=1", "a\xff=2"}) {
		t.Errorf("the copy: %q", got)
	}
}

// TestStill: a write waits until what looks at the records at rest is done.
func TestStill(t *testing.T) {
	r := open(t, vfs.NewMem(), "rails")
	began, written := make(chan struct{}), make(chan error, 1)
	err := r.Still(func() error {
		go func() {
			close(began)
			written <- r.Write(row("a", "1"))
		}()
		<-began
		if err := r.Copy("copy"); err != nil {
			return err
		}
		if v, err := r.Get([]byte("a")); err != nil || v != nil {
			t.Errorf("it is written: %q, %v", v, err)
		}
		return errors.ErrUnsupported
	})
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

func TestFormat(t *testing.T) {
	fs := vfs.NewMem()
	if _, err := Open(Options{Dir: "rails", FS: fs}); !errors.Is(err, ErrMissing) {
		t.Errorf("nothing there: %v", err)
	}
	r := open(t, fs, "rails")
	if _, err := Open(Options{Dir: "rails", FS: fs}); err == nil {
		t.Error("opened twice")
	}
	if err := errors.Join(r.db.Set(versionKey, []byte{version + 1}, pebble.Sync), r.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: "rails", FS: fs}); !errors.Is(err, ErrFormat) {
		t.Errorf("made by a newer version: %v", err)
	}
	other, err := pebble.Open("other", &pebble.Options{FS: fs, FormatMajorVersion: format, Logger: pebblelog.Logger{Log: r.opts.Logger, Name: "other", Fatal: func(err error) { t.Error(err) }}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(other.Set([]byte("x"), nil, pebble.Sync), other.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: "other", FS: fs}); !errors.Is(err, ErrFormat) {
		t.Errorf("another's database: %v", err)
	}
}

// TestCrash: whatever part of what was not synced is lost, each writer's writes are there up to one of them, all that returned are, and
// none by half.
func TestCrash(t *testing.T) {
	const writers, keys = 4, 3
	for seed := range uint64(9) {
		fs := vfs.NewCrashableMem()
		rng := rand.New(rand.NewPCG(seed, 1))
		var returned [writers]int
		for range 3 {
			r := open(t, fs, "rails")
			check := func(r *Records) (found [writers]int) {
				for w := range writers {
					rows := scan(t, r, fmt.Sprintf("w%d/", w), nil)
					if len(rows) == 0 {
						continue
					}
					if len(rows) != keys {
						t.Fatalf("seed %d: half a write: %q", seed, rows)
					}
					for i, s := range rows {
						if _, v, _ := strings.Cut(s, "="); i > 0 && v != fmt.Sprint(found[w]) {
							t.Fatalf("seed %d: parts of two writes: %q", seed, rows)
						} else if _, err := fmt.Sscan(v, &found[w]); err != nil {
							t.Fatal(err)
						}
					}
				}
				return found
			}
			for w, n := range check(r) {
				if n < returned[w] {
					t.Fatalf("seed %d: write %d of writer %d returned, and %d is there", seed, returned[w], w, n)
				}
				returned[w] = n
			}
			var durable [writers]atomic.Int64
			var wg sync.WaitGroup
			stop := make(chan struct{})
			for w := range writers {
				from := returned[w]
				wg.Go(func() {
					for n := from + 1; ; n++ {
						var rows []Row
						for k := range keys {
							rows = append(rows, row(fmt.Sprintf("w%d/%d", w, k), fmt.Sprint(n)))
						}
						if err := r.Write(rows...); err != nil {
							t.Error(err)
							return
						}
						durable[w].Store(int64(n))
						select {
						case <-stop:
							return
						default:
						}
					}
				})
			}
			for many := int64(rng.IntN(100)); durable[0].Load() < many; {
				runtime.Gosched()
			}
			for w := range writers {
				returned[w] = int(durable[w].Load())
			}
			crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[seed%3], RNG: rng})
			close(stop)
			wg.Wait()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			fs = crashed
		}
	}
}

// TestBrokenDisk: after a write that failed nothing is read or written any more, and somebody is told.
func TestBrokenDisk(t *testing.T) {
	mem, broken := vfs.NewMem(), atomic.Bool{}
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && strings.HasSuffix(op.Path, ".log") && op.Kind != errorfs.OpFileClose {
			return errorfs.ErrInjected
		}
		return nil
	}))
	fatal := make(chan error, 8)
	r, err := Open(Options{Dir: "rails", FS: fs, Create: true, Fatal: func(err error) { fatal <- err }})
	if err != nil {
		t.Fatal(err)
	}
	write(t, r, row("a", "1"))
	broken.Store(true)
	if err := r.Write(row("a", "2")); err == nil {
		t.Fatal("a write succeeded on a broken disk")
	}
	if err := <-fatal; !errors.Is(err, errorfs.ErrInjected) && !strings.Contains(err.Error(), "injected") {
		t.Errorf("told: %v", err)
	}
	if _, err := r.Get([]byte("a")); err == nil {
		t.Error("read from records of which nobody knows what is durable")
	}
	if err := r.Write(row("a", "3")); err == nil {
		t.Error("written after the end")
	}
	if err := r.Close(); err == nil {
		t.Error("closed as if nothing was wrong")
	}
	if len(fatal) != 0 {
		t.Error("told twice")
	}
}

// TestDamage: a flipped bit anywhere in a table or the log is an error, or is not met; it is never another value.
func TestDamage(t *testing.T) {
	mem := vfs.NewMem()
	r := open(t, mem, "rails")
	want := map[string]string{}
	for i := range 500 {
		k, v := fmt.Sprintf("key %d", i), strings.Repeat(fmt.Sprintf("value %d ", i), 20)
		want[k] = v
		write(t, r, row(k, v))
		if i == 400 {
			if err := r.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := mem.List("rails")
	if err != nil {
		t.Fatal(err)
	}
	rng, found := rand.New(rand.NewPCG(1, 2)), 0
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") && !strings.HasSuffix(name, ".log") {
			continue
		}
		for range 20 {
			bent := vfs.NewMem()
			if _, err := vfs.Clone(mem, bent, "rails", "rails"); err != nil {
				t.Fatal(err)
			}
			flip(t, bent, "rails/"+name, rng)
			r, err := Open(Options{Dir: "rails", FS: bent})
			if err != nil {
				found++
				continue
			}
			got := map[string]string{}
			if err := r.Scan(nil, nil, func(k, v []byte) bool { got[string(k)] = string(v); return true }); err != nil {
				if !errors.Is(err, ErrCorrupt) {
					t.Errorf("%s: %v", name, err)
				}
				found++
			} else if strings.HasSuffix(name, ".sst") && !maps.Equal(got, want) {
				t.Errorf("%s: damage was read as if it were what was written", name)
			}
			_ = r.Close()
		}
	}
	if found == 0 {
		t.Error("no damage was found at all")
	}
}

func flip(t *testing.T, fs vfs.FS, path string, rng *rand.Rand) {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, info.Size())
	if len(b) > 0 {
		if _, err := f.ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
		b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
	}
	_ = f.Close()
	out, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(out.Sync(), out.Close()); err != nil {
		t.Fatal(err)
	}
}
