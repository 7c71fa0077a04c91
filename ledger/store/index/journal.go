package index

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/millrace/millrace/ledger"
)

// chunkEntries is how many entries lie in one row of the journal: those with the seqs n*256+1 to n*256+256. A segment that ends
// in between splits a chunk in two rows, so that no row is ever written again.
const chunkEntries = 256

func journalKey(seq uint64) []byte { return binary.BigEndian.AppendUint64([]byte{'j'}, seq) }

// buildJournal writes the entries of a segment.
func (x *Index) buildJournal(b *build, s *segment) (err error) {
	t := b.table(false)
	defer t.closeOn(&err)
	var w chunkWriter
	for _, r := range s.records {
		for at := 0; at < len(r.Legs); {
			at = w.add(r, at)
			if w.seq%chunkEntries == 0 {
				if err := w.flush(t); err != nil {
					return err
				}
			}
		}
	}
	return w.flush(t)
}

// flush writes the chunk and begins another.
func (w *chunkWriter) flush(t *table) error {
	if w.n == 0 {
		return nil
	}
	err := t.set(journalKey(w.seq+1-uint64(w.n)), w.buf)
	*w = chunkWriter{buf: w.buf[:0]}
	return err
}

// Entries calls f with the entries from a seq on, in order, until f returns false. What f gets is valid during the call.
func (x *Index) Entries(from uint64, f func(*ledger.Entry) bool) error {
	t := x.tail()
	it, err := x.iterate('j')
	if err != nil {
		return err
	}
	defer it.Close()
	from = max(from, 1)
	ok := it.SeekLT(journalKey(from + 1))
	if !ok {
		ok = it.First()
	}
	var c chunk
	for next := from; ok; ok = it.Next() {
		if err := c.load(it); err != nil {
			return err
		}
		if c.first > next {
			return corrupt("entries %d to %d are missing", next, c.first-1)
		}
		for i := next - c.first; i < uint64(len(c.entries)); i++ {
			if !f(&c.entries[i]) {
				return nil
			}
			next++
		}
		from = next
	}
	if err := it.Error(); err != nil {
		return readError(err, "entry %d", from)
	}
	if from <= t.before.seq {
		return corrupt("entries %d to %d are missing", from, t.before.seq)
	}
	var e ledger.Entry
	t.all(from, func(r *record) bool {
		for at := 0; at < len(r.Legs); {
			at = r.entryAt(at, &e)
			if e.Seq >= from && !f(&e) {
				return false
			}
		}
		return true
	})
	return nil
}

// iterate reads one keyspace.
func (x *Index) iterate(space byte) (*pebble.Iterator, error) {
	it, err := x.db.NewIter(&pebble.IterOptions{LowerBound: []byte{space}, UpperBound: []byte{space + 1}})
	if err != nil {
		return nil, readError(err, "rows under %q", space)
	}
	return it, nil
}

// load decodes the row that an iterator of the journal stands at.
func (c *chunk) load(it *pebble.Iterator) error {
	if len(it.Key()) != 9 {
		return corrupt("a journal key of %d bytes", len(it.Key()))
	}
	first := binary.BigEndian.Uint64(it.Key()[1:])
	b, err := it.ValueAndErr()
	if err != nil {
		return readError(err, "the entries from %d on", first)
	}
	if err := c.decode(first, b); err != nil {
		return fmt.Errorf("reading the entries from %d on: %w", first, err)
	}
	return nil
}

// journalReader finds entries by seq, as of one moment, and keeps the last chunk. It is one goroutine's.
type journalReader struct {
	tail  tail
	it    *pebble.Iterator
	chunk chunk
	entry ledger.Entry
}

// newJournalReader must be closed.
func (x *Index) newJournalReader() (*journalReader, error) {
	t := x.tail()
	it, err := x.iterate('j')
	if err != nil {
		return nil, err
	}
	return &journalReader{tail: t, it: it}, nil
}

func (j *journalReader) close() error { return j.it.Close() }

// at returns an entry, which is valid until the next call. ErrNone: there is none with the seq.
func (j *journalReader) at(seq uint64) (*ledger.Entry, error) {
	if seq == 0 || seq > j.tail.after.seq {
		return nil, fmt.Errorf("%w: entry %d", ErrNone, seq)
	}
	if r := j.tail.record(seq); r != nil {
		r.entry(seq, &j.entry)
		return &j.entry, nil
	}
	if e := j.chunk.at(seq); e != nil {
		return e, nil
	}
	if j.it.SeekLT(journalKey(seq + 1)) {
		if err := j.chunk.load(j.it); err != nil {
			return nil, err
		}
		if e := j.chunk.at(seq); e != nil {
			return e, nil
		}
	} else if err := j.it.Error(); err != nil {
		return nil, readError(err, "entry %d", seq)
	}
	return nil, corrupt("entry %d is missing", seq)
}
