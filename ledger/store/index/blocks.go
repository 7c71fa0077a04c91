package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"github.com/millrace/millrace/ledger"
)

// blockRow is what is kept of a block:
//
//	+--------+--------+---------+--------+----------+----------+
//	| number | first  | entries | time   | head     | leaf     |
//	| varint | varint | varint  | varint | 32 bytes | the rest |
//	+--------+--------+---------+--------+----------+----------+
type blockRow struct {
	index   uint64 // its key
	number  uint64 // counts the blocks of the log from zero, whatever their indexes
	first   uint64 // seq of its first entry
	entries uint64
	time    uint64
	head    [32]byte // of the ledger after it
	leaf    []byte   // of the transparency log, if there is one
}

func blockKey(index uint64) []byte { return binary.BigEndian.AppendUint64([]byte{'k'}, index) }

func (r *blockRow) append(b []byte) []byte {
	for _, n := range [...]uint64{r.number, r.first, r.entries, r.time} {
		b = binary.AppendUvarint(b, n)
	}
	b = append(b, r.head[:]...)
	return append(b, r.leaf...)
}

// decodeBlock reads a row; its leaf points into it.
func decodeBlock(key, b []byte) (r blockRow, err error) {
	if len(key) != 9 {
		return r, corrupt("a block's key of %d bytes", len(key))
	}
	r.index = binary.BigEndian.Uint64(key[1:])
	for _, n := range [...]*uint64{&r.number, &r.first, &r.entries, &r.time} {
		v, size := binary.Uvarint(b)
		if size <= 0 {
			return r, corrupt("the row of block %d is cut short", r.index)
		}
		*n, b = v, b[size:]
	}
	if len(b) < len(r.head) {
		return r, corrupt("the row of block %d is cut short", r.index)
	}
	r.leaf = b[copy(r.head[:], b):]
	return r, nil
}

func (x *Index) buildBlocks(b *build, s *segment) (err error) {
	t := b.table(false)
	defer t.closeOn(&err)
	var value []byte
	for _, r := range s.records {
		row := blockRow{number: r.number, first: r.First, entries: uint64(r.Entries), time: r.Time, head: r.Head}
		row.leaf = x.tree.leafOf(r.number)
		value = row.append(value[:0])
		if err := t.set(blockKey(r.Index), value); err != nil {
			return err
		}
	}
	return nil
}

// block reads the row of a block.
func (x *Index) block(index uint64) (blockRow, error) {
	b, ok, err := x.get(blockKey(index))
	if err != nil {
		return blockRow{}, err
	}
	if !ok {
		return blockRow{}, fmt.Errorf("%w: block %d", ErrNone, index)
	}
	return decodeBlock(blockKey(index), b)
}

// lastBlock finds the last row for which f holds; it holds for all rows up to some place, and for none behind it. ErrNone: it
// holds for none.
func (x *Index) lastBlock(f func(*blockRow) bool) (found blockRow, err error) {
	it, err := x.iterate('k')
	if err != nil {
		return found, err
	}
	defer it.Close()
	row := func(ok bool) (r blockRow, holds bool, err error) {
		if !ok {
			if it.Error() != nil {
				return r, false, readError(it.Error(), "blocks")
			}
			return r, false, fmt.Errorf("%w: no such block", ErrNone)
		}
		b, err := it.ValueAndErr()
		if err != nil {
			return r, false, readError(err, "blocks")
		}
		r, err = decodeBlock(it.Key(), b)
		r.leaf = append([]byte(nil), r.leaf...)
		return r, err == nil && f(&r), err
	}
	first, holds, err := row(it.First())
	if err != nil {
		return found, err
	}
	if !holds {
		return found, fmt.Errorf("%w: no such block", ErrNone)
	}
	last, holds, err := row(it.Last())
	if err != nil || holds {
		return last, err
	}
	found = first
	for low, high := first.index, last.index-1; low < high; { // it holds at low, and does not behind high
		middle := low + (high-low+1)/2
		r, holds, err := row(it.SeekLT(blockKey(middle + 1)))
		if err != nil {
			return found, err
		}
		if holds {
			found, low = r, middle
		} else {
			high = r.index - 1
		}
	}
	return found, nil
}

// SeqAt is the seq of the last entry at or before a time in milliseconds since 1970; zero when there is none.
func (x *Index) SeqAt(millis uint64) (uint64, error) {
	t := x.tail()
	if r := t.lastAt(millis); r != nil {
		return r.Last(), nil
	}
	r, err := x.lastBlock(func(r *blockRow) bool { return r.time <= millis })
	if errors.Is(err, ErrNone) {
		return 0, nil
	}
	return r.first + r.entries - 1, err
}

// lastAt is the last record at or before a time, or nil.
func (t *tail) lastAt(millis uint64) (last *record) {
	for _, s := range t.segments {
		if n := sort.Search(len(s), func(i int) bool { return s[i].Time > millis }); n > 0 {
			last = s[n-1]
		}
	}
	return last
}

// BlockOf finds the block of an entry: its index, the seq of its first entry, their number and their time. ErrNone: there is no
// entry with the seq.
func (x *Index) BlockOf(seq uint64) (index, first uint64, entries int, time uint64, err error) {
	j, err := x.newJournalReader()
	if err != nil {
		return 0, 0, 0, 0, err
	}
	defer j.close()
	if r := j.tail.record(seq); r != nil {
		return r.Index, r.First, r.Entries, r.Time, nil
	}
	var e *ledger.Entry
	if e, err = j.at(seq); err != nil {
		return 0, 0, 0, 0, err
	}
	r, err := x.block(e.Index)
	if errors.Is(err, ErrNone) {
		err = corrupt("block %d of entry %d is missing", e.Index, seq)
	}
	return r.index, r.first, int(r.entries), r.time, err
}
