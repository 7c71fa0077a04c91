// Package webhook tells accounts what happens to them: it posts the entries of the ledger that touch an account, or for the
// operator all of them, to URLs that were named for it, by Standard Webhooks 1.0.0 (https://www.standardwebhooks.com).
//
// # What a receiver gets
//
// A delivery is a POST of JSON, at most MaxBody bytes, with 1 to MaxEntries entries in the order of the ledger:
//
//	webhook-id: wh_58e0cb6c3ad1bf0e_1001_1044             the endpoint, and the seqs of the first and the last entry
//	webhook-timestamp: 1800000000                         when this attempt was made, in seconds since 1970
//	webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=
//
//	{"type":"entries","timestamp":"2027-01-15T08:00:00.000Z","data":{"account":"ag0g","first":1001,"last":1044,"entries":[...]}}
//
// The body's timestamp is the last entry's time. The operator's deliveries name no account. While a secret is being rotated,
// there is a signature with the new one and, after a space, one with each that still counts.
//
// # What can be relied on
//
// Each endpoint has a cursor in the ledger, and gets its deliveries one after the other, in order. Any answer of 2xx within
// sendTimeout means that a delivery has arrived; redirects are not followed. What did not arrive is sent again as the
// schedule of the specification says (see retries), over some three days. After that it is parked and the endpoint goes on behind
// it, so that one body that a receiver cannot take does not hold up all others; the endpoint that has maxParked of them, or that
// answers 410, is disabled. Its cursor then stands where it is: nothing is lost, and a replay goes on.
//
// At least once: what will be sent is on the disk before it is sent, and that it has arrived is written behind, so that a
// crash at any point repeats a delivery, under the same webhook-id, and never skips one. The receiver that has seen a webhook-id
// ignores it; with replays, which may cut the entries differently, the one that keeps the highest seq does.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/millrace/millrace/hub/entry"
	"github.com/millrace/millrace/ledger"
)

// Source is the ledger's history: in the order of seq, and whole up to Seq.
type Source interface {
	AccountLines(no ledger.AccountNo, g ledger.Range, f func(*ledger.Line) bool) error
	Entries(from uint64, f func(*ledger.Entry) bool) error
	Seq() uint64               // of the newest entry
	Appended() <-chan struct{} // closed when there is a newer one
}

// The bounds, and what they cost: an endpoint is a goroutine, one connection, one body under way, and at most some 4 KiB of
// the file.
const (
	MaxPerAccount = 16
	MaxEntries    = 100    // in a delivery
	MaxBody       = 20_000 // bytes; the specification asks for less than 20 KB
	MaxURL        = 1024
	maxEndpoints  = 1024
	maxAccounts   = maxEndpoints - MaxPerAccount // of all accounts together: they cannot take the operator's places
	maxParked     = 8
)

var (
	ErrUnknown  = errors.New("there is no such webhook")
	ErrDelivery = errors.New("there is no such parked delivery")
	ErrFull     = errors.New("too many webhooks")
	ErrURL      = errors.New("not a URL that can be called")
	ErrAhead    = errors.New("the cursor is ahead of the ledger")
	ErrClosed   = errors.New("the hub is stopping")
	ErrFile     = errors.New("not a file of webhooks that this version reads")
)

// Config is what a dispatcher is made of.
type Config struct {
	Path     string // of the file with all its state; its folder must exist
	Source   Source
	Contents entry.Contents
	// Development lets endpoints be plain HTTP, and at any address: those of the hub's own machine and network too.
	Development bool
	Logger      *slog.Logger // nil: nowhere

	Clock func() uint64                        // milliseconds since 1970; nil: the machine's clock
	After func(time.Duration) <-chan time.Time // nil: time.After
}

// Dispatcher delivers. Its methods may be called by any goroutine.
type Dispatcher struct {
	cfg     Config
	client  *http.Client
	metrics *metrics
	file    file
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup // an endpoint's goroutine each

	mu        sync.Mutex
	endpoints map[string]*endpoint // by id; what they point to is guarded too
	version   uint64               // counts changes that belong on the disk
	started   bool
	closed    bool
}

// New reads the state that an earlier dispatcher left, if there is any. It delivers nothing before Start.
func New(cfg Config) (*Dispatcher, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = func() uint64 { return uint64(time.Now().UnixMilli()) }
	}
	if cfg.After == nil {
		cfg.After = time.After
	}
	if cfg.Path == "" || cfg.Source == nil || cfg.Contents == nil {
		return nil, errors.New("webhook: no path, source or contents")
	}
	endpoints, err := load(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	d := &Dispatcher{cfg: cfg, client: newClient(cfg.Development), file: file{path: cfg.Path}, endpoints: endpoints}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.metrics = newMetrics(d)
	d.refuse()
	return d, nil
}

// refuse disables the endpoints that could not be made any more, as when a hub that was in development is not.
func (d *Dispatcher) refuse() {
	for e := range maps.Values(d.endpoints) {
		if err := checkURL(e.URL, d.cfg.Development); err != nil {
			e.Disabled = err.Error()
			d.cfg.Logger.Warn("a webhook is disabled", "webhook", e.ID, "err", err)
		}
	}
}

// Start begins to deliver. The source must be whole. Where the ledger was put back to an earlier state, from a backup, webhooks
// go back with it.
func (d *Dispatcher) Start() {
	newest := d.cfg.Source.Seq()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.started = true
	for e := range maps.Values(d.endpoints) {
		if e.truncate(newest) {
			d.cfg.Logger.Warn("a webhook was ahead of the ledger: it goes on from the ledger's end", "webhook", e.ID, "seq", newest)
		}
		d.run(e)
	}
}

// run begins to deliver to an endpoint. d.mu must be held.
func (d *Dispatcher) run(e *endpoint) {
	if !d.started || d.closed {
		return
	}
	var ctx context.Context
	ctx, e.cancel = context.WithCancel(d.ctx)
	d.running.Go(func() { d.follow(ctx, e) })
}

// Close stops delivering, and writes down what has arrived. Deliveries under way are broken off, and repeated after the next start.
func (d *Dispatcher) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	d.running.Wait()
	d.client.CloseIdleConnections()
	if err := d.save(d.change()); err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	return nil
}
