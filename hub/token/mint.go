package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/millrace/millrace/ledger"
	"gopkg.in/macaroon.v2"
)

// Mint issues and verifies the tokens of one hub. Its methods may be called from any goroutine.
type Mint struct {
	root  [sha256.Size]byte // never changes
	cache cache             // has its own locks
}

// NewMint makes the mint of a root key, which is the hub's secret: whoever has it can make every token. The mint
// remembers up to cacheSize verified tokens (about 200 bytes each); zero or less: none.
func NewMint(root [32]byte, cacheSize int) *Mint {
	return &Mint{root: root, cache: newCache(cacheSize)}
}

// Grant is what a verified token allows. It is a value without references to the token.
type Grant struct {
	Account  ledger.AccountNo // the one account that the token sees and moves; zero for an operator token
	Operator bool             // the token runs the hub: of operator kind, and no caveat took that scope away
	Scopes   Scope            // what it may do; zero: nothing
	Expires  time.Time        // the moment from which it is refused, in UTC; zero: never
	MaxMsat  ledger.Msat      // the most that one call may move, in msat; zero: no cap
	Only     Only             // what it is bound to; zero: nothing
	ID       [16]byte         // which token of the hub's it was made of: narrowing one keeps it
}

// Issue makes a token for an account, with every scope but Operator unless the limits narrow it.
func (m *Mint) Issue(account ledger.AccountNo, limits Limits) (string, error) {
	return m.issue(identifier{kind: kindAccount, account: account, random: nonce()}, limits)
}

// IssueOperator makes a token that runs the hub. It belongs to no account: its scopes are Operator and Read.
func (m *Mint) IssueOperator(limits Limits) (string, error) {
	return m.issue(identifier{kind: kindOperator, random: nonce()}, limits)
}

// Verify says what a token allows at a time. The text is not kept. What it returns for a token that was verified
// before comes from the cache, except that the expiry is checked every time; tokens that fail are not remembered.
//
// Timing: on a miss macaroon.v2 recomputes the HMAC chain and compares the last link with hmac.Equal, which takes the
// same time wherever the difference is; VerifySignature is used because it reaches that comparison without judging
// caveats first, so nothing is said about the caveats of a forged token. On a hit the text is looked up by its
// SHA-256: how far such a lookup gets depends on a digest that nobody can steer towards that of an unknown token.
func (m *Mint) Verify(text []byte, now time.Time) (Grant, error) {
	if len(text) > MaxText {
		return Grant{}, ErrMalformed
	}
	key := sha256.Sum256(text)
	if g, ok := m.cache.get(key); ok {
		return g.at(now)
	}
	g, err := m.verify(text)
	if err != nil {
		return Grant{}, err
	}
	if g, err = g.at(now); err != nil {
		return Grant{}, err
	}
	m.cache.put(key, g)
	return g, nil
}

// at is the grant unless it has expired.
func (g Grant) at(now time.Time) (Grant, error) {
	if !g.Expires.IsZero() && !now.Before(g.Expires) {
		return Grant{}, ErrExpired
	}
	return g, nil
}

// verify checks in this order: form, identifier, signature, caveats.
func (m *Mint) verify(text []byte) (Grant, error) {
	mac, err := parse(text)
	if err != nil {
		return Grant{}, err
	}
	id, err := parseIdentifier(mac.Id())
	if err != nil {
		return Grant{}, err
	}
	caveats, err := mac.VerifySignature(m.rootKey(mac.Id()), nil)
	if err != nil {
		return Grant{}, ErrSignature
	}
	g := Grant{Account: id.account, Scopes: accountScopes, ID: id.random}
	if id.kind == kindOperator {
		g.Scopes = Operator | Read
	}
	for _, c := range caveats {
		if err := g.add(c); err != nil {
			return Grant{}, err
		}
	}
	g.Operator = g.Scopes.Has(Operator)
	return g, nil
}

func (m *Mint) issue(id identifier, limits Limits) (string, error) {
	if err := id.validate(); err != nil {
		return "", err
	}
	raw := id.append(nil)
	mac, err := macaroon.New(m.rootKey(raw), raw, "", macaroon.V2)
	if err != nil {
		return "", fmt.Errorf("token: making the macaroon: %w", err)
	}
	return restrict(mac, limits)
}

func (m *Mint) rootKey(id []byte) []byte {
	h := hmac.New(sha256.New, m.root[:])
	h.Write(id)
	return h.Sum(nil)
}

func nonce() (b [16]byte) {
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return b
}
