package token

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/ledger"
)

// Scope is a set of what a token may do. The zero Scope of a Grant is nothing.
type Scope uint8

const (
	Read     Scope = 1 << iota // see the account: balance, channels, history
	Pay                        // transfers, channels, unlocks
	Sell                       // register, reprice and retire contents
	Operator                   // run the hub; only tokens of IssueOperator ever have it

	allScopes     = Read | Pay | Sell | Operator
	accountScopes = Read | Pay | Sell
)

// scopeWords are the scopes as caveats spell them, in the order of the bits.
var scopeWords = [...]string{"read", "pay", "sell", "operator"}

// Has says whether s holds every scope of want.
func (s Scope) Has(want Scope) bool { return s&want == want }

// String spells the set as a caveat does: words with one space between them.
func (s Scope) String() string {
	var words []string
	for i, w := range scopeWords {
		if s&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

// ParseScope reads what String writes, in any order. An unknown, repeated or missing word is an error.
func ParseScope(text string) (Scope, error) {
	var s Scope
words:
	for word := range strings.SplitSeq(text, " ") {
		for i, w := range scopeWords {
			if word == w && s&(1<<i) == 0 {
				s |= 1 << i
				continue words
			}
		}
		return 0, fmt.Errorf("%w: scope %q: want words of %q, each once", ErrCaveat, text, scopeWords)
	}
	return s, nil
}

// Limits narrow a token. The zero value narrows nothing.
type Limits struct {
	Scopes  Scope       // only these; zero: no narrowing
	Expires time.Time   // valid before this moment, rounded down to the second; zero: never expires
	MaxMsat ledger.Msat // at most this much money per call, in msat; zero: no cap
	Only    Only        // only these units of a content; zero: not bound
}

// The caveats, as text. All that follows one of these prefixes is the value; anything else is unknown.
const (
	scopePrefix = "scope = "             // words: scope = read pay
	expPrefix   = "exp < "               // RFC 3339: exp < 2026-11-20T18:00:00Z
	maxPrefix   = "max_msat_per_call = " // decimal, without leading zeros, not zero: max_msat_per_call = 5000
)

// caveats writes the limits as text. It refuses what add would refuse, so that no useless token is made.
func (l Limits) caveats() ([]string, error) {
	var out []string
	if l.Scopes&^allScopes != 0 {
		return nil, fmt.Errorf("%w: scope bits %#x", ErrCaveat, uint8(l.Scopes))
	}
	if l.Scopes != 0 {
		out = append(out, scopePrefix+l.Scopes.String())
	}
	if !l.Expires.IsZero() {
		at := l.Expires.UTC().Truncate(time.Second)
		if at.IsZero() || at.Year() < 0 || at.Year() > 9999 {
			return nil, fmt.Errorf("%w: no RFC 3339 form for a time in year %d", ErrCaveat, at.Year())
		}
		out = append(out, expPrefix+at.Format(time.RFC3339))
	}
	if l.MaxMsat != 0 {
		out = append(out, maxPrefix+strconv.FormatUint(uint64(l.MaxMsat), 10))
	}
	only, err := l.Only.caveats()
	return append(out, only...), err
}

// add narrows the grant by one caveat. Whatever the caveat says, the result is never wider than before.
func (g *Grant) add(caveat string) error {
	if words, ok := strings.CutPrefix(caveat, scopePrefix); ok {
		s, err := ParseScope(words)
		if err != nil {
			return err
		}
		g.Scopes &= s
		return nil
	}
	if when, ok := strings.CutPrefix(caveat, expPrefix); ok {
		at, err := time.Parse(time.RFC3339, when)
		if err != nil || at.IsZero() {
			return fmt.Errorf("%w: %q is not a time of RFC 3339", ErrCaveat, when)
		}
		if g.Expires.IsZero() || at.Before(g.Expires) {
			g.Expires = at.UTC()
		}
		return nil
	}
	if amount, ok := strings.CutPrefix(caveat, maxPrefix); ok {
		n, err := strconv.ParseUint(amount, 10, 64)
		if err != nil || amount[0] == '0' {
			return fmt.Errorf("%w: %q is not a positive number of msat", ErrCaveat, amount)
		}
		if g.MaxMsat == 0 || ledger.Msat(n) < g.MaxMsat {
			g.MaxMsat = ledger.Msat(n)
		}
		return nil
	}
	if ok, err := g.addOnly(caveat); ok {
		return err
	}
	return fmt.Errorf("%w: unknown caveat %q", ErrCaveat, caveat)
}
