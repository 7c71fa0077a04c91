package hub

import (
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// Purchase asks to unlock a content.
type Purchase struct {
	Buyer        ledger.AccountNo
	Content      ledger.ContentID
	PriceVersion uint32      // as quoted; zero: any
	Max          ledger.Msat // the most that the buyer pays; zero: the price of the version named
}

// Unlock buys a content for the buyer, or finds that he owns it, and releases its file key. The key is only set when the
// outcome is OK; an error behind an OK outcome means that the money has moved but the key cannot be had now, and the same
// purchase sent again is free.
func (h *Hub) Unlock(b *Batch, p Purchase) (ledger.Applied, seal.FileKey, error) {
	b.Reset()
	b.Ops = append(b.Ops, ledger.Op{
		Kind: ledger.OpUnlock, Actor: p.Buyer, ID: p.Content, Version: p.PriceVersion, Amount: p.Max,
	})
	if err := h.Submit(b); err != nil {
		return ledger.Applied{}, seal.FileKey{}, err
	}
	if !b.Out[0].Result().OK() {
		return b.Out[0], seal.FileKey{}, nil
	}
	key, err := h.Release(b.Out[0])
	return b.Out[0], key, err
}
