package ledger

import (
	"encoding/binary"
	"math/bits"
)

// Seed keys the hash tables of one process, so that nobody can choose ids that collide. It never reaches the state's
// bytes: tables are written in the order of their rows.
type Seed [2]uint64

func (s Seed) hash(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^s[0], b^s[1])
	hi, lo = bits.Mul64(hi^s[1], lo^s[0]^0x9e3779b97f4a7c15)
	return hi ^ lo
}

func (s Seed) hashID(id OpID, actor AccountNo) uint64 {
	return s.hash(binary.LittleEndian.Uint64(id[0:8])+uint64(actor), binary.LittleEndian.Uint64(id[8:16]))
}

const indexShards = 256

// index finds rows of a table by a hash of their key: open addressing in shards that grow one at a time, so that no single
// op waits for all of it. A slot holds 32 bits of the hash above the row's number plus one; zero is empty.
type index struct {
	shards [indexShards]shard
}

type shard struct {
	slots []uint64
	used  uint32
}

// find returns the first row with this hash that match accepts.
func (x *index) find(hash uint64, match func(row uint32) bool) (uint32, bool) {
	s := &x.shards[hash>>56]
	if len(s.slots) == 0 {
		return 0, false
	}
	mask := uint32(len(s.slots) - 1)
	for i := uint32(hash) & mask; s.slots[i] != 0; i = (i + 1) & mask {
		slot := s.slots[i]
		if uint32(slot>>32) == uint32(hash) && match(uint32(slot)-1) {
			return uint32(slot) - 1, true
		}
	}
	return 0, false
}

// warm reads the slot at which find begins.
func (x *index) warm(hash uint64) uint32 {
	s := &x.shards[hash>>56]
	if len(s.slots) == 0 {
		return 0
	}
	return uint32(s.slots[uint32(hash)&uint32(len(s.slots)-1)])
}

// add enters a row that find does not find.
func (x *index) add(hash uint64, row uint32) {
	s := &x.shards[hash>>56]
	if 4*int(s.used+1) > 3*len(s.slots) {
		s.grow()
	}
	s.put(hash<<32 | uint64(row+1))
	s.used++
}

func (s *shard) put(slot uint64) {
	mask := uint32(len(s.slots) - 1)
	i := uint32(slot>>32) & mask
	for s.slots[i] != 0 {
		i = (i + 1) & mask
	}
	s.slots[i] = slot
}

func (s *shard) grow() {
	old := s.slots
	s.slots = make([]uint64, max(8, 2*len(old)))
	for _, slot := range old {
		if slot != 0 {
			s.put(slot)
		}
	}
}
