// Package records is a small database of the hub's own, beside the log: rows that are durable, all of one write or none of
// them, when the write returns. What asks for them gives the rows their meaning (see package channels, for whose Records this
// is made); here they are bytes.
//
// It is a pebble database in a folder of its own:
//
//	+-----------------+------------------------------+
//	| 0x00 "format"   | the version of the rows, u8  |
//	| 'r' + key       | value                        |
//	+-----------------+------------------------------+
//
// Many writers at once share their syncs. A write that fails is the end, as for the log: nobody knows what is durable, so
// everything fails from then on, and the next start finds out.
package records

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Row is a record: channels.Row, which cannot be named here. A nil value deletes it.
type Row = struct{ Key, Value []byte }

const (
	// MaxKey and MaxWrite bound, in bytes, a key, and the keys and values of one write.
	MaxKey   = 1 << 10
	MaxWrite = 32 << 20

	cacheSize = 8 << 20
)

var (
	// ErrFormat means that the folder is not one of records, or made by a newer version.
	ErrFormat = errors.New("not records that this program reads")
	// ErrCorrupt means that what lies on the disk is not what was written.
	ErrCorrupt = errors.New("the records are damaged")
	// ErrMissing is what Open returns where there are no records and none are to be made.
	ErrMissing = errors.New("there are no records")
	// ErrClosed means that the records are closed.
	ErrClosed = errors.New("the records are closed")
	// ErrSize means that a key or a write is too large: nothing was done.
	ErrSize = errors.New("too large a record")
)

// Options say where the records lie.
type Options struct {
	Dir    string
	FS     vfs.FS       // nil: the machine's
	Create bool         // make the folder if it is missing
	Logger *slog.Logger // nil: nowhere
	// Fatal is told, once, why the records cannot go on: the process should end. nil: the records only fail.
	Fatal func(error)
}

// Records are open. Their methods may be called by any goroutine.
type Records struct {
	opts Options
	db   *pebble.DB

	still  sync.RWMutex // read-locked over each write
	mu     sync.Mutex
	closed bool
	active sync.WaitGroup // calls under way; none begins once closed is set

	dying  sync.Once
	dead   chan struct{} // closed when it is not known any more what is durable
	reason error         // written before dead is closed
}

// Get returns nil where there is no such record. The value is the caller's.
func (r *Records) Get(key []byte) ([]byte, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.active.Done()
	v, closer, err := r.db.Get(rowKey(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, readError(err)
	}
	v = append(make([]byte, 0, len(v)), v...) // not nil, even if it is empty
	if err := closer.Close(); err != nil {
		return nil, readError(err)
	}
	return v, nil
}

// Scan calls f with the records whose keys begin with a prefix, from a key on (nil: the first), in order, until f returns false.
// They are those of one moment. What f gets is valid during the call; f may call Get, but neither Write nor Close.
func (r *Records) Scan(prefix, from []byte, f func(key, value []byte) bool) error {
	if err := r.enter(); err != nil {
		return err
	}
	defer r.active.Done()
	low := rowKey(prefix)
	it, err := r.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: after(low)})
	if err != nil {
		return readError(err)
	}
	defer it.Close()
	ok := it.First()
	if from != nil {
		ok = it.SeekGE(rowKey(from))
	}
	for ; ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return readError(err)
		}
		if !f(it.Key()[1:], v) {
			return nil
		}
	}
	if err := it.Error(); err != nil {
		return readError(err)
	}
	return nil
}

// Write makes all rows durable, or none. On any error but ErrSize and ErrClosed, nobody knows which.
func (r *Records) Write(rows ...Row) error {
	size := 0
	for _, row := range rows {
		size += len(row.Key) + len(row.Value)
		if len(row.Key) > MaxKey || size > MaxWrite {
			return fmt.Errorf("%w: a key of %d bytes in a write of %d or more: at most %d and %d", ErrSize, len(row.Key), size, MaxKey, MaxWrite)
		}
	}
	if err := r.enter(); err != nil {
		return err
	}
	defer r.active.Done()
	r.still.RLock()
	defer r.still.RUnlock()
	b := r.db.NewBatchWithSize(size + 16*len(rows) + 64)
	for _, row := range rows {
		var err error
		if row.Value == nil {
			err = b.Delete(rowKey(row.Key), nil)
		} else {
			err = b.Set(rowKey(row.Key), row.Value, nil)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("adding to a write: %w", err), b.Close())
		}
	}
	return r.commit(b)
}

// commit has its own goroutine, because pebble ends the one to which it says that it cannot go on.
func (r *Records) commit(b *pebble.Batch) error {
	ended := make(chan error, 1)
	go func() { ended <- b.Commit(pebble.Sync) }()
	select {
	case err := <-ended:
		if err != nil {
			r.fail(fmt.Errorf("making records durable: %w", err))
			return err
		}
		return b.Close()
	case <-r.dead:
		return r.reason
	}
}

// Still calls f at a moment when no write is under way, and holds up those that come until f returns. f may call anything but Write and Close.
func (r *Records) Still(f func() error) error {
	r.still.Lock()
	defer r.still.Unlock()
	return f()
}

// Copy makes a copy of the records as of one moment in a folder, which it makes. Tables are hard links.
func (r *Records) Copy(dir string) error {
	if err := r.enter(); err != nil {
		return err
	}
	defer r.active.Done()
	if err := r.db.Checkpoint(dir); err != nil {
		return fmt.Errorf("copying the records: %w", err)
	}
	return nil
}

// Close releases the folder. Calls that are under way come to their end first.
func (r *Records) Close() error {
	r.mu.Lock()
	again := r.closed
	r.closed = true
	r.mu.Unlock()
	r.active.Wait()
	if again {
		return nil
	}
	select {
	case <-r.dead: // pebble waits for ever for what it gave up
		return r.reason
	default:
	}
	if err := r.db.Close(); err != nil {
		return fmt.Errorf("closing the records: %w", err)
	}
	return nil
}

// enter begins a call, which ends with r.active.Done if there is no error.
func (r *Records) enter() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	select {
	case <-r.dead:
		return r.reason
	default:
	}
	r.active.Add(1)
	return nil
}

// fail is the end.
func (r *Records) fail(err error) {
	r.dying.Do(func() {
		r.reason = err
		close(r.dead)
		r.opts.Logger.Error("the records cannot go on", "err", err)
		if r.opts.Fatal != nil {
			r.opts.Fatal(err)
		}
	})
}

func rowKey(key []byte) []byte { return append(append(make([]byte, 0, 1+len(key)), 'r'), key...) }

// after is the first key behind all that begin with a prefix, which begins with 'r'.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; ; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
}

func readError(err error) error {
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return fmt.Errorf("reading records: %w", err)
}
