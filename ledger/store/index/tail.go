package index

import (
	"errors"
	"slices"
	"sort"
	"sync/atomic"
	"unsafe"

	"github.com/millrace/millrace/ledger"
)

// record is a copy of what a block did. Nothing in it changes once it is appended, but that a filter comes.
type record struct {
	ledger.Record
	number uint64                 // counts the blocks of the log from zero, whatever their indexes
	filter atomic.Pointer[filter] // of the lists that it touches; nil while there is none
}

// segment is a run of records that become tables together. Records are appended under Index.mu; who has a slice of them needs
// no lock.
type segment struct {
	before  watermark // what the records follow
	after   watermark // where they end
	records []*record
	legs    int
	bytes   int
}

func newSegment(before watermark) *segment { return &segment{before: before, after: before} }

func (s *segment) entries() int { return int(s.after.seq - s.before.seq) }

// append takes the next record.
func (s *segment) append(r *record) {
	s.records = append(s.records, r)
	s.legs += len(r.Legs)
	s.bytes += int(unsafe.Sizeof(record{})) + len(r.Legs)*int(unsafe.Sizeof(ledger.Leg{})) + len(r.Block)
	s.after.index, s.after.seq, s.after.blocks, s.after.head = r.Index, r.Last(), r.number+1, r.Head
	if len(r.Block) >= ledger.HeaderSize {
		s.after.sum = ledger.SumOf(r.Block)
	}
}

// Append takes what a block did, in the order of the log, and copies it. Blocks at or below the watermark are ignored. It
// waits when two segments are waiting already: then the log comes faster than it can be indexed.
func (x *Index) Append(r *ledger.Record) {
	if x.opts.Off {
		return
	}
	own := &record{Record: *r}
	own.Legs, own.Block = slices.Clone(r.Legs), slices.Clone(r.Block)
	if err := x.append(own); err != nil {
		x.fail(err)
	}
}

func (x *Index) append(r *record) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.failed != nil || x.closing:
		return nil
	case r.Index <= x.newest.index:
		if r.Index == x.newest.index && r.Head != x.newest.head {
			return corrupt("block %d has head %x in the index and %x in the log", r.Index, x.newest.head, r.Head)
		}
		return nil
	case r.First != x.newest.seq+1:
		return corrupt("block %d begins with entry %d, and the index ends with entry %d", r.Index, r.First, x.newest.seq)
	case x.opts.Notary == nil && x.durable.leaves > 0:
		return errors.New("index: it has a transparency log, and nobody to go on with it")
	}
	if x.open.entries() >= x.opts.SegmentEntries || x.open.bytes >= segmentBytes {
		if !x.seal() {
			return nil
		}
	}
	r.number = x.newest.blocks
	x.open.append(r)
	x.newest = x.open.after
	close(x.appended)
	x.appended = make(chan struct{})
	x.moved.Broadcast()
	return nil
}

// seal ends the open segment, waiting until there is room for another sealed one. False means that the index has stopped.
func (x *Index) seal() bool {
	for len(x.sealed) >= maxSealed && x.failed == nil && !x.closing {
		x.moved.Wait()
	}
	if x.failed != nil || x.closing {
		return false
	}
	x.sealNow()
	return true
}

func (x *Index) sealNow() {
	x.sealed = append(x.sealed, x.open)
	x.open = newSegment(x.newest)
	x.moved.Broadcast()
}

// Appended is closed at the next Append.
func (x *Index) Appended() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.appended
}

// tail is what was in memory alone at some moment: consistent, and readable without a lock. Who also reads the database takes
// the tail first: then what has become durable in between is in both, and nothing is in neither.
type tail struct {
	segments [maxSealed + 1][]*record // in order
	before   watermark                // what the first record follows
	after    watermark
}

func (x *Index) tail() tail {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := tail{before: x.durable, after: x.newest}
	n := 0
	for _, s := range x.sealed {
		t.segments[n] = s.records
		n++
	}
	t.segments[n] = x.open.records[:len(x.open.records):len(x.open.records)]
	return t
}

// record finds the block of an entry, or nil when the entry is not in the tail.
func (t *tail) record(seq uint64) *record {
	if seq <= t.before.seq || seq > t.after.seq {
		return nil
	}
	for _, s := range t.segments {
		if len(s) > 0 && seq <= s[len(s)-1].Last() {
			return s[sort.Search(len(s), func(i int) bool { return s[i].Last() >= seq })]
		}
	}
	return nil
}

// all calls f with the records that hold entries from a seq on, until it returns false.
func (t *tail) all(from uint64, f func(*record) bool) bool {
	for _, s := range t.segments {
		for _, r := range s[sort.Search(len(s), func(i int) bool { return s[i].Last() >= from }):] {
			if r.Entries > 0 && !f(r) {
				return false
			}
		}
	}
	return true
}

// entry makes the entry with a seq, which must be in the record. Its legs are the record's.
func (r *record) entry(seq uint64, e *ledger.Entry) {
	n := uint32(seq - r.First)
	first, _ := slices.BinarySearchFunc(r.Legs, n, func(l ledger.Leg, n uint32) int { return int(l.Entry) - int(n) })
	r.entryAt(first, e)
}

// entryAt makes the entry whose first leg is given, and returns where the next begins.
func (r *record) entryAt(first int, e *ledger.Entry) (next int) {
	l := &r.Legs[first]
	for next = first + 1; next < len(r.Legs) && r.Legs[next].Entry == l.Entry; next++ {
	}
	*e = ledger.Entry{
		Seq: r.First + uint64(l.Entry), Time: r.Time, Index: r.Index, Kind: l.Kind, ID: r.ID(l), Legs: r.Legs[first:next:next],
	}
	return next
}
