package hub

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace/millrace/ledger"
)

// Log is where blocks become durable and get their order. ledger/store implements it on pebble.
type Log interface {
	// Propose queues a block; the outcome is the machine's Apply. The block's bytes must not change until then. An error that
	// is store.ErrNoSpace means that nothing was queued, and that it may be tried again; any other is the end.
	Propose(block []byte) error
	// Barrier returns when everything proposed before this call is applied.
	Barrier(ctx context.Context) error
	// Close makes durable what is queued, and releases the log.
	Close() error
}

var (
	// ErrOverload means that more ops wait than may: nothing was done, try again in a moment.
	ErrOverload = errors.New("the hub is overloaded")
	// ErrNoSpace means that the disk is as good as full: nothing was done, try again when there is room.
	ErrNoSpace = errors.New("the hub has no room on its disk")
	// ErrClosed means that the hub is stopping: nothing was done.
	ErrClosed = errors.New("the hub is stopping")
	// ErrUnknown means that the hub died while the op was on its way to the disk: it may or may not have been applied, and
	// the same op sent again, once the hub is back, gets the outcome.
	ErrUnknown = errors.New("the outcome is not known: send the same op again")
)

// Batch is ops that one caller submits together. They are independent: each is applied or refused by itself, against the
// ledger before the batch and, in order, behind those before it. A caller keeps a Batch for as many submissions as it likes, one at a time.
type Batch struct {
	Ops []ledger.Op
	// Detail is that of an op that has one, which is then the only op; or the signatures of the vouchers among the ops, one behind
	// the other. What is no signature of the payer is made zero.
	Detail []byte
	// Out has one outcome for each op when Submit has returned nil.
	Out []ledger.Applied

	left int           // ops that went into a block; the sequencer's own
	err  error         // why nothing was done; written before done
	done chan struct{} // holds a token when the batch is decided
}

// Reset empties the batch for the next submission.
func (b *Batch) Reset() {
	b.Ops, b.Detail = b.Ops[:0], b.Detail[:0]
}

// weight is at least the number of bytes that the batch takes in a block.
func (b *Batch) weight() int { return ledger.MaxOp*len(b.Ops) + len(b.Detail) }

// bounds names what of the batch is too much.
func (b *Batch) bounds() error {
	if len(b.Ops) > MaxBatchOps {
		return fmt.Errorf("a batch of %d ops: at most %d", len(b.Ops), MaxBatchOps)
	}
	if len(b.Detail) == 0 {
		return nil
	}
	vouchers := 0
	for i := range b.Ops {
		if b.Ops[i].Kind == ledger.OpVoucher {
			vouchers++
		}
	}
	switch {
	case vouchers > MaxBatchVouchers:
		return fmt.Errorf("a batch with %d vouchers: at most %d", vouchers, MaxBatchVouchers)
	case vouchers > 0 && len(b.Detail) != vouchers*ledger.SignatureSize:
		return fmt.Errorf("%d bytes of signatures for %d vouchers: want %d for each", len(b.Detail), vouchers, ledger.SignatureSize)
	case vouchers == 0 && len(b.Ops) > 1: // each op that takes a detail would write it: more than a block holds
		return fmt.Errorf("a detail for %d ops: want one", len(b.Ops))
	case vouchers == 0 && len(b.Detail) > ledger.MaxDetail:
		return fmt.Errorf("a detail of %d bytes: at most %d", len(b.Detail), ledger.MaxDetail)
	}
	return nil
}

// prepare makes room for the outcomes.
func (b *Batch) prepare() {
	b.err = nil
	if b.done == nil {
		b.done = make(chan struct{}, 1)
	}
	if cap(b.Out) < len(b.Ops) {
		b.Out = make([]ledger.Applied, len(b.Ops))
	}
	b.Out = b.Out[:len(b.Ops)]
}
