package index

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/millrace/millrace/ledger"
)

// A checkpoint is the ledger's state after some block, in parts: see ledger.View. It becomes durable in one step with all that
// is indexed up to that block, and overwrites the parts of the one before that have changed since.

const (
	stateKey  = "m/state"
	stateSize = 8 + 8 // index and bytes, both u64
)

// state is the newest checkpoint.
type state struct {
	index uint64 // of the block it was taken after; zero: there is none
	bytes int64  // that it took to write it
}

// Checkpoint takes over the state right after the last Append, which is stored together with what led to it.
func (x *Index) Checkpoint(v *ledger.View) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if v.Index() > x.newest.index && x.failed == nil {
		panic(fmt.Sprintf("index: a state after block %d, and the last block appended is %d", v.Index(), x.newest.index))
	}
	x.seal(v)
}

// Covered is the index of the block that the newest durable checkpoint was taken after, and how many bytes it took to write it.
func (x *Index) Covered() (index uint64, bytes int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.state.index, x.state.bytes
}

// State is Covered for a start: false when there is no checkpoint.
func (x *Index) State() (index uint64, ok bool, err error) {
	index, _ = x.Covered()
	return index, index > 0, nil
}

func (x *Index) loadState() error {
	b, ok, err := x.get([]byte(stateKey))
	if err != nil || !ok {
		return err
	}
	if len(b) != stateSize {
		return corrupt("a state's header of %d bytes", len(b))
	}
	x.state = state{binary.LittleEndian.Uint64(b), int64(binary.LittleEndian.Uint64(b[8:]))}
	if x.state.index > x.durable.index {
		return corrupt("a state after block %d, and the index ends with block %d", x.state.index, x.durable.index)
	}
	return nil
}

// buildState writes what has changed of the ledger's state, when a checkpoint ends the segment.
func (x *Index) buildState(b *build, s *segment) (err error) {
	if s.view == nil {
		return nil
	}
	t := b.table(false)
	defer t.closeOn(&err)
	now := state{index: s.view.Index()}
	key := []byte{'p'}
	err = s.view.Parts(true, func(name, part []byte) error {
		now.bytes += int64(len(part))
		return t.set(append(key[:1], name...), part)
	})
	if err != nil {
		return err
	}
	b.meta[stateKey] = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, now.index), uint64(now.bytes))
	b.after = append(b.after, func() {
		x.mu.Lock()
		x.state = now
		x.mu.Unlock()
	})
	return nil
}

// ReadState reads the newest checkpoint, as ledger.Restore wants it.
func (x *Index) ReadState() (io.ReadCloser, error) {
	it, err := x.db.NewIter(&pebble.IterOptions{LowerBound: []byte{'p'}, UpperBound: []byte{'p' + 1}})
	if err != nil {
		return nil, readError(err, "the state")
	}
	return &stateReader{it: it}, nil
}

// stateReader reads the parts one after the other.
type stateReader struct {
	it    *pebble.Iterator
	begun bool
	part  []byte // what is left of the part that the iterator is at
}

// Read is for io.Reader.
func (r *stateReader) Read(p []byte) (int, error) {
	for len(r.part) == 0 {
		more := false
		if r.begun {
			more = r.it.Next()
		} else {
			r.begun, more = true, r.it.First()
		}
		if !more {
			if err := r.it.Error(); err != nil {
				return 0, readError(err, "the state")
			}
			return 0, io.EOF
		}
		var err error
		if r.part, err = r.it.ValueAndErr(); err != nil {
			return 0, readError(err, "the state")
		}
	}
	n := copy(p, r.part)
	r.part = r.part[n:]
	return n, nil
}

// Close is for io.Closer.
func (r *stateReader) Close() error {
	if err := r.it.Close(); err != nil {
		return readError(err, "the state")
	}
	return nil
}
