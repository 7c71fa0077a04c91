package simulation

import (
	"math/rand/v2"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/index"
)

// list is the history of an account or a channel, as the auditor adds it up.
type list struct {
	what   string
	lines  []ledger.Line
	read   func(g ledger.Range, now [2]int64, f func(*ledger.Line) bool) error
	before func(seq uint64) ([2]int64, error)
}

// add takes an entry's change, if the entry touches the list.
func (l *list) add(e *ledger.Entry, touches func(*ledger.Leg) bool, effect func(*ledger.Leg) [2]int64) {
	line := ledger.Line{Seq: e.Seq, Time: e.Time, Kind: e.Kind, ID: e.ID}
	touched := false
	for i := range e.Legs {
		if touches(&e.Legs[i]) {
			touched = true
			c := effect(&e.Legs[i])
			line.Change[0], line.Change[1] = line.Change[0]+c[0], line.Change[1]+c[1]
		}
	}
	if !touched {
		return
	}
	var after [2]int64
	if n := len(l.lines); n > 0 {
		after = l.lines[n-1].After
	}
	line.After = [2]int64{after[0] + line.Change[0], after[1] + line.Change[1]}
	l.lines = append(l.lines, line)
}

// after is what there was after the last line up to a seq.
func (l *list) after(seq uint64) (after [2]int64) {
	for _, line := range l.lines {
		if line.Seq > seq {
			break
		}
		after = line.After
	}
	return after
}

// checkHistories reads the histories of some accounts and channels whole, and parts of them, both ways.
func (a *auditor) checkHistories(x *index.Index, rng *rand.Rand) error {
	var lists []*list
	for range 4 {
		no := ledger.FirstAccount + ledger.AccountNo(rng.Uint64N(a.state.Counts().Accounts+1))
		lists = append(lists, a.account(x, no))
	}
	for range 3 {
		lists = append(lists, a.channel(x, ledger.ChannelNo(1+rng.Uint64N(a.state.Counts().Channels+1))))
	}
	for _, l := range append(lists, a.account(x, ledger.Fees)) {
		for _, g := range []ledger.Range{{}, {Newest: true}, a.part(rng, false), a.part(rng, true)} {
			if g.To == 0 {
				g.To = a.seq()
			}
			if err := l.check(g); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *auditor) part(rng *rand.Rand, newest bool) ledger.Range {
	from, to := rng.Uint64N(a.seq()+1), rng.Uint64N(a.seq()+1)
	return ledger.Range{From: min(from, to), To: max(from, to), Newest: newest}
}

func (a *auditor) account(x *index.Index, no ledger.AccountNo) *list {
	l := &list{what: "account " + no.String()}
	l.read = func(g ledger.Range, now [2]int64, f func(*ledger.Line) bool) error { return x.Account(no, g, now, f) }
	l.before = func(seq uint64) ([2]int64, error) { return x.BalanceAt(no, seq) }
	for i := range a.facts {
		l.add(&a.facts[i].Entry, func(leg *ledger.Leg) bool { return leg.Touches(no) }, func(leg *ledger.Leg) [2]int64 {
			available, held := leg.Effect(no)
			return [2]int64{available, held}
		})
	}
	return l
}

func (a *auditor) channel(x *index.Index, no ledger.ChannelNo) *list {
	l := &list{what: "channel " + no.String()}
	l.read = func(g ledger.Range, now [2]int64, f func(*ledger.Line) bool) error { return x.Channel(no, g, now, f) }
	l.before = func(seq uint64) ([2]int64, error) { return x.ChannelAt(no, seq) }
	for i := range a.facts {
		l.add(&a.facts[i].Entry, func(leg *ledger.Leg) bool { return leg.Channel() == no }, func(leg *ledger.Leg) [2]int64 {
			left, paid := leg.ChannelEffect()
			return [2]int64{left, paid}
		})
	}
	return l
}

func (l *list) check(g ledger.Range) error {
	after, err := l.before(g.To)
	if err != nil {
		return err
	}
	if after != l.after(g.To) {
		return wrong("%s: after entry %d %d, not %d", l.what, g.To, after, l.after(g.To))
	}
	var want []ledger.Line
	for _, line := range l.lines {
		if line.Seq >= g.From && line.Seq <= g.To {
			want = append(want, line)
		}
	}
	n, bad := 0, error(nil)
	if g.To == 0 {
		return nil
	}
	err = l.read(g, after, func(got *ledger.Line) bool {
		if n >= len(want) {
			bad = wrong("%s: %+v shows entry %d, and nothing belongs there", l.what, g, got.Seq)
			return false
		}
		w := want[n]
		if g.Newest {
			w = want[len(want)-1-n]
		}
		if got.Seq != w.Seq || got.Time != w.Time || got.Kind != w.Kind || got.ID != w.ID || got.Change != w.Change || got.After != w.After {
			bad = wrong("%s: %+v shows %+v, not %+v", l.what, g, *got, w)
		}
		n++
		return bad == nil
	})
	if err != nil || bad != nil {
		return firstError(bad, err)
	}
	if n != len(want) {
		return wrong("%s: %+v shows %d of %d lines", l.what, g, n, len(want))
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
