package rates

import (
	"fmt"
	"math/big"
	"slices"
	"time"
)

// voice is a fresh reading with the name of its source.
type voice struct {
	source string
	reading
}

// verdict is what the fresh readings of a currency come to.
type verdict struct {
	msat    uint64   // of a million units
	sources []string // whose median it is
}

// judge decides what to believe, with the last rate that was set (zero: there is none) and what is held:
//
//  1. Too few voices, and there is no verdict.
//  2. If at least half of them are near the last rate, those are right: their median.
//  3. If most of them are near the median of all, it is that median; if not, there is no verdict.
//  4. With no last rate, it counts. Otherwise it is far from it: two sources that are near it vouch for each other; one alone has to say it
//     again, twice, each time with a newer reading.
func (c *Config) judge(last uint64, voices []voice, h *hold) (verdict, error) {
	if len(voices) < c.Need {
		h.drop()
		return verdict{}, fmt.Errorf("%w: %d, want %d", ErrFew, len(voices), c.Need)
	}
	if last != 0 {
		if near := c.near(voices, new(big.Rat).SetUint64(last)); 2*len(near) >= len(voices) {
			h.drop()
			if len(near) < c.Need {
				return verdict{}, fmt.Errorf("%w: %d near the last rate, want %d", ErrFew, len(near), c.Need)
			}
			return settle(near), nil
		}
	}
	middle := median(voices)
	near := c.near(voices, middle)
	if 2*len(near) <= len(voices) || len(near) < c.Need {
		h.drop()
		return verdict{}, fmt.Errorf("%w: %d of %d are near their median", ErrApart, len(near), len(voices))
	}
	switch {
	case last == 0, len(near) > 1:
	case !h.confirm(near[0], c.Jump):
		return verdict{}, fmt.Errorf("%w: %s says %d msat for a million, and the last was %d", ErrHeld, near[0].source, nearest(near[0].msat), last)
	}
	h.drop()
	return settle(near), nil
}

func settle(voices []voice) (v verdict) {
	v.msat = nearest(median(voices))
	for _, one := range voices {
		v.sources = append(v.sources, one.source)
	}
	slices.Sort(v.sources)
	return v
}

// near are the voices that a value is within a jump of.
func (c *Config) near(voices []voice, value *big.Rat) (some []voice) {
	for _, v := range voices {
		if within(v.msat, value, c.Jump) {
			some = append(some, v)
		}
	}
	return some
}

// within says whether the greater of two is at most a share above the less: the same both ways.
func within(a, b *big.Rat, share Share) bool {
	if a.Cmp(b) < 0 {
		a, b = b, a
	}
	most := new(big.Rat).SetFrac64(int64(whole)+int64(share), int64(whole))
	return a.Cmp(most.Mul(most, b)) <= 0
}

// median is the middle one, or the mean of the two in the middle.
func median(voices []voice) *big.Rat {
	sorted := slices.SortedFunc(slices.Values(voices), func(a, b voice) int { return a.msat.Cmp(b.msat) })
	middle := new(big.Rat).Set(sorted[len(sorted)/2].msat)
	if len(sorted)%2 == 0 {
		middle.Add(middle, sorted[len(sorted)/2-1].msat)
		middle.Quo(middle, new(big.Rat).SetInt64(2))
	}
	return middle
}

// confirmations is how often a source that is alone has to repeat what is far from the last rate.
const confirmations = 2

// hold is a reading far from the last rate that no second source has. The zero value holds nothing.
type hold struct {
	source string
	msat   *big.Rat
	at     time.Time // of the newest reading
	times  int       // it was repeated
}

func (h *hold) drop() { *h = hold{} }

// confirm says whether a reading repeats the one that is held, for the last time it needs to. Another one is held in its place.
func (h *hold) confirm(v voice, jump Share) bool {
	switch {
	case h.msat == nil || h.source != v.source || !within(h.msat, v.msat, jump):
		*h = hold{source: v.source, msat: v.msat, at: v.at}
	case v.at.After(h.at):
		h.at = v.at
		h.times++
	}
	return h.times >= confirmations
}
