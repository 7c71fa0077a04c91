package hub

import (
	"fmt"

	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// Release takes the file key that an unlock paid for out of its wrap. It wants the unlock's outcome, and a ledger.Applied
// that is of an unlock and OK comes only from a ledger's durable state: releasing before the commit does not compile.
func (h *Hub) Release(paid ledger.Applied) (seal.FileKey, error) {
	h.mu.RLock()
	id, wrapped, ok := h.state.WrappedKey(paid)
	h.mu.RUnlock()
	if !ok {
		return seal.FileKey{}, fmt.Errorf("releasing a file key: %v is not the outcome of an unlock", paid.Result())
	}
	key, err := h.cfg.Ring.Unwrap(id, keyring.Wrapped(wrapped))
	if err != nil {
		return seal.FileKey{}, fmt.Errorf("releasing the file key of %v: %w", id, err)
	}
	h.metrics.released.Inc()
	return key, nil
}

// ReleaseUnit is Release for a unit of a metered work: it takes the outcome of that unit's unlock, and gives that unit's key alone.
func (h *Hub) ReleaseUnit(paid ledger.Applied) (seal.UnitKey, error) {
	h.mu.RLock()
	id, wrapped, unit, ok := h.state.WrappedUnit(paid)
	h.mu.RUnlock()
	if !ok {
		return seal.UnitKey{}, fmt.Errorf("releasing a unit's key: %v is not the outcome of a unit's unlock", paid.Result())
	}
	key, err := h.cfg.Ring.Unwrap(id, keyring.Wrapped(wrapped))
	if err != nil {
		return seal.UnitKey{}, fmt.Errorf("releasing the key of unit %d of %v: %w", unit, id, err)
	}
	h.metrics.released.Inc()
	return key.Unit(unit), nil
}
