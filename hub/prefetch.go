package hub

import (
	"fmt"

	"github.com/millrace/millrace/ledger"
)

// prefetch reads, on the caller's goroutine, what the index will be asked for when the ops are decided: ids and entitlements that
// are too old for the ledger's memory. The sequencer and Apply ask again, while others wait for them, and find it in memory. An
// index that cannot be read fails the request here, where it can be said, and not the hub.
func (h *Hub) prefetch(ops []ledger.Op) error {
	if !mayAsk(ops) {
		return nil
	}
	var looks []ledger.Look
	h.mu.RLock()
	for i := range ops {
		if l, asked := h.state.Archived(&ops[i]); asked {
			looks = append(looks, l)
		}
	}
	h.mu.RUnlock()
	for _, l := range looks {
		if err := l.Into(h.cfg.Index); err != nil {
			return fmt.Errorf("looking for earlier ops: %w", err)
		}
	}
	return nil
}

// mayAsk leaves out by far the most frequent op, without looking at the ledger.
func mayAsk(ops []ledger.Op) bool {
	for i := range ops {
		if ops[i].Kind != ledger.OpAdvance {
			return true
		}
	}
	return false
}
