package audit

import (
	"fmt"

	"github.com/millrace/millrace/channels"
)

// payments takes in what the node paid since the last run. What lies behind one that is still under way is read again by each look: how
// that ends is not known, and the node's index does not tell of it again.
func (w *run) payments() error {
	after := w.state.Payment
	held := false // one before was pending
	err := w.cfg.History.Payments(w.ctx, after, func(s channels.Sent) error {
		held = held || s.Attempt.Stage == channels.Pending
		if s.Attempt.Stage == channels.Succeeded {
			i := &item{name: name{KindPayment, s.Hash}, Amount: int64(s.Amount), Fee: int64(s.Attempt.Fee), Since: w.now()}
			if err := w.payment(i, held); err != nil {
				return err
			}
		}
		if !held {
			w.state.Payment = s.Index
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading what the node paid: %w", err)
	}
	return nil
}

// payment looks at one that has arrived. Of one that is read again nothing is kept.
func (w *run) payment(i *item, again bool) error {
	if !again {
		if err := w.take(i); err != nil || w.open[i.name] != i {
			return err
		}
		v, err := w.judge(i)
		if err == nil {
			w.weigh(i, v)
		}
		return err
	}
	v, err := w.judge(i)
	if err != nil {
		return err
	}
	w.count(i, v, &w.totals.lightning.moved)
	if !v.final {
		w.weigh(i, v)
	}
	return nil
}

func (w *run) judgePayment(i *item) (opinion, error) {
	p, found, err := w.cfg.Records.PayerOf(i.Hash)
	if err != nil {
		return opinion{}, err
	}
	if !found || p.Rail != channels.Lightning {
		return opinion{wrong: "the node has paid, and no payout asked for it"}, nil
	}
	return paymentIs(&p, i), nil
}

// paymentIs is what a payout says of a payment that has arrived. A payout is in transit before the node hears of it, so one that is not
// was not what the node paid.
func paymentIs(p *channels.Payout, i *item) opinion {
	switch p.Status {
	case channels.InTransit, channels.Paid:
		return opinion{known: true, waiting: true}
	case channels.Done:
		if int64(p.Pays) == i.Amount && int64(p.Fee) == i.Fee {
			return opinion{known: true, final: true}
		}
		return opinion{known: true, wrong: fmt.Sprintf("the node has paid %d msat and a fee of %d, and payout %s says %d and %d", i.Amount, i.Fee, p.Key, p.Pays, p.Fee)}
	}
	return opinion{wrong: fmt.Sprintf("the node has paid, and payout %s is %s", p.Key, p.Status)}
}
