package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/millrace/millrace/ledger"
)

// checkpoint is a state from which a start can go on. Its parts and this row become durable together, and not before the blocks
// that led to it: a replay behind it misses nothing in the index.
type checkpoint struct {
	index uint64 // of the block that it was taken after; zero: there is none
	bytes uint64 // of the parts written for it
	time  uint64 // of that block, milliseconds since 1970
}

const stateKey = "m/state"

func (c *checkpoint) encode() []byte {
	b := binary.LittleEndian.AppendUint64(nil, c.index)
	b = binary.LittleEndian.AppendUint64(b, c.bytes)
	return binary.LittleEndian.AppendUint64(b, c.time)
}

func (x *Index) loadCheckpoint() (c checkpoint, err error) {
	b, ok, err := x.get([]byte(stateKey))
	if err != nil || !ok {
		return c, err
	}
	if len(b) != 24 {
		return c, corrupt("the row of the checkpoint has %d bytes", len(b))
	}
	return checkpoint{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])}, nil
}

// Checkpoint takes over a view of the ledger as it was after the last block appended, or after an earlier one in a replay. It
// must come from State.Checkpoint: only its changed parts are written. That is done in the background, in order.
func (x *Index) Checkpoint(v *ledger.View) {
	x.mu.Lock()
	newest := x.newest.index
	if v.Index() <= newest && x.failed == nil && !x.closing {
		x.views = append(x.views, v)
		x.wanted = max(x.wanted, v.Index())
		x.moved.Broadcast()
	}
	x.mu.Unlock()
	if v.Index() > newest {
		x.fail(fmt.Errorf("index: a state after block %d, and the last block appended is %d", v.Index(), newest))
	}
}

// Covered is the index of the block that the newest durable checkpoint was taken after, zero if there is none, and the bytes
// written for it.
func (x *Index) Covered() (index uint64, bytes int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.covered.index, int64(x.covered.bytes)
}

// checkpoints is the goroutine that makes them. They are not part of the segments, which come several times a second when a
// checkpoint takes seconds: then Append would wait for it.
func (x *Index) checkpoints() {
	for {
		v := x.nextView()
		if v == nil {
			return
		}
		c := checkpoint{index: v.Index(), time: v.Time()}
		if err := x.persist(func() error { return x.checkpointOnce(v, &c) }); err != nil {
			x.stop(fmt.Errorf("index: checkpoint after block %d: %w", v.Index(), err))
			return
		}
		x.mu.Lock()
		x.views[0] = nil
		x.views, x.covered = x.views[1:], c
		x.moved.Broadcast()
		x.mu.Unlock()
		x.expire(c.time)
	}
}

func (x *Index) nextView() *ledger.View {
	x.mu.Lock()
	defer x.mu.Unlock()
	for len(x.views) == 0 {
		if x.closing || x.failed != nil {
			return nil
		}
		x.moved.Wait()
	}
	if x.failed != nil {
		return nil
	}
	return x.views[0]
}

func (x *Index) checkpointOnce(v *ledger.View, c *checkpoint) error {
	b := x.newBuild()
	if err := b.parts(v, c); err != nil {
		return errors.Join(err, b.discard())
	}
	if !x.awaitDurable(v.Index()) {
		return errors.Join(errors.New("the index ended before it"), b.discard())
	}
	b.meta[stateKey] = c.encode()
	return b.publish()
}

// checkpointRate bounds the bytes of parts that are written in a second, so that the log's syncs do not wait behind them.
const checkpointRate = 256 << 20

// parts writes those that have changed.
func (b *build) parts(v *ledger.View, c *checkpoint) (err error) {
	t := b.table(false)
	defer t.closeOn(&err)
	began := time.Now()
	c.bytes = 0
	var row []byte
	return v.Parts(true, func(key, part []byte) error {
		row = append(append(row[:0], 'p'), key...)
		c.bytes += uint64(len(part))
		due := time.Duration(float64(c.bytes) / checkpointRate * float64(time.Second))
		if early := due - time.Since(began); early > 10*time.Millisecond && !b.x.ending() {
			time.Sleep(early)
		}
		return t.set(row, part)
	})
}

// awaitDurable waits until the watermark is at a block. False means that it never will be.
func (x *Index) awaitDurable(index uint64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for x.durable.index < index && x.failed == nil {
		x.moved.Wait()
	}
	return x.failed == nil
}

// ReadState reads the newest durable checkpoint, as ledger.Restore wants it. It must be closed.
func (x *Index) ReadState() (io.ReadCloser, error) {
	it, err := x.iterate('p')
	if err != nil {
		return nil, err
	}
	return &stateReader{it: it}, nil
}

// stateReader is all parts, one after the other.
type stateReader struct {
	it    *pebble.Iterator
	part  []byte // what is left of the one that the iterator stands at
	began bool
}

func (s *stateReader) Read(p []byte) (int, error) {
	for len(s.part) == 0 {
		var ok bool
		if s.began {
			ok = s.it.Next()
		} else {
			ok, s.began = s.it.First(), true
		}
		if !ok {
			if err := s.it.Error(); err != nil {
				return 0, readError(err, "the state")
			}
			return 0, io.EOF
		}
		var err error
		if s.part, err = s.it.ValueAndErr(); err != nil {
			return 0, readError(err, "the state")
		}
	}
	n := copy(p, s.part)
	s.part = s.part[n:]
	return n, nil
}

func (s *stateReader) Close() error { return s.it.Close() }
