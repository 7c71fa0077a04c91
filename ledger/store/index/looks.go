package index

import (
	"bytes"
	"hash/maphash"
	"sync/atomic"
)

// looks remembers the last lookups of the archive. Each is asked for three times in a row: before an op is queued, so that nobody
// has to wait for the disk, when it is checked, and when it is applied. What is found in memory takes a tenth of a lookup.
type looks struct {
	seed  maphash.Seed
	built atomic.Uint64 // counts what became durable: a look from before may have missed it
	slots [lookSlots]atomic.Pointer[look]
}

// lookSlots is more than the ops on their way to a block, so that few push each other out: 65,536, each of some 100 bytes.
const lookSlots = 1 << 16

type look struct {
	key   []byte
	built uint64
	value []byte // nil: there is no such row
}

func (l *looks) slot(key []byte) *atomic.Pointer[look] {
	return &l.slots[maphash.Bytes(l.seed, key)%lookSlots]
}

// find returns what a look for the key found since anything became durable.
func (l *looks) find(key []byte) (value []byte, ok bool) {
	p := l.slot(key).Load()
	if p == nil || p.built != l.built.Load() || !bytes.Equal(p.key, key) {
		return nil, false
	}
	return p.value, true
}

// keep remembers a look that began when built was read. Key and value are kept.
func (l *looks) keep(key []byte, built uint64, value []byte) {
	l.slot(key).Store(&look{key, built, value})
}

// forget is for when something became durable.
func (l *looks) forget() { l.built.Add(1) }
