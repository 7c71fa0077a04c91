package check

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/index"
	"github.com/millrace/millrace/ledger/tlog"
	sumdb "golang.org/x/mod/sumdb/tlog"
)

// blocks compares each block's row, with the leaf in it, and the hashes over the leaves.
type blocks struct {
	c      *checker
	lane   *lane[index.Block]
	hashes *lane[index.Hash]
	number uint64         // of the next block
	stored int64          // number of the next stored hash
	left   [64]sumdb.Hash // of each level, the last hash that was a left child
	lost   bool           // a leaf is missing, and nobody can say what it was
}

func newBlocks(c *checker) (*blocks, error) {
	b := &blocks{c: c}
	cursor, err := c.rows.Blocks()
	if b.lane, err = newLane(c, "blocks", cursor, err); err != nil {
		return nil, err
	}
	hashes, err := c.rows.Hashes()
	if b.hashes, err = newLane(c, "tree", hashes, err); err != nil {
		return nil, errors.Join(err, b.lane.close())
	}
	return b, nil
}

func (b *blocks) follow(r *ledger.Record, _ *ledger.State) {
	var leaf []byte
	if row := b.row(r); row != nil {
		leaf = row.Leaf
	}
	b.leaf(r, leaf)
	if b.lane.row != nil && b.lane.row.Index == r.Index {
		b.lane.next()
	}
	b.number++
}

// row compares the row of a block, and returns it.
func (b *blocks) row(r *ledger.Record) *index.Block {
	row := b.lane.at(r.Index, func(row *index.Block) uint64 { return row.Index })
	if b.lane.broken {
		return nil
	}
	wrong := ""
	switch {
	case row == nil:
		wrong = "missing"
	case row.Number != b.number:
		wrong = fmt.Sprintf("number %d, and it is %d", row.Number, b.number)
	case row.First != r.First || row.Entries != uint64(r.Entries):
		wrong = fmt.Sprintf("%d entries from %d on, and there are %d from %d on", row.Entries, row.First, r.Entries, r.First)
	case row.Time != r.Time:
		wrong = fmt.Sprintf("time %d, and it is %d", row.Time, r.Time)
	case row.Head != r.Head:
		wrong = fmt.Sprintf("head %x, and it is %x", row.Head, r.Head)
	}
	if wrong != "" {
		b.found("blocks", r, wrong)
	}
	return row
}

func (b *blocks) found(space string, r *ledger.Record, what string) {
	f := Finding{Space: space, Key: fmt.Sprintf("block %d", r.Index), What: what}
	if r.Entries > 0 {
		f.First, f.Last = r.First, r.Last()
	}
	b.c.found(f)
}

// leaf compares what stands in a block's row as its leaf, and the hashes that it adds to the tree.
func (b *blocks) leaf(r *ledger.Record, leaf []byte) {
	if b.c.mark.Leaves == 0 {
		if len(leaf) > 0 {
			b.found("tree", r, "a leaf, and the index has no transparency log")
		}
		return
	}
	switch notary := b.c.cfg.Notary; {
	case notary != nil:
		want := notary(r)
		if !bytes.Equal(leaf, want) && !b.lane.broken {
			b.found("tree", r, "the leaf is not the block's")
		}
		leaf = want
	case leaf == nil:
		b.lost = true // the row is missing, which was found
	default:
		if wrong := misfit(r, leaf); wrong != "" {
			b.found("tree", r, wrong)
		}
	}
	if !b.lost && !b.hashes.broken {
		b.hash(r, leaf)
	}
}

// misfit says what in a leaf is not the block's, but for its root, which depends on a secret.
func misfit(r *ledger.Record, leaf []byte) string {
	l, err := tlog.DecodeLeaf(leaf)
	switch {
	case err != nil:
		return err.Error()
	case l.Index != r.Index || l.Time != r.Time || l.First != r.First || int(l.Entries) != r.Entries || l.Head != tlog.Hash(r.Head):
		return "the leaf is not the block's"
	}
	return ""
}

// hash compares the hashes that a leaf adds: its own, and one for each subtree that it completes.
func (b *blocks) hash(r *ledger.Record, leaf []byte) {
	h, n := sumdb.RecordHash(leaf), b.number
	for level := 0; ; level++ {
		row := b.hashes.at(uint64(b.stored), func(row *index.Hash) uint64 { return uint64(row.Number) })
		switch {
		case b.hashes.broken:
			return
		case row == nil:
			b.found("tree", r, fmt.Sprintf("hash %d of the tree is missing", b.stored))
		case row.Hash != h:
			b.found("tree", r, fmt.Sprintf("hash %d of the tree is %v, and it should be %v", b.stored, row.Hash, h))
		}
		if row != nil {
			b.hashes.next()
		}
		b.stored++
		if n>>level&1 == 0 {
			b.left[level] = h
			return
		}
		h = sumdb.NodeHash(b.left[level], h)
	}
}

func (b *blocks) finish(*ledger.State) {
	b.lane.rest()
	if !b.lost {
		b.hashes.rest()
	}
}

func (b *blocks) close() error {
	return errors.Join(b.hashes.close(), b.lane.close())
}
