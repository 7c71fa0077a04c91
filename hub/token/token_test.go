package token

import (
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
	"gopkg.in/macaroon.v2"
)

// The tests' clock, root and account.
var (
	noon    = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	evening = time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)
	root    = [32]byte{0: 1, 31: 2}
)

const alice = ledger.FirstAccount

// golden is the token of account 16 under root with random bytes 0..15 and every limit. It pins the format: a change
// here means that tokens already handed out stop working. The value was computed by
// another implementation, too: HMAC-SHA256 and base64 of Python's standard library.
const golden = "AgIWAWEQAAAAAAECAwQFBgcICQoLDA0ODwACEHNjb3BlID0gcmVhZCBwYXkAAhpleHAgPCAyMDI2LTExLTIwVDE4OjAwOjAwWgAC" +
	"GG1heF9tc2F0X3Blcl9jYWxsID0gNTAwMAAABiDBq8riAKCj1QcLe3z1Bi5OIL82al_sQeoFGq6HKzs9Tw"

var goldenLimits = Limits{Scopes: Read | Pay, Expires: evening, MaxMsat: 5000}

func goldenToken(t testing.TB) string {
	id := identifier{kind: kindAccount, account: alice}
	for i := range id.random {
		id.random[i] = byte(i)
	}
	text, err := NewMint(root, 0).issue(id, goldenLimits)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func must(t testing.TB) func(string, error) string {
	return func(text string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

func TestGolden(t *testing.T) {
	if got := goldenToken(t); got != golden {
		t.Fatalf("the format changed:\n got %s\nwant %s", got, golden)
	}
	g, err := NewMint(root, 0).Verify([]byte(golden), noon)
	if want := [16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; g.ID != want {
		t.Errorf("id %x", g.ID)
	}
	g.ID = [16]byte{}
	want := Grant{Account: alice, Scopes: Read | Pay, Expires: evening, MaxMsat: 5000}
	if err != nil || g != want {
		t.Fatalf("got %+v, %v; want %+v", g, err, want)
	}
}

func TestIssue(t *testing.T) {
	m := NewMint(root, 0)
	a := must(t)(m.Issue(alice, Limits{}))
	if b := must(t)(m.Issue(alice, Limits{})); a == b {
		t.Error("two tokens are the same")
	}
	if g, err := nameless(m.Verify([]byte(a), noon)); err != nil || g != (Grant{Account: alice, Scopes: Read | Pay | Sell}) {
		t.Errorf("account token: %+v, %v", g, err)
	}
	if _, err := m.Issue(0, Limits{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("account zero: %v", err)
	}
	if _, err := m.Issue(alice, Limits{Scopes: 1 << 7}); !errors.Is(err, ErrCaveat) {
		t.Errorf("scope bit without a word: %v", err)
	}
	for _, only := range []Only{{From: 1}, {From: 5, End: 5}, {From: 6, End: 5}, {Site: "a b"}, {Site: strings.Repeat("a", 301)}} {
		if _, err := m.Issue(alice, Limits{Only: only}); !errors.Is(err, ErrCaveat) {
			t.Errorf("%+v: %v", only, err)
		}
	}
	if _, err := m.Issue(alice, Limits{Expires: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}); !errors.Is(err, ErrCaveat) {
		t.Errorf("five-digit year: %v", err)
	}
	other := NewMint([32]byte{}, 0)
	if _, err := other.Verify([]byte(a), noon); !errors.Is(err, ErrSignature) {
		t.Errorf("another hub's token: %v", err)
	}
}

func TestOperator(t *testing.T) {
	m := NewMint(root, 0)
	op := must(t)(m.IssueOperator(Limits{}))
	for _, c := range []struct {
		name, text string
		want       Grant
	}{
		{"operator", op, Grant{Operator: true, Scopes: Read | Operator}},
		{"reads only", must(t)(Restrict(op, Limits{Scopes: Read})), Grant{Scopes: Read}},
		{"cannot pay", must(t)(Restrict(op, Limits{Scopes: Pay})), Grant{}},
		{"account asks for operator", must(t)(m.Issue(alice, Limits{Scopes: Operator})), Grant{Account: alice}},
	} {
		if g, err := nameless(m.Verify([]byte(c.text), noon)); err != nil || g != c.want {
			t.Errorf("%s: got %+v, %v; want %+v", c.name, g, err, c.want)
		}
	}
}

// TestCaveats adds caveats as a holder would who has another macaroon library.
func TestCaveats(t *testing.T) {
	all := Grant{Account: alice, Scopes: Read | Pay | Sell}
	with := func(f func(*Grant)) Grant { g := all; f(&g); return g }
	for _, c := range []struct {
		caveats string // separated by |
		want    Grant
		err     error
	}{
		{"scope = read", with(func(g *Grant) { g.Scopes = Read }), nil},
		{"scope = sell read", with(func(g *Grant) { g.Scopes = Read | Sell }), nil},
		{"scope = read pay|scope = pay sell", with(func(g *Grant) { g.Scopes = Pay }), nil},
		{"scope = read|scope = pay", with(func(g *Grant) { g.Scopes = 0 }), nil},
		{"scope = read operator", with(func(g *Grant) { g.Scopes = Read }), nil},
		{"exp < 2026-11-20T18:00:00Z", with(func(g *Grant) { g.Expires = evening }), nil},
		{"exp < 2026-11-20T19:00:00+01:00", with(func(g *Grant) { g.Expires = evening }), nil},
		{"exp < 2026-11-20T18:00:00Z|exp < 2030-01-01T00:00:00Z", with(func(g *Grant) { g.Expires = evening }), nil},
		{"exp < 2030-01-01T00:00:00Z|exp < 2026-11-20T18:00:00Z", with(func(g *Grant) { g.Expires = evening }), nil},
		{"max_msat_per_call = 5000", with(func(g *Grant) { g.MaxMsat = 5000 }), nil},
		{"max_msat_per_call = 18446744073709551615", with(func(g *Grant) { g.MaxMsat = 1<<64 - 1 }), nil},
		{"max_msat_per_call = 5|max_msat_per_call = 9", with(func(g *Grant) { g.MaxMsat = 5 }), nil},
		{"max_msat_per_call = 9|max_msat_per_call = 5", with(func(g *Grant) { g.MaxMsat = 5 }), nil},
		{"content = 0a000000000000000000000000000000", with(func(g *Grant) { g.Only.Content = ledger.ContentID{10} }), nil},
		{"units = 0-59", with(func(g *Grant) { g.Only.End = 60 }), nil},
		{"units = 0-59|units = 7-99", with(func(g *Grant) { g.Only.From, g.Only.End = 7, 60 }), nil},
		{"units = 0-5|units = 7-9", with(func(g *Grant) { g.Scopes, g.Only.From, g.Only.End = 0, 7, 6 }), nil},
		{"site = https://a.example", with(func(g *Grant) { g.Only.Site = "https://a.example" }), nil},
		{"exp < 2026-11-20T12:00:00Z", Grant{}, ErrExpired},
		{"exp < 2026-11-20T18:00:00Z|exp < 1999-01-01T00:00:00Z", Grant{}, ErrExpired},

		{"", Grant{}, ErrCaveat},
		{"scope", Grant{}, ErrCaveat},
		{"scope = ", Grant{}, ErrCaveat},
		{"scope = Read", Grant{}, ErrCaveat},
		{"scope = read  pay", Grant{}, ErrCaveat},
		{"scope = read read", Grant{}, ErrCaveat},
		{"scope = read,pay", Grant{}, ErrCaveat},
		{"scope = admin", Grant{}, ErrCaveat},
		{"scope=read", Grant{}, ErrCaveat},
		{"content = 0A000000000000000000000000000000", Grant{}, ErrCaveat},
		{"content = 00000000000000000000000000000000", Grant{}, ErrCaveat},
		{"content = ", Grant{}, ErrCaveat},
		{"units = 5", Grant{}, ErrCaveat},
		{"units = 5-4", Grant{}, ErrCaveat},
		{"units = 05-6", Grant{}, ErrCaveat},
		{"units = 0-4294967295", Grant{}, ErrCaveat},
		{"units = -1-6", Grant{}, ErrCaveat},
		{"site = ", Grant{}, ErrCaveat},
		{"site = https://a.example b", Grant{}, ErrCaveat},
		{" scope = read", Grant{}, ErrCaveat},
		{"exp < ", Grant{}, ErrCaveat},
		{"exp < tomorrow", Grant{}, ErrCaveat},
		{"exp < 1795197600", Grant{}, ErrCaveat},
		{"exp < 2026-11-20", Grant{}, ErrCaveat},
		{"exp < 2026-02-30T00:00:00Z", Grant{}, ErrCaveat},
		{"exp < 0001-01-01T00:00:00Z", Grant{}, ErrCaveat}, // the zero time would mean "never"
		{"exp > 2026-11-20T18:00:00Z", Grant{}, ErrCaveat},
		{"max_msat_per_call = 0", Grant{}, ErrCaveat}, // zero would mean "no cap"
		{"max_msat_per_call = ", Grant{}, ErrCaveat},
		{"max_msat_per_call = -5", Grant{}, ErrCaveat},
		{"max_msat_per_call = +5", Grant{}, ErrCaveat},
		{"max_msat_per_call = 05", Grant{}, ErrCaveat},
		{"max_msat_per_call = 5.0", Grant{}, ErrCaveat},
		{"max_msat_per_call = 5 ", Grant{}, ErrCaveat},
		{"max_msat_per_call = 18446744073709551616", Grant{}, ErrCaveat},
		{"ip = 127.0.0.1", Grant{}, ErrCaveat},
		{"scope = read|colour = red", Grant{}, ErrCaveat},
	} {
		m := NewMint(root, 8)
		text := craft(t, must(t)(m.Issue(alice, Limits{})), strings.Split(c.caveats, "|")...)
		for _, pass := range []string{"first", "again"} {
			if g, err := nameless(m.Verify([]byte(text), noon)); g != c.want || !errors.Is(err, c.err) {
				t.Errorf("%q, %s: got %+v, %v; want %+v, %v", c.caveats, pass, g, err, c.want, c.err)
			}
		}
	}
}

// craft adds raw caveats to a token.
func craft(t testing.TB, text string, caveats ...string) string {
	t.Helper()
	return reshape(t, text, func(m *macaroon.Macaroon) {
		for _, c := range caveats {
			m.AddFirstPartyCaveat([]byte(c))
		}
	})
}

func reshape(t testing.TB, text string, change func(*macaroon.Macaroon)) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	m := new(macaroon.Macaroon)
	if err := m.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	change(m)
	if b, err = m.MarshalBinary(); err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func TestForms(t *testing.T) {
	raw, _ := base64.RawURLEncoding.DecodeString(golden)
	v1 := func() string {
		m, _ := macaroon.New([]byte("k"), []byte("id"), "", macaroon.V1)
		b, _ := m.MarshalBinary()
		return base64.RawURLEncoding.EncodeToString(b)
	}()
	for name, c := range map[string]struct {
		text string
		err  error
	}{
		"empty":              {"", ErrMalformed},
		"not base64":         {"%" + golden[1:], ErrMalformed},
		"line break":         {golden[:9] + "\n" + golden[9:], ErrMalformed},
		"padding":            {golden + "=", ErrMalformed},
		"truncated":          {golden[:len(golden)-4], ErrMalformed},
		"bytes after":        {base64.RawURLEncoding.EncodeToString(append(raw[:len(raw):len(raw)], 0)), ErrMalformed},
		"version 1":          {v1, ErrMalformed},
		"location":           {reshape(t, golden, func(m *macaroon.Macaroon) { m.SetLocation("x") }), ErrMalformed},
		"too large":          {strings.Repeat("A", MaxText+1), ErrMalformed},
		"33 caveats":         {craft(t, golden, strings.Split(strings.Repeat("scope = pay|", 29)+"scope = pay", "|")...), ErrMalformed},
		"one large caveat":   {craft(t, golden, strings.Repeat("x", 1500)), ErrMalformed},
		"short identifier":   {foreign(t, []byte("short")), ErrMalformed},
		"identifier version": {foreign(t, append([]byte{2, 'a'}, make([]byte, 20)...)), ErrMalformed},
		"unknown kind":       {foreign(t, append([]byte{1, 'x', 16}, make([]byte, 19)...)), ErrMalformed},
		"operator account":   {foreign(t, append([]byte{1, 'o', 16}, make([]byte, 19)...)), ErrMalformed},
		"account zero":       {foreign(t, append([]byte{1, 'a'}, make([]byte, 20)...)), ErrMalformed},
		"third party": {reshape(t, golden, func(m *macaroon.Macaroon) {
			if err := m.AddThirdPartyCaveat([]byte("k"), []byte("id"), "elsewhere"); err != nil {
				t.Fatal(err)
			}
		}), ErrCaveat},
	} {
		if g, err := NewMint(root, 0).Verify([]byte(c.text), noon); !errors.Is(err, c.err) || g != (Grant{}) {
			t.Errorf("%s: got %+v, %v; want %v", name, g, err, c.err)
		}
	}
}

// foreign is a well-formed macaroon of another identifier, correctly signed for it.
func foreign(t testing.TB, id []byte) string {
	t.Helper()
	m, err := macaroon.New(NewMint(root, 0).rootKey(id), id, "", macaroon.V2)
	if err != nil {
		t.Fatal(err)
	}
	return must(t)(format(m))
}

func TestTampering(t *testing.T) {
	m := NewMint(root, 64)
	if _, err := m.Verify([]byte(golden), noon); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, i int, text []byte) {
		if g, err := m.Verify(text, noon); err == nil || g != (Grant{}) {
			t.Errorf("%s %d: accepted as %+v", what, i, g)
		}
	}
	for i := range golden {
		for bit := range 8 {
			text := []byte(golden)
			text[i] ^= 1 << bit
			refused("text byte", i, text)
		}
		refused("cut at", i, []byte(golden[:i]))
	}
	raw, _ := base64.RawURLEncoding.DecodeString(golden)
	for i := range raw {
		for flip := 1; flip < 256; flip++ {
			b := append([]byte(nil), raw...)
			b[i] ^= byte(flip)
			refused("byte", i, base64.RawURLEncoding.AppendEncode(nil, b))
		}
	}
	if n := m.cache.len(); n != 1 {
		t.Errorf("%d entries in the cache, want 1: failures are not remembered", n)
	}
}

// TestNarrowing: whatever limits a holder adds, in whatever order, the grant never gets wider, and is exactly what
// the limits one by one would give.
func TestNarrowing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	m := NewMint(root, 16)
	for range 300 {
		text := must(t)(m.Issue(alice, randomLimits(rng)))
		if rng.IntN(4) == 0 {
			text = must(t)(m.IssueOperator(randomLimits(rng)))
		}
		before, err := m.Verify([]byte(text), noon)
		for range 5 {
			l := randomLimits(rng)
			next := must(t)(Restrict(text, l))
			after, errAfter := m.Verify([]byte(next), noon)
			if err != nil && errAfter == nil {
				t.Fatalf("%+v brought a dead token back: %+v", l, after)
			}
			if errAfter == nil {
				checkNarrower(t, before, l, after)
			} else if !errors.Is(errAfter, ErrExpired) {
				t.Fatalf("%+v: %v", l, errAfter)
			}
			text, before, err = next, after, errAfter
		}
	}
}

func checkNarrower(t testing.TB, before Grant, l Limits, after Grant) {
	t.Helper()
	want := before
	if l.Scopes != 0 {
		want.Scopes &= l.Scopes
	}
	checkOnly(t, before, l, after)
	if after.Only.From >= after.Only.End && after.Only.Bound() && after.Only.End > 0 || contradicts(before.Only, l.Only) {
		want.Scopes = 0
	}
	want.Only = after.Only
	want.Operator = want.Scopes.Has(Operator)
	if e := l.Expires.UTC().Truncate(time.Second); !l.Expires.IsZero() && (want.Expires.IsZero() || e.Before(want.Expires)) {
		want.Expires = e
	}
	if l.MaxMsat != 0 && (want.MaxMsat == 0 || l.MaxMsat < want.MaxMsat) {
		want.MaxMsat = l.MaxMsat
	}
	if after != want {
		t.Fatalf("%+v restricted by %+v gives %+v, want %+v", before, l, after, want)
	}
}

func randomLimits(rng *rand.Rand) Limits {
	l := Limits{Scopes: Scope(rng.IntN(int(allScopes) + 1))}
	if rng.IntN(2) == 0 {
		l.Expires = noon.Add(time.Duration(rng.Int64N(int64(time.Hour))) - time.Minute)
	}
	if rng.IntN(2) == 0 {
		l.MaxMsat = ledger.Msat(rng.Uint64N(1000))
	}
	if rng.IntN(4) == 0 {
		l.Only.From = rng.Uint32N(20)
		l.Only.End = l.Only.From + 1 + rng.Uint32N(20)
	}
	if rng.IntN(4) == 0 {
		l.Only.Content = ledger.ContentID{15: byte(1 + rng.IntN(2))}
	}
	if rng.IntN(4) == 0 {
		l.Only.Site = [...]string{"https://a.example", "https://b.example"}[rng.IntN(2)]
	}
	return l
}

func contradicts(a, b Only) bool {
	none := ledger.ContentID{}
	return a.Content != none && b.Content != none && a.Content != b.Content || a.Site != "" && b.Site != "" && a.Site != b.Site
}

// checkOnly: what a narrower token may unlock, both of the others may.
func checkOnly(t testing.TB, before Grant, l Limits, after Grant) {
	t.Helper()
	for unit := range uint32(50) {
		for _, id := range []ledger.ContentID{{15: 1}, {15: 2}, {15: 3}} {
			want := before.Only.Allows(id, unit) && l.Only.Allows(id, unit)
			if got := after.Only.Allows(id, unit); got != want && after.Scopes != 0 {
				t.Fatalf("%+v restricted by %+v gives %+v: unit %d of %v", before.Only, l.Only, after.Only, unit, id)
			}
		}
	}
	if before.Only.Site != "" && after.Only.Site == "" || l.Only.Site != "" && after.Only.Site != l.Only.Site {
		t.Fatalf("%+v restricted by %+v gives %+v", before.Only, l.Only, after.Only)
	}
}

func TestRestrict(t *testing.T) {
	if got := must(t)(Restrict(golden, Limits{})); got != golden {
		t.Errorf("no limits changed the token: %s", got)
	}
	text, err := golden, error(nil)
	for i := 3; i < MaxCaveats; i++ {
		text = must(t)(Restrict(text, Limits{Scopes: Read}))
	}
	if _, err := NewMint(root, 0).Verify([]byte(text), noon); err != nil {
		t.Errorf("%d caveats: %v", MaxCaveats, err)
	}
	if _, err = Restrict(text, Limits{Scopes: Read}); !errors.Is(err, ErrMalformed) {
		t.Errorf("one caveat too many: %v", err)
	}
	if _, err = Restrict("nonsense", Limits{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("nonsense: %v", err)
	}
}

// nameless is a grant without what is random in it.
func nameless(g Grant, err error) (Grant, error) {
	g.ID = [16]byte{}
	return g, err
}
