package nwc

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// What a connection is refused for.
var (
	ErrUnknown    = errors.New("there is no such connection")
	ErrFull       = errors.New("too many connections")
	ErrConnection = errors.New("not a connection that can be made")
)

// The bounds of connections. Each takes some 2 KiB of memory, and a place in a subscription of each relay.
const (
	MaxPerAccount  = 16
	maxConnections = 8192
	maxName        = 100 // bytes
)

// Connection is what one application may do with an account.
type Connection struct {
	ID       string           `json:"id"`
	Account  ledger.AccountNo `json:"account"`
	Name     string           `json:"name"`              // of the application, as its owner calls it
	Methods  []string         `json:"methods"`           // that it may call; get_info and get_budget it always may
	Notify   bool             `json:"notify"`            // it is told of payments
	Budget   ledger.Msat      `json:"budget,omitempty"`  // that it may spend in a period, fees included; zero: as much as there is
	Period   Period           `json:"period"`            // after which the budget is whole again
	Made     int64            `json:"made"`              // milliseconds since 1970
	Expires  int64            `json:"expires,omitempty"` // milliseconds since 1970; zero: never
	Public   publicKey        `json:"public"`            // the service's key: what the application writes to
	Client   publicKey        `json:"client"`            // the application's
	Spent    ledger.Msat      `json:"-"`                 // in the present period
	Reserved ledger.Msat      `json:"-"`                 // for payments of which nobody knows yet what will come
}

// Wanted is what a connection is made of.
type Wanted struct {
	Name    string
	Methods []string // of Methods(); empty: all
	Notify  bool
	Budget  ledger.Msat
	Period  Period        // empty: Never
	Life    time.Duration // zero: for ever
}

func (w *Wanted) validate() error {
	if len(w.Methods) == 0 {
		w.Methods = Methods()
	}
	if w.Period == "" {
		w.Period = Never
	}
	switch {
	case len(w.Name) > maxName || strings.ToValidUTF8(w.Name, "") != w.Name:
		return fmt.Errorf("%w: a name of at most %d bytes", ErrConnection, maxName)
	case w.Budget > ledger.MaxMsat || !w.Period.known():
		return fmt.Errorf("%w: its budget", ErrConnection)
	case w.Life < 0:
		return fmt.Errorf("%w: it has expired", ErrConnection)
	}
	for i, m := range w.Methods {
		if !slices.Contains(Methods(), m) || slices.Contains(w.Methods[:i], m) {
			return fmt.Errorf("%w: the method %.32q", ErrConnection, m)
		}
	}
	return nil
}

// link is a connection at work.
type link struct {
	Connection // never changes, but Spent and Reserved, which are in periods
	key        privateKey

	mu      sync.Mutex
	gone    bool
	periods map[int64]*spending  // by their beginning: the present one, and those that something is reserved in
	open    map[eventID]*payment // that nobody knows the end of
	tokens  bucket
	running int // requests
}

func newLink(c Connection, secret [32]byte) (*link, error) {
	key, err := serviceKey(secret, c.ID)
	if err != nil {
		return nil, err
	}
	if key.public() != c.Public {
		return nil, fmt.Errorf("%w: the secret is not the one that connection %s was made with", errKey, c.ID)
	}
	return &link{Connection: c, key: key, periods: make(map[int64]*spending), open: make(map[eventID]*payment), tokens: newBucket()}, nil
}

func (l *link) may(method string) bool { return slices.Contains(l.Methods, method) }

func (l *link) expired(now time.Time) bool { return l.Expires != 0 && now.UnixMilli() >= l.Expires }

func connectionKey(id string) []byte { return []byte("nwc/connection/" + id) }

// Connect makes a connection. The URI is told once: whoever has it can spend the budget.
func (s *Service) Connect(account ledger.AccountNo, w Wanted) (Connection, string, error) {
	if err := w.validate(); err != nil {
		return Connection{}, "", err
	}
	client, now := newKey(), s.cfg.Clock()
	var id [8]byte
	rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	c := Connection{
		ID: hex.EncodeToString(id[:]), Account: account, Name: w.Name, Methods: w.Methods, Notify: w.Notify, Budget: w.Budget, Period: w.Period,
		Made: now.UnixMilli(), Client: client.public(),
	}
	if w.Life != 0 {
		c.Expires = now.Add(w.Life).UnixMilli()
	}
	key, err := serviceKey(s.cfg.Secret, c.ID)
	if err != nil {
		return Connection{}, "", err
	}
	c.Public = key.public()
	l, err := newLink(c, s.cfg.Secret)
	if err != nil {
		return Connection{}, "", err
	}
	if err := s.add(l); err != nil {
		return Connection{}, "", err
	}
	if err := s.cfg.Records.Write(row(connectionKey(c.ID), c)); err != nil {
		s.remove(l)
		return Connection{}, "", fmt.Errorf("nwc: writing a connection: %w", err)
	}
	s.changed()
	return l.view(now), s.uri(&c, client), nil
}

// uri is what the application is given.
func (s *Service) uri(c *Connection, client privateKey) string {
	q := url.Values{"relay": s.cfg.Relays, "secret": {hex.EncodeToString(client.bytes())}}
	if s.cfg.Address != nil {
		if address := s.cfg.Address(c.Account); address != "" {
			q.Set("lud16", address)
		}
	}
	return "nostr+walletconnect://" + c.Public.String() + "?" + q.Encode()
}

// view is a connection with what it has spent.
func (l *link) view(now time.Time) Connection {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.Connection
	c.Methods = slices.Clone(c.Methods)
	if p := l.periods[l.Period.start(now)]; p != nil {
		c.Spent, c.Reserved = p.Spent, p.Reserved
	}
	return c
}

// Connections are an account's, the oldest first.
func (s *Service) Connections(account ledger.AccountNo) (all []Connection) {
	now := s.cfg.Clock()
	for _, l := range s.links(account) {
		all = append(all, l.view(now))
	}
	slices.SortFunc(all, func(a, b Connection) int { return int(a.Made - b.Made) })
	return all
}

// Disconnect ends an account's connection. Payments that are under way go on.
func (s *Service) Disconnect(account ledger.AccountNo, id string) error {
	for _, l := range s.links(account) {
		if l.ID != id {
			continue
		}
		l.mu.Lock()
		l.gone = true
		l.mu.Unlock()
		if err := s.cfg.Records.Write(channels.Row{Key: connectionKey(id)}); err != nil {
			return fmt.Errorf("nwc: removing a connection: %w", err)
		}
		s.remove(l)
		s.changed()
		return nil
	}
	return ErrUnknown
}
