package lnurl_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/records"
)

const (
	alice = ledger.FirstAccount
	bob   = ledger.FirstAccount + 1
)

// openRecords is the real thing, in memory.
func openRecords(t *testing.T) channels.Records {
	t.Helper()
	r, err := records.Open(records.Options{Dir: "records", FS: vfs.NewMem(), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.UnixMilli(1_800_000_000_000)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// write and read are a stand-in for BOLT11: what an invoice says, in words. The parser of real ones is lnd's, in channels/lightning.
func write(i channels.Invoice) string {
	return fmt.Sprintf("lntest %d %s h%x %d", i.Amount, i.Hash, i.DescHash, i.Expires.UnixMilli())
}

func read(text string) (channels.Invoice, error) {
	var amount, expires int64
	var hash, desc string
	if strings.HasPrefix(text, "lnother") {
		return channels.Invoice{}, channels.ErrNetwork
	}
	if n, err := fmt.Sscanf(text, "lntest %d %s %s %d", &amount, &hash, &desc, &expires); n != 4 {
		return channels.Invoice{}, fmt.Errorf("%w: %w", channels.ErrInvoice, err)
	}
	i := channels.Invoice{Text: text, Amount: ledger.Msat(amount), Expires: time.UnixMilli(expires)}
	err := i.Hash.UnmarshalText([]byte(hash))
	i.DescHash, _ = hex.DecodeString(strings.TrimPrefix(desc, "h"))
	return i, err
}

// preimage is a secret that a test can name.
func preimage(n int) (p, hash channels.Hash) {
	p[0], p[1] = byte(n), byte(n>>8)
	return p, sha256.Sum256(p[:])
}

// node makes invoices and pays orders.
type node struct {
	t     *testing.T
	clock *clock

	mu       sync.Mutex
	invoices map[channels.Hash]*channels.Item
	lost     error // what making an invoice ends with
	memos    []channels.NewInvoice
	owners   []ledger.AccountNo
	orders   map[string]*channels.Item
	paid     int // orders that were made into payments
	asked    int
	answer   func(o channels.Order) (channels.State, error) // of an order that is new; nil: settled
}

func newNode(t *testing.T, c *clock) *node {
	return &node{t: t, clock: c, invoices: make(map[channels.Hash]*channels.Item), orders: make(map[string]*channels.Item)}
}

func (n *node) Invoice(_ context.Context, account ledger.AccountNo, in channels.NewInvoice) (channels.Item, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lost != nil {
		return channels.Item{}, n.lost
	}
	p, hash := preimage(len(n.invoices) + 1)
	n.memos, n.owners = append(n.memos, in), append(n.owners, account)
	i := channels.Invoice{Hash: hash, Amount: in.Amount, DescHash: in.DescHash, Expires: n.clock.Now().Add(in.Expiry)}
	n.invoices[hash] = &channels.Item{Incoming: true, State: channels.Open, Hash: hash, Preimage: p, Invoice: write(i), Amount: in.Amount}
	return *n.invoices[hash], nil
}

func (n *node) Incoming(_ context.Context, hash channels.Hash) (channels.Item, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	i, ok := n.invoices[hash]
	if !ok {
		return channels.Item{}, channels.ErrNoItem
	}
	return *i, nil
}

func (n *node) settle(hash channels.Hash) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.invoices[hash].State = channels.Settled
}

var errLost = errors.New("the line went dead")

func (n *node) Pay(ctx context.Context, _ ledger.AccountNo, o channels.Order) (channels.Item, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	if i, ok := n.orders[o.Key]; ok {
		return *i, nil
	}
	state := channels.Settled
	if n.answer != nil {
		var err error
		if state, err = n.answer(o); err != nil && !errors.Is(err, errLost) {
			return channels.Item{}, err
		} else if err != nil && state == "" { // lost on the way there
			return channels.Item{}, err
		} else if err != nil { // lost on the way back
			n.paid++
			n.orders[o.Key] = &channels.Item{Key: o.Key, State: state, Invoice: o.Invoice}
			return channels.Item{}, err
		}
	}
	n.paid++
	n.orders[o.Key] = &channels.Item{Key: o.Key, State: state, Invoice: o.Invoice}
	return *n.orders[o.Key], ctx.Err()
}

// finish ends every payment that is pending.
func (n *node) finish(state channels.State) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range maps.Values(n.orders) {
		if i.State == channels.Open {
			i.State = state
		}
	}
}

// payments is how many there are, and how many of them were not given back.
func (n *node) payments() (all, kept int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range maps.Values(n.orders) {
		if i.State != channels.GaveBack {
			kept++
		}
	}
	return n.paid, kept
}
