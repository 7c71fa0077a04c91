package check

import (
	"errors"
	"fmt"
	"io"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
)

// follower compares something with what each block did, up to the index's watermark.
type follower interface {
	follow(r *ledger.Record, s *ledger.State)
	// finish is called when the replay is at the watermark.
	finish(s *ledger.State)
	close() error
}

// pass is one replay of the log: a store.Machine.
type pass struct {
	c         *checker
	state     *ledger.State
	outcomes  []ledger.Applied
	archive   *witness // nil: the ledger remembers everything itself
	followers []follower
	sums      []*tally
	finished  bool  // at the watermark
	err       error // the context's
}

// witness is the index as the ledger's archive, and knows whether it was asked.
type witness struct {
	ledger.Archive
	asked uint64
}

// ID is for ledger.Archive.
func (w *witness) ID(id ledger.OpID, actor ledger.AccountNo) (ledger.Remembered, bool, error) {
	w.asked++
	return w.Archive.ID(id, actor)
}

// Owned is for ledger.Archive.
func (w *witness) Owned(account ledger.AccountNo, content, unit uint32) (ledger.Owned, bool, error) {
	w.asked++
	return w.Archive.Owned(account, content, unit)
}

// replay takes the log through a fresh ledger, with everybody who compares beside it.
func (c *checker) replay(archived bool) (p *pass, err error) {
	p = &pass{c: c, state: ledger.New(c.cfg.Log.Params(), store.NewSeed())}
	if archived {
		p.archive = &witness{Archive: c.rows}
		p.state.Attach(p.archive)
	}
	if c.rows != nil {
		p.follow()
	}
	defer func() {
		for _, f := range p.followers {
			err = errors.Join(err, f.close())
		}
	}()
	failed := c.cfg.Log.Start(c.ctx, p, nil)
	if c.ctx.Err() != nil {
		return p, c.ctx.Err()
	}
	if failed != nil && p.archive != nil && p.archive.asked > 0 {
		return c.replay(false) // which of the two is wrong: the log, or what the index said?
	}
	c.report.Entries, c.report.Compared = p.state.Seq(), min(p.state.Seq(), c.mark.Seq)
	switch {
	case failed != nil && !errors.Is(failed, store.ErrCorrupt):
		return p, failed
	case failed != nil:
		c.found(Finding{Space: "log", First: p.state.Seq() + 1, What: failed.Error()})
		return p, nil
	}
	if c.rows != nil && !p.finished && c.mark.Index > 0 {
		c.found(Finding{Space: "index", What: fmt.Sprintf("its watermark is block %d, which the log does not have", c.mark.Index)})
	}
	if err := p.state.Audit(); err != nil {
		c.damage("balances", err)
	}
	return p, nil
}

// Apply is for store.Machine.
func (p *pass) Apply(index uint64, block []byte) error {
	if p.err = p.c.ctx.Err(); p.err != nil {
		return p.err
	}
	var err error
	if p.outcomes, err = p.state.Apply(index, block, p.outcomes[:0]); err != nil {
		return err
	}
	p.c.report.Blocks = max(p.c.report.Blocks, index)
	mark := &p.c.mark
	if index <= mark.Index {
		for _, f := range p.followers {
			f.follow(p.state.Last(), p.state)
		}
	}
	if index == mark.Index {
		p.finished = true
		for _, f := range p.followers {
			f.finish(p.state)
		}
	}
	if p.archive != nil {
		p.state.Forget(mark.Seq) // what the index has need not lie in memory
	}
	p.c.progress("replaying the log", p.state.Seq(), mark.Seq)
	return nil
}

// Snapshot is of no use here, but a machine has one.
func (p *pass) Snapshot() *ledger.View { return p.state.View() }

// Restore is not called: there are no checkpoints.
func (p *pass) Restore(uint64, io.Reader) error {
	return errors.New("a check begins with the first block")
}

// follow opens everything that is to be compared.
func (p *pass) follow() {
	c := p.c
	if c.mark.Index == 0 {
		return
	}
	p.add(newMarks(c))
	p.add(newJournal(c))
	p.add(newBlocks(c))
	p.add(newParts(c))
	for _, make := range []func(*checker) (*tally, error){newIDs, newEntitlements, newHistories} {
		s, err := make(c)
		if err == nil {
			p.sums = append(p.sums, s)
		}
		p.add(s, err)
	}
}

func (p *pass) add(f follower, err error) {
	if err != nil {
		p.c.damage("index", err)
		return
	}
	p.followers = append(p.followers, f)
}
