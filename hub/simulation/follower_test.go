package simulation

import (
	"errors"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/index"
)

// follower reads every entry, in order, across restarts of the hub. It keeps its place as a follower of the event stream does
// who has what he has, or writes it down only now and then and comes back to an earlier one, as a sender of webhooks does.
type follower struct {
	every uint64 // its place is written down when it is a multiple of this
	at    uint64 // the last entry heard
	kept  uint64 // the place written down
	heard []ledger.Entry
}

// restart forgets what was not written down.
func (f *follower) restart() { f.at = f.kept }

// next reads up to n entries more. What comes after the hub's death is not heard.
func (f *follower) next(l *life, n int) error {
	var got []ledger.Entry
	err := l.index.Entries(f.at+1, func(e *ledger.Entry) bool {
		own := *e
		own.Legs = append([]ledger.Leg(nil), e.Legs...)
		got = append(got, own)
		return len(got) < n
	})
	l.said(func() {
		for i := range got {
			if err == nil {
				err = f.hear(&got[i])
			}
		}
	})
	if l.over() {
		return nil
	}
	return err
}

func (f *follower) hear(e *ledger.Entry) error {
	switch {
	case e.Seq != f.at+1:
		return wrong("a follower who has %d entries hears of entry %d", f.at, e.Seq)
	case f.at < uint64(len(f.heard)) && !same(e, &f.heard[f.at]):
		return wrong("a follower heard of entry %d another thing before", e.Seq)
	case f.at == uint64(len(f.heard)):
		f.heard = append(f.heard, *e)
	}
	if f.at++; f.at%f.every == 0 {
		f.kept = f.at
	}
	return nil
}

// follow reads what comes, until there will be no more.
func (f *follower) follow(l *life, stop <-chan struct{}) error {
	for {
		more := l.index.Appended()
		if err := f.next(l, 50); err != nil && !errors.Is(err, index.ErrClosed) {
			return err
		}
		select {
		case <-more:
		case <-stop:
			return nil
		case <-l.ended:
			return nil
		}
	}
}

// check: what was heard is what is in the log.
func (f *follower) check(a *auditor) error {
	if uint64(len(f.heard)) > a.seq() {
		return wrong("a follower heard of %d entries, and there are %d", len(f.heard), a.seq())
	}
	for i := range f.heard {
		if !same(&f.heard[i], &a.facts[i].Entry) {
			return wrong("a follower heard %+v, and it is %+v", f.heard[i], a.facts[i].Entry)
		}
	}
	return nil
}
