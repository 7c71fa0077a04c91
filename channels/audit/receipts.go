package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/channels"
)

// receipts takes in what the node was paid since the last look. The node tells of it in the order of an index, and does not say when it
// has told all: what comes after a quiet moment is for the next look.
func (w *run) receipts() error {
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	quiet := w.cfg.Quiet
	timer := time.AfterFunc(quiet, cancel)
	defer timer.Stop()
	err := w.cfg.History.Settled(ctx, w.state.Receipt, func(r channels.Receipt) error {
		timer.Reset(quiet)
		if r.Index <= w.state.Receipt {
			return nil
		}
		if err := w.take(&item{name: name{KindReceipt, r.Hash}, Amount: int64(r.Amount)}); err != nil {
			return err
		}
		w.state.Receipt = r.Index
		return nil
	})
	if err != nil && (ctx.Err() == nil || w.ctx.Err() != nil || !errors.Is(err, context.Canceled)) {
		return fmt.Errorf("reading what the node was paid: %w", err)
	}
	return nil
}

// take looks at an item for the first time, and keeps it if it is not at its end.
func (w *run) take(i *item) error {
	i.Since = w.now()
	v, err := w.judge(i)
	if err != nil {
		return err
	}
	w.count(i, v, &w.state.Lightning)
	if v.final {
		return nil
	}
	if len(w.open) >= maxOpen {
		return fmt.Errorf("more than %d things are open between the node's books and the hub's", maxOpen)
	}
	w.open[i.name] = i
	return nil
}

// recheck looks again at what is open, and adds up what that means.
func (w *run) recheck() error {
	for n, i := range w.open {
		if i.Kind == KindMovement { // they are looked at with the others of the wallet
			continue
		}
		v, err := w.judge(i)
		if err != nil {
			return err
		}
		w.count(i, v, &w.state.Lightning)
		if v.final {
			w.settle(n)
			continue
		}
		w.weigh(i, v)
	}
	return nil
}

// settle ends what was open.
func (w *run) settle(n name) {
	delete(w.open, n)
	w.closed = append(w.closed, n)
}

// opinion is what the records say of an item.
type opinion struct {
	known   bool   // it is theirs
	final   bool   // and they are done with it; or the operator has explained it
	waiting bool   // it is not credited, or not captured, yet
	wrong   string // what does not fit; empty: nothing
	soon    bool   // what does not fit may be right in a moment
}

// count adds an item to the sum of what the node moved for accounts, once, when the records know it.
func (w *run) count(i *item, v opinion, sum *int64) {
	if v.known && !i.Counted {
		i.Counted = true
		*sum += i.effect()
	}
}

// weigh adds what is not at its end to the totals, and what is wrong to the report.
func (w *run) weigh(i *item, v opinion) {
	switch {
	case !i.Counted:
		w.totals.unexplained += i.effect()
	case v.waiting && i.Kind == KindPayment:
		w.totals.lightning.uncaptured += i.Amount + i.Fee
	case v.waiting:
		w.totals.lightning.uncredited += i.Amount
	}
	if v.wrong == "" {
		return
	}
	if v.soon && w.now().Sub(i.Since) < w.cfg.Late {
		w.young++
		return
	}
	w.report.mismatch(Mismatch{Kind: i.Kind, Subject: i.Hash.String(), Amount: abs(i.effect()), Text: v.wrong})
}

// judge asks the records about an item.
func (w *run) judge(i *item) (opinion, error) {
	if w.explained[i.Hash.String()] {
		return opinion{final: true}, nil
	}
	if i.Kind == KindPayment {
		return w.judgePayment(i)
	}
	return w.judgeReceipt(i)
}

func (w *run) judgeReceipt(i *item) (opinion, error) {
	list, err := w.cfg.Records.DepositsOf(i.Hash)
	if err != nil {
		return opinion{}, err
	}
	for n := range list {
		if d := &list[n]; d.Lightning() {
			return receiptIs(d, i.Amount), nil
		}
	}
	return opinion{wrong: "the node was paid, and there is no record of it", soon: true}, nil
}

// receiptIs is what a deposit says of a receipt.
func receiptIs(d *channels.Deposit, amount int64) opinion {
	switch {
	case d.Status == channels.DepositOpen || d.Status == channels.DepositExpired:
		return opinion{known: true, waiting: true, wrong: "the node was paid, and the record of its invoice does not say so", soon: true}
	case d.Taken != (channels.Key{}) && d.Status == channels.DepositCredited:
		return opinion{wrong: "the node was paid for an invoice that was paid inside, too"}
	case int64(d.Amount) != amount:
		return opinion{known: true, waiting: d.Status != channels.DepositCredited,
			wrong: fmt.Sprintf("the node was paid %d msat, and the records say %d", amount, d.Amount)}
	case d.Status == channels.DepositCredited:
		return opinion{known: true, final: true}
	}
	return opinion{known: true, waiting: true} // about to be credited, or nobody knows for whom, of which the rails tell
}
