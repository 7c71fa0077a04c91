package index

import (
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// TestStripGolden pins the bytes of a sheet: what is on disk must stay readable.
func TestStripGolden(t *testing.T) {
	several := strip{no: 16, opening: change{5, -3}}
	several.add(1001, formGain, 700)
	several.add(1002, formSame, 0)
	several.add(2000, formSetAside, 7)
	several.addBoth(2001, change{-1, 300})
	several.add(1<<33, formNone, 0)
	several.net = change{1400 - 7 - 1, 7 + 300}
	one := strip{no: 300}
	one.add(1001, formLoseHeld, 1)
	one.net = change{0, -1}
	odd := strip{no: math.MaxUint32}
	odd.addBoth(1003, change{math.MaxInt64, math.MinInt64})
	odd.net = change{math.MaxInt64, math.MinInt64}

	sheet := []byte{0xe8, 7}
	before := uint32(0)
	for _, s := range []*strip{&several, &one, &odd} {
		sheet = s.appendTo(sheet, 1000, before)
		before = s.no
	}
	const want = "e807" + // base
		"10" + "0b" + "01" + "0a05" + "97f8ffff1f" + "e015e604" + "11" + // number, count, first, opening, last, net, bytes
		"01bc05" + "0e" + "b43e07" + "0f01d804" + "f882ffffff01" +
		"9c02" + "02" + "01" + "0301" +
		"d3fdffff0f" + "02" + "03" + "07feffffffffffffffff01ffffffffffffffffff01"
	if got := hex.EncodeToString(sheet); got != want {
		t.Errorf("the sheet is\n%s, want\n%s", got, want)
	}
	r, err := readSheet(sheet)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []*strip{&several, &one, &odd} {
		if ok, err := r.next(); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if !reflect.DeepEqual(r.strip, *want) {
			t.Errorf("read %+v, want %+v", r.strip, *want)
		}
	}
	if ok, err := r.next(); ok || err != nil {
		t.Error(ok, err)
	}
	r, _ = readSheet(sheet)
	r.next()
	postings, err := r.postings(nil)
	if err != nil || !slices.Equal(postings, []posting{
		{1001, change{700, 0}}, {1002, change{700, 0}}, {2000, change{-7, 7}}, {2001, change{-1, 300}}, {1 << 33, change{}},
	}) {
		t.Error(postings, err)
	}
}

// TestForms: every change has a form that says it.
func TestForms(t *testing.T) {
	m := int64(ledger.MaxMsat)
	for _, a := range []int64{0, 1, -1, 5, m, -m, math.MinInt64, math.MaxInt64} {
		for _, h := range []int64{0, 1, -1, 5, -5, m, -m, math.MinInt64, math.MaxInt64} {
			want := change{a, h}
			s := strip{no: 1, net: want}
			if form, n := formOf(want); form == formBoth {
				s.addBoth(9, want)
			} else {
				s.add(9, form, n)
			}
			r, err := readSheet(s.appendTo([]byte{3}, 3, 0))
			if err != nil {
				t.Fatal(err)
			}
			if ok, err := r.next(); !ok || err != nil || r.net != want {
				t.Fatalf("%v: %v %v, read as %v", want, ok, err, r.net)
			}
			if p, err := r.postings(nil); err != nil || len(p) != 1 || p[0] != (posting{9, want}) {
				t.Errorf("%v: read as %v, %v", want, p, err)
			}
		}
	}
}

// TestJoin: strips cut anywhere and joined again are the strip that was never cut, but for repeats at a cut.
func TestJoin(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		all := randomPostings(rng, 2+rng.IntN(300))
		cut := 1 + rng.IntN(len(all)-1)
		a, b := stripOf(7, all[:cut]), stripOf(7, all[cut:])
		if err := a.join(&b); err != nil {
			t.Fatal(err)
		}
		got, err := a.postings(nil)
		if err != nil || !slices.Equal(got, all) {
			t.Fatalf("cut at %d of %d: %v", cut, len(all), err)
		}
		if err := a.join(&b); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("joined twice: %v", err)
		}
	}
}

func randomPostings(rng *rand.Rand, n int) []posting {
	out := make([]posting, n)
	seq := rng.Uint64N(1 << 34)
	for i := range out {
		seq += 1 + rng.Uint64N(1<<rng.IntN(30))
		out[i].seq = seq
		switch rng.IntN(6) {
		case 0:
			out[i].change = change{rng.Int64N(1 << 40), -rng.Int64N(1 << 50)}
		case 1:
			out[i].change = change{rng.Int64N(1000) - 500, 0}
		case 2:
			out[i].change = change{0, -rng.Int64N(1000)}
		case 3:
			out[i].change = change{5, -5}
		case 4:
			if i > 0 {
				out[i].change = out[i-1].change
			}
		}
	}
	return out
}

func stripOf(no uint32, postings []posting) strip {
	s := strip{no: no}
	for i, p := range postings {
		form, n := formOf(p.change)
		switch {
		case i > 0 && p.change == postings[i-1].change:
			s.add(p.seq, formSame, 0)
		case form == formBoth:
			s.addBoth(p.seq, p.change)
		default:
			s.add(p.seq, form, n)
		}
		s.net = plus(s.net, p.change)
	}
	return s
}

// FuzzSheet: no bytes make the reader panic or read beyond what it was given, and what it takes for strips adds up.
func FuzzSheet(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 4 {
		s := stripOf(rng.Uint32(), randomPostings(rng, 1+rng.IntN(9)))
		f.Add(s.appendTo([]byte{0}, 0, 0))
	}
	f.Fuzz(func(t *testing.T, sheet []byte) {
		r, err := readSheet(sheet)
		for err == nil {
			var ok bool
			if ok, err = r.next(); !ok {
				break
			}
			var postings []posting
			if postings, err = r.postings(nil); err != nil {
				break
			}
			if len(postings) != r.count || postings[0].seq != r.first || postings[r.count-1].seq != r.last {
				t.Fatalf("%d postings of %+v", len(postings), r.strip)
			}
			for i := range postings[1:] {
				if postings[i].seq >= postings[i+1].seq {
					t.Fatalf("entry %d before %d", postings[i].seq, postings[i+1].seq)
				}
			}
		}
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
}
