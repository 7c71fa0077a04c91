package ledger

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"hash"
)

// chain is the running SHA-256 over all entries: for each applied op its bytes as they stand in a block and, before the
// first op at a new time, a zero byte and that time (uint64, little-endian). The value after a block is the ledger's head.
// Refused ops and the cuts between blocks leave no trace in it, so two ledgers with one head hold the same history.
type chain struct {
	sha  hash.Hash
	time uint64 // the last one written
	tick [9]byte
}

func newChain(p Params) chain {
	c := chain{sha: sha256.New()}
	c.sha.Write(append([]byte("millrace ledger 2\n"), p.Encode()...))
	return c
}

// write adds entries that were applied at one time, in order.
func (c *chain) write(entries []byte, time uint64) {
	if len(entries) == 0 {
		return
	}
	if time != c.time {
		binary.LittleEndian.PutUint64(c.tick[1:], time)
		c.sha.Write(c.tick[:])
		c.time = time
	}
	c.sha.Write(entries)
}

func (c *chain) sum() (head [32]byte) {
	c.sumTo(&head)
	return head
}

// sumTo is sum without an allocation, when the head lies on the heap already.
func (c *chain) sumTo(head *[32]byte) { c.sha.Sum(head[:0]) }

// save and load carry the hash's inner state over a restart. Its form is the standard library's; should another release
// of Go not know it, load fails, and the ledger is replayed from an older snapshot or from its first block.
func (c *chain) save() []byte {
	b, err := c.sha.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		panic("sha256 state: " + err.Error()) // documented not to happen
	}
	return b
}

func (c *chain) load(state []byte) error {
	return c.sha.(encoding.BinaryUnmarshaler).UnmarshalBinary(state)
}
