package audit

import (
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/channels"
)

// ErrBusy means that the books cannot be opened now, since something is on its way between them. Try again.
var ErrBusy = errors.New("something is on its way")

// openBooks writes down where everything stands before anything is compared: what the node holds beyond what is owed is the operator's. It
// is done once. For that moment nothing may be on its way: on a new hub nothing is.
func (w *run) openBooks() error {
	before, err := w.outside()
	if err != nil {
		return err
	}
	now := w.now()
	o := opening{Lightning: before.lightning, Chain: before.chain, Seq: before.seq}
	for _, read := range []func(*opening) error{w.still, w.pastReceipts, w.pastPayments, w.pastMovements} {
		if err := read(&o); err != nil {
			return err
		}
	}
	if err := w.holdings(); err != nil {
		return err
	}
	w.state.Opened, w.state.Opening = now, o
	w.state.Receipt, w.state.Payment, w.state.Height = o.Receipt, o.Payment, o.Height+1
	w.state.Forwards = now.Truncate(time.Second)
	after, err := w.outside()
	if err != nil {
		return err
	}
	earning, err := w.cfg.Node.Forwards(w.ctx, now.Add(-20*time.Second), w.now().Add(time.Second)) // lnd writes them down every 15 s
	if err != nil {
		return err
	}
	if before != after || earning.Count > 0 || w.report.Height != o.Height {
		return fmt.Errorf("%w: it moved meanwhile", ErrBusy)
	}
	sheet := w.totals.sheet()
	w.state.Opening.Capital = sheet.Held - before.lightning - before.chain
	w.cfg.Logger.Info("the books are opened", "held_msat", sheet.Held, "owed_msat", before.lightning+before.chain, "height", o.Height)
	return nil
}

// still says whether no payout is where the node may have paid and the ledger does not know it.
func (w *run) still(*opening) error {
	for _, p := range w.cfg.Records.Underway() {
		if p.Rail != channels.Internal && (p.Status == channels.InTransit || p.Status == channels.Paid) {
			return fmt.Errorf("%w: payout %s", ErrBusy, p.Key)
		}
	}
	return nil
}

func (w *run) pastReceipts(o *opening) error {
	return w.cfg.History.Receipts(w.ctx, 0, func(r channels.Receipt) error {
		o.Receipt = max(o.Receipt, r.Index)
		return nil
	})
}

func (w *run) pastPayments(o *opening) error {
	return w.cfg.History.Payments(w.ctx, 0, func(s channels.Sent) error {
		o.Payment = max(o.Payment, s.Index)
		if s.Attempt.Stage == channels.Pending {
			return fmt.Errorf("%w: the node pays %s", ErrBusy, s.Hash)
		}
		return nil
	})
}

// pastMovements notes which transactions of the wallet are not confirmed: they are older than the books, too.
func (w *run) pastMovements(o *opening) error {
	const most = 1000
	info, err := w.cfg.Node.Info(w.ctx)
	if err != nil {
		return err
	}
	o.Height = info.Height
	return w.cfg.History.Movements(w.ctx, o.Height-buried, func(m channels.Movement) error {
		deposits, err := w.cfg.Records.DepositsOf(m.ID)
		if err != nil {
			return err
		}
		for i := range deposits {
			if deposits[i].Status != channels.DepositCredited {
				return fmt.Errorf("%w: deposit %s", ErrBusy, deposits[i].Ref)
			}
		}
		if m.Place.Height <= 0 || m.Place.Height > o.Height {
			o.Pending = append(o.Pending, m.ID)
		}
		if len(o.Pending) > most {
			return fmt.Errorf("%w: more than %d transactions of the wallet", ErrBusy, most)
		}
		return nil
	})
}
