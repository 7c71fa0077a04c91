package index

import (
	"math/bits"
	"slices"
	"sort"

	"github.com/millrace/millrace/ledger"
)

// records calls f with the entries of the tail from a seq to another that are in the list, each as the legs of a record from
// first up to next, until it returns false; then records does, too. Records whose filter excludes the list are passed over; the
// others are read leg by leg, a nanosecond each.
func (v *view) records(from, to uint64, newest bool, f func(r *record, first, next int) bool) bool {
	segments := v.tail.segments
	if newest {
		slices.Reverse(segments[:])
	}
	missing := 0
	for _, s := range segments {
		lo := sort.Search(len(s), func(i int) bool { return s[i].Last() >= from })
		hi := sort.Search(len(s), func(i int) bool { return s[i].First > to })
		for i := range max(0, hi-lo) {
			r := s[lo+i]
			if newest {
				r = s[hi-1-i]
			}
			seen := r.filter.Load()
			if seen == nil {
				missing++
			} else if !seen.has(v.list) {
				continue
			}
			if !r.scan(v.list, from, to, newest, f) {
				return false
			}
		}
	}
	if missing > 1 { // the newest record never has one yet
		v.x.wantFilters()
	}
	return true
}

// scan calls f with the record's entries from a seq to another that are in a list.
func (r *record) scan(l list, from, to uint64, newest bool, f func(r *record, first, next int) bool) bool {
	lo, hi := 0, len(r.Legs)
	if from > r.First {
		lo = sort.Search(len(r.Legs), func(i int) bool { return r.First+uint64(r.Legs[i].Entry) >= from })
	}
	if to < r.Last() {
		hi = sort.Search(len(r.Legs), func(i int) bool { return r.First+uint64(r.Legs[i].Entry) > to })
	}
	for lo < hi {
		at := l.first(r.Legs[lo:hi])
		if newest {
			at = l.last(r.Legs[lo:hi])
		}
		if at < 0 {
			return true
		}
		first, next := lo+at, lo+at+1
		for first > lo && r.Legs[first-1].Entry == r.Legs[first].Entry {
			first--
		}
		for next < hi && r.Legs[next].Entry == r.Legs[first].Entry {
			next++
		}
		if !f(r, first, next) {
			return false
		}
		if newest {
			hi = first
		} else {
			lo = next
		}
	}
	return true
}

// first is where the first leg is that is in the list, and last where the last; or -1.
func (l list) first(legs []ledger.Leg) int {
	for i := range legs {
		if leg := &legs[i]; uint32(leg.From) == l.no || uint32(leg.To) == l.no || leg.Object == l.no {
			if l.touchedBy(leg) {
				return i
			}
		}
	}
	return -1
}

func (l list) last(legs []ledger.Leg) int {
	for i := len(legs) - 1; i >= 0; i-- {
		if leg := &legs[i]; uint32(leg.From) == l.no || uint32(leg.To) == l.no || leg.Object == l.no {
			if l.touchedBy(leg) {
				return i
			}
		}
	}
	return -1
}

func (l list) touchedBy(leg *ledger.Leg) bool {
	if l.of == ofAccount {
		return leg.Touches(ledger.AccountNo(l.no))
	}
	return l.no != 0 && leg.Channel() == ledger.ChannelNo(l.no)
}

// change is what an entry changes in the list.
func (l list) change(legs []ledger.Leg) change {
	if l.of == ofAccount {
		return accountChange(legs, ledger.AccountNo(l.no))
	}
	return channelChange(legs)
}

// filter says of a list that it is not touched by a record, or that it may be. One bit for each list, in a table eight times as
// large as the lists there can be: about one in twelve is taken for another.
type filter struct {
	bits  []uint64
	shift int
}

func newFilter(legs []ledger.Leg) *filter {
	size := max(6, bits.Len(uint(3*8*len(legs)))) // log2 of the bits
	f := &filter{bits: make([]uint64, 1<<(size-6)), shift: 64 - size}
	for i := range legs {
		l := &legs[i]
		f.add(list{ofAccount, uint32(l.From)})
		f.add(list{ofAccount, uint32(l.To)})
		if c := l.Channel(); c != 0 {
			f.add(list{ofChannel, uint32(c)})
		}
	}
	return f
}

func (f *filter) place(l list) uint64 {
	return (uint64(l.of)<<32 | uint64(l.no)) * 0x9e3779b97f4a7c15 >> f.shift
}

func (f *filter) add(l list) {
	n := f.place(l)
	f.bits[n>>6] |= 1 << (n & 63)
}

func (f *filter) has(l list) bool {
	n := f.place(l)
	return f.bits[n>>6]&(1<<(n&63)) != 0
}

// wantFilters tells filterTail that a reader has had to read records for want of a filter.
func (x *Index) wantFilters() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.lists.unfiltered {
		x.lists.unfiltered = true
		x.moved.Broadcast()
	}
}

// filterTail is the goroutine that makes filters of the tail's records, while there are readers who ask for them: a filter takes
// longer to make than one reader takes to do without.
func (x *Index) filterTail() {
	for x.awaitWant() {
		t := x.tail()
		for _, s := range t.segments {
			for _, r := range s {
				if r.filter.Load() == nil {
					r.filter.Store(newFilter(r.Legs))
				}
			}
		}
	}
}

func (x *Index) awaitWant() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for !x.lists.unfiltered && !x.closing && x.failed == nil {
		x.moved.Wait()
	}
	x.lists.unfiltered = false
	return !x.closing && x.failed == nil
}
