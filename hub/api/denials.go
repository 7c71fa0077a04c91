package api

import (
	"net/netip"
	"sync"

	"github.com/millrace/millrace/ledger"
)

// The bounds of refusing keys: a player that is refused one asks again about once a second, without end, and fetches the
// segment each time.
const (
	maxRefusals = 5       // to one viewer in a second; further requests of his in that second are answered 429
	maxRefused  = 1 << 16 // viewers that are remembered within a second, some 4 MiB; with more, every refusal is a 429
)

// viewer is who asks for keys: an account, or, without a token, an address.
type viewer struct {
	account ledger.AccountNo
	address netip.Addr
}

// denials counts refused keys by viewer and second.
type denials struct {
	mu     sync.Mutex
	second uint64         // that the counts are of
	counts map[viewer]int // guarded by mu
}

// turn forgets the seconds before. mu must be held.
func (r *denials) turn(second uint64) {
	if second != r.second || r.counts == nil {
		r.second, r.counts = second, make(map[viewer]int)
	}
}

// over says whether a viewer has had his refusals of this second.
func (r *denials) over(v viewer, millis uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(millis / 1000)
	return r.counts[v] >= maxRefusals
}

// add counts a refusal, and says whether it is one too many.
func (r *denials) add(v viewer, millis uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(millis / 1000)
	n, known := r.counts[v]
	if !known && len(r.counts) >= maxRefused {
		return true
	}
	r.counts[v] = n + 1
	return n >= maxRefusals
}

// refuse counts a refusal of a key, and is it, or the one problem for those who ask too often.
func (c *call) refuse(v viewer, p *problem) *problem {
	if c.server.denials.add(v, uint64(c.hub.Now().UnixMilli())) {
		return tooManyRefusals()
	}
	return p
}

func tooManyRefusals() *problem {
	return &problem{status: 429, code: "too_many_refusals", retryable: true,
		detail: "keys were refused to you several times within a second: pay first, or wait as long as Retry-After says"}
}
