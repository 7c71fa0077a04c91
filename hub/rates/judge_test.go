package rates

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"
)

// say makes voices of prices for one bitcoin: a, b, c ... say them at a time.
func say(at int64, prices ...int64) (voices []voice) {
	for i, p := range prices {
		voices = append(voices, voice{source: string(rune('a' + i)), reading: reading{msat: big.NewRat(millionBitcoins, p), at: time.Unix(at, 0)}})
	}
	return voices
}

func priced(price int64) uint64 { return nearest(big.NewRat(millionBitcoins, price)) }

func TestJudge(t *testing.T) {
	c := Config{Jump: 2000, Need: 1}
	two := Config{Jump: 2000, Need: 2}
	for _, x := range []struct {
		name   string
		config Config
		last   int64 // price for one bitcoin; zero: none
		says   []int64
		want   int64 // of which of them the rate is; zero: none
		from   []string
		err    error
	}{
		{"one", c, 0, []int64{65000}, 65000, []string{"a"}, nil},
		{"none", c, 65000, nil, 0, nil, ErrFew},
		{"too few", two, 65000, []int64{65000}, 0, nil, ErrFew},
		{"three, one bad", c, 0, []int64{65000, 6500, 65000}, 65000, []string{"a", "c"}, nil},
		{"three, one bad, with a last", c, 64000, []int64{65000, 650000, 65000}, 65000, []string{"a", "c"}, nil},
		{"two apart, no last", c, 0, []int64{65000, 6500}, 0, nil, ErrApart},
		{"two apart, one near the last", c, 64000, []int64{65000, 6500}, 65000, []string{"a"}, nil},
		{"two apart, one near the last, two needed", two, 64000, []int64{65000, 6500}, 0, nil, ErrFew},
		{"two apart, both far", c, 64000, []int64{650000, 6500}, 0, nil, ErrApart},
		{"two far vouch for each other", c, 64000, []int64{100000, 100000}, 100000, []string{"a", "b"}, nil},
		{"two far outvote one near", c, 64000, []int64{100000, 64000, 100000}, 100000, []string{"a", "c"}, nil},
		{"four, two near", c, 64000, []int64{100000, 64000, 100000, 64000}, 64000, []string{"b", "d"}, nil},
		{"one far", c, 64000, []int64{100000}, 0, nil, ErrHeld},
		{"just near above", c, 60000, []int64{71999}, 71999, []string{"a"}, nil},
		{"just far above", c, 60000, []int64{72001}, 0, nil, ErrHeld},
		{"just near below", c, 71999, []int64{60000}, 60000, []string{"a"}, nil},
		{"just far below", c, 72001, []int64{60000}, 0, nil, ErrHeld},
	} {
		last := uint64(0)
		if x.last != 0 {
			last = priced(x.last)
		}
		v, err := x.config.judge(last, say(5, x.says...), &hold{})
		if !errors.Is(err, x.err) || x.want != 0 && v.msat != priced(x.want) || !slices.Equal(v.sources, x.from) {
			t.Errorf("%s: %+v, %v", x.name, v, err)
		}
	}
	// An even number has a mean, and it is exact.
	odd := []voice{{reading: reading{msat: big.NewRat(1, 3)}}, {reading: reading{msat: big.NewRat(1, 6)}}}
	if m := median(odd); m.Cmp(big.NewRat(1, 4)) != 0 {
		t.Errorf("median %v", m)
	}
}

// TestHold: what is far from the last rate is believed when it was repeated twice, by newer readings, and nothing came between.
func TestHold(t *testing.T) {
	const last, far = 60000, 100000
	c := Config{Jump: 2000, Need: 1}
	for _, x := range []struct {
		name string
		says [][2]int64 // at, price
		want string     // for each: h held, y taken
	}{
		{"repeated", [][2]int64{{1, far}, {2, far}, {3, far}}, "hhy"},
		{"repeated roughly", [][2]int64{{1, far}, {2, 110000}, {3, 90000}}, "hhy"},
		{"the same reading again", [][2]int64{{1, far}, {1, far}, {1, far}, {2, far}, {2, far}, {3, far}}, "hhhhhy"},
		{"back to the old between", [][2]int64{{1, far}, {2, far}, {3, last}, {4, far}, {5, far}, {6, far}}, "hhyhhy"},
		{"somewhere else", [][2]int64{{1, far}, {2, far}, {3, 200000}, {4, 200000}, {5, 200000}}, "hhhhy"},
		{"never twice the same", [][2]int64{{1, 100000}, {2, 200000}, {3, 10000}, {4, 100000}}, "hhhh"},
		{"an older one", [][2]int64{{5, far}, {4, far}, {3, far}}, "hhh"},
	} {
		var h hold
		got := ""
		for _, say1 := range x.says {
			switch _, err := c.judge(priced(last), say(say1[0], say1[1]), &h); {
			case err == nil:
				got += "y"
			case errors.Is(err, ErrHeld):
				got += "h"
			default:
				got += fmt.Sprint(err)
			}
		}
		if got != x.want {
			t.Errorf("%s: %s, want %s", x.name, got, x.want)
		}
	}
	// Another source that is alone does not confirm what the first said: each has to say it by itself, or both at once.
	var h hold
	for i, source := range []string{"a", "b", "a", "b"} {
		v := say(int64(i+1), far)
		v[0].source = source
		if _, err := c.judge(priced(last), v, &h); !errors.Is(err, ErrHeld) {
			t.Errorf("%s, %d: %v", source, i, err)
		}
	}
}
