package hub

import "github.com/millrace/millrace/ledger"

// Vouchers verifies the vouchers of this hub. Its methods may be called by many goroutines at once.
type Vouchers interface {
	// KeyOK says whether vouchers can be signed for a key.
	KeyOK(key [32]byte) bool
	// Verify sets ok[i] to whether the i-th voucher is signed by its key. It may use several cores.
	Verify(vouchers []ledger.Voucher, ok []bool)
}

// MaxBatchVouchers bounds the vouchers of one submission: a tenth of a second of one core. With as many signatures the heaviest batch
// still fits a block: see blockWeight.
const MaxBatchVouchers = 1024

// verify makes zeros of the signatures that are not their channel's payer's, which the ledger then refuses. It takes most of the
// time that a voucher takes, and here, on the caller's goroutine, nobody else waits for it. What decides whether a voucher has to be
// verified never changes: a channel's mode, its key and its parties; and a total only grows. A channel that there is not yet may
// come to be before the ledger decides, and so is refused here.
func (h *Hub) verify(b *Batch) {
	var vouchers []ledger.Voucher
	var signatures [][]byte
	details := b.Detail
	h.mu.RLock()
	for i := range b.Ops {
		op := &b.Ops[i]
		var own []byte
		if own, details = op.CutDetail(details); op.Kind != ledger.OpVoucher || len(own) != ledger.SignatureSize {
			continue
		}
		no := ledger.ChannelNo(op.Target)
		c, ok := h.state.Channel(no)
		switch {
		case !ok:
			clear(own)
			continue
		case c.Mode != ledger.Signed || op.Actor != c.Payer && op.Actor != c.Payee || op.Amount < c.Total:
			continue
		}
		t, _ := h.state.ChannelTerms(no)
		vouchers = append(vouchers, ledger.Voucher{Channel: no, Total: op.Amount, Key: t.Key, Signature: [ledger.SignatureSize]byte(own)})
		signatures = append(signatures, own)
	}
	h.mu.RUnlock()
	if len(vouchers) == 0 {
		return
	}
	ok := make([]bool, len(vouchers))
	if h.cfg.Vouchers != nil {
		h.cfg.Vouchers.Verify(vouchers, ok)
	}
	for i, good := range ok {
		if !good {
			clear(signatures[i])
		}
	}
}

// VoucherKeyOK says whether vouchers can be signed for a key, and verified here.
func (h *Hub) VoucherKeyOK(key [32]byte) bool {
	return h.cfg.Vouchers != nil && h.cfg.Vouchers.KeyOK(key)
}

// ChannelTerms reads those of a channel: see ledger.State.
func (h *Hub) ChannelTerms(no ledger.ChannelNo) (ledger.ChannelTerms, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.state.ChannelTerms(no)
}

// Voucher reads the newest voucher of a channel: see ledger.State.
func (h *Hub) Voucher(no ledger.ChannelNo) (ledger.Voucher, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.state.Voucher(no)
}
