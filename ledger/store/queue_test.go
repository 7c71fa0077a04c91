package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
)

// gate is a machine that waits for a token before it applies a block, and takes any bytes for one.
type gate struct {
	*machine
	tokens  chan struct{}
	blocks  []string // once applied; to be read after a Barrier
	refuses string   // a block that it does not apply
	written atomic.Int64
}

func (g *gate) Apply(_ uint64, block []byte) error {
	<-g.tokens
	if g.refuses != "" && string(block) == g.refuses {
		return errors.New("this is no block")
	}
	g.blocks = append(g.blocks, string(block))
	return nil
}

func newGate(t *testing.T) (*store.Store, *gate, *folder) {
	f := newFolder(t, vfs.NewMem(), ledger.DefaultParams())
	g := &gate{machine: newMachine(f.params), tokens: make(chan struct{}, 1000)}
	f.opts.Committed = func(blocks, _ int, _ time.Duration) { g.written.Add(int64(blocks)) }
	s, err := store.Open(f.opts)
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, "Propose before Start", s.Propose([]byte("x")), store.ErrClosed)
	if err := s.Start(t.Context(), g, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range cap(g.tokens) / 2 {
			g.let(1)
		}
		_ = s.Close()
	})
	return s, g, f
}

func (g *gate) let(n int) {
	for range n {
		select {
		case g.tokens <- struct{}{}:
		default:
		}
	}
}

func TestOverload(t *testing.T) {
	s, g, _ := newGate(t)
	var taken []string
	for i := 0; ; i++ {
		b := string(rune('A' + i))
		err := s.Propose([]byte(b))
		if errors.Is(err, store.ErrOverload) {
			time.Sleep(10 * time.Millisecond) // the writer may be about to take what waits
			if err = s.Propose([]byte(b)); errors.Is(err, store.ErrOverload) {
				break
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if taken = append(taken, b); len(taken) > 5*store.MaxQueue {
			t.Fatalf("%d blocks wait", len(taken))
		}
	}
	if len(taken) < store.MaxQueue {
		t.Errorf("overload at %d blocks", len(taken))
	}
	if watermark, _ := s.Lag(); watermark != uint64(len(taken)) {
		t.Errorf("watermark lag %d, %d blocks wait", watermark, len(taken))
	}
	g.let(len(taken))
	barrier(t, s)
	if !slices.Equal(g.blocks, taken) {
		t.Errorf("applied %q, proposed %q", g.blocks, taken)
	}
	g.let(1)
	propose(t, s, []byte("again"))
	barrier(t, s)
	if watermark, _ := s.Lag(); watermark != 0 {
		t.Errorf("watermark lag %d", watermark)
	}
}

func TestBarrier(t *testing.T) {
	s, g, _ := newGate(t)
	barrier(t, s) // nothing was proposed
	propose(t, s, []byte("one"))
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan error, 1)
	go func() { cancelled <- s.Barrier(ctx) }()
	done := make(chan error, 1)
	go func() { done <- s.Barrier(t.Context()) }()
	select {
	case err := <-done:
		t.Fatalf("Barrier did not wait: %v", err)
	case err := <-cancelled:
		t.Fatalf("Barrier did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	cancel()
	wantErr(t, "cancelled Barrier", <-cancelled, context.Canceled)
	wantErr(t, "Barrier under a dead context", s.Barrier(ctx), context.Canceled)
	propose(t, s, []byte("two")) // which the Barrier that waits does not wait for
	g.let(1)
	if err := <-done; err != nil {
		t.Error(err)
	}
	g.let(1)
	barrier(t, s)
	if !slices.Equal(g.blocks, []string{"one", "two"}) {
		t.Errorf("applied %q", g.blocks)
	}
	if err := s.Barrier(ctx); err != nil {
		t.Errorf("nothing to wait for: %v", err)
	}
}

func TestCloseDrains(t *testing.T) {
	s, g, f := newGate(t)
	for range 10 {
		propose(t, s, []byte("x"))
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	for !errors.Is(s.Propose([]byte("late")), store.ErrClosed) { // those before it are taken
		time.Sleep(time.Millisecond)
	}
	wantErr(t, "second Close", s.Close(), store.ErrClosed)
	select {
	case err := <-closed:
		t.Fatalf("Close did not wait: %v", err)
	default:
	}
	n := int(lagOf(s))
	g.let(n)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if len(g.blocks) != n || n < 10 {
		t.Errorf("%d blocks applied, %d proposed", len(g.blocks), n)
	}
	wantErr(t, "Propose", s.Propose(nil), store.ErrClosed)
	wantErr(t, "third Close", s.Close(), store.ErrClosed)
	if s, err := store.Open(f.opts); err != nil { // the folder is free
		t.Error(err)
	} else {
		closeStore(t, s)
	}
}

func lagOf(s *store.Store) uint64 {
	watermark, _ := s.Lag()
	return watermark
}

// TestMachineRefuses: a machine that does not take a durable block is the end.
func TestMachineRefuses(t *testing.T) {
	s, g, f := newGate(t)
	g.refuses = "bad"
	for _, b := range []string{"good", "bad", "late"} {
		propose(t, s, []byte(b))
	}
	written := int64(0) // until the writer has as much on its way as it can
	for n := g.written.Load(); n == 0 || n > written; n = g.written.Load() {
		written = n
		propose(t, s, []byte("later"))
		time.Sleep(100 * time.Millisecond)
	}
	g.let(3)
	if err := <-f.fatal; !strings.Contains(err.Error(), "this is no block") || !strings.Contains(err.Error(), "block 2") {
		t.Errorf("told %v", err)
	}
	if err := s.Barrier(t.Context()); err == nil {
		t.Error("Barrier says that all is applied")
	}
	if err := s.Propose([]byte("last")); err == nil || errors.Is(err, store.ErrClosed) {
		t.Errorf("Propose: %v", err)
	}
	if err := s.Close(); err == nil {
		t.Error("Close says that all is well")
	}
	if !slices.Equal(g.blocks, []string{"good"}) {
		t.Errorf("applied %q", g.blocks)
	}
	left, err := store.Open(f.opts)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := errors.Join(left.Blocks(1, func(uint64, []byte) error { n++; return nil }), left.Close()); err != nil || n > int(written) {
		t.Errorf("%d blocks are durable, %d were when the machine refused one; %v", n, written, err)
	}
	if len(f.fatal) > 0 {
		t.Errorf("told again: %v", <-f.fatal)
	}
}

// TestCommitted: the log says how many blocks and bytes it has made durable, and groups what comes while it is busy.
func TestCommitted(t *testing.T) {
	f := newFolder(t, vfs.NewMem(), ledger.DefaultParams())
	var calls, blocks, bytes atomic.Int64
	f.opts.Committed = func(n, size int, took time.Duration) {
		calls.Add(1)
		blocks.Add(int64(n))
		bytes.Add(int64(size))
		if took < 0 || n == 0 {
			t.Errorf("%d blocks in %v", n, took)
		}
	}
	s, m := f.start()
	want := 0
	for n := range uint64(64) {
		b := m.block(opening(n))
		want += len(b)
		propose(t, s, b)
		if n%maxFlying == 0 {
			barrier(t, s)
		}
	}
	closeStore(t, s)
	if blocks.Load() != 64 || bytes.Load() != int64(want) || calls.Load() > 64 {
		t.Errorf("%d writes of %d blocks and %d bytes; %d bytes were proposed", calls.Load(), blocks.Load(), bytes.Load(), want)
	}
}

func TestBlocks(t *testing.T) {
	f := newFolder(t, vfs.NewMem(), ledger.DefaultParams())
	s, m := f.start()
	open(t, s, m, 0, 5)
	var seen []uint64
	stop := errors.New("enough")
	err := s.Blocks(2, func(i uint64, _ []byte) error {
		if seen = append(seen, i); i == 4 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || !slices.Equal(seen, []uint64{2, 3, 4}) {
		t.Errorf("%d, %v", seen, err)
	}
	if err := s.Blocks(6, func(i uint64, _ []byte) error { t.Errorf("block %d", i); return nil }); err != nil {
		t.Error(err)
	}
	closeStore(t, s)
}
