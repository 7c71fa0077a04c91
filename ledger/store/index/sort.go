package index

import (
	"math/bits"

	"github.com/millrace/millrace/ledger"
)

// mention is one entry in one list while a segment's postings are being sorted: 12 bytes, since a segment has millions and
// the time goes into moving them.
type mention struct {
	list  uint32 // the account or channel
	entry uint32 // counted from the segment's first
	what  uint32 // the form of the change in the low bits, n above; formBoth with a place in gathered.odd above
}

// maxPlain is the first n that does not fit in a mention.
const maxPlain = 1 << (32 - formBits)

// gathered are the mentions of a segment. Its buffers serve one segment after the other.
type gathered struct {
	accounts, channels []mention
	odd                []change // those that a mention has no room for
	spare              []mention
	parties            []ledger.AccountNo // of the entry at hand
}

func (g *gathered) reset() {
	g.accounts, g.channels, g.odd = g.accounts[:0], g.channels[:0], g.odd[:0]
}

// block takes the legs of a block whose first entry is the given one of the segment.
func (g *gathered) block(first uint32, legs []ledger.Leg) {
	for i := 0; i < len(legs); {
		l := &legs[i]
		if i++; i == len(legs) || legs[i].Entry != l.Entry {
			g.leg(first+l.Entry, l)
			continue
		}
		from := i - 1
		for i < len(legs) && legs[i].Entry == l.Entry {
			i++
		}
		g.entry(first+l.Entry, legs[from:i])
	}
}

// leg takes an entry of one leg, as nearly all are.
func (g *gathered) leg(entry uint32, l *ledger.Leg) {
	n, big := uint32(l.Amount)<<formBits, l.Amount >= maxPlain || l.Amount == 0 || l.From == l.To
	to := l.Touches(l.To) && l.To != l.From
	if l.Move == ledger.MovePaidHeld && to && !big {
		g.accounts = append(g.accounts, mention{uint32(l.From), entry, n | formLoseHeld}, mention{uint32(l.To), entry, n | formGain})
		if c := l.Channel(); c != 0 {
			g.channels = append(g.channels, mention{uint32(c), entry, n | formSetAside})
		}
		return
	}
	g.accounts = append(g.accounts, mention{uint32(l.From), entry, g.what(effect(l, l.From))})
	if to {
		g.accounts = append(g.accounts, mention{uint32(l.To), entry, g.what(effect(l, l.To))})
	}
	if c := l.Channel(); c != 0 {
		g.channels = append(g.channels, mention{uint32(c), entry, g.what(channelEffect(l))})
	}
}

// entry takes an entry of several legs: whoever stands in some of them has one posting.
func (g *gathered) entry(entry uint32, legs []ledger.Leg) {
	g.parties = g.parties[:0]
	for i := range legs {
		for _, a := range [...]ledger.AccountNo{legs[i].From, legs[i].To} {
			if legs[i].Touches(a) && !contains(g.parties, a) {
				g.parties = append(g.parties, a)
			}
		}
	}
	for _, a := range g.parties {
		g.accounts = append(g.accounts, mention{uint32(a), entry, g.what(accountChange(legs, a))})
	}
	if c := legs[0].Channel(); c != 0 {
		g.channels = append(g.channels, mention{uint32(c), entry, g.what(channelChange(legs))})
	}
}

func contains(parties []ledger.AccountNo, a ledger.AccountNo) bool {
	for _, p := range parties {
		if p == a {
			return true
		}
	}
	return false
}

func effect(l *ledger.Leg, a ledger.AccountNo) (c change) {
	c[0], c[1] = l.Effect(a)
	return c
}

func channelEffect(l *ledger.Leg) (c change) {
	c[0], c[1] = l.ChannelEffect()
	return c
}

// accountChange is what an entry changes in an account, and channelChange what it changes in its channel.
func accountChange(legs []ledger.Leg, a ledger.AccountNo) (c change) {
	for i := range legs {
		c = plus(c, effect(&legs[i], a))
	}
	return c
}

func channelChange(legs []ledger.Leg) (c change) {
	for i := range legs {
		c = plus(c, channelEffect(&legs[i]))
	}
	return c
}

func (g *gathered) what(c change) uint32 {
	form, n := formOf(c)
	if form == formBoth || n >= maxPlain {
		g.odd = append(g.odd, c)
		return uint32(len(g.odd)-1)<<formBits | formBoth
	}
	return uint32(n)<<formBits | uint32(form)
}

// maxDigit bounds how many streams a pass of the sort writes: beyond, they fall out of the nearest cache.
const maxDigit = 11

// sorted sorts mentions by list and leaves those of a list in their order: a radix sort with as few passes as the largest
// list number allows. It returns the sorted buffer and the other one, which may be used again.
func sorted(m, spare []mention) (_, free []mention) {
	if cap(spare) < len(m) {
		spare = make([]mention, len(m), cap(m))
	}
	spare = spare[:len(m)]
	largest := uint32(0)
	for i := range m {
		largest = max(largest, m[i].list)
	}
	passes := (bits.Len32(largest) + maxDigit - 1) / maxDigit
	if passes == 0 {
		return m, spare
	}
	digit := (bits.Len32(largest) + passes - 1) / passes
	for p := range passes {
		pass(m, spare, p*digit, 1<<digit-1)
		m, spare = spare, m
	}
	return m, spare
}

// pass moves mentions to where their digit puts them.
func pass(from, to []mention, shift int, mask uint32) {
	var next [1 << maxDigit]uint32
	for i := range from {
		next[from[i].list>>shift&mask]++
	}
	at := uint32(0)
	for i := range next[:mask+1] {
		at, next[i] = at+next[i], at
	}
	for i := range from {
		p := &next[from[i].list>>shift&mask]
		to[*p] = from[i]
		*p++
	}
}
