package index

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/ledger/store/space"
)

// step writes one keyspace's rows of a segment, as tables of their own.
type step func(b *build, s *segment) error

// steps are done for every segment, in this order.
func (x *Index) steps() []step {
	return []step{x.buildJournal, x.buildBlocks, x.buildTree, x.buildIDs, x.buildOwned, x.buildLists}
}

// build is the goroutine that makes tables of sealed segments, oldest first.
func (x *Index) build() {
	for {
		s := x.next()
		if s == nil || !x.flush(s) {
			return
		}
	}
}

// next waits for a sealed segment. Nil: there will be none.
func (x *Index) next() *segment {
	x.mu.Lock()
	defer x.mu.Unlock()
	for ; ; x.moved.Wait() {
		asked := x.wanted > x.durable.index && x.wanted <= x.newest.index
		switch {
		case x.failed != nil:
			return nil
		case len(x.sealed) > 0:
			return x.sealed[0]
		case len(x.open.records) > 0 && (x.closing || asked):
			x.sealNow()
			return x.sealed[0]
		case x.closing:
			return nil
		}
	}
}

// flush makes a segment durable, however long a full disk takes, and drops it from memory. False means that the builder ends.
func (x *Index) flush(s *segment) bool {
	err := x.persist(func() error { return x.flushOnce(s) })
	if err != nil {
		x.stop(fmt.Errorf("index: after block %d: %w", s.before.index, err))
		return false
	}
	x.looks.forget() // before anybody is told: what is said to be durable is found
	x.mu.Lock()
	x.sealed = slices.Delete(x.sealed, 0, 1)
	x.durable = s.after
	x.moved.Broadcast()
	x.mu.Unlock()
	x.tree.drop(s.after.blocks)
	if x.opts.Flushed != nil {
		x.opts.Flushed(s.after.index, s.after.seq)
	}
	return true
}

// persist tries again while there is no room, until the index is closed.
func (x *Index) persist(f func() error) error {
	for said := false; ; time.Sleep(backoff) {
		err := f()
		if space.IsFull(err) && !x.ending() {
			if !said {
				x.opts.Logger.Error("no room for the index; trying again", "err", err)
				said = true
			}
			continue
		}
		if said && err == nil {
			x.opts.Logger.Info("the index has room again")
		}
		return err
	}
}

func (x *Index) ending() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.closing || x.failed != nil
}

// stop ends the index with an error. One that is closed without room is only left behind its log, and that is not fatal.
func (x *Index) stop(err error) {
	if !space.IsFull(err) {
		x.fail(err)
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.failed == nil {
		x.failed = err
	}
	x.moved.Broadcast()
}

func (x *Index) flushOnce(s *segment) error {
	if x.opts.Notary != nil && !x.awaitTree(s.after.blocks) {
		return errors.New("the transparency log has ended before it")
	}
	b := x.newBuild()
	for _, step := range x.steps() {
		if err := step(b, s); err != nil {
			return errors.Join(err, b.discard())
		}
	}
	if x.opts.Notary != nil {
		s.after.leaves = s.after.blocks
	}
	b.meta[watermarkKey] = s.after.encode()
	return b.publish()
}
