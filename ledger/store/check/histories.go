package check

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/index"
)

// histories compares the entries of each account and channel, and what they add up to.
type histories struct {
	c     *checker
	state *ledger.State // as of the watermark, while the rows are scanned for the first time

	// What the entries add up to, by number: at hand and held, or left and paid.
	accounts, channels [][2]int64

	// The list at hand: its entries must follow each other, and its strips must say what came before them in their era.
	at      list
	last    uint64
	running [2]int64

	parties []ledger.AccountNo // of an entry with several legs
}

// list is a history in one era. Eras hold channels behind accounts.
type list struct {
	era     uint32
	channel bool
	no      uint32
}

func newHistories(c *checker) (*tally, error) {
	h, t := &histories{c: c}, newTally(c, "histories")
	t.expect, t.scan = h.expect, h.scan
	t.settle, t.settled = h.settle, h.settled
	t.name = func(r *row) string { return nameOf(r.rest[0]>>32 != 0, uint32(r.rest[0])) }
	return t, nil
}

func nameOf(channel bool, no uint32) string {
	if channel {
		return "channel " + ledger.ChannelNo(no).String()
	}
	return "account " + ledger.AccountNo(no).String()
}

const ofChannel = 1 << 32

// expect is the entries of a block as they stand in the lists.
func (h *histories) expect(b *ledger.Record, add func(*row)) {
	var x row
	put := func(of uint64, change [2]int64) {
		x.rest = [5]uint64{of, uint64(change[0]), uint64(change[1])}
		add(&x)
	}
	for at := 0; at < len(b.Legs); {
		next := at + 1
		for next < len(b.Legs) && b.Legs[next].Entry == b.Legs[at].Entry {
			next++
		}
		legs := b.Legs[at:next]
		at = next
		x.seq = b.First + uint64(legs[0].Entry)
		h.parties = h.parties[:0]
		for i := range legs {
			l := &legs[i]
			h.party(legs, l.From, put)
			if l.Touches(l.To) {
				h.party(legs, l.To, put)
			}
		}
		if c := legs[0].Channel(); c != 0 {
			var change [2]int64
			for i := range legs {
				left, paid := legs[i].ChannelEffect()
				change[0], change[1] = change[0]+left, change[1]+paid
			}
			put(ofChannel|uint64(c), change)
		}
	}
}

// party puts what the legs of an entry do to an account, once.
func (h *histories) party(legs []ledger.Leg, a ledger.AccountNo, put func(uint64, [2]int64)) {
	if slices.Contains(h.parties, a) {
		return
	}
	h.parties = append(h.parties, a)
	var change [2]int64
	for i := range legs {
		available, held := legs[i].Effect(a)
		change[0], change[1] = change[0]+available, change[1]+held
	}
	put(uint64(a), change)
}

// scan calls add with each entry of each list.
func (h *histories) scan(add func(*row)) {
	h.at, h.last, h.running = list{}, 0, [2]int64{}
	var x row
	eachRow(h.c, "histories", h.c.rows.Sheets, func(s *index.Sheet) {
		if !s.Listed {
			return
		}
		for i := range s.Strips {
			h.strip(s, &s.Strips[i])
			of := uint64(s.Strips[i].No)
			if s.Strips[i].Channel {
				of |= ofChannel
			}
			for _, p := range s.Strips[i].Postings {
				x.seq, x.rest = p.Seq, [5]uint64{of, uint64(p.Change[0]), uint64(p.Change[1])}
				add(&x)
			}
		}
	})
}

// strip checks that a strip follows the one before it, and adds it up.
func (h *histories) strip(s *index.Sheet, p *index.Strip) {
	wrong := func(what string, args ...any) {
		h.c.found(Finding{Space: "histories", First: p.Postings[0].Seq, Last: p.Postings[len(p.Postings)-1].Seq,
			Key: nameOf(p.Channel, p.No), What: fmt.Sprintf(what, args...)})
	}
	if now := (list{s.Era, p.Channel, p.No}); now != h.at {
		if !h.at.before(now) {
			wrong("the strip is not where it belongs in era %d", s.Era)
		}
		h.at, h.last, h.running = now, 0, [2]int64{}
	}
	if p.Opening != h.running {
		wrong("the strip begins with %d, and era %d has come to %d", p.Opening, s.Era, h.running)
		h.running = p.Opening
	}
	total := h.total(p.Channel, p.No)
	for _, e := range p.Postings {
		if e.Seq <= h.last {
			wrong("entry %d behind entry %d", e.Seq, h.last)
		}
		h.last = e.Seq
		for i := range e.Change {
			h.running[i] += e.Change[i]
			if total != nil {
				total[i] += e.Change[i]
			}
		}
	}
}

func (l list) before(m list) bool {
	switch {
	case l.era != m.era:
		return l.era < m.era
	case l.channel != m.channel:
		return m.channel
	}
	return l.no < m.no
}

// settle makes room for what the entries add up to.
func (h *histories) settle(s *ledger.State) {
	n := s.Counts()
	h.state = s
	h.accounts, h.channels = make([][2]int64, uint64(ledger.FirstAccount)+n.Accounts), make([][2]int64, 1+n.Channels)
}

// total is nil for what does not exist, which the sums will show.
func (h *histories) total(channel bool, no uint32) *[2]int64 {
	all := h.accounts
	if channel {
		all = h.channels
	}
	if uint64(no) >= uint64(len(all)) {
		return nil
	}
	return &all[no]
}

// settled compares what the entries have added up to with the balances.
func (h *histories) settled() {
	wrong := func(channel bool, no int, got, want [2]int64) {
		h.c.found(Finding{Space: "histories", Key: nameOf(channel, uint32(no)),
			What: fmt.Sprintf("the entries add up to %d and %d msat, and the ledger has %d and %d", got[0], got[1], want[0], want[1])})
	}
	for no, got := range h.accounts {
		a, _ := h.state.Account(ledger.AccountNo(no))
		if want := [2]int64{a.Available, int64(a.Held)}; got != want {
			wrong(false, no, got, want)
		}
	}
	for no, got := range h.channels {
		c, _ := h.state.Channel(ledger.ChannelNo(no))
		want := [2]int64{0, int64(c.Total)}
		if c.Status == ledger.Open {
			want[0] = int64(c.Funded - c.Total)
		}
		if got != want {
			wrong(true, no, got, want)
		}
	}
	h.state, h.accounts, h.channels = nil, nil, nil
}
