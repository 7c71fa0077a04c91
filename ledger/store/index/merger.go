package index

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/millrace/millrace/ledger/store/space"
)

// mergeEras is the goroutine that makes one era of many, the lowest level first.
func (x *Index) mergeEras() {
	for {
		group := x.awaitGroup()
		if group == nil {
			return
		}
		switch err := x.mergeGroup(group); {
		case err == nil:
		case errors.Is(err, ErrClosed) || space.IsFull(err): // then it is closed, too; nothing has changed
			return
		default:
			x.fail(fmt.Errorf("index: merging lists: %w", err))
			return
		}
	}
}

// awaitGroup waits for eras to merge. Nil: the index stops.
func (x *Index) awaitGroup() []era {
	x.mu.Lock()
	defer x.mu.Unlock()
	for ; !x.closing && x.failed == nil; x.moved.Wait() {
		if group := x.lists.eras.group(x.lists.fanIn, maxLevel); group != nil {
			return group
		}
	}
	return nil
}

// group is the first run of eras of one level below the given one that is long enough to be merged, of the lowest such level.
func (e *eras) group(fanIn int, below uint32) (found []era) {
	for i := 0; i+fanIn <= len(e.list); i++ {
		run := e.list[i : i+fanIn]
		alike := true
		for _, a := range run {
			alike = alike && a.level == run[0].level
		}
		if alike && run[0].level < below {
			found, below = run, run[0].level
		}
	}
	return found
}

// mergeGroup replaces eras by one. Until that is published, in one step, readers and a crash find the old ones; after it, what
// is left of them is dropped, now or on the next Open.
func (x *Index) mergeGroup(group []era) error {
	if err := x.persist(func() error { return x.mergeOnce(group) }); err != nil {
		return err
	}
	for _, old := range group {
		if err := x.persist(func() error { return x.drop(eraKeys(old.no)) }); err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) mergeOnce(group []era) error {
	e := era{no: x.nextEra(), level: group[0].level + 1, first: group[0].first, last: group[len(group)-1].last}
	b := x.newBuild()
	if err := x.writeMerged(b, group, e); err != nil {
		return errors.Join(err, b.discard())
	}
	x.replaceEras(b, group, e)
	return b.publish()
}

func (x *Index) writeMerged(b *build, group []era, e era) (err error) {
	var sources []*source
	for _, old := range group {
		lower, upper := eraKeys(old.no)
		it, err := x.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		if err != nil {
			return readError(err, "era %d", old.no)
		}
		defer it.Close()
		sources = append(sources, &source{sheets: eraSheets(it)})
	}
	t := b.table(false)
	defer t.closeOn(&err)
	p := pacer{x: x, level: group[0].level, since: time.Now()}
	return merge(sources, binder{era: e.no, base: e.first, set: func(key, value []byte) error {
		if err := p.sheet(); err != nil {
			return err
		}
		return t.set(key, value)
	}})
}

// eraSheets reads the sheets of an era one after the other.
func eraSheets(it *pebble.Iterator) func() (byte, []byte, error) {
	next := it.First
	return func() (byte, []byte, error) {
		if !next() {
			if err := it.Error(); err != nil {
				return 0, nil, readError(err, "an era")
			}
			return 0, nil, nil
		}
		next = it.Next
		l, _, err := parseSheetKey(it.Key())
		if err != nil {
			return 0, nil, err
		}
		sheet, err := it.ValueAndErr()
		if err != nil {
			return 0, nil, readError(err, "list %d", l.no)
		}
		return l.of, sheet, nil
	}
}

// pacer keeps a long merge from standing in the way of anything else.
type pacer struct {
	x      *Index
	level  uint32 // of the eras being merged
	sheets int
	since  time.Time // when it worked last
}

// breather is how many sheets are written before the pacer looks around: a megabyte, some milliseconds of work.
const breather = 256

// sheet is called for every sheet. Now and then it stops a merge when the index stops, does what has become due at lower levels,
// so that the number of eras stays bounded however long the merge takes, and rests as long as the merge has worked, unless the
// builder would have to wait for it soon.
func (p *pacer) sheet() error {
	if p.sheets++; p.sheets%breather != 0 {
		return nil
	}
	x := p.x
	worked := time.Since(p.since)
	for {
		x.mu.Lock()
		stopped, behind := x.closing || x.failed != nil, x.lists.eras.waiting() >= maxWaiting/2*x.lists.fanIn
		group := x.lists.eras.group(x.lists.fanIn, p.level)
		x.mu.Unlock()
		switch {
		case stopped:
			return ErrClosed
		case group == nil && !behind:
			time.Sleep(min(worked, 20*time.Millisecond))
		}
		if group == nil {
			p.since = time.Now()
			return nil
		}
		if err := x.mergeGroup(group); err != nil {
			return err
		}
	}
}
