package check

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
)

// tally compares a keyspace whose rows are not in the order of the log, by sums.
type tally struct {
	c         *checker
	space     string
	want, got sums
	expect    func(r *ledger.Record, add func(*row)) // the rows of a block
	scan      func(add func(*row))                   // the rows of the keyspace
	settle    func(s *ledger.State)                  // nil, or called before the scan; then the state is that of the watermark
	settled   func()                                 // nil, or called after the scan
	name      func(*row) string
	differing []uint64 // windows
}

func newTally(c *checker, space string) *tally {
	key := newKey()
	return &tally{c: c, space: space, want: sums{key: key}, got: sums{key: key}}
}

func (t *tally) follow(r *ledger.Record, _ *ledger.State) { t.expect(r, t.want.add) }

func (t *tally) finish(s *ledger.State) {
	if t.settle != nil {
		t.settle(s)
	}
	t.scan(func(r *row) {
		if t.within(r) {
			t.got.add(r)
		}
	})
	t.differing = t.want.differ(&t.got)
	for _, w := range t.differing {
		t.c.found(t.window(w, "the rows are not those of the log"))
	}
	if t.settled != nil {
		t.settled()
	}
}

func (t *tally) close() error { return nil }

// within refuses rows of entries that there are not.
func (t *tally) within(r *row) bool {
	if r.seq > 0 && r.seq <= t.c.mark.Seq {
		return true
	}
	t.c.found(Finding{Space: t.space, Key: t.name(r), What: fmt.Sprintf("the row is of entry %d, and the index ends with entry %d", r.seq, t.c.mark.Seq)})
	return false
}

func (t *tally) window(w uint64, what string) Finding {
	first := w<<windowBits + 1
	return Finding{Space: t.space, First: first, Last: min(first+windowEntries-1, t.c.mark.Seq), What: what}
}

// eachRow calls f with every row of a keyspace that makes sense.
func eachRow[R any](c *checker, space string, open func() (*index.Cursor[R], error), f func(*R)) {
	cursor, err := open()
	if err != nil {
		c.damage(space, err)
		return
	}
	for n := uint64(1); c.ctx.Err() == nil; n++ {
		r, _ := nextRow(c, space, cursor)
		if r == nil {
			break
		}
		f(r)
		if n%4096 == 0 {
			c.progress("reading "+space, n, 0)
		}
	}
	if err := cursor.Close(); err != nil {
		c.damage(space, err)
	}
}

// suspects are the keyspaces whose sums differ.
func (p *pass) suspects() (all []*tally) {
	for _, t := range p.sums {
		if len(t.differing) > 0 {
			all = append(all, t)
		}
	}
	return all
}

var errEnough = errors.New("the log is read as far as it has to be")

// name reads the log again as far as it must, to say which rows differ in the first window of each keyspace that does.
func (c *checker) name(p *pass) error {
	suspects := p.suspects()
	if len(suspects) == 0 {
		return nil
	}
	last, wanted := uint64(0), make([]map[row]bool, len(suspects))
	for i, t := range suspects {
		wanted[i] = make(map[row]bool)
		last = max(last, t.window(t.differing[0], "").Last)
	}
	state := ledger.New(c.cfg.Log.Params(), store.NewSeed())
	if p.archive != nil {
		state.Attach(p.archive)
	}
	var outcomes []ledger.Applied
	err := c.cfg.Log.Blocks(1, func(index uint64, block []byte) (err error) {
		if outcomes, err = state.Apply(index, block, outcomes[:0]); err != nil {
			return err
		}
		for i, t := range suspects {
			t.expect(state.Last(), func(r *row) {
				if windowOf(r.seq) == t.differing[0] {
					wanted[i][*r] = true
				}
			})
		}
		state.Forget(c.mark.Seq)
		c.progress("naming rows", state.Seq(), last)
		if state.Seq() >= last {
			return errEnough
		}
		return c.ctx.Err()
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	for i, t := range suspects {
		t.compare(wanted[i])
	}
	return c.ctx.Err()
}

// compare names the rows of the first window that differs.
func (t *tally) compare(wanted map[row]bool) {
	found := func(r *row, what string) {
		t.c.found(Finding{Space: t.space, First: r.seq, Last: r.seq, Key: t.name(r), What: what})
	}
	t.scan(func(r *row) {
		switch {
		case r.seq == 0 || windowOf(r.seq) != t.differing[0]:
		case wanted[*r]:
			delete(wanted, *r)
		default:
			found(r, "the row is not the log's")
		}
	})
	left := slices.SortedFunc(maps.Keys(wanted), func(a, b row) int { return cmp.Or(cmp.Compare(a.seq, b.seq), slices.Compare(a.rest[:], b.rest[:])) })
	for i := range left {
		found(&left[i], "the row is missing, or is another")
	}
}
