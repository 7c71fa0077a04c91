package index

import (
	"errors"
	"fmt"
	"sync"
)

const (
	erasKey = "m/eras"

	// defaultFanIn is how many eras of one level that follow each other become one of the next. So there are at most 15 of a
	// level and those being merged: some 50 at a billion entries, each of which costs a reader of an old balance one look.
	defaultFanIn = 16
	// maxWaiting is how many eras of the lowest level, in fan-ins, make the builder wait for the merger.
	maxWaiting = 4
)

// lists is what an Index knows of the histories of accounts and channels beside their rows.
type lists struct {
	fanIn      int
	gathered   gathered     // the builder's
	eras       eras         // under Index.mu; the slice is replaced, never changed
	fading     sync.RWMutex // held by readers from taking eras to opening an iterator: an era that is replaced then is still there
	unfiltered bool         // under Index.mu: a reader misses filters of the tail's records
}

// loadLists reads the table of eras, and drops what is in no era of it: what a merge had no time to.
func (x *Index) loadLists() error {
	x.lists.fanIn = defaultFanIn
	if x.opts.fanIn > 0 {
		x.lists.fanIn = x.opts.fanIn
	}
	b, ok, err := x.get([]byte(erasKey))
	if err != nil {
		return err
	}
	switch {
	case ok:
		if x.lists.eras, err = decodeEras(b); err != nil {
			return err
		}
	case x.durable.seq > 0:
		return fmt.Errorf("%w: it has no lists of accounts and channels; delete the folder, and it is made again", ErrFormat)
	}
	if last := x.lists.eras.last(); last != x.durable.seq {
		return corrupt("its lists end with entry %d, and its journal with entry %d", last, x.durable.seq)
	}
	return x.dropUnlisted()
}

// last is the last entry that is in an era.
func (e *eras) last() uint64 {
	if len(e.list) == 0 {
		return 0
	}
	return e.list[len(e.list)-1].last
}

func (x *Index) dropUnlisted() (err error) {
	listed := make(map[uint32]bool)
	for _, e := range x.lists.eras.list {
		listed[e.no] = true
	}
	it, err := x.iterate('h')
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; {
		_, no, err := parseSheetKey(it.Key())
		if err != nil {
			return err
		}
		lower, upper := eraKeys(no)
		if !listed[no] {
			if err := x.drop(lower, upper); err != nil {
				return err
			}
		}
		ok = it.SeekGE(upper)
	}
	if err := it.Error(); err != nil {
		return readError(err, "eras")
	}
	return nil
}

// buildLists writes the postings of a segment as an era.
func (x *Index) buildLists(b *build, s *segment) (err error) {
	if s.entries() == 0 {
		return nil
	}
	x.awaitMerger()
	e := era{no: x.nextEra(), first: s.before.seq + 1, last: s.after.seq}
	t := b.table(false)
	t.soon = true // by the merger
	defer t.closeOn(&err)
	if err := x.lists.gathered.bindRecords(s.records, &binder{set: t.set, era: e.no, base: e.first}); err != nil {
		return err
	}
	x.replaceEras(b, nil, e)
	return nil
}

// awaitMerger waits while too many eras are not yet merged.
func (x *Index) awaitMerger() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for !x.closing && x.failed == nil && x.lists.eras.waiting() >= maxWaiting*x.lists.fanIn {
		x.moved.Wait()
	}
}

// waiting is the number of eras that were never merged.
func (e *eras) waiting() (n int) {
	for _, a := range e.list {
		if a.level == 0 {
			n++
		}
	}
	return n
}

// nextEra gives out a number.
func (x *Index) nextEra() uint32 {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lists.eras.next++
	return x.lists.eras.next - 1
}

// replaceEras makes an era part of the table when a build is published: in the place of those that became it, or as the newest.
func (x *Index) replaceEras(b *build, merged []era, e era) {
	var next eras
	b.before = append(b.before, func() error {
		x.mu.Lock()
		defer x.mu.Unlock()
		next = x.lists.eras.replace(merged, e)
		b.meta[erasKey] = next.encode()
		return nil
	})
	b.after = append(b.after, func() {
		x.lists.fading.Lock()
		defer x.lists.fading.Unlock()
		x.mu.Lock()
		defer x.mu.Unlock()
		x.lists.eras.list = next.list
		x.moved.Broadcast()
	})
}

func (e *eras) replace(merged []era, by era) eras {
	next := eras{next: e.next, list: make([]era, 0, len(e.list)+1)}
	for _, a := range e.list {
		switch {
		case len(merged) == 0 || a.last < by.first || a.first > by.last:
			next.list = append(next.list, a)
		case a.no == merged[0].no:
			next.list = append(next.list, by)
		}
	}
	if len(merged) == 0 {
		next.list = append(next.list, by)
	}
	return next
}
