package settle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

const (
	handFor   = 90 * time.Second // what handing a payout over may take: somebody's server may have to be asked first
	tryAgain  = 2 * time.Second  // after which what could not be asked for is asked for again
	maxReason = 200              // bytes
	// idSlack is by how much an entry's time may lie behind its id's, in milliseconds: the largest ledger.Params.IDAhead, and somewhat.
	idSlack = 2 * 60 * 60 * 1000
)

// work does a run's tasks, until the context ends.
func (r *runner) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-r.todo:
			a := r.do(ctx, t)
			if ctx.Err() != nil {
				return
			}
			a.number, a.task = t.number, t
			r.mu.Lock()
			r.answers = append(r.answers, a)
			r.mu.Unlock()
			r.poke()
		}
	}
}

// do does a task. One for which no server of somebody's is asked takes a turn at the ledger.
func (r *runner) do(ctx context.Context, t *task) answer {
	returning := t.item.Stage == Returning
	if w := t.item.To.Way; returning || w != ToLightningAddress && w != ToLNURL {
		select {
		case r.turns <- struct{}{}:
			defer func() { <-r.turns }()
		case <-ctx.Done():
			return answer{}
		}
	}
	if returning {
		return r.d.giveBack(&t.item)
	}
	return r.handOver(ctx, t)
}

// handOver gives an item's payout to the rails.
func (r *runner) handOver(ctx context.Context, t *task) answer {
	ctx, cancel := context.WithTimeout(ctx, handFor)
	defer cancel()
	rails, q := r.d.payouts(), t.item.request(r.id, t.number)
	_, err := rails.Withdraw(ctx, q)
	if err != nil && !errors.Is(err, channels.ErrReused) {
		// The next try has another id. So that there is none is asked once more, where it matters.
		if _, known := rails.Payout(q.Key); known == nil {
			err = nil
		} else if !errors.Is(known, channels.ErrUnknown) {
			return answer{again: tryAgain}
		}
	}
	switch {
	case err == nil:
		return answer{handed: true}
	case errors.Is(err, channels.ErrReused):
		// An item's request never changes: an earlier version of the hub has worded it otherwise. It is the same payout.
		r.d.cfg.Logger.Warn("a payout was asked for in other words before", "run", r.id.String(), "item", t.number)
		return answer{handed: true}
	case errors.Is(err, channels.ErrStopped), errors.Is(err, channels.ErrTooMany), errors.Is(err, channels.ErrDown), errors.Is(err, context.Canceled):
		return answer{again: tryAgain}
	}
	return answer{event: event{kind: evFailed, why: reasonOf(err)}}
}

// giveBack transfers the hub's part of a fee to who paid it. The transfer's id is written: to do it again is the same transfer.
func (d *Desk) giveBack(i *Item) answer {
	id := ledger.OpID(i.ReturnID)
	a, err := d.cfg.Ledger.Submit(ledger.Op{Kind: ledger.OpTransfer, Actor: ledger.Fees, Target: uint32(i.Account), Amount: i.Returned, ID: id})
	if err != nil {
		return answer{again: tryAgain}
	}
	switch result := a.Result(); {
	case result.OK():
		return answer{event: event{kind: evReturned}}
	case result == ledger.IDAhead:
		return answer{again: tryAgain}
	case result == ledger.IDExpired:
		switch found, err := d.transferred(i.Account, id); {
		case err != nil:
			return answer{again: tryAgain}
		case found:
			return answer{event: event{kind: evReturned}}
		}
		return answer{event: event{kind: evReissued, id: channels.ID(d.cfg.Ledger.NewID())}}
	}
	return answer{event: event{kind: evReturned, why: ReturnRefused}}
}

// transferred looks for a transfer in an account's history, which remembers for longer than the ledger remembers ids.
func (d *Desk) transferred(no ledger.AccountNo, id ledger.OpID) (found bool, err error) {
	until := id.Millis() - min(id.Millis(), idSlack)
	err = d.cfg.Ledger.AccountLines(no, ledger.Range{Newest: true}, func(l *ledger.Line) bool {
		found = l.ID == id && l.Kind == ledger.OpTransfer
		return !found && l.Time >= until
	})
	if err != nil {
		return false, fmt.Errorf("looking for a transfer in the history of %s: %w", no, err)
	}
	return found, nil
}

// reasonOf is the word for why the rails refuse a payout.
func reasonOf(err error) Reason {
	for _, c := range []struct {
		err  error
		word Reason
	}{
		{channels.ErrNetwork, "wrong_network"}, {channels.ErrDust, "dust"}, {channels.ErrNoRail, "no_rail"}, {channels.ErrTarget, "unknown_target"},
		{channels.ErrAmount, "bad_amount"}, {channels.ErrExpired, "invoice_expired"}, {channels.ErrPaidBefore, "paid_before"},
		{channels.ErrInTransit, "in_transit"}, {channels.ErrLimit, FeeTooHigh}, {channels.ErrNotAllowed, "not_allowed"},
		{channels.ErrInvoice, "bad_invoice"},
	} {
		if errors.Is(err, c.err) {
			return c.word
		}
	}
	return reasonText(err.Error())
}

// reasonText bounds what may be the words of somebody's server.
func reasonText(text string) Reason {
	if strings.HasPrefix(text, channels.ErrNotAllowed.Error()) {
		return "not_allowed"
	}
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == unicode.ReplacementChar {
			return ' '
		}
		return c
	}, text)
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "")
	}
	if text == "" {
		text = "failed"
	}
	return Reason(text)
}
