package hub_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
)

// refuse has the log refuse what is proposed from now on; nil: no more.
func (v *valve) refuse(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = err
}

// TestNoSpace: while the log has no room, what would need some is refused whole and can be sent again; what is known already is
// answered, file keys included.
func TestNoSpace(t *testing.T) {
	r := newRig(t, setup{})
	seller, a, b := r.account(0), r.account(100_000), r.account(0)
	w := r.seal(seller, "a work", 1000)
	id := r.register(w)
	bought := hub.Purchase{Buyer: a, Content: id, PriceVersion: 1}
	if got, _, err := r.Unlock(&hub.Batch{}, bought); err != nil || got.Result() != ledger.Done {
		t.Fatalf("%v, %v", got.Result(), err)
	}
	old, fresh := transfer(a, b, 10), transfer(a, b, 7)
	r.must(old)
	seq := r.metric("millrace_ledger_seq", "")
	r.log.refuse(store.ErrNoSpace)
	var batch hub.Batch
	for _, ops := range [][]ledger.Op{{fresh}, {old, fresh}, {fresh, fresh, old}} {
		batch.Reset()
		batch.Ops = append(batch.Ops, ops...)
		if err := r.Submit(&batch); !errors.Is(err, hub.ErrNoSpace) {
			t.Errorf("%d ops: %v", len(ops), err)
		}
	}
	if _, _, err := r.Unlock(&batch, hub.Purchase{Buyer: b, Content: id, PriceVersion: 1, Max: 1}); err != nil {
		t.Errorf("a refusal: %v", err)
	}
	got, key, err := r.Unlock(&batch, bought)
	if err != nil || got.Result() != ledger.Repeated || !w.opens(key) {
		t.Errorf("what is owned: %v, %v", got.Result(), err)
	}
	if out := r.submit(old); out[0].Result() != ledger.Repeated {
		t.Errorf("a repeat: %v", out[0].Result())
	}
	if r.balance(b) != 10 || r.metric("millrace_ledger_seq", "") != seq || r.metric("millrace_ops_not_taken_total", "") != 6 {
		t.Error("something was done, or the refusals were not counted")
	}
	r.log.refuse(nil)
	r.must(fresh)
	if out := r.submit(old, fresh); out[0].Result() != ledger.Repeated || out[1].Result() != ledger.Repeated || r.balance(b) != 17 {
		t.Errorf("%v, %v, %d msat", out[0].Result(), out[1].Result(), r.balance(b))
	}
	r.stop()
}

// tmpfs is an empty folder on a disk of so many bytes.
func tmpfs(t *testing.T, options string) string {
	dir := t.TempDir()
	if err := syscall.Mount("millrace-test", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("this test needs the right to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestDiskFills fills a small disk under a hub that is paid through, twice: once to where the hub must say so by itself, and once
// to the last byte. Clients are refused and come again, reads go on, and with room again everything is paid, once; also when the hub
// was stopped on the full disk.
func TestDiskFills(t *testing.T) {
	disk := tmpfs(t, "size=256m")
	r := newRig(t, setup{dir: filepath.Join(disk, "data")})
	seller := r.account(0)
	w := r.seal(seller, "a work", 1000)
	id := r.register(w)
	const payers, funds = 4, 1_000_000_000
	load := &fullLoad{r: r, seller: seller}
	var wg sync.WaitGroup
	for range payers {
		no := r.account(funds)
		bought := hub.Purchase{Buyer: no, Content: id, PriceVersion: 1}
		if got, _, err := r.Unlock(&hub.Batch{}, bought); err != nil || !got.Result().OK() {
			t.Fatalf("%v, %v", got.Result(), err)
		}
		wg.Go(func() { load.pay(no, bought, w) })
	}
	moving := func(what string) {
		t.Helper()
		n := load.paid.Load()
		eventually(t, what, func() bool { return load.paid.Load() > n+20_000 })
	}
	moving("payments go")
	for _, leave := range []int64{1 << 20, 0} {
		stuff := filepath.Join(disk, "others")
		fillDisk(t, disk, stuff, leave)
		eventually(t, "it is full", r.Full)
		refused, read := load.refused.Load(), load.read.Load()
		eventually(t, "payments are refused", func() bool { return load.refused.Load() > refused+20 })
		eventually(t, "reads go on", func() bool { return load.read.Load() > read+20 })
		eventually(t, "the gauge says so", func() bool { return r.metric("millrace_disk_free_bytes", "") < 40<<20 })
		if err := os.Remove(stuff); err != nil {
			t.Fatal(err)
		}
		eventually(t, "there is room", func() bool { return !r.Full() })
		moving("payments go on")
	}
	load.stop.Store(true)
	wg.Wait()
	select {
	case err := <-r.fatal:
		t.Fatalf("the hub died: %v", err)
	default:
	}
	stuff := filepath.Join(disk, "others")
	fillDisk(t, disk, stuff, 0)
	if err := r.Close(t.Context()); err != nil && !errors.Is(err, syscall.ENOSPC) { // what the index lacks is in the log
		t.Errorf("stopping on a full disk: %v", err)
	}
	if err := os.Remove(stuff); err != nil {
		t.Fatal(err)
	}
	r.start()
	want := load.paid.Load() + payers*1000
	if got := r.balance(seller); got != want {
		t.Errorf("the seller has %d msat, %d were paid", got, want)
	}
	load.check(t)
	r.stop()
	if s, _ := audit(t, r.dir); s.Supply() != payers*funds {
		t.Errorf("supply %d", s.Supply())
	}
	t.Logf("%d paid, %d refused, %d read meanwhile", load.paid.Load(), load.refused.Load(), load.read.Load())
}

// fillDisk writes until so much is left.
func fillDisk(t *testing.T, disk, path string, leave int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		var s syscall.Statfs_t
		if err := syscall.Statfs(disk, &s); err != nil {
			t.Fatal(err)
		}
		left := int64(s.Bavail)*s.Bsize - leave
		if left <= 0 {
			return
		}
		if _, err := f.Write(make([]byte, min(left, 1<<20))); err != nil {
			if errors.Is(err, syscall.ENOSPC) {
				return
			}
			t.Fatal(err)
		}
	}
}

// fullLoad is clients that send the same payment until it is done.
type fullLoad struct {
	r                   *rig
	seller              ledger.AccountNo
	stop                atomic.Bool
	paid, refused, read atomic.Int64

	mu  sync.Mutex
	ops []ledger.Op // all that were paid
}

func (l *fullLoad) pay(me ledger.AccountNo, bought hub.Purchase, w work) {
	var b hub.Batch
	for n := 0; !l.stop.Load(); n++ {
		ops := make([]ledger.Op, 20)
		for i := range ops {
			ops[i] = transfer(me, l.seller, 1)
		}
		for {
			b.Reset()
			b.Ops = append(b.Ops, ops...)
			err := l.r.Submit(&b)
			if err == nil {
				break
			}
			if !errors.Is(err, hub.ErrNoSpace) {
				l.r.t.Error(err)
				return
			}
			l.refused.Add(1)
			if got, key, err := l.r.Unlock(&b, bought); err != nil || got.Result() != ledger.Repeated || !w.opens(key) {
				l.r.t.Errorf("what is owned cannot be opened: %v, %v", got.Result(), err)
			}
			l.read.Add(1)
			time.Sleep(time.Millisecond)
		}
		for _, a := range b.Out {
			if a.Result() != ledger.Done {
				l.r.t.Errorf("payment: %v", a.Result())
				return
			}
		}
		l.paid.Add(int64(len(ops)))
		l.mu.Lock()
		l.ops = append(l.ops, ops...)
		l.mu.Unlock()
	}
}

// check sends everything once more: it is known already.
func (l *fullLoad) check(t *testing.T) {
	for ops := l.ops; len(ops) > 0; {
		n := min(len(ops), hub.MaxBatchOps)
		for _, a := range l.r.submit(ops[:n]...) {
			if a.Result() != ledger.Repeated {
				t.Fatalf("sent again: %v", a.Result())
			}
		}
		ops = ops[n:]
	}
}
