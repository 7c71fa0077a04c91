package nwc

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Wallet is an account's money.
type Wallet interface {
	Balance(account ledger.AccountNo) (ledger.Msat, error)
	// Invoice makes an invoice that pays the account.
	Invoice(ctx context.Context, account ledger.AccountNo, n channels.NewInvoice) (channels.Item, error)
	// Pay makes the payment that an order is, or finds the one that there is under its key, and waits until it is settled or failed or the
	// context ends: then it is pending, and no error. An error may say that there is no payment: channels.NotOrdered.
	Pay(ctx context.Context, account ledger.AccountNo, o channels.Order) (channels.Item, error)
}

// History is what an account's money has done.
type History interface {
	// Item is an invoice of the account's or a payment that it makes; channels.ErrNoItem.
	Item(ctx context.Context, account ledger.AccountNo, hash channels.Hash) (channels.Item, error)
	// Items calls f, the newest first, until it returns false.
	Items(account ledger.AccountNo, filter channels.Filter, f func(channels.Item) bool) error
}

// Info is who the node is.
type Info struct {
	Alias   string `json:"alias"`
	Color   string `json:"color"`
	Key     string `json:"pubkey"`
	Network string `json:"network"` // mainnet, testnet, signet or regtest
	Height  uint32 `json:"block_height"`
	Block   string `json:"block_hash"`
}

// Config is what a service is made of.
type Config struct {
	Records channels.Records
	Wallet  Wallet
	History History
	Decode  func(invoice string) (channels.Invoice, error) // of our network; channels.ErrNetwork
	Fee     func(amount ledger.Msat) ledger.Msat           // the most that a payment may cost beside
	Info    func(context.Context) (Info, error)
	Address func(ledger.AccountNo) string // its lightning address, or empty; nil: there are none
	Relays  []string                      // wss://; 1 to MaxRelays
	// Secret makes the service's keys, one for each connection. It must stay the same as long as there are connections, and secret.
	Secret [32]byte
	// Development lets relays be ws://.
	Development bool
	Logger      *slog.Logger                         // nil: nowhere
	Clock       func() time.Time                     // nil: the machine's
	After       func(time.Duration) <-chan time.Time // nil: time.After
}

// MaxRelays is how many relays there can be: each gets every answer.
const MaxRelays = 4

const (
	maxRunning = 256 // requests at once, of all connections; further ones wait where they are, in the relays' connections
	purgeEvery = time.Hour
)

func (c *Config) validate() error {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.After == nil {
		c.After = time.After
	}
	if c.Records == nil || c.Wallet == nil || c.History == nil || c.Decode == nil || c.Fee == nil || c.Info == nil {
		return errors.New("nwc: records, wallet, history, Decode, Fee or Info are missing")
	}
	if c.Secret == ([32]byte{}) {
		return errors.New("nwc: no secret")
	}
	if len(c.Relays) == 0 || len(c.Relays) > MaxRelays {
		return fmt.Errorf("nwc: %d relays: want 1 to %d", len(c.Relays), MaxRelays)
	}
	for _, r := range c.Relays {
		u, err := url.Parse(r)
		if err != nil || u.Host == "" || u.Scheme != "wss" && (u.Scheme != "ws" || !c.Development) {
			return fmt.Errorf("nwc: the relay %q: want wss://", r)
		}
	}
	return nil
}

// Service answers wallets' applications. Its methods may be called by any goroutine.
type Service struct {
	cfg     Config
	metrics *metrics
	relays  []*relay
	moves   chan moved
	seats   chan struct{} // a token for each request that runs
	waits   chan struct{} // and for each payment that somebody waits for
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	began   time.Time // in whole seconds, as events are made

	mu        sync.Mutex
	byKey     map[publicKey]*link // by the service's key
	byAccount map[ledger.AccountNo][]*link
	seen      seen

	purged time.Time // sweep's own
}

// New reads the connections that there are. It connects to nobody before Start.
func New(cfg Config) (*Service, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, moves: make(chan moved, maxMoved), seats: make(chan struct{}, maxRunning), waits: make(chan struct{}, maxWaits), seen: newSeen(),
		byKey: make(map[publicKey]*link), byAccount: make(map[ledger.AccountNo][]*link),
	}
	s.began = cfg.Clock().Truncate(time.Second)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for _, url := range cfg.Relays {
		s.relays = append(s.relays, newRelay(s, url))
	}
	s.metrics = newMetrics(s)
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("nwc: %w", err)
	}
	return s, nil
}

// load reads connections, what they have spent, and payments that nobody knows the end of.
func (s *Service) load() error {
	byID := make(map[string]*link)
	err := each(s.cfg.Records, "nwc/connection/", func(_ []byte, c *Connection) error {
		l, err := newLink(*c, s.cfg.Secret)
		if err == nil {
			byID[l.ID] = l
			err = s.add(l)
		}
		return err
	})
	if err != nil {
		return err
	}
	err = each(s.cfg.Records, "nwc/spent/", func(rest []byte, sp *spending) error {
		if l := byID[string(rest[:min(16, len(rest))])]; l != nil && len(rest) == 24 {
			l.periods[int64(binary.BigEndian.Uint64(rest[16:]))] = sp
		}
		return nil
	})
	if err != nil {
		return err
	}
	return each(s.cfg.Records, "nwc/payment/", func(rest []byte, p *payment) error {
		if l := byID[string(rest[:min(16, len(rest))])]; l != nil && !p.Over {
			l.open[p.Event] = p
		}
		return nil
	})
}

// each calls f with all records under a prefix, and what is behind it in their keys.
func each[T any](records channels.Records, prefix string, f func(rest []byte, value *T) error) error {
	var failed error
	err := records.Scan([]byte(prefix), nil, func(key, text []byte) bool {
		value := new(T)
		if err := json.Unmarshal(text, value); err != nil {
			failed = fmt.Errorf("the record %q: %w", key, err)
		} else {
			failed = f(bytes.TrimPrefix(key, []byte(prefix)), value)
		}
		return failed == nil
	})
	return errors.Join(err, failed)
}

// Start begins to answer.
func (s *Service) Start() {
	for _, r := range s.relays {
		s.running.Go(func() { r.run(s.ctx) })
	}
	s.running.Go(func() { s.sweep(s.ctx) })
	s.running.Go(func() {
		for {
			select {
			case m := <-s.moves:
				s.notify(m)
			case <-s.ctx.Done():
				return
			}
		}
	})
}

// Close ends what is under way. Payments go on in the wallet, and are taken up by the next Start.
func (s *Service) Close() {
	s.cancel()
	s.running.Wait()
}

func (s *Service) add(l *link) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byKey) >= maxConnections || len(s.byAccount[l.Account]) >= MaxPerAccount {
		return ErrFull
	}
	s.byKey[l.Public] = l
	s.byAccount[l.Account] = append(s.byAccount[l.Account], l)
	return nil
}

func (s *Service) remove(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byKey, l.Public)
	rest := slices.DeleteFunc(slices.Clone(s.byAccount[l.Account]), func(o *link) bool { return o == l })
	if s.byAccount[l.Account] = rest; len(rest) == 0 {
		delete(s.byAccount, l.Account)
	}
}

func (s *Service) links(account ledger.AccountNo) []*link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.byAccount[account])
}

// all are the connections in the order of their making.
func (s *Service) all() []*link {
	s.mu.Lock()
	links := slices.Collect(maps.Values(s.byKey))
	s.mu.Unlock()
	slices.SortFunc(links, func(a, b *link) int {
		if a.Made != b.Made {
			return int(a.Made - b.Made)
		}
		return strings.Compare(a.ID, b.ID)
	})
	return links
}

// changed tells the relays that connections have come or gone.
func (s *Service) changed() {
	for _, r := range s.relays {
		r.wake()
	}
}

// receive takes an event that came from a relay. The cheap questions come first: whoever knows a key can write to it.
func (s *Service) receive(text []byte) {
	e, err := parseEvent(text)
	if err != nil || e.Kind != kindRequest {
		return
	}
	to, _ := e.tag("p")
	var key publicKey
	if key.UnmarshalText([]byte(to)) != nil {
		return
	}
	now := s.cfg.Clock()
	s.mu.Lock()
	l := s.byKey[key]
	old := s.seen.has(e.ID)
	s.mu.Unlock()
	if l == nil || e.Key != l.Client || old || !fresh(e, now) || e.verify() != nil {
		return
	}
	s.mu.Lock()
	first := s.seen.add(e.ID)
	s.mu.Unlock()
	if !first {
		return // another relay was quicker
	}
	select {
	case s.seats <- struct{}{}:
	case <-s.ctx.Done():
		return
	}
	s.running.Go(func() {
		defer func() { <-s.seats }()
		s.handle(s.ctx, l, e)
	})
}

// fresh says whether an event is to be acted upon still.
func fresh(e *event, now time.Time) bool {
	made := time.Unix(e.Made, 0)
	if made.Before(now.Add(-maxAge)) || made.After(now.Add(maxAhead)) {
		return false
	}
	until, ok := e.expires()
	return !ok || now.Before(until)
}

// send encrypts, signs, and hands an event to all relays.
func (s *Service) send(l *link, how scheme, kind int, text []byte, tags ...[]string) error {
	content, err := seal(how, l.key, l.Client, text)
	if err != nil {
		return fmt.Errorf("encrypting: %w", err)
	}
	e, err := newEvent(l.key, kind, s.cfg.Clock(), content, tags...)
	if err != nil {
		return err
	}
	return s.publish(e)
}

func (s *Service) publish(e *event) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	for _, r := range s.relays {
		r.add(e.ID, text)
	}
	return nil
}

// seen are the newest events, so that one is looked at once though it comes from several relays.
type seen struct {
	ids  map[eventID]struct{}
	ring []eventID
	next int
}

const maxSeen = 1 << 16 // 32 bytes each, twice: what every connection may ask within maxAge is more, but nobody does

func newSeen() seen { return seen{ids: make(map[eventID]struct{})} }

func (s *seen) has(id eventID) bool { _, ok := s.ids[id]; return ok }

// add says whether the event is new.
func (s *seen) add(id eventID) bool {
	if s.has(id) {
		return false
	}
	s.ids[id] = struct{}{}
	if len(s.ring) < maxSeen {
		s.ring = append(s.ring, id)
		return true
	}
	delete(s.ids, s.ring[s.next])
	s.ring[s.next] = id
	s.next = (s.next + 1) % maxSeen
	return true
}
