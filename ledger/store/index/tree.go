package index

import (
	"encoding/binary"
	"fmt"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// tree is the part of the transparency log that is in memory alone: the leaves and hashes of blocks not yet durable.
type tree struct {
	mu     sync.RWMutex
	base   uint64 // blocks whose leaves and hashes are in the database
	leaves []leaf
	hashes []tlog.Hash // from the stored hash with the number of base on
}

type leaf struct {
	index uint64 // of the block
	data  []byte
	end   int // where its stored hashes end in tree.hashes
}

// load begins behind what is in the database.
func (t *tree) load(leaves uint64) { t.base = leaves }

func (t *tree) size() uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.base + uint64(len(t.leaves))
}

func (t *tree) add(l leaf, hashes []tlog.Hash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hashes = append(t.hashes, hashes...)
	l.end = len(t.hashes)
	t.leaves = append(t.leaves, l)
}

// leafOf is the leaf of a block by its number, or nil when it is not in memory.
func (t *tree) leafOf(number uint64) []byte {
	l, _ := t.leaf(number)
	return l.data
}

func (t *tree) leaf(number uint64) (leaf, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if number < t.base || number-t.base >= uint64(len(t.leaves)) {
		return leaf{}, false
	}
	return t.leaves[number-t.base], true
}

// hash is a stored hash, when it is in memory.
func (t *tree) hash(n int64) (tlog.Hash, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	first := tlog.StoredHashCount(int64(t.base))
	if n < first || n-first >= int64(len(t.hashes)) {
		return tlog.Hash{}, false
	}
	return t.hashes[n-first], true
}

// drop forgets what has become durable: the blocks with smaller numbers.
func (t *tree) drop(blocks uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.leaves) == 0 || blocks <= t.base {
		return
	}
	n := blocks - t.base
	end := t.leaves[n-1].end
	t.hashes = append([]tlog.Hash(nil), t.hashes[end:]...)
	t.leaves = append([]leaf(nil), t.leaves[n:]...)
	for i := range t.leaves {
		t.leaves[i].end -= end
	}
	t.base = blocks
}

// notarise is the goroutine that gives every block its leaf.
func (x *Index) notarise() {
	reader := tlog.HashReaderFunc(x.ReadHashes)
	for {
		records := x.unnotarised(x.tree.size())
		if records == nil {
			return
		}
		for _, r := range records {
			l := leaf{index: r.Index, data: x.opts.Notary(&r.Record)}
			hashes, err := tlog.StoredHashes(int64(r.number), l.data, reader)
			if err != nil {
				x.fail(fmt.Errorf("index: hashing block %d: %w", r.Index, err))
				return
			}
			x.tree.add(l, hashes)
		}
		x.mu.Lock()
		x.moved.Broadcast()
		x.mu.Unlock()
	}
}

// unnotarised waits for records from a number on. Nil: there will be none.
func (x *Index) unnotarised(number uint64) []*record {
	x.mu.Lock()
	defer x.mu.Unlock()
	for x.newest.blocks <= number {
		if x.closing || x.failed != nil {
			return nil
		}
		x.moved.Wait()
	}
	if x.failed != nil {
		return nil
	}
	for _, s := range append(x.sealed[:len(x.sealed):len(x.sealed)], x.open) {
		if number < s.after.blocks {
			return s.records[number-s.before.blocks : len(s.records) : len(s.records)]
		}
	}
	return nil
}

// awaitTree waits until the transparency log has as many blocks. False means that it never will.
func (x *Index) awaitTree(blocks uint64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for x.tree.size() < blocks {
		if x.failed != nil {
			return false
		}
		x.moved.Wait()
	}
	return true
}

func hashKey(n int64) []byte { return binary.BigEndian.AppendUint64([]byte{'t'}, uint64(n)) }

// buildTree writes the hashes that a segment's blocks add to the tree.
func (x *Index) buildTree(b *build, s *segment) (err error) {
	if x.opts.Notary == nil {
		return nil
	}
	t := b.table(false)
	defer t.closeOn(&err)
	for n := tlog.StoredHashCount(int64(s.before.blocks)); n < tlog.StoredHashCount(int64(s.after.blocks)); n++ {
		h, ok := x.tree.hash(n)
		if !ok {
			return fmt.Errorf("hash %d of the transparency log is not in memory", n)
		}
		if err := t.set(hashKey(n), h[:]); err != nil {
			return err
		}
	}
	return nil
}

// TreeSize is the number of blocks in the transparency log. Block n of it, from zero, is the n-th block of the log.
func (x *Index) TreeSize() int64 { return int64(x.tree.size()) }

// ReadHashes returns stored hashes of the transparency log by their numbers: see tlog.StoredHashIndex. It is a tlog.HashReader.
func (x *Index) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, n := range indexes {
		h, ok := x.tree.hash(n)
		if !ok {
			b, found, err := x.get(hashKey(n))
			switch {
			case err != nil:
				return nil, err
			case !found:
				return nil, fmt.Errorf("%w: hash %d of the transparency log", ErrNone, n)
			case len(b) != tlog.HashSize:
				return nil, corrupt("hash %d of the transparency log has %d bytes", n, len(b))
			}
			h = tlog.Hash(b)
		}
		hashes[i] = h
	}
	return hashes, nil
}

// Leaf returns the leaf of block n of the transparency log, and the block's index in the log. The bytes must not be changed.
func (x *Index) Leaf(n int64) (data []byte, index uint64, err error) {
	if n < 0 || n >= x.TreeSize() {
		return nil, 0, fmt.Errorf("%w: leaf %d of the transparency log", ErrNone, n)
	}
	if l, ok := x.tree.leaf(uint64(n)); ok {
		return l.data, l.index, nil
	}
	if r, err := x.block(uint64(n) + 1); err == nil && r.number == uint64(n) { // no index is left out
		return r.leaf, r.index, nil
	}
	r, err := x.lastBlock(func(r *blockRow) bool { return r.number <= uint64(n) })
	if err == nil && r.number != uint64(n) {
		err = corrupt("block %d of the transparency log is missing", n)
	}
	return r.leaf, r.index, err
}
