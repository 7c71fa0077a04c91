package token

import (
	"errors"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
)

// FuzzVerify: no text makes Verify panic, every failure is one of the four errors, and what is accepted is spelled in
// the one canonical way and gives the same grant from the cache.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte(golden))
	f.Add([]byte(golden[:40]))
	f.Add([]byte(craft(f, golden, "scope = read")))
	f.Add([]byte(craft(f, golden, "colour = red")))
	f.Fuzz(func(t *testing.T, text []byte) {
		m := NewMint(root, 4)
		g, err := m.Verify(text, noon)
		if err != nil {
			if g != (Grant{}) {
				t.Fatalf("error %v with a grant %+v", err, g)
			}
			checkSentinel(t, err)
			return
		}
		if same := must(t)(Restrict(string(text), Limits{})); same != string(text) {
			t.Fatalf("accepted %q, canonically %q", text, same)
		}
		if again, err := m.Verify(text, noon); err != nil || again != g {
			t.Fatalf("first %+v, then %+v, %v", g, again, err)
		}
	})
}

// FuzzRestrict: no text and no limits make Restrict panic, and restricting never makes a token valid or wider.
func FuzzRestrict(f *testing.F) {
	f.Add(golden, byte(Read), int64(1795190000), uint64(7))
	f.Add(golden, byte(0), int64(0), uint64(0))
	f.Add(golden[:len(golden)-1]+"A", byte(255), int64(-1), uint64(1<<64-1))
	f.Add("", byte(Pay), int64(1<<62), uint64(1))
	f.Fuzz(func(t *testing.T, text string, scopes byte, unix int64, most uint64) {
		l := Limits{Scopes: Scope(scopes), MaxMsat: ledger.Msat(most)}
		if unix != 0 {
			l.Expires = time.Unix(unix, 0)
		}
		next, err := Restrict(text, l)
		if err != nil {
			checkSentinel(t, err)
			return
		}
		m := NewMint(root, 4)
		before, errBefore := m.Verify([]byte(text), noon)
		after, errAfter := m.Verify([]byte(next), noon)
		switch {
		case errAfter != nil:
			checkSentinel(t, errAfter)
		case errBefore != nil:
			t.Fatalf("%v before, valid after: %+v", errBefore, after)
		default:
			checkNarrower(t, before, l, after)
		}
	})
}

func checkSentinel(t testing.TB, err error) {
	t.Helper()
	for _, want := range []error{ErrMalformed, ErrSignature, ErrCaveat, ErrExpired} {
		if errors.Is(err, want) {
			return
		}
	}
	t.Fatalf("an error without a kind: %v", err)
}
