package ledger

import (
	"cmp"
	"errors"
)

// Archive finds what the ledger has forgotten: the ids and entitlements of old entries, which need not lie in memory. It is a
// function of the log, as the ledger is, and may know of later entries than the ledger does: those do not count yet.
type Archive interface {
	// ID finds what was remembered of an op's id.
	ID(id OpID, actor AccountNo) (Remembered, bool, error)
	// Owned finds in which entry an account came to own a content, or a unit of it: see Owned.Unit.
	Owned(account AccountNo, content, unit uint32) (Owned, bool, error)
}

// ErrArchive is returned, wrapped, by Apply when the archive cannot be read: nobody knows whether an op is a repeat, and the
// ledger must not go on.
var ErrArchive = errors.New("cannot read what is archived")

// unreadable is the outcome of a check that the archive failed. It never leaves the package.
const unreadable Result = 255

// Attach gives the ledger its archive. Without one nothing may be forgotten, and a restored ledger has lost its ids and
// entitlements.
func (s *State) Attach(a Archive) { s.archive = a }

// Forget says that the archive has all ids and entitlements of the entries up to one. What is newest stays in memory all
// the same, where it is found faster; the rest goes.
func (s *State) Forget(seq uint64) {
	if s.archive == nil {
		return
	}
	s.ids.forget(seq)
	s.owned.forget(seq)
}

// Archived says whether deciding an op takes a look into the archive, so that a caller can have taken it before, where nobody
// waits for it: see Look.
func (s *State) Archived(op *Op) (l Look, asked bool) {
	switch {
	case op.Kind.remembered():
		id := OpID(op.ID)
		asked = s.ids.dropped && id.Millis() <= s.ids.newest && s.archive != nil && s.recentID(id, op.Actor) == nil
		return Look{id: id, account: op.Actor}, asked
	case (op.Kind.buys() || op.Kind == OpGrant) && s.owned.dropped && s.archive != nil:
		no, c := s.content(op.ID)
		owner, unit := op.wants()
		asked = c != nil && s.recentlyOwned(owner, no, unit) == nil
		return Look{account: owner, content: no, unit: unit}, asked
	}
	return Look{}, false
}

// Look is what the ledger would look up.
type Look struct {
	id      OpID
	account AccountNo
	content uint32 // zero: by id
	unit    uint32
}

// Into takes the look, so that what the archive has to read is at hand when the ledger asks again.
func (l Look) Into(a Archive) error {
	var err error
	if l.content != 0 {
		_, _, err = a.Owned(l.account, l.content, l.unit)
		if l.unit != 0 && err == nil { // who owns the work owns its units
			_, _, err = a.Owned(l.account, l.content, 0)
		}
	} else {
		_, _, err = a.ID(l.id, l.account)
	}
	return err
}

// shelfRows is the number of rows of one shelf: some 60 MB of ids.
const shelfRows = 1 << 20

// keptShelves of each kind stay in memory however well they are archived: the one that fills, and the last full one.
const keptShelves = 2

// shelves are the newest rows of what the ledger remembers, in the order of their entries, found by a hash of their key.
type shelves[T any] struct {
	all     []*shelf[T] // oldest first; the last one fills
	size    uint32      // rows of a shelf; zero: shelfRows
	rows    uint64      // in all
	dropped bool        // an older row may lie in the archive
	newest  uint64      // the largest mark of a row that was dropped
}

type shelf[T any] struct {
	table[T]
	by       index
	last     uint64 // seq of the last row
	from, to uint64 // the smallest and the largest mark: of ids their time, by which a search leaves a shelf out
}

// find returns the row with this hash and mark that match accepts, or nil.
func (s *shelves[T]) find(hash, mark uint64, match func(*T) bool) *T {
	for i := len(s.all) - 1; i >= 0; i-- {
		h := s.all[i]
		if mark < h.from || mark > h.to {
			continue
		}
		if row, ok := h.by.find(hash, func(row uint32) bool { return match(h.at(row)) }); ok {
			return h.at(row)
		}
	}
	return nil
}

// add puts a row that find does not find on the newest shelf.
func (s *shelves[T]) add(row T, hash, mark, seq uint64) {
	if len(s.all) == 0 || s.all[len(s.all)-1].table.rows >= cmp.Or(s.size, shelfRows) {
		s.all = append(s.all, &shelf[T]{from: mark})
	}
	h := s.all[len(s.all)-1]
	no, p := h.add()
	*p = row
	h.by.add(hash, no)
	h.last, h.from, h.to = seq, min(h.from, mark), max(h.to, mark)
	s.rows++
}

// warm reads where find will look.
func (s *shelves[T]) warm(hash, mark uint64) (sum uint32) {
	for _, h := range s.all {
		if mark >= h.from && mark <= h.to {
			sum += h.by.warm(hash)
		}
	}
	return sum
}

// forget drops the oldest shelves that are archived up to a seq.
func (s *shelves[T]) forget(seq uint64) {
	for len(s.all) > keptShelves && s.all[0].last <= seq {
		s.drop()
		s.dropped = true
	}
}

func (s *shelves[T]) drop() {
	s.newest = max(s.newest, s.all[0].to)
	s.rows -= uint64(s.all[0].table.rows)
	s.all[0] = nil
	s.all = s.all[1:]
}
