package tlog

import (
	"crypto/sha256"
	"fmt"

	"github.com/millrace/millrace/ledger"
)

// Width is the number of children of a node of the inner tree. Wide nodes make it cheap: one hash for 16 children costs a
// quarter of 15 hashes for two. A path is longer for it: 15 hashes a level.
const Width = 16

// maxDepth is enough for the 2^32-1 entries that a block leaf can count.
const maxDepth = 8

const hashSize = sha256.Size

// Tree computes the inner tree of one block after another: over its entries in order, in nodes of Width children, each level
// over the one below, until one is left. A node is SHA-256(0x03, children); the last one of a level may have fewer than Width
// and is hashed all the same. The root of a single entry is its leaf, that of no entries zeros.
//
// The root alone does not bind the shape, so nobody may check against the root alone: the number of entries stands beside it
// in the block leaf. It fixes how many levels there are and how many children each node has, therefore every hash on the way
// has one possible length and meaning, and two lists of entries with one root and one number would be a collision of SHA-256.
// The prefixes keep leaves and nodes apart on top of that.
//
// A Tree is used by one goroutine. It allocates for a block, not for an entry.
type Tree struct {
	salts  salts
	hash   compressor
	entry  [1 + len(Salt{}) + MaxEntry + 2*sha256.BlockSize]byte
	groups [maxDepth + 1]group
	leaf   Leaf

	proving  bool // of the entry at the position
	position uint64
	proof    EntryProof
}

// group holds the children of a node that are there by now, as they are hashed.
type group struct {
	buf  [(1 + Width*hashSize + 9 + 63) / 64 * 64]byte
	size int    // children
	done uint64 // nodes of this level that are whole
}

// EntryProof is what it takes to compute a block's root from one of its entries.
type EntryProof struct {
	Salt Salt
	Path []Hash // for each level from the entries up, the node's other children in order
}

// NewTree returns a Tree that makes its salts of the secret.
func NewTree(s Secret) *Tree {
	return &Tree{salts: salts{cipher: newCipher(s)}, hash: newCompressor()}
}

// Record returns the leaf of a block in the outer tree.
func (t *Tree) Record(r *ledger.Record) Leaf {
	t.Start(Leaf{Index: r.Index, Time: r.Time, First: r.First, Head: r.Head})
	e := ledger.Entry{Time: r.Time}
	for i := 0; i < len(r.Legs); {
		l := &r.Legs[i]
		next := i + 1
		for next < len(r.Legs) && r.Legs[next].Entry == l.Entry {
			next++
		}
		e.Seq, e.Kind, e.Legs = r.First+uint64(l.Entry), l.Kind, r.Legs[i:next]
		if l.Kind != ledger.OpAdvance || e.ID != (ledger.OpID{}) { // most are advances, which have none
			e.ID = r.ID(l)
		}
		t.Add(&e)
		i = next
	}
	return t.Finish()
}

// Start begins a block. Of the leaf, the number of entries and the root are for Finish to fill in.
func (t *Tree) Start(l Leaf) {
	l.Entries, l.Root = 0, Hash{}
	t.leaf = l
	t.proving = false
	t.salts.reset(l.Index)
	for i := range t.groups {
		t.groups[i].size, t.groups[i].done = 0, 0
	}
}

// Prove says, after Start, that a proof of the entry with a seq is wanted. Proof has it after Finish.
func (t *Tree) Prove(seq uint64) {
	t.proving, t.position, t.proof = true, seq-t.leaf.First, EntryProof{}
}

// Add adds the block's next entry, of 1 to MaxLegs legs. Their Entry and At, and the entry's Index, mean nothing here.
func (t *Tree) Add(e *ledger.Entry) {
	if len(e.Legs) > MaxLegs {
		panic(fmt.Sprintf("tlog: an entry of %d legs", len(e.Legs))) // the ledger makes none
	}
	salt := t.salts.next()
	if t.proving && uint64(t.leaf.Entries) == t.position {
		t.proof.Salt = Salt(salt)
	}
	t.entry[0] = prefixEntry
	copy(t.entry[1:], salt)
	n := len(AppendEntry(t.entry[:1+len(Salt{})], e))
	t.hash.sum(t.groups[0].slot(), t.entry[:], n)
	t.leaf.Entries++
	t.grow(0)
}

// slot is where the next child goes.
func (g *group) slot() []byte {
	at := 1 + g.size*hashSize
	return g.buf[at : at+hashSize]
}

// grow counts a child that was written to its slot, and closes what is full.
func (t *Tree) grow(level int) {
	for ; ; level++ {
		g := &t.groups[level]
		if g.size++; g.size < Width {
			return
		}
		t.close(level)
	}
}

// close hashes the node that a level's children make, into the next level's slot.
func (t *Tree) close(level int) {
	g := &t.groups[level]
	if here := t.position >> (4 * level); t.proving && here/Width == g.done {
		for i := range g.size {
			if uint64(i) != here%Width {
				t.proof.Path = append(t.proof.Path, Hash(g.buf[1+i*hashSize:]))
			}
		}
	}
	g.buf[0] = prefixInner
	t.hash.sum(t.groups[level+1].slot(), g.buf[:], 1+g.size*hashSize)
	g.size = 0
	g.done++
}

// Finish returns the leaf of the block that was started.
func (t *Tree) Finish() Leaf {
	if t.leaf.Entries == 0 {
		return t.leaf
	}
	level := 0
	for nodes := uint64(t.leaf.Entries); nodes > 1; nodes = (nodes + Width - 1) / Width {
		if t.groups[level].size > 0 {
			t.close(level)
			t.grow(level + 1)
		}
		level++
	}
	t.leaf.Root = Hash(t.groups[level].buf[1:])
	return t.leaf
}

// Proof is that of the entry that Prove named, after Finish.
func (t *Tree) Proof() (EntryProof, error) {
	if !t.proving || t.position >= uint64(t.leaf.Entries) {
		return EntryProof{}, fmt.Errorf("block %d has the entries %d to %d: the seq asked for is not one of them",
			t.leaf.Index, t.leaf.First, t.leaf.First+uint64(t.leaf.Entries)-1)
	}
	return t.proof, nil
}

// siblings calls f for each level of a tree over n entries with the number of the other children of the node above the entry
// at a position, and with its place among them.
func siblings(n, position uint64, f func(others, place int)) {
	for ; n > 1; n, position = (n+Width-1)/Width, position/Width {
		first := position / Width * Width
		f(int(min(n-first, Width))-1, int(position-first))
	}
}

// root is that of a tree over n entries in which the leaf stands at the position.
func (p *EntryProof) root(leaf Hash, n, position uint64) (Hash, error) {
	want := 0
	siblings(n, position, func(others, _ int) { want += others })
	if position >= n || len(p.Path) != want {
		return Hash{}, fmt.Errorf("%w: path of %d hashes for entry %d of %d in its block, want %d", ErrProof, len(p.Path), position, n, want)
	}
	at := 0
	siblings(n, position, func(others, place int) {
		b := append(make([]byte, 0, 1+Width*hashSize), prefixInner)
		for i := range others + 1 {
			h := leaf
			if i != place {
				h = p.Path[at]
				at++
			}
			b = append(b, h[:]...)
		}
		leaf = sha256.Sum256(b)
	})
	return leaf, nil
}
