package index

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// step writes one keyspace's rows of a segment, as tables of their own.
type step func(b *build, s *segment) error

// steps are done for every segment, in this order.
func (x *Index) steps() []step {
	return []step{x.buildJournal, x.buildBlocks, x.buildTree, x.buildIDs, x.buildOwned, x.buildState}
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
			x.sealNow(nil)
			return x.sealed[0]
		case x.closing:
			return nil
		}
	}
}

// flush makes a segment durable, however long a full disk takes, and drops it from memory. False means that the builder ends.
func (x *Index) flush(s *segment) bool {
	said := false
	for {
		err := x.flushOnce(s)
		if err == nil {
			break
		}
		err = fmt.Errorf("index: after block %d: %w", s.before.index, err)
		if !noRoom(err) {
			x.fail(err)
			return false
		}
		if !said {
			x.opts.Logger.Error("no room for the index; trying again", "err", err)
			said = true
		}
		time.Sleep(backoff)
		if x.giveUp(err) {
			return false
		}
	}
	if said {
		x.opts.Logger.Info("the index has room again")
	}
	x.mu.Lock()
	x.sealed = slices.Delete(x.sealed, 0, 1)
	x.durable = s.after
	x.moved.Broadcast()
	x.mu.Unlock()
	x.tree.drop(s.after.blocks)
	x.expire(s)
	if x.opts.Flushed != nil {
		x.opts.Flushed(s.after.index, s.after.seq)
	}
	return true
}

// giveUp says whether the builder must end although segments are left: what they hold is in the log.
func (x *Index) giveUp(err error) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closing && x.failed == nil {
		x.failed = err
		x.moved.Broadcast()
	}
	return x.failed != nil
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
