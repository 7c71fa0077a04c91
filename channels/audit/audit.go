package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Node is what the node holds now.
type Node interface {
	Info(ctx context.Context) (channels.Node, error)
	Assets(ctx context.Context) (channels.Assets, error)
	Lines(ctx context.Context) ([]channels.Line, error)
	Forwards(ctx context.Context, from, until time.Time) (channels.Forwards, error)
}

// History is what the node's books say of the past. Each method calls a function with one thing after the other, and returns its error.
type History interface {
	// Receipts are all payments that the node got after a settle index, in any order.
	Receipts(ctx context.Context, after uint64, f func(channels.Receipt) error) error
	// Settled are the same in the order of the index, and those that come, until the context ends.
	Settled(ctx context.Context, after uint64, f func(channels.Receipt) error) error
	// Payments are those that the node made after an index, in order, whatever became of them.
	Payments(ctx context.Context, after uint64, f func(channels.Sent) error) error
	// Movements are the wallet's transactions in blocks from a height on, and in the mempool.
	Movements(ctx context.Context, since int64, f func(channels.Movement) error) error
}

// Records are the rails' records of what came and went, one by one.
type Records interface {
	DepositsOf(hash channels.Hash) ([]channels.Deposit, error)
	PayerOf(hash channels.Hash) (channels.Payout, bool, error)
	Batch(id channels.ID) (channels.Batch, error)
	Underway() []channels.Payout
}

// Archive is the same as a whole.
type Archive interface {
	EachDeposit(f func(*channels.Deposit) error) error
	EachPayer(f func(*channels.Payout) error) error
	EachBatch(f func(*channels.Batch) error) error
	Payout(key channels.Key) (channels.Payout, error)
}

// Alarms is where incidents go.
type Alarms interface {
	Raise(i channels.Incident)
	CloseIncident(kind, subject, note string) (bool, error)
}

// Ledger is what is owed, and its history.
type Ledger interface {
	Account(no ledger.AccountNo) (ledger.Account, bool)
	AccountLines(no ledger.AccountNo, g ledger.Range, f func(*ledger.Line) bool) error
}

// Config is what an audit looks at, and how.
type Config struct {
	Store   channels.Records // for what the audit remembers; keys begin with audit/
	Ledger  Ledger
	Node    Node
	History History
	Records Records
	Archive Archive
	Alarms  Alarms // may be nil

	Every     time.Duration // between two runs; zero: ten minutes
	FullEvery time.Duration // between two full ones; zero: a day
	Floor     float64       // of the ratio of what is held to what is owed; zero: 1. Negative: none
	Tolerance ledger.Msat   // of a difference in total that stops nothing. Zero is right unless others close channels with the node often
	Least     Thresholds
	// Late is for how long a difference must be there before it is a mismatch: the rails are told of what comes after the node has booked
	// it, and the node writes down what it earned every 15 s. A run takes twice as long at most, and less than a second where the books
	// agree. Zero: 30 s.
	Late  time.Duration
	Quiet time.Duration // in which the node tells of everything that it was paid, if there is more; zero: 300 ms

	// Changed is called when payouts are stopped, and when they may go on. May be nil.
	Changed func()
	Logger  *slog.Logger     // nil: nowhere
	Clock   func() time.Time // nil: the machine's
}

func (c *Config) fill() error {
	if c.Store == nil || c.Ledger == nil || c.Node == nil || c.History == nil || c.Records == nil || c.Archive == nil {
		return errors.New("audit: something to compare is missing")
	}
	for _, d := range []struct {
		field     *time.Duration
		otherwise time.Duration
	}{{&c.Every, 10 * time.Minute}, {&c.FullEvery, 24 * time.Hour}, {&c.Late, 30 * time.Second}, {&c.Quiet, 300 * time.Millisecond}} {
		if *d.field == 0 {
			*d.field = d.otherwise
		}
		if *d.field < 0 {
			return fmt.Errorf("audit: a time of %v", *d.field)
		}
	}
	if c.Floor == 0 {
		c.Floor = 1
	}
	if c.Floor > MaxRatio {
		return fmt.Errorf("audit: a floor of %v: at most %v", c.Floor, MaxRatio)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return nil
}

// Auditor compares the books. Its methods may be called by any goroutine.
type Auditor struct {
	cfg   Config
	facts int // the bound of a list of facts: maxFacts

	checking sync.Mutex // held over a run: it alone changes state

	asked chan struct{} // holds one word to Run: somebody asks

	mu          sync.Mutex
	asking      *question // that Run is about; nil: none
	next        *question // for Run; nil: nobody asks
	state       state
	adjustments map[string]Adjustment // by id
	explained   map[string]bool       // what adjustments refer to
	last        *Report               // of the last run that came to its end; nil: none did
}

// New takes up what the audit remembers. It asks the node nothing.
func New(cfg Config) (*Auditor, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	a := &Auditor{cfg: cfg, facts: maxFacts, asked: make(chan struct{}, 1), adjustments: make(map[string]Adjustment), explained: make(map[string]bool)}
	if err := a.load(); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return a, nil
}

// Last is the report of the last run that came to its end. False: there is none.
func (a *Auditor) Last() (Report, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last == nil {
		return Report{}, false
	}
	return *a.last, true
}

// Full is when the last full run began that came to its end; zero: none did.
func (a *Auditor) Full() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state.Full
}

func (a *Auditor) now() time.Time { return a.cfg.Clock().UTC().Truncate(time.Millisecond) }
