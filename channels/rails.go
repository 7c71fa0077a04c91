package channels

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/ledger"
)

// Payer pays over Lightning. Each method ends with its context.
type Payer interface {
	// Pay sends a payment, and returns when the node says how it ended; once more, by its hash, it is the same payment. Errors:
	// ErrRefused, ErrNetwork and ErrExpired mean that the node has written nothing down. On any other nobody knows.
	Pay(ctx context.Context, p Payment) (Attempt, error)
	// Track asks how a payment stands, and waits for its end as long as the context lasts; then it is Pending. ErrUnknownPayment: the node
	// has never heard of it.
	Track(ctx context.Context, hash Hash) (Attempt, error)
	// Quote is what a payment would cost now. ErrNoRoute: none is known.
	Quote(ctx context.Context, p Payment) (ledger.Msat, error)
	// Decode reads a BOLT11 invoice of the node's network: otherwise ErrNetwork.
	Decode(text string) (Invoice, error)
}

// Receiver is paid over Lightning.
type Receiver interface {
	Invoice(ctx context.Context, n NewInvoice) (Invoice, error)
	// Lookup is how an invoice of the node's stands, with its preimage, and whether it is settled. ErrUnknownPayment: it is not the node's.
	Lookup(ctx context.Context, hash Hash) (Receipt, bool, error)
	// Settled calls f with what came in after a settle index, in order, and with what comes, until f or the context ends it.
	Settled(ctx context.Context, after uint64, f func(Receipt) error) error
	// Cancel makes an invoice one that nobody can pay. It may be done again. One that is settled is an error.
	Cancel(ctx context.Context, hash Hash) error
}

// Wallet signs and publishes transactions.
type Wallet interface {
	// Fund makes a signed transaction of outputs, in their order and with change behind them, at a fee rate. Its coins are set aside under a
	// lock, and what that held before is released. Nothing is published. ErrFunds: there are not enough coins. ErrRefused, ErrDust: it
	// cannot be.
	Fund(ctx context.Context, lock Hash, outs []Output, rate FeeRate) (Signed, error)
	// Sign signs a replacement: a PSBT of the same inputs.
	Sign(ctx context.Context, psbt []byte) (Signed, error)
	// Release lets go of coins that a lock holds; without any named, of all that it holds.
	Release(ctx context.Context, lock Hash, inputs []Outpoint) error
	// Publish hands a transaction to the network. It may be done again at any time. ErrConflict: coins of it are spent, or not there.
	Publish(ctx context.Context, raw []byte, label string) error
}

// Purse is what the wallet holds, and how it is paid.
type Purse interface {
	Assets(ctx context.Context) (Assets, error)
	Address(ctx context.Context) (string, error)
	// Coins calls f with the outputs that pay addresses of the wallet: those in blocks from a height on, and those in the mempool.
	Coins(ctx context.Context, since int64, f func(Coin) error) error
	// Moved calls f whenever a transaction of the wallet comes into the mempool or a block, and at first, until f or the context ends it.
	Moved(ctx context.Context, f func(Hash) error) error
}

// Watcher sees the chain.
type Watcher interface {
	// Place is where a transaction is. ErrNoTransaction: nowhere.
	Place(ctx context.Context, tx Hash) (Place, error)
	// FeeRate is what gets a transaction into one of the next so many blocks.
	FeeRate(ctx context.Context, blocks int) (FeeRate, error)
	// Spender is the transaction that spends a coin, in the mempool or in a block at or above a height. False: none does.
	// ErrNoTransaction: there is no such coin, nor was there one in this chain.
	Spender(ctx context.Context, coin Outpoint, since int64) (Hash, bool, error)
}

// Config is what the rails are made of.
type Config struct {
	Records Records
	Ledger  Ledger

	// Of the node; nil: there is none, and nothing goes over its network.
	Payer    Payer
	Receiver Receiver
	Wallet   Wallet
	Purse    Purse
	Watcher  Watcher
	Node     string // its public key in hex
	// Carried says whether a payment that the node says is under way is in one of its channels, and since when. May be nil.
	Carried func(ctx context.Context, hash Hash) (bool, time.Time, error)
	// Tip is the height of the chain that Watcher sees. May be nil: then a node that has lost its newest blocks looks like a reorganisation.
	Tip     func(ctx context.Context) (int64, error)
	Script  func(address string) ([]byte, error)  // the public key script that an address stands for; ErrNetwork
	Dust    func(script []byte) Sat               // the least amount of an output
	Replace func(Signed, FeeRate) (Signed, error) // a PSBT that pays more: the same inputs and outputs, less change. ErrFunds, ErrFee

	// Secret makes the preimages of keysends. It must stay the same for ever, and secret.
	Secret [32]byte
	// Resolve makes an invoice, address or account of what users know others by: lightning addresses, LNURLs, payment URIs. The amount is
	// zero where the request has none. nil: they are not known. Its errors are shown to who asked.
	Resolve func(ctx context.Context, to string, amount ledger.Msat) (string, error)
	// Gate is asked before money is set aside for a payout (Asked) and before it is sent (Held), each time that is tried; it must be quick.
	// nil means yes, ErrNotAllowed never, and anything else not now: Wake has it asked again soon. No Gate: yes.
	Gate func(Payout) error
	// Alarm is told of each incident when it arises. May be nil.
	Alarm func(Incident)
	// Moved is told what an account's money has done when it is done and written down: a deposit that is credited, a payout that is paid, and
	// of one that was paid inside both. It is called by several goroutines at once, with a payout or an invoice locked: so it must not block,
	// nor call the rails; who has more to do with it queues it, within a bound. What is done while a process dies it may not be told, and
	// what matters is never asked of it alone. May be nil.
	Moved func(ledger.AccountNo, Item)

	Policy
	Logger *slog.Logger     // nil: nowhere
	Clock  func() time.Time // nil: the machine's
	// Fatal is told why the rails cannot go on: their records cannot be written. nil: they only stop.
	Fatal func(error)
}

// Rails move money in and out. Their methods may be called by any goroutine.
type Rails struct {
	cfg     Config
	records Records
	ledger  Ledger
	log     *slog.Logger
	now     func() time.Time

	ctx     context.Context // ends with Close, or when the rails cannot go on
	stop    context.CancelFunc
	running sync.WaitGroup
	dying   sync.Once
	dead    chan struct{} // closed when records cannot be written any more

	books, pays, asks *lane
	slots             chan struct{} // one for each payment that the node is making: Concurrency
	making            locks[Key]    // held while a payout or an address is made
	hashes            locks[Hash]   // held over what is read and written about an invoice or a coin

	pausing    atomic.Pointer[Pause] // nil: nothing holds payouts back
	restoredAt time.Time             // when the records were made of a backup; zero: never. Set by Start

	mu          sync.Mutex
	started     bool
	bornAt      time.Time // when these records were begun; set by Start
	flights     map[Key]*flight
	perAccount  map[ledger.AccountNo]int // of flights
	invoices    map[ledger.AccountNo]int // that nobody has paid
	invoicesAll int

	arrivals, unpaid, expired round // of sweep's goroutine

	warned   map[string]time.Time // when a text was logged last
	counting sync.Mutex
	came     map[Rail]map[Status]uint64

	raising   sync.Mutex
	incidents map[string]Incident // the open ones

	tip      tip
	poked    chan struct{} // wakes who looks after the chain
	tending  sync.Mutex    // held over a look at the chain
	queueing sync.Mutex    // guards what others touch of chain: waiting, flush, rate
	chain    batcher
}

// New makes rails that stand still: they move nothing before Start.
func New(cfg Config) (*Rails, error) {
	if cfg.Records == nil || cfg.Ledger == nil {
		return nil, errors.New("rails: no records or no ledger")
	}
	if cfg.Wallet != nil && (cfg.Script == nil || cfg.Dust == nil) {
		return nil, errors.New("rails: a wallet, and nothing that reads addresses")
	}
	if err := cfg.Policy.fill(); err != nil {
		return nil, fmt.Errorf("rails: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	r := &Rails{cfg: cfg, records: cfg.Records, ledger: cfg.Ledger, log: cfg.Logger, now: cfg.Clock, dead: make(chan struct{}),
		books: newLane(), pays: newLane(), asks: newLane(), slots: make(chan struct{}, cfg.Concurrency), poked: make(chan struct{}, 1),
		flights: make(map[Key]*flight), perAccount: make(map[ledger.AccountNo]int), invoices: make(map[ledger.AccountNo]int),
		incidents: make(map[string]Incident), came: make(map[Rail]map[Status]uint64), warned: make(map[string]time.Time)}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r, nil
}
