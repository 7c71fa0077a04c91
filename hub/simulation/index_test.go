package simulation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/index"
	"golang.org/x/mod/sumdb/tlog"
)

// errWrong is wrapped by what says that something false was served, unlike an error of who could not serve it.
var errWrong = errors.New("wrong")

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errWrong, fmt.Sprintf(format, args...))
}

// checkIndex reads all that the index has of the log that the auditor has followed to its end.
func (a *auditor) checkIndex(x *index.Index, rng *rand.Rand, keep uint64) error {
	var errs []error
	for _, f := range []func(*index.Index, *rand.Rand) error{a.checkEntries, a.checkBlocks, a.checkTree, a.checkHistories} {
		errs = append(errs, f(x, rng))
	}
	return errors.Join(append(errs, a.checkIDs(x, keep), a.checkOwned(x))...)
}

func (a *auditor) checkEntries(x *index.Index, rng *rand.Rand) error {
	for _, from := range []uint64{1, 1 + rng.Uint64N(a.seq()+1), a.seq(), a.seq() + 1} {
		next, bad := max(from, 1), error(nil)
		err := x.Entries(from, func(e *ledger.Entry) bool {
			if e.Seq != next || next > a.seq() {
				bad = wrong("entry %d follows where %d of %d belongs", e.Seq, next, a.seq())
			} else if want := &a.facts[next-1].Entry; !same(e, want) {
				bad = wrong("entry %d is %+v, not %+v", next, *e, *want)
			}
			next++
			return bad == nil
		})
		if err := errors.Join(err, bad); err != nil {
			return err
		}
		if next <= a.seq() {
			return wrong("entries from %d on end with %d of %d", from, next-1, a.seq())
		}
	}
	return nil
}

// same compares entries but for where their legs were in a block.
func same(a, b *ledger.Entry) bool {
	legs := slices.EqualFunc(a.Legs, b.Legs, func(l, m ledger.Leg) bool {
		l.Entry, l.At, m.Entry, m.At = 0, 0, 0, 0
		return l == m
	})
	return legs && a.Seq == b.Seq && a.Time == b.Time && a.Index == b.Index && a.Kind == b.Kind && a.ID == b.ID
}

func (a *auditor) checkBlocks(x *index.Index, _ *rand.Rand) error {
	last := uint64(0)
	for i, f := range a.blocks {
		if last = f.first + uint64(f.entries) - 1; f.entries > 0 {
			at, first, n, time, err := x.BlockOf(last)
			if err != nil {
				return err
			}
			if at != uint64(i+1) || first != f.first || n != f.entries || time != f.time {
				return wrong("block %d of entry %d: %d, %d entries from %d on, at %d", i+1, last, at, n, first, time)
			}
		}
		if i+1 < len(a.blocks) && a.blocks[i+1].time == f.time {
			continue
		}
		if seq, err := x.SeqAt(f.time); err != nil {
			return err
		} else if seq != last {
			return wrong("the last entry at %d is %d, not %d", f.time, seq, last)
		}
	}
	return nil
}

func (a *auditor) checkTree(x *index.Index, _ *rand.Rand) error {
	n := x.TreeSize() // it may lag behind
	if n > int64(len(a.leaves)) {
		return wrong("a tree of %d blocks, and there are %d", n, len(a.leaves))
	}
	if n == 0 {
		return nil
	}
	got, err := tlog.TreeHash(n, x)
	if err != nil {
		return err
	}
	want, err := tlog.TreeHash(n, tlog.HashReaderFunc(a.readHashes))
	if err != nil {
		return err
	}
	if got != want {
		return wrong("the tree of %d blocks has another root", n)
	}
	for i := range n {
		leaf, at, err := x.Leaf(i)
		if err != nil {
			return err
		}
		if string(leaf) != string(a.leaves[i]) || at != uint64(i+1) {
			return wrong("leaf %d", i)
		}
	}
	return nil
}

// checkIDs: every id that the ledger may ask for is there, and no other. Those that are too old may be gone.
func (a *auditor) checkIDs(x *index.Index, keep uint64) error {
	_, durable := x.Watermark()
	for _, m := range a.ids {
		got, ok, err := x.ID(m.ID, m.Actor)
		if err != nil {
			return err
		}
		due := m.Seq <= durable && m.ID.Millis()+keep >= a.state.Now()
		if ok && got != m || !ok && due {
			return wrong("of %+v the index says %v, %+v", m, ok, got)
		}
		if _, ok, err := x.ID(m.ID, m.Actor^1<<20); err != nil {
			return err
		} else if ok {
			return wrong("an id of another")
		}
	}
	return nil
}

func (a *auditor) checkOwned(x *index.Index) error {
	_, durable := x.Watermark()
	for _, o := range a.owned {
		got, ok, err := x.Owned(o.Account, o.Content, o.Unit)
		if err != nil {
			return err
		}
		if ok && got != o || !ok && o.Seq <= durable {
			return wrong("of %+v the index says %v, %+v", o, ok, got)
		}
		if _, ok, err := x.Owned(o.Account^1<<20, o.Content, o.Unit); err != nil {
			return err
		} else if ok {
			return wrong("a content of another")
		}
	}
	return nil
}
