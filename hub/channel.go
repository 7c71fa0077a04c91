package hub

import (
	"time"

	"github.com/millrace/millrace/ledger"
)

// Channel reads a channel.
func (h *Hub) Channel(no ledger.ChannelNo) (ledger.Channel, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.state.Channel(no)
}

const (
	sweepEvery = time.Second
	sweepScan  = 256 << 10 // channels looked at while the ledger is locked for reading: about a millisecond
	sweepBatch = 1024
)

// sweep gives back what lies in channels whose time has run out. All channels are looked at about every second up to a
// quarter of a million of them, and in turn beyond.
func (h *Hub) sweep() {
	defer close(h.swept)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	due, from := make([]ledger.ChannelNo, 0, sweepBatch), ledger.ChannelNo(1)
	b := &Batch{}
	for {
		select {
		case <-tick.C:
		case <-h.stop:
			return
		case <-h.dead:
			return
		}
		for full := true; full; full = len(due) == sweepBatch { // many may have come due at once
			h.mu.RLock()
			due, from = h.state.DueChannels(due[:0], from, sweepScan, h.clock())
			h.mu.RUnlock()
			if err := h.expire(b, due); err != nil {
				h.cfg.Logger.Warn("expired channels not closed; trying again", "channels", len(due), "err", err)
				b = &Batch{} // the old one may be on its way still
				break
			}
		}
	}
}

func (h *Hub) expire(b *Batch, due []ledger.ChannelNo) error {
	b.Reset()
	for _, c := range due {
		b.Ops = append(b.Ops, ledger.Op{Kind: ledger.OpExpireChannel, Target: uint32(c)})
	}
	return h.Submit(b)
}
