package tlog

import (
	"crypto/sha256"
	"fmt"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/tlog/sha256x2"
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
// Hashes are made two at a time, which takes hardly longer than one: see sha256x2. So entries wait until their node is full, as
// long as they take as many blocks of SHA-256, and nodes wait for the one beside them.
//
// A Tree is used by one goroutine. It allocates for a block, not for an entry.
type Tree struct {
	salts  salts
	hash   sha256x2.Hasher
	run    run
	levels [maxDepth + 1]level
	leaf   Leaf

	proving  bool // of the entry at the position
	position uint64
	proof    EntryProof
}

// run is the entries that are not hashed yet, one behind the other as they are hashed. They are children of one node.
type run struct {
	buf  [Width * entryRoom]byte
	used int // of buf
	room int // that each takes
}

// level is the children of two nodes that stand beside each other, or of as much of them as there is by now. They lie as they
// are hashed: behind each prefix the children, and then room for the padding.
type level struct {
	nodes [2 * nodeRoom]byte
	count int    // children
	done  uint64 // children of the nodes before, which are hashed
}

// What is hashed has these sizes: an entry stands behind its prefix and its salt, and takes most room with all of its legs; most
// entries have one leg and no id, and fit one block of SHA-256; a node has up to Width children.
const (
	entryAt   = 1 + len(Salt{})
	entryRoom = (entryAt + MaxEntry + padding) / sha256.BlockSize * sha256.BlockSize
	shortSize = entryAt + entryHead + legSize
	shortRoom = sha256.BlockSize
	nodeRoom  = (1 + Width*hashSize + padding) / sha256.BlockSize * sha256.BlockSize

	padding = 9 + sha256.BlockSize - 1 // at most, as in sha256x2.Room
)

// EntryProof is what it takes to compute a block's root from one of its entries.
type EntryProof struct {
	Salt Salt
	Path []Hash // for each level from the entries up, the node's other children in order
}

// NewTree returns a Tree that makes its salts of the secret.
func NewTree(s Secret) *Tree {
	return &Tree{salts: salts{cipher: newCipher(s)}, hash: sha256x2.New()}
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
	t.run.used = 0
	for i := range t.levels {
		t.levels[i].count, t.levels[i].done = 0, 0
	}
}

// Prove says, after Start, that a proof of the entry with a seq is wanted. Proof has it after Finish.
func (t *Tree) Prove(seq uint64) {
	t.proving, t.position = true, seq-t.leaf.First
	t.proof = EntryProof{Salt: t.salts.of(t.leaf.Index, t.position)}
}

// Add adds the block's next entry, of 1 to MaxLegs legs. Their Entry and At, and the entry's Index, mean nothing here.
func (t *Tree) Add(e *ledger.Entry) {
	if len(e.Legs) > MaxLegs {
		panic(fmt.Sprintf("tlog: an entry of %d legs", len(e.Legs))) // the ledger makes none
	}
	size := entryAt + entrySize(e)
	room := sha256x2.Room(size)
	if t.run.room != room {
		t.hashRun()
		t.run.room = room
	}
	if size == shortSize { // as below, but the places of all parts are constants, which saves 3 ns of 41
		b := (*[shortRoom]byte)(t.run.next(shortRoom))
		putSalt(b[:], t.salts.next())
		putHead((*[entryHead]byte)(b[entryAt:]), e, 1)
		putLeg((*[legSize]byte)(b[entryAt+entryHead:]), &e.Legs[0])
		sha256x2.Pad(b[:], shortSize)
	} else {
		b := t.run.next(room)[:room]
		putSalt(b, t.salts.next())
		putEntry(b[entryAt:], e)
		sha256x2.Pad(b, size)
	}
	t.leaf.Entries++
	if t.leaf.Entries%Width == 0 {
		t.hashRun()
	}
}

// next is where the next entry goes.
func (r *run) next(room int) []byte {
	at := r.used
	r.used += room
	return r.buf[at:]
}

func putSalt(b []byte, s *Salt) {
	b[0] = prefixEntry
	*(*Salt)(b[1:]) = *s
}

// hashRun makes leaves of the entries that wait.
func (t *Tree) hashRun() {
	n := t.hash.Sum(t.levels[0].next(), t.run.buf[:t.run.used], t.run.room)
	t.run.used = 0
	t.grow(0, n)
}

// next is where the next children go: those of one node, or of two that are whole.
func (l *level) next() []byte { return l.from(l.count) }

// from is the child with that number and what lies behind it.
func (l *level) from(i int) []byte { return l.nodes[i/Width*nodeRoom+1+i%Width*hashSize:] }

// grow counts children that were written to their places, and hashes both nodes when they are whole.
func (t *Tree) grow(level, n int) {
	l := &t.levels[level]
	if l.count += n; l.count == 2*Width {
		t.close(level)
	}
}

// close hashes the nodes that a level's children make: those that are whole together, then the block's last, which may be not.
func (t *Tree) close(level int) {
	if t.proving {
		t.addPath(level)
	}
	l, above := &t.levels[level], &t.levels[level+1]
	whole, rest := l.count/Width, l.count%Width
	l.done += uint64(l.count)
	l.count = 0
	for i := range whole {
		l.node(i, Width)
	}
	t.grow(level+1, t.hash.Sum(above.next(), l.nodes[:whole*nodeRoom], nodeRoom))
	if rest > 0 {
		last := l.node(whole, rest)
		t.grow(level+1, t.hash.Sum(above.next(), last, len(last)))
	}
}

// node makes the i-th of a level's nodes ready to be hashed, with so many children.
func (l *level) node(i, children int) []byte {
	size := 1 + children*hashSize
	b := l.nodes[i*nodeRoom:][:sha256x2.Room(size)]
	b[0] = prefixInner
	sha256x2.Pad(b, size)
	return b
}

// addPath adds the other children of the node above the entry to the proof, if that is one of the nodes that a level has now.
func (t *Tree) addPath(level int) {
	l := &t.levels[level]
	place := t.position>>(4*level) - l.done
	if place >= uint64(l.count) { // or before them
		return
	}
	first := int(place) / Width * Width
	for i := first; i < min(first+Width, l.count); i++ {
		if i != int(place) {
			t.proof.Path = append(t.proof.Path, Hash(l.from(i)))
		}
	}
}

// Finish returns the leaf of the block that was started.
func (t *Tree) Finish() Leaf {
	if t.leaf.Entries == 0 {
		return t.leaf
	}
	t.hashRun()
	level := 0
	for nodes := uint64(t.leaf.Entries); nodes > 1; nodes = (nodes + Width - 1) / Width {
		if t.levels[level].count > 0 {
			t.close(level)
		}
		level++
	}
	t.leaf.Root = Hash(t.levels[level].from(0))
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
