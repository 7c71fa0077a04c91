package audit

import (
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/channels"
)

// buried is how many confirmations nobody expects to be undone any more: what lies below is not read again.
const buried = 100

// seen is a transaction of the wallet, and what it means.
type seen struct {
	height  int64
	meaning meaning
}

// movements adds up what the wallet's transactions mean. Those that are buried, and that the records are done with, are added to the state;
// all others are read again by the next look.
func (w *run) movements() error {
	var all []seen
	met := make(map[channels.Hash]bool)
	err := w.cfg.History.Movements(w.ctx, w.state.Height, func(m channels.Movement) error {
		if old := m.Place.Height > 0 && m.Place.Height < w.state.Height; old || slices.Contains(w.state.Opening.Pending, m.ID) || met[m.ID] {
			return nil
		}
		met[m.ID] = true
		e, err := w.meaningOf(&m)
		if err == nil {
			all = append(all, seen{m.Place.Height, e})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the wallet's transactions: %w", err)
	}
	from := max(w.state.Height, w.report.Height-buried+1)
	for _, s := range all {
		if !s.meaning.final && s.height > 0 {
			from = min(from, s.height)
		}
	}
	for _, s := range all {
		e := &s.meaning
		if s.height > 0 && s.height < from && e.final {
			w.state.Chain += e.deposits - e.batch
			w.state.Costs += e.costs
			continue
		}
		w.totals.chain.moved += e.deposits - e.batch
		w.totals.chain.uncredited += e.uncredited
		w.totals.chain.uncaptured += e.uncaptured
		w.totals.undone += e.undone
		w.totals.costs += e.costs
		w.totals.unexplained += e.rest
	}
	if w.totals.undone > 0 {
		w.report.Warnings = append(w.report.Warnings, fmt.Sprintf("%d msat were credited for coins that are not in the chain any more", w.totals.undone))
	}
	w.report.warnOfSurplus()
	w.state.Height = from
	for n := range w.open {
		if n.Kind == KindMovement && !met[n.Hash] {
			w.settle(n) // it was replaced
		}
	}
	return nil
}

// meaningOf asks the records about a transaction, and tells of what nothing explains.
func (w *run) meaningOf(m *channels.Movement) (e meaning, err error) {
	deposits, err := w.cfg.Records.DepositsOf(m.ID)
	if err != nil {
		return e, err
	}
	deposits = slices.DeleteFunc(deposits, func(d channels.Deposit) bool { return d.Lightning() })
	batch, err := w.batchOf(m)
	if err != nil {
		return e, err
	}
	e = explain(m, deposits, batch)
	n := name{KindMovement, m.ID}
	if e.rest == 0 || w.explained[m.ID.TxID()] {
		e.rest = 0
		if w.open[n] != nil {
			w.settle(n)
		}
		return e, nil
	}
	e.final = false
	i := w.open[n]
	if i == nil {
		if len(w.open) >= maxOpen {
			return e, fmt.Errorf("more than %d things are open between the node's books and the hub's", maxOpen)
		}
		i = &item{name: n, Amount: e.rest, Since: w.now()}
		w.open[n] = i
	}
	if i.Amount = e.rest; w.now().Sub(i.Since) < w.cfg.Late {
		w.young++
		return e, nil
	}
	if e.surplus(batch) {
		w.report.surplus(Mismatch{Kind: KindMovement, Subject: m.ID.TxID(), Amount: abs(e.rest), Text: "a transaction of the wallet brings coins that nothing explains"})
		return e, nil
	}
	text := fmt.Sprintf("a transaction of the wallet moves %d msat that nothing explains", e.rest)
	if batch != nil && batch.lost {
		text = "the wallet has a transaction of a batch that was paid by another one"
	}
	w.report.mismatch(Mismatch{Kind: KindMovement, Subject: m.ID.TxID(), Amount: abs(e.rest), Text: text})
	return e, nil
}

// batchOf finds the batch that a transaction is of: by its label, or, where that is lost, among all that there ever were. nil: it is none's.
func (w *run) batchOf(m *channels.Movement) (*settled, error) {
	if s, done := w.batches[m.ID]; done {
		return &s, nil
	}
	if m.Amount >= 0 && m.Label == "" || channelLabel.MatchString(m.Label) {
		return nil, nil
	}
	if id, ok := batchOf(m.Label); ok {
		b, err := w.cfg.Records.Batch(id)
		if err == nil {
			if s := w.settledBy(&b, m.ID); s != nil {
				return s, nil
			}
		} else if !errors.Is(err, channels.ErrUnknown) {
			return nil, err
		}
	}
	if w.tries == nil {
		w.tries = make(map[channels.Hash]attempt)
		err := w.cfg.Archive.EachBatch(func(b *channels.Batch) error {
			for i := range b.Tries {
				w.tries[b.Tries[i].ID] = attempt{b.ID, i}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	at, known := w.tries[m.ID]
	if !known {
		return nil, nil
	}
	b, err := w.cfg.Records.Batch(at.batch)
	if err != nil {
		return nil, err
	}
	return w.settledBy(&b, m.ID), nil
}

// settledBy says how far a batch is that a transaction is of. What is closed is remembered for the rest of the run.
func (w *run) settledBy(b *channels.Batch, id channels.Hash) *settled {
	try := slices.IndexFunc(b.Tries, func(s channels.Signed) bool { return s.ID == id })
	if try < 0 {
		return nil
	}
	s := settle(b, try, w.underway)
	if s.closed && !s.lost {
		w.batches[id] = s
	}
	return &s
}
