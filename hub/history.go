package hub

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/ledger"
)

// History is read from the index, which has every entry before it is acknowledged. Reading it stands in nobody's way.

// shown is how far the index has come, and who waits for it to come further.
type shown struct {
	seq      atomic.Uint64 // of the newest entry
	mu       sync.Mutex
	appended chan struct{} // nil: nobody waits
}

// show says that the index has everything up to a seq.
func (h *Hub) show(seq uint64) {
	s := &h.shown
	s.seq.Store(seq)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.appended != nil {
		close(s.appended)
		s.appended = nil
	}
}

// Appended is closed when there are newer entries in the histories than there were at the call.
func (h *Hub) Appended() <-chan struct{} {
	s := &h.shown
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.appended == nil {
		s.appended = make(chan struct{})
	}
	return s.appended
}

// Seq is that of the newest entry in the histories.
func (h *Hub) Seq() uint64 { return h.shown.seq.Load() }

// Now is the hub's time.
func (h *Hub) Now() time.Time { return time.UnixMilli(int64(h.clock())).UTC() }

// Latest is the hub's time, or the newest entry's where the clock was set back behind it: no entry that was acknowledged is later.
func (h *Hub) Latest() time.Time {
	h.mu.RLock()
	newest := h.state.Now()
	h.mu.RUnlock()
	return time.UnixMilli(int64(max(h.clock(), newest))).UTC()
}

// SeqAt is that of the last entry at or before a time in milliseconds since 1970, or zero.
func (h *Hub) SeqAt(millis uint64) (uint64, error) { return h.cfg.Index.SeqAt(millis) }

// BalanceAt is what an account had at hand, and held, after the last entry up to a seq.
func (h *Hub) BalanceAt(no ledger.AccountNo, seq uint64) ([2]int64, error) {
	return h.cfg.Index.BalanceAt(no, seq)
}

// ChannelAt is what was left in a channel, and paid through it, after the last entry up to a seq.
func (h *Hub) ChannelAt(no ledger.ChannelNo, seq uint64) ([2]int64, error) {
	return h.cfg.Index.ChannelAt(no, seq)
}

// AccountLines calls f with the lines of an account's history in a range, until it returns false. A line is valid during the call.
func (h *Hub) AccountLines(no ledger.AccountNo, g ledger.Range, f func(*ledger.Line) bool) error {
	now, err := h.bound(&g, func() (now [2]int64) {
		a, _ := h.state.Account(no)
		return [2]int64{a.Available, int64(a.Held)}
	}, func(seq uint64) ([2]int64, error) { return h.BalanceAt(no, seq) })
	if err != nil || g.To == 0 {
		return err
	}
	return h.cfg.Index.Account(no, g, now, f)
}

// ChannelLines is AccountLines for a channel.
func (h *Hub) ChannelLines(no ledger.ChannelNo, g ledger.Range, f func(*ledger.Line) bool) error {
	now, err := h.bound(&g, func() [2]int64 {
		c, _ := h.state.Channel(no)
		if c.Status != ledger.Open {
			c.Funded = c.Total // the rest went back
		}
		return [2]int64{int64(c.Funded - c.Total), int64(c.Total)}
	}, func(seq uint64) ([2]int64, error) { return h.ChannelAt(no, seq) })
	if err != nil || g.To == 0 {
		return err
	}
	return h.cfg.Index.Channel(no, g, now, f)
}

// bound ends a range at the newest entry at most, and says what there was after its last one: by the ledger's present state if
// that is the newest, which costs nothing, and otherwise by the index. Only who reads the newest first needs it.
func (h *Hub) bound(g *ledger.Range, present func() [2]int64, past func(seq uint64) ([2]int64, error)) (now [2]int64, err error) {
	h.mu.RLock()
	newest := h.shown.seq.Load()
	if g.To == 0 || g.To > newest {
		g.To = newest
	}
	isPresent := g.To == h.state.Seq() // a block that was just applied may not be in the index yet
	if isPresent {
		now = present()
	}
	h.mu.RUnlock()
	if !isPresent && g.Newest && g.To != 0 {
		now, err = past(g.To)
	}
	return now, err
}

// Entries calls f with the ledger's entries from a seq on, in order, until it returns false. An entry is valid during the call.
func (h *Hub) Entries(from uint64, f func(*ledger.Entry) bool) error {
	newest := h.shown.seq.Load()
	return h.cfg.Index.Entries(from, func(e *ledger.Entry) bool {
		return e.Seq <= newest && f(e)
	})
}

// ContentID is the name of the content that has a number, as entries have it.
func (h *Hub) ContentID(no uint32) (ledger.ContentID, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.state.ContentID(no)
}
