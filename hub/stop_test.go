package hub_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
)

// TestGracefulStop stops a hub while callers submit. Who got an outcome finds it in the ledger; who was told that the hub is
// stopping finds that nothing was done; and the next start replays nothing.
func TestGracefulStop(t *testing.T) {
	r := newRig(t, setup{})
	a, b := r.account(10_000_000), r.account(0)
	type sent struct {
		op  ledger.Op
		seq uint64
	}
	var mu sync.Mutex
	var taken []sent
	var turnedAway []ledger.Op
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				batch := hub.Batch{Ops: []ledger.Op{transfer(a, b, 1), transfer(a, b, 1)}}
				err := r.Submit(&batch)
				mu.Lock()
				for i, op := range batch.Ops {
					if err == nil {
						if batch.Out[i].Result() != ledger.Done {
							t.Errorf("%v", batch.Out[i].Result())
						}
						taken = append(taken, sent{op, batch.Out[i].Seq()})
					} else {
						turnedAway = append(turnedAway, op)
					}
				}
				mu.Unlock()
				if err != nil {
					if !errors.Is(err, hub.ErrClosed) {
						t.Errorf("Submit: %v", err)
					}
					return
				}
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	r.stop()
	wg.Wait()
	if err := r.Submit(&hub.Batch{Ops: []ledger.Op{transfer(a, b, 1)}}); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("Submit after Close: %v", err)
	}
	s, replayed := audit(t, r.dir)
	if replayed != 0 || s.Index() == 0 {
		t.Errorf("a start replays %d of %d blocks", replayed, s.Index())
	}
	r.start()
	if got := r.balance(b); got != int64(len(taken)) || len(taken) == 0 || len(turnedAway) == 0 {
		t.Errorf("%d msat for %d transfers; %d were turned away", got, len(taken), len(turnedAway))
	}
	for _, s := range taken {
		if a := r.submit(s.op)[0]; a.Result() != ledger.Repeated || a.Seq() != s.seq {
			t.Fatalf("acknowledged with seq %d, now %v, seq %d", s.seq, a.Result(), a.Seq())
		}
	}
	r.must(turnedAway...)
	r.stop()
	audit(t, r.dir)
}

// TestLogFails: who waits learns that nothing is known, who comes later is turned away at once, and the process is told once.
func TestLogFails(t *testing.T) {
	r := newRig(t, setup{})
	a, b := r.account(1000), r.account(0)
	before := r.log.count()
	r.log.close()
	held, broken := make(chan error, 1), make(chan error, 1)
	go func() { held <- r.Submit(&hub.Batch{Ops: []ledger.Op{transfer(a, b, 1)}}) }()
	eventually(t, "one is on its way", func() bool { return r.log.count() == before+1 })
	failure := errors.New("the disk is gone")
	r.log.mu.Lock()
	r.log.err = failure
	r.log.mu.Unlock()
	go func() { broken <- r.Submit(&hub.Batch{Ops: []ledger.Op{transfer(a, b, 2)}}) }()
	for _, c := range []chan error{broken, held} {
		select {
		case err := <-c:
			if !errors.Is(err, hub.ErrUnknown) {
				t.Errorf("Submit: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a caller waits for ever")
		}
	}
	select {
	case <-r.Dead():
	default:
		t.Error("not dead")
	}
	if err := r.Submit(&hub.Batch{Ops: []ledger.Op{transfer(a, b, 3)}}); err == nil {
		t.Error("took an op after the failure")
	}
	r.Fail(errors.New("once more"))
	if err := <-r.fatal; !errors.Is(err, failure) {
		t.Errorf("told %v", err)
	}
	if len(r.fatal) != 0 {
		t.Errorf("told again: %v", <-r.fatal)
	}
	if r.balance(b) != 0 {
		t.Error("money moved")
	}
	_ = r.closes(context.Background())
}

// closes is Close, which must come back.
func (r *rig) closes(ctx context.Context) error {
	r.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- r.Close(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-time.After(10 * time.Second):
		r.t.Fatal("Close hangs")
		return nil
	}
}

// TestCloseAfterFailure: a hub whose log is silent for ever can still be closed once it is told that the log has failed.
func TestCloseAfterFailure(t *testing.T) {
	r := newRig(t, setup{})
	a, b := r.account(1000), r.account(0)
	r.log.close()
	var unknown atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := r.Submit(&hub.Batch{Ops: []ledger.Op{transfer(a, b, 1)}}); errors.Is(err, hub.ErrUnknown) {
				unknown.Add(1)
			} else if !errors.Is(err, hub.ErrClosed) {
				t.Errorf("Submit: %v", err)
			}
		})
		time.Sleep(time.Millisecond) // so that the blocks in flight are used up
	}
	r.Fail(errors.New("the disk is gone"))
	wg.Wait()
	if unknown.Load() != 50 {
		t.Errorf("%d of 50 learnt that nothing is known", unknown.Load())
	}
	_ = r.closes(context.Background())
}

// TestCloseKeepsItsTime: Close returns when its context ends, whatever still waits, the sweeper too; and can be called again.
func TestCloseKeepsItsTime(t *testing.T) {
	var now atomic.Uint64
	now.Store(uint64(time.Now().UnixMilli()))
	r := newRig(t, setup{cfg: hub.Config{Clock: now.Load}})
	a, b := r.account(1_000_000), r.account(0)
	r.channels(a, b, 3000, 10) // more than one sweep takes
	before := r.log.count()
	r.log.close()
	now.Add(2 * 3600 * 1000)
	eventually(t, "the sweeper is at work", func() bool { return r.log.count() > before })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := r.closes(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
	r.log.open()
	r.stop()
	audit(t, r.dir)
}

func TestSweeper(t *testing.T) {
	var now atomic.Uint64
	now.Store(uint64(time.Now().UnixMilli()))
	r := newRig(t, setup{cfg: hub.Config{Clock: now.Load}})
	a, b := r.account(1000), r.account(0)
	open := func(funds ledger.Msat, seconds uint64) ledger.ChannelNo {
		return ledger.ChannelNo(r.must(ledger.Op{Kind: ledger.OpOpenChannel, Actor: a, Target: uint32(b), Amount: funds,
			Version: uint32(now.Load()/1000 + seconds), ID: newID()})[0].Object())
	}
	short, long, closed := open(100, 60), open(200, 600), open(300, 60)
	r.must(ledger.Op{Kind: ledger.OpAdvance, Actor: a, Target: uint32(short), Amount: 30},
		ledger.Op{Kind: ledger.OpAdvance, Actor: a, Target: uint32(long), Amount: 1},
		ledger.Op{Kind: ledger.OpCloseChannel, Actor: a, Target: uint32(closed)})
	blocks := r.log.count()
	time.Sleep(1200 * time.Millisecond) // a sweep that finds nothing
	if r.log.count() != blocks {
		t.Error("something was swept before its time")
	}
	now.Add(61 * 1000)
	eventually(t, "the channel has expired", func() bool { c, _ := r.Channel(short); return c.Status == ledger.Expired })
	if c, _ := r.Channel(long); c.Status != ledger.Open {
		t.Errorf("another channel: %+v", c)
	}
	if c, _ := r.Channel(closed); c.Status != ledger.Closed {
		t.Errorf("a closed channel: %+v", c)
	}
	if got, _ := r.Account(a); got.Available != 1000-30-200 || got.Held != 199 || got.Channels != 1 {
		t.Errorf("payer %+v", got)
	}
	if r.balance(b) != 31 {
		t.Errorf("payee has %d", r.balance(b))
	}
	if got := r.submit(ledger.Op{Kind: ledger.OpAdvance, Actor: a, Target: uint32(short), Amount: 40})[0]; got.Result() != ledger.ChannelExpired {
		t.Errorf("advance: %v", got.Result())
	}
	blocks = r.log.count()
	time.Sleep(1200 * time.Millisecond)
	if r.log.count() != blocks {
		t.Error("swept twice")
	}
	r.stop()
	audit(t, r.dir)
}

// TestNoGoroutinesLeft: what a hub began has ended when Close returns, or ends at once.
func TestNoGoroutinesLeft(t *testing.T) {
	r := newRig(t, setup{})
	r.stop()
	before := runtime.NumGoroutine()
	for range 3 {
		r.start()
		a, b := r.account(100), r.account(0)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { r.must(transfer(a, b, ledger.Msat(1+rand.IntN(3)))) })
		}
		wg.Wait()
		r.stop()
	}
	for until := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}
