package audit

import (
	"bytes"
	"slices"
)

// fact is a movement of money as one book has it: 56 bytes, of which there may be millions.
type fact struct {
	key    [32]byte // that both books know it by
	amount int64    // msat
	fee    int64    // msat
	alone  bool     // the other book need not have it: it is old, or not final
}

// difference is a fact that two books do not agree on: one of them is nil, or they are not the same.
type difference struct{ a, b *fact }

// compare pairs the facts of two books by their keys, and returns the pairs that do not fit, in the order of the keys. It sorts both.
// Within one book a key is there once.
func compare(a, b []fact, f func(difference)) {
	order := func(x, y fact) int { return bytes.Compare(x.key[:], y.key[:]) }
	slices.SortFunc(a, order)
	slices.SortFunc(b, order)
	for len(a) > 0 || len(b) > 0 {
		switch c := heads(a, b); {
		case c < 0:
			if !a[0].alone {
				f(difference{a: &a[0]})
			}
			a = a[1:]
		case c > 0:
			if !b[0].alone {
				f(difference{b: &b[0]})
			}
			b = b[1:]
		default:
			if a[0].amount != b[0].amount || a[0].fee != b[0].fee {
				f(difference{a: &a[0], b: &b[0]})
			}
			a, b = a[1:], b[1:]
		}
	}
}

// heads says which of two lists has the lower key at its head; one that is empty has none.
func heads(a, b []fact) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return bytes.Compare(a[0].key[:], b[0].key[:])
}

// share says whether a key belongs to one of so many parts, each of which is compared by itself where there are too many facts.
func share(key *[32]byte, part, parts int) bool {
	return int(key[0])*parts/256 == part
}
