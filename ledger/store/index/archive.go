package index

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/space"
)

// The archive is what the ledger need not keep in memory to do everything exactly once. Rows are visible when Options.Flushed
// has been told of them; until then the ledger remembers.

func appendIDKey(b []byte, id ledger.OpID, actor ledger.AccountNo) []byte {
	b = append(append(b, 'i'), id[:]...)
	return binary.BigEndian.AppendUint32(b, uint32(actor))
}

// appendOwnedKey leaves out the unit where there is none, as mostly.
func appendOwnedKey(b []byte, account ledger.AccountNo, content, unit uint32) []byte {
	b = binary.BigEndian.AppendUint32(append(b, 'o'), uint32(account))
	if b = binary.BigEndian.AppendUint32(b, content); unit != 0 {
		b = binary.BigEndian.AppendUint32(b, unit)
	}
	return b
}

// buildIDs writes what is remembered of a segment's ops.
func (x *Index) buildIDs(b *build, s *segment) error {
	type row struct {
		time uint64 // the first bytes of the id, by which most pairs are in order
		ledger.Remembered
	}
	var rows []row
	for _, r := range s.records {
		r.Remembered(func(m ledger.Remembered) {
			rows = append(rows, row{binary.BigEndian.Uint64(m.ID[:]), m})
		})
	}
	slices.SortFunc(rows, func(a, b row) int {
		if a.time != b.time {
			return cmp.Compare(a.time, b.time)
		}
		return cmp.Or(bytes.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.Actor, b.Actor), cmp.Compare(a.Seq, b.Seq))
	})
	return writeRows(b, len(rows), func(i int, key, value []byte) ([]byte, []byte) {
		m := &rows[i].Remembered
		value = binary.LittleEndian.AppendUint64(value, m.Sum)
		value = binary.AppendUvarint(value, m.Seq)
		return appendIDKey(key, m.ID, m.Actor), binary.AppendUvarint(value, uint64(m.Object))
	})
}

// buildOwned writes what accounts came to own in a segment.
func (x *Index) buildOwned(b *build, s *segment) error {
	var rows []ledger.Owned
	for _, r := range s.records {
		r.Owned(func(o ledger.Owned) { rows = append(rows, o) })
	}
	slices.SortFunc(rows, func(a, b ledger.Owned) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Content, b.Content), cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Seq, b.Seq))
	})
	return writeRows(b, len(rows), func(i int, key, value []byte) ([]byte, []byte) {
		o := &rows[i]
		value = binary.AppendUvarint(value, o.Seq)
		return appendOwnedKey(key, o.Account, o.Content, o.Unit), binary.AppendUvarint(value, uint64(o.Paid))
	})
}

// writeRows writes rows in the order of their keys; of rows with the same key the last.
func writeRows(b *build, n int, appendRow func(i int, key, value []byte) ([]byte, []byte)) (err error) {
	t := b.table(true)
	defer t.closeOn(&err)
	var key, value, nextKey, nextValue []byte
	for i := range n {
		nextKey, nextValue = appendRow(i, nextKey[:0], nextValue[:0])
		if i > 0 && !bytes.Equal(key, nextKey) {
			if err := t.set(key, value); err != nil {
				return err
			}
		}
		key, value, nextKey, nextValue = nextKey, nextValue, key, value
	}
	if n == 0 {
		return nil
	}
	return t.set(key, value)
}

// lookup gives f the row with a key, if there is one.
func (x *Index) lookup(key []byte, f func(value []byte) bool) (found bool, err error) {
	value, ok := x.looks.find(key)
	if !ok {
		built := x.looks.built.Load()
		if value, err = x.look(key); err != nil {
			return false, err
		}
		x.looks.keep(slices.Clone(key), built, value)
	}
	if value == nil {
		return false, nil
	}
	if !f(value) {
		return false, corrupt("the row %q makes no sense", key)
	}
	return true, nil
}

// look is get for rows that mostly are not there: it asks the tables' Bloom filters, but not those of the lowest level. There
// the one block in which the row would be costs less to read than a filter, which is of megabytes for a table of millions of
// rows: see BenchmarkOwned. It returns nil when there is no such row.
func (x *Index) look(key []byte) (value []byte, err error) {
	it, err := x.db.NewIter(&pebble.IterOptions{LowerBound: key, UpperBound: append(slices.Clone(key), 0)})
	if err != nil {
		return nil, readError(err, "%q", key)
	}
	defer it.Close()
	if !it.SeekPrefixGE(key) {
		if it.Error() != nil {
			return nil, readError(it.Error(), "%q", key)
		}
		return nil, nil
	}
	if value, err = it.ValueAndErr(); err != nil {
		return nil, readError(err, "%q", key)
	}
	return append([]byte{}, value...), nil
}

// ID is what is remembered of an op by its id and sender, of ops that are durable here and no older than Options.IDKeep.
func (x *Index) ID(id ledger.OpID, actor ledger.AccountNo) (ledger.Remembered, bool, error) {
	m := ledger.Remembered{ID: id, Actor: actor}
	found, err := x.lookup(appendIDKey(make([]byte, 0, 24), id, actor), func(b []byte) bool { return decodeRemembered(b, &m) })
	if !found {
		m = ledger.Remembered{}
	}
	return m, found, err
}

func decodeRemembered(b []byte, m *ledger.Remembered) bool {
	var object uint64
	if len(b) < 8 || !varints(b[8:], &m.Seq, &object) || object != uint64(uint32(object)) {
		return false
	}
	m.Sum, m.Object = binary.LittleEndian.Uint64(b), uint32(object)
	return true
}

// Owned says whether an account owns a content, or a unit of it, of what is durable here.
func (x *Index) Owned(account ledger.AccountNo, content, unit uint32) (ledger.Owned, bool, error) {
	o := ledger.Owned{Account: account, Content: content, Unit: unit}
	found, err := x.lookup(appendOwnedKey(make([]byte, 0, 16), account, content, unit), func(b []byte) bool { return varints(b, &o.Seq, (*uint64)(&o.Paid)) })
	if !found {
		o = ledger.Owned{}
	}
	return o, found, err
}

// varints reads as many as there are places for, and nothing may be left.
func varints(b []byte, to ...*uint64) bool {
	for _, p := range to {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return false
		}
		*p, b = v, b[n:]
	}
	return len(b) == 0
}

// expireShare: ids are deleted when a sixteenth of those kept are too old, so that tables are not cut for every segment.
const expireShare = 16

// expire deletes the ids that are too old after a checkpoint: a replay begins there, and asks for ids as it was then. Without
// room it is left to the next.
func (x *Index) expire(now uint64) {
	if x.opts.IDKeep == 0 {
		return
	}
	if now < x.opts.IDKeep || now-x.opts.IDKeep < x.expired+x.opts.IDKeep/expireShare {
		return
	}
	before := now - x.opts.IDKeep
	end := binary.BigEndian.AppendUint64([]byte{'i'}, before<<16)
	switch err := x.drop([]byte{'i'}, end[:7]); {
	case space.IsFull(err):
		x.opts.Logger.Error("no room to drop old ids from the index", "err", err)
	case err != nil:
		x.fail(fmt.Errorf("index: dropping ids before %d: %w", before, err))
	default:
		x.expired = before
	}
}
