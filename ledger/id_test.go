package ledger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/millrace/millrace/ledger"
)

var sampleNumbers = []uint32{1, 2, 16, 31, 32, 1020, 1021, 1022, 32_767, 32_768, 1 << 20, 123_456_789, 1<<31 - 1, 1 << 31, 1<<32 - 2, 1<<32 - 1}

func TestNumberText(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range sampleNumbers {
		a, c := ledger.AccountNo(n).String(), ledger.ChannelNo(n).String()
		if got, err := ledger.ParseAccountNo(a); err != nil || got != ledger.AccountNo(n) {
			t.Errorf("%s: %d, %v", a, got, err)
		}
		if got, err := ledger.ParseChannelNo([]byte(c)); err != nil || got != ledger.ChannelNo(n) {
			t.Errorf("%s: %d, %v", c, got, err)
		}
		if _, err := ledger.ParseAccountNo(c); !errors.Is(err, ledger.ErrID) {
			t.Errorf("a channel's text names an account: %v", err)
		}
		if h := ledger.HoldNo(n).String(); h[0] != 'h' || h[1:] != a[1:] {
			t.Error(h)
		}
		if seen[a] {
			t.Errorf("%s twice", a)
		}
		seen[a] = true
	}
}

// TestMistypedNumbers: every substitution of one symbol, and every swap of two neighbours, names nobody. That holds for all
// numbers, not the sampled alone: 1021 is prime and above 32*31, so neither changes a number by a multiple of it.
func TestMistypedNumbers(t *testing.T) {
	rng := newRand(9)
	numbers := sampleNumbers
	for range 3000 {
		numbers = append(numbers, max(1, rng.Uint32()>>rng.UintN(32)))
	}
	for _, n := range numbers {
		text := ledger.AccountNo(n).String()
		try := func(b []byte) {
			if got, err := ledger.ParseAccountNo(b); string(b) != text && err == nil {
				t.Fatalf("%s mistyped as %s names account %d", text, b, got)
			}
		}
		for i := range text {
			for _, c := range []byte("0123456789abcdefghijklmnopqrstuvwxyzAO-. \x00\xff") {
				b := []byte(text)
				b[i] = c
				try(b)
			}
			if i+1 < len(text) {
				b := []byte(text)
				b[i], b[i+1] = b[i+1], b[i]
				try(b)
			}
		}
	}
}

// TestOtherMistakes measures what two check symbols cannot promise: a symbol lost or doubled, two symbols wrong. One in 1021
// of them names another account, if it exists at all.
func TestOtherMistakes(t *testing.T) {
	rng := newRand(10)
	const symbols = "0123456789abcdefghjkmnpqrstvwxyz"
	tried, missed := 0, 0
	for range 200_000 {
		b := []byte(ledger.AccountNo(max(1, rng.Uint32())).String())
		switch i := 1 + rng.IntN(len(b)-1); rng.IntN(3) {
		case 0:
			b = append(b[:i], b[i+1:]...)
		case 1:
			b = append(b[:i], append([]byte{b[i]}, b[i:]...)...)
		case 2:
			j := 1 + rng.IntN(len(b)-1)
			if i == j || b[i] == b[j] {
				continue
			}
			old := string(b)
			b[i], b[j] = symbols[rng.IntN(32)], symbols[rng.IntN(32)]
			if old == string(b) {
				continue
			}
		}
		tried++
		if _, err := ledger.ParseAccountNo(b); err == nil {
			missed++
		}
	}
	t.Logf("%d of %d mistakes of other kinds are not found out: one in %d", missed, tried, tried/max(1, missed))
	if missed*500 > tried {
		t.Errorf("%d of %d mistakes are not found out, want at most one in 500", missed, tried)
	}
}

func TestBadText(t *testing.T) {
	good := ledger.AccountNo(16).String()
	for _, s := range []string{"", "a", "a00", "a000", "a0000", strings.ToUpper(good), good + " ", " " + good, "a0" + good[1:], "azzzzzzz00", "c" + good[1:], "a" + good} {
		if n, err := ledger.ParseAccountNo(s); !errors.Is(err, ledger.ErrID) {
			t.Errorf("%q: account %d, %v", s, n, err)
		}
	}
	id := ledger.NewOpID(testTime, [10]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	text := id.String()
	if got, err := ledger.ParseOpID(text); err != nil || got != id || id.Millis() != testTime {
		t.Errorf("%s: %v, %v at %d", text, got, err, id.Millis())
	}
	for _, s := range []string{"", strings.ToUpper(text), strings.ReplaceAll(text, "-", ""), "{" + text + "}", text[:14] + "4" + text[15:],
		text[:19] + "c" + text[20:], text[:35], text + "0", strings.Replace(text, "-", "0", 1), text[:35] + "g"} {
		if _, err := ledger.ParseOpID(s); !errors.Is(err, ledger.ErrID) {
			t.Errorf("%q: %v", s, err)
		}
	}
	content := ledger.ContentID{0xab, 15: 0xcd}
	if got, err := ledger.ParseContentID(content.String()); err != nil || got != content {
		t.Errorf("%v: %v, %v", content, got, err)
	}
	for _, s := range []string{"", content.String()[:31], content.String() + "0", strings.ToUpper(content.String()), strings.Repeat("g", 32)} {
		if _, err := ledger.ParseContentID(s); !errors.Is(err, ledger.ErrID) {
			t.Errorf("%q: %v", s, err)
		}
	}
}
