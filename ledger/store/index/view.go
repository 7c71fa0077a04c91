package index

import (
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// view is one list as of one moment: eras on the disk, and behind the last of them the tail in memory. It is one goroutine's.
type view struct {
	x    *Index
	list list
	eras []era
	tail tail
	it   *pebble.Iterator

	key      []byte
	strips   []strip // of the list, on the sheet at hand
	postings []posting
}

// view must be closed. The tail is taken first: what becomes durable after that is in both, and read from the disk.
func (x *Index) view(l list) (*view, error) {
	v := &view{x: x, list: l, tail: x.tail()}
	x.lists.fading.RLock()
	defer x.lists.fading.RUnlock()
	x.mu.Lock()
	v.eras = x.lists.eras.list
	x.mu.Unlock()
	var err error
	if v.it, err = x.iterate('h'); err != nil {
		return nil, err
	}
	return v, nil
}

func (v *view) close() error {
	if err := v.it.Close(); err != nil {
		return readError(err, "list %d", v.list.no)
	}
	return nil
}

// durable is the last entry that is in an era.
func (v *view) durable() uint64 {
	e := eras{list: v.eras}
	return e.last()
}

// last is the last entry that the view can show.
func (v *view) last() uint64 { return max(v.durable(), v.tail.after.seq) }

// balance is what the list had after the last entry up to a seq.
func (v *view) balance(seq uint64) (b change, err error) {
	for _, e := range v.eras {
		if e.first > seq {
			break
		}
		c, err := v.closing(e, min(seq, e.last))
		if err != nil {
			return b, err
		}
		b = plus(b, c)
	}
	v.records(v.durable()+1, seq, false, func(r *record, first, next int) bool {
		b = plus(b, v.list.change(r.Legs[first:next]))
		return true
	})
	return b, nil
}

// closing is what the list had after the last entry up to a seq in an era, counted from the era's beginning.
func (v *view) closing(e era, seq uint64) (c change, err error) {
	if ok, err := v.seek(e, seq); !ok || err != nil {
		return c, err
	}
	if _, _, err := v.load(); err != nil {
		return c, err
	}
	for i := len(v.strips) - 1; i >= 0; i-- {
		s := &v.strips[i]
		switch {
		case s.first > seq:
			continue
		case s.last <= seq:
			return s.closing(), nil
		}
		if v.postings, err = s.postings(v.postings[:0]); err != nil {
			return c, err
		}
		c = s.opening
		for _, p := range v.postings {
			if p.seq <= seq {
				c = plus(c, p.change)
			}
		}
		return c, nil
	}
	return c, nil
}

// seek goes to the sheet of an era on which the list's last strip that begins at or before a seq is, if there is any.
func (v *view) seek(e era, seq uint64) (bool, error) {
	v.key = appendSheetKey(v.key[:0], e.no, v.list, seq+1)
	ok := v.it.SeekLT(v.key)
	return v.in(e, ok)
}

// in says whether the iterator, having moved, stands at a sheet of an era.
func (v *view) in(e era, moved bool) (bool, error) {
	if !moved {
		if err := v.it.Error(); err != nil {
			return false, readError(err, "list %d", v.list.no)
		}
		return false, nil
	}
	_, no, err := parseSheetKey(v.it.Key())
	return no == e.no && err == nil, err
}

// load reads the list's strips on the sheet that the iterator stands at. They are valid until it moves. The sheet may begin with
// the list, so that there may be more of it before, and go beyond it, so that there is nothing behind.
func (v *view) load() (begins, beyond bool, err error) {
	v.strips = v.strips[:0]
	l, _, err := parseSheetKey(v.it.Key())
	if err != nil {
		return false, false, err
	}
	begins, beyond = l == v.list, l.after(v.list)
	if l.of != v.list.of || beyond {
		return begins, beyond, nil
	}
	sheet, err := v.it.ValueAndErr()
	if err != nil {
		return false, false, readError(err, "list %d", v.list.no)
	}
	r, err := readSheet(sheet)
	for err == nil && !beyond {
		var ok bool
		if ok, err = r.next(); !ok {
			break
		}
		if r.no == v.list.no {
			v.strips = append(v.strips, r.strip)
		}
		beyond = r.no > v.list.no
	}
	return begins, beyond, err
}

// after is the order of lists in an era.
func (l list) after(other list) bool { return l.of > other.of || l.of == other.of && l.no > other.no }

// forward calls f with the postings of an era from a seq to another, until it returns false; then forward does, too.
func (v *view) forward(e era, from, to uint64, f func(posting) (bool, error)) (bool, error) {
	ok, err := v.seek(e, from)
	if err != nil {
		return false, err
	}
	if !ok {
		lower, _ := eraKeys(e.no)
		if ok, err = v.in(e, v.it.SeekGE(lower)); err != nil {
			return false, err
		}
	}
	for ok {
		_, beyond, err := v.load()
		if err != nil {
			return false, err
		}
		for i := range v.strips {
			s := &v.strips[i]
			if s.last < from {
				continue
			}
			if v.postings, err = s.postings(v.postings[:0]); err != nil {
				return false, err
			}
			for _, p := range v.postings {
				if p.seq < from {
					continue
				}
				if p.seq > to {
					return true, nil
				}
				if ok, err := f(p); !ok || err != nil {
					return false, err
				}
			}
		}
		if beyond {
			return true, nil
		}
		if ok, err = v.in(e, v.it.Next()); err != nil {
			return false, err
		}
	}
	return true, nil
}

// backward is forward from the latest posting to the earliest.
func (v *view) backward(e era, from, to uint64, f func(posting) (bool, error)) (bool, error) {
	ok, err := v.seek(e, to)
	for ok && err == nil {
		begins, _, err := v.load()
		if err != nil {
			return false, err
		}
		for i := range slices.Backward(v.strips) {
			s := &v.strips[i]
			if s.first > to {
				continue
			}
			if v.postings, err = s.postings(v.postings[:0]); err != nil {
				return false, err
			}
			for _, p := range slices.Backward(v.postings) {
				if p.seq > to {
					continue
				}
				if p.seq < from {
					return true, nil
				}
				if ok, err := f(p); !ok || err != nil {
					return false, err
				}
			}
		}
		if !begins {
			return true, nil
		}
		if ok, err = v.in(e, v.it.Prev()); err != nil {
			return false, err
		}
	}
	return err == nil, err
}

// closeOn is close for a defer.
func (v *view) closeOn(err *error) { *err = errors.Join(*err, v.close()) }
