package token

import (
	"crypto/sha256"
	"sync"
)

// cacheShards divides the cache so that requests on many cores seldom meet at one lock. A power of two.
const cacheShards = 16

// cache remembers the grants of verified tokens by the SHA-256 of their text, in bounded memory.
//
// Eviction is a clock with second chance, not least-recently-used: a hit sets one bit instead of relinking a list. A
// new entry starts without its bit, so a holder who spins off one-time tokens without end pushes out his own entries
// before those that are in use.
type cache struct {
	shards []shard // 0, 1 or cacheShards of them; the sum of their limits never exceeds what was asked for
}

type shard struct {
	mu    sync.Mutex
	index map[[sha256.Size]byte]int32 // guarded by mu: the place in slots; as long as slots
	slots []slot                      // guarded by mu: grows to limit, then is reused
	hand  int                         // guarded by mu: the slot to look at next when one is wanted
	limit int                         // never changes; positive
}

type slot struct {
	key   [sha256.Size]byte
	grant Grant
	used  bool // hit since the hand last passed
}

func newCache(size int) cache {
	n := cacheShards
	if size < cacheShards {
		n = min(max(size, 0), 1)
	}
	c := cache{shards: make([]shard, n)}
	for i := range c.shards {
		c.shards[i].limit = size / n
		c.shards[i].index = make(map[[sha256.Size]byte]int32)
	}
	return c
}

// shard is nil when there is no cache.
func (c *cache) shard(key [sha256.Size]byte) *shard {
	if len(c.shards) == 0 {
		return nil
	}
	return &c.shards[int(key[0])&(len(c.shards)-1)]
}

func (c *cache) get(key [sha256.Size]byte) (Grant, bool) {
	s := c.shard(key)
	if s == nil {
		return Grant{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.index[key]
	if !ok {
		return Grant{}, false
	}
	s.slots[i].used = true
	return s.slots[i].grant, true
}

func (c *cache) put(key [sha256.Size]byte, g Grant) {
	s := c.shard(key)
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.index[key]; ok {
		return // another goroutine verified the same token meanwhile
	}
	if len(s.slots) < s.limit {
		s.index[key] = int32(len(s.slots))
		s.slots = append(s.slots, slot{key: key, grant: g})
		return
	}
	for s.slots[s.hand].used { // ends within one round: every step clears a bit
		s.slots[s.hand].used = false
		s.hand = (s.hand + 1) % s.limit
	}
	delete(s.index, s.slots[s.hand].key)
	s.slots[s.hand] = slot{key: key, grant: g}
	s.index[key] = int32(s.hand)
	s.hand = (s.hand + 1) % s.limit
}

// len counts the entries.
func (c *cache) len() (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += len(s.slots)
		s.mu.Unlock()
	}
	return n
}
