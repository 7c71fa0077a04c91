package index

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/millrace/millrace/ledger"
)

// TestBackpressure: when tables cannot be written, Append waits once two segments wait, and goes on when they can.
func TestBackpressure(t *testing.T) {
	l := newLog(t, 8, 1000)
	var full atomic.Bool
	o := Options{SegmentEntries: 20, FS: errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpCreate {
			return syscall.ENOSPC
		}
		return nil
	}))}
	x := openIndex(t, o)
	full.Store(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range l.records {
			x.Append(&l.records[i])
		}
	}()
	waiting := func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return len(x.sealed) == maxSealed && x.open.entries() >= o.SegmentEntries
	}
	for !waiting() {
		time.Sleep(time.Millisecond)
	}
	blocks, entries := x.Lag()
	if err := l.check(t, x, int(blocks)); err != nil || entries < 3*20 || entries > 3*(20+40) {
		t.Errorf("%d entries in %d blocks in memory, %v", entries, blocks, err)
	}
	full.Store(false)
	<-done
	if err := x.Wait(t.Context(), l.records[len(l.records)-1].Index); err != nil {
		t.Error(err)
	}
	if blocks, entries := x.Lag(); blocks != 0 || entries != 0 {
		t.Errorf("%d blocks and %d entries behind", blocks, entries)
	}
	closeIndex(t, x)
	if err := x.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("closing twice: %v", err)
	}
}

// TestReaders: whoever reads while blocks come in and become durable sees all that was there when he began, and no gap.
func TestReaders(t *testing.T) {
	l := newLog(t, 9, 1200)
	x := openIndex(t, Options{FS: vfs.NewMem(), SegmentEntries: 30, Notary: leafOf})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				appended := x.Appended()
				blocks, _ := x.Lag()
				x.mu.Lock()
				last := x.newest
				x.mu.Unlock()
				if err := l.sees(x, last); err != nil {
					t.Errorf("after block %d, %d of which in memory: %v", last.index, blocks, err)
					return
				}
				if last.blocks == uint64(len(l.records)) {
					return
				}
				<-appended
			}
		})
	}
	for i := range l.records {
		x.Append(&l.records[i])
	}
	readers.Wait()
	closeIndex(t, x)
}

// sees reads a little of everything that there must be.
func (l *log) sees(x *Index, last watermark) error {
	from := last.seq - min(last.seq, 100)
	next := max(from, 1)
	err := x.Entries(from, func(e *ledger.Entry) bool {
		if e.Seq != next || !same(plain(e), l.entries[e.Seq-1]) {
			return false
		}
		next++
		return next <= last.seq
	})
	if err != nil || next <= last.seq {
		return errors.Join(err, errors.New("entries are missing"))
	}
	j, err := x.newJournalReader()
	if err != nil {
		return err
	}
	defer j.close()
	for seq := last.seq; seq > 0; seq /= 2 {
		if e, err := j.at(seq); err != nil || !same(plain(e), l.entries[seq-1]) {
			return errors.Join(err, errors.New("an entry is wrong"))
		}
		if index, _, _, _, err := x.BlockOf(seq); err != nil || index != l.entries[seq-1].Index {
			return errors.Join(err, errors.New("a block is wrong"))
		}
	}
	if seq, err := x.SeqAt(math.MaxUint64); err != nil || seq < last.seq {
		return errors.Join(err, errors.New("the last entry is wrong"))
	}
	for n := x.TreeSize() - 1; n > 0; n /= 2 {
		if leaf, _, err := x.Leaf(n); err != nil || string(leaf) != string(l.leaves[n]) {
			return errors.Join(err, errors.New("a leaf is wrong"))
		}
	}
	return nil
}

// TestOldIDs: ids that are too old at a checkpoint are dropped, the others are not; and none is before.
func TestOldIDs(t *testing.T) {
	const keep = 60_000
	l := newLog(t, 12, 1500)
	x := openIndex(t, Options{FS: vfs.NewMem(), SegmentEntries: 30, IDKeep: keep})
	for i := range l.records {
		x.Append(&l.records[i])
	}
	if err := x.Wait(t.Context(), l.records[len(l.records)-1].Index); err != nil {
		t.Fatal(err)
	}
	for _, m := range l.ids {
		if _, ok, err := x.ID(m.ID, m.Actor); !ok || err != nil {
			t.Fatalf("%+v is gone without a checkpoint: %v", m, err)
		}
	}
	now, gone, kept := l.ids[len(l.ids)/2].ID.Millis()+keep/2, 0, 0
	x.expire(now)
	x.looks.forget()
	for _, m := range l.ids {
		got, ok, err := x.ID(m.ID, m.Actor)
		switch age := now - min(now, m.ID.Millis()); {
		case err != nil:
			t.Fatal(err)
		case ok && got != m:
			t.Errorf("%+v became %+v", m, got)
		case !ok && age < keep:
			t.Errorf("%+v is gone after %d ms", m, age)
		case ok && age > keep+keep/expireShare+5000:
			t.Errorf("%+v is there after %d ms", m, age)
		case ok:
			kept++
		default:
			gone++
		}
	}
	if gone == 0 || kept == 0 {
		t.Errorf("%d ids gone, %d kept", gone, kept)
	}
	closeIndex(t, x)
}
