package index

import (
	"errors"

	"github.com/millrace/millrace/ledger"
)

// Account calls f with the lines of an account in a range, each with the balances after it, until f returns false. What f gets
// is valid during the call. g.To must not be zero, and now is what the account had at hand, and held, after the last entry up
// to g.To: who asks for the present reads both together; who goes on behind a page, or asks for the past, has it from BalanceAt.
// It is used where g.To is not yet on the disk and the newest lines come first: they are found by going back from there.
func (x *Index) Account(no ledger.AccountNo, g ledger.Range, now [2]int64, f func(*ledger.Line) bool) error {
	return x.lines(list{ofAccount, uint32(no)}, g, now, f)
}

// Channel is Account for a channel: now is what was left in it, and what was paid through it, as from ChannelAt.
func (x *Index) Channel(no ledger.ChannelNo, g ledger.Range, now [2]int64, f func(*ledger.Line) bool) error {
	return x.lines(list{ofChannel, uint32(no)}, g, now, f)
}

// BalanceAt is what an account had at hand, and held, after the last entry up to a seq.
func (x *Index) BalanceAt(no ledger.AccountNo, seq uint64) (after [2]int64, err error) {
	return x.balance(list{ofAccount, uint32(no)}, seq)
}

// ChannelAt is what was left in a channel, and paid through it, after the last entry up to a seq.
func (x *Index) ChannelAt(no ledger.ChannelNo, seq uint64) (after [2]int64, err error) {
	return x.balance(list{ofChannel, uint32(no)}, seq)
}

func (x *Index) balance(l list, seq uint64) (after change, err error) {
	v, err := x.view(l)
	if err != nil {
		return after, err
	}
	defer v.closeOn(&err)
	return v.balance(seq)
}

func (x *Index) lines(l list, g ledger.Range, now change, f func(*ledger.Line) bool) (err error) {
	v, err := x.view(l)
	if err != nil {
		return err
	}
	defer v.closeOn(&err)
	w := liner{view: v, from: max(g.From, 1), to: min(g.To, v.last()), newest: g.Newest, f: f}
	defer w.closeOn(&err)
	switch {
	case w.from > w.to:
		return nil
	case !g.Newest:
		w.balance, err = v.balance(w.from - 1)
	case g.To <= v.durable():
		w.balance, err = v.balance(g.To)
	default:
		w.balance = now
	}
	if err != nil {
		return err
	}
	if g.Newest {
		return w.backward()
	}
	return w.forward()
}

// liner makes lines of what a view finds.
type liner struct {
	*view
	from, to uint64
	newest   bool
	f        func(*ledger.Line) bool
	balance  change         // after the line made last, or before it if the newest come first
	journal  *journalReader // nil until it is needed
	entry    ledger.Entry
	line     ledger.Line
}

func (w *liner) closeOn(err *error) {
	if w.journal != nil {
		*err = errors.Join(*err, w.journal.close())
	}
}

func (w *liner) forward() error {
	for _, e := range w.eras {
		if e.last < w.from || e.first > w.to {
			continue
		}
		if ok, err := w.view.forward(e, max(w.from, e.first), min(w.to, e.last), w.posting); !ok || err != nil {
			return err
		}
	}
	w.records(max(w.from, w.durable()+1), w.to, false, w.record)
	return nil
}

func (w *liner) backward() error {
	if !w.records(max(w.from, w.durable()+1), w.to, true, w.record) {
		return nil
	}
	for i := len(w.eras) - 1; i >= 0; i-- {
		e := w.eras[i]
		if e.last < w.from || e.first > w.to {
			continue
		}
		if ok, err := w.view.backward(e, max(w.from, e.first), min(w.to, e.last), w.posting); !ok || err != nil {
			return err
		}
	}
	return nil
}

// posting makes the line of an entry that is on the disk. What the posting says and what the journal says must agree.
func (w *liner) posting(p posting) (bool, error) {
	if w.journal == nil {
		var err error
		if w.journal, err = w.x.newJournalReader(); err != nil {
			return false, err
		}
	}
	e, err := w.journal.at(p.seq)
	if err != nil {
		return false, err
	}
	if w.list.change(e.Legs) != p.change || w.list.first(e.Legs) < 0 {
		return false, corrupt("entry %d is not what list %d says", p.seq, w.list.no)
	}
	return w.show(e, p.change), nil
}

// record makes the line of an entry that is in memory.
func (w *liner) record(r *record, first, next int) bool {
	r.entryAt(first, &w.entry)
	return w.show(&w.entry, w.list.change(r.Legs[first:next]))
}

func (w *liner) show(e *ledger.Entry, c change) bool {
	after := w.balance
	if w.newest {
		w.balance = minus(after, c)
	} else {
		after = plus(after, c)
		w.balance = after
	}
	w.line = ledger.Line{
		Seq: e.Seq, Time: e.Time, Kind: e.Kind, Object: e.Legs[0].Object, Other: w.list.other(e.Legs), ID: e.ID, Change: c, After: after,
	}
	return w.f(&w.line)
}

// other is the other side of an entry for an account, if there is exactly one; a channel has none.
func (l list) other(legs []ledger.Leg) (other ledger.AccountNo) {
	if l.of != ofAccount {
		return 0
	}
	a := ledger.AccountNo(l.no)
	for i := range legs {
		side := legs[i].To
		if side == a {
			side = legs[i].From
		}
		switch {
		case side == a || side == 0 || !legs[i].Touches(a):
		case other == 0:
			other = side
		case other != side:
			return 0
		}
	}
	return other
}
