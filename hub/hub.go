// Package hub is Millrace between the wire and the ledger: it validates, gathers ops into blocks, has them made durable, and
// only then answers, and releases what was paid for.
//
//	Submit      a caller's ops join the open block, or are refused at once when too many wait      queue.go
//	sequence    one goroutine checks them against the present state and proposes a block           sequencer.go
//	Apply       the durable block is applied to the ledger, and its callers wake                   machine.go
//	Release     an unlock's outcome, which only Apply makes, takes the file key out of its wrap    release.go
package hub

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/hub/token"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/index"
	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a hub is made of.
type Config struct {
	Params      ledger.Params // of the ledger in the data folder
	Index       *index.Index  // of the same data folder: what the ledger need not keep in memory. The hub closes it
	Ring        *keyring.Ring // the hub's own keys
	Origin      string        // scheme://host[:port] by which the world knows the hub; stanzas are bound to it
	Liabilities string        // folder of the proofs of liabilities; empty: none are made
	EpochEvery  time.Duration // between two of them; 0: only when the operator asks
	Dev         bool          // an operator may make money from the dev account
	Vouchers    Vouchers      // verifies what payers sign; nil: no voucher is good
	MaxQueueOps int           // ops that may wait for the sequencer; 0: 65,536; at least MaxBatchOps
	Logger      *slog.Logger  // nil: nowhere

	Clock func() uint64 // milliseconds since 1970; nil: the machine's clock
	// Fatal is told when the hub cannot go on: the process must end, and recovery finds out what was made durable. nil: the
	// hub only stops answering.
	Fatal func(error)
}

// DefaultMaxQueueOps is eight of the largest batches: some 3 MiB of ops, and a few milliseconds of work.
const DefaultMaxQueueOps = 8 * MaxBatchOps

// Validate fills in what is zero, and names what is wrong.
func (c *Config) Validate() error {
	if c.MaxQueueOps == 0 {
		c.MaxQueueOps = DefaultMaxQueueOps
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		// The time of day, as it was at the start plus what has passed since: a clock that is set while the hub runs must
		// not expire ids and channels before their time.
		start := time.Now()
		c.Clock = func() uint64 { return uint64(start.UnixMilli() + time.Since(start).Milliseconds()) }
	}
	if c.Fatal == nil {
		c.Fatal = func(error) {}
	}
	if c.Ring == nil || c.Index == nil {
		return errors.New("hub: no keyring or no index")
	}
	if c.MaxQueueOps < MaxBatchOps {
		return fmt.Errorf("hub: a queue of %d ops has no room for a batch of %d", c.MaxQueueOps, MaxBatchOps)
	}
	origin, err := seal.ParseOrigin(c.Origin)
	if err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	c.Origin = origin
	return c.Params.Validate()
}

// Hub is a running hub. Its methods may be called by any goroutine.
type Hub struct {
	cfg      Config
	clock    func() uint64
	seed     ledger.Seed
	proposer uint64 // marks this process's own blocks
	mint     *token.Mint
	notary   *notary
	epochs   *epochs
	metrics  *metrics
	space    func() (free int64, full bool) // nil: not watched
	log      Log
	queue    *queue

	// mu guards the ledger: Apply writes, alone; the sequencer's checks and everybody's reads share it. What lies in state is
	// durable, always.
	mu    sync.RWMutex
	state *ledger.State

	shown shown // what of it is in the histories

	// Between the sequencer, which fills and proposes, and Apply, which answers.
	free   chan *flight
	flying chan *flight // in the order of their numbers

	early [256]uint32 // outcomes without a block, by result; the sequencer's own

	// Owned by the log's goroutine, in Apply.
	outcomes []ledger.Applied
	late     [256]uint32

	sequenced chan struct{} // closed when the sequencer has ended
	swept     chan struct{} // closed when the sweeper has ended
	published chan struct{} // closed when no proof of liabilities is made any more
	stop      chan struct{} // closed when the hub begins to stop
	dead      chan struct{} // closed when it is not known any more what is durable
	dying     sync.Once
	stopping  sync.Once
}

// tokenCache is how many verified tokens the hub remembers: about 16 MB of them at most.
const tokenCache = 64 << 10

// New makes a hub on an empty ledger. Give its Machine to the log, which restores and replays it, and then call Start.
func New(cfg Config) (*Hub, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	var random [24]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	le := binary.LittleEndian
	h := &Hub{
		cfg: cfg, clock: cfg.Clock,
		seed:     ledger.Seed{le.Uint64(random[0:]), le.Uint64(random[8:])},
		proposer: le.Uint64(random[16:]),
		mint:     token.NewMint(cfg.Ring.TokenRoot(), tokenCache),
		queue:    newQueue(cfg.MaxQueueOps),
		free:     make(chan *flight, blocksInFlight), flying: make(chan *flight, blocksInFlight),
		sequenced: make(chan struct{}), swept: make(chan struct{}), published: make(chan struct{}),
		stop: make(chan struct{}), dead: make(chan struct{}),
	}
	h.state = ledger.New(cfg.Params, h.seed)
	h.state.Attach(cfg.Index)
	var err error
	if h.notary, err = newNotary(&cfg); err != nil {
		return nil, err
	}
	if h.epochs, err = openEpochs(&cfg, h.notary); err != nil {
		return nil, err
	}
	h.metrics = newMetrics(h)
	for range blocksInFlight {
		h.free <- &flight{}
	}
	return h, nil
}

// Machine is what the log drives.
func (h *Hub) Machine() Machine { return Machine{h} }

// Start begins to take ops. The log must have replayed the machine.
func (h *Hub) Start(log Log) {
	h.log = log
	h.show(h.state.Seq())
	go h.sequence()
	go h.sweep()
	go h.publish()
}

// Submit has a batch decided, and returns when every op in it is: b.Out then has the outcomes. On an error nothing is known
// to have been done, and only for ErrUnknown may something have been; the batch must not be used again after that.
func (h *Hub) Submit(b *Batch) error {
	if len(b.Ops) == 0 {
		b.Out = b.Out[:0]
		return nil
	}
	if err := b.bounds(); err != nil {
		return err
	}
	b.prepare()
	if err := h.prefetch(b.Ops); err != nil {
		return err
	}
	if len(b.Detail) > 0 {
		h.verify(b)
	}
	if err := h.queue.put(b); err != nil {
		h.metrics.notTaken.Add(float64(len(b.Ops)))
		return err
	}
	select {
	case <-b.done:
		return b.err
	case <-h.dead:
		return ErrUnknown
	}
}

// submit is for a single op that the hub makes or passes on.
func (h *Hub) submit(op ledger.Op, detail []byte) (ledger.Applied, error) {
	b := &Batch{Ops: []ledger.Op{op}, Detail: detail}
	if err := h.Submit(b); err != nil {
		return ledger.Applied{}, err
	}
	return b.Out[0], nil
}

// newID is a UUIDv7 for an op of the hub's own.
func (h *Hub) newID() ledger.OpID {
	var random [10]byte
	if _, err := rand.Read(random[:]); err != nil {
		panic("no randomness: " + err.Error()) // crypto/rand documents that it never happens
	}
	h.mu.RLock()
	now := max(h.clock(), h.state.Now()) // a clock that was set back must not make ids that have expired
	h.mu.RUnlock()
	return ledger.NewOpID(now, random)
}

// Close stops taking ops, decides what was taken, and closes the log and the index.
func (h *Hub) Close(ctx context.Context) error {
	h.stopping.Do(func() { close(h.stop) })
	h.queue.close()
	for _, ended := range [...]<-chan struct{}{h.swept, h.published, h.sequenced} {
		select {
		case <-ended:
		case <-ctx.Done():
			return fmt.Errorf("stopping: %w", ctx.Err())
		}
	}
	closed := make(chan error, 1)
	go func() { closed <- errors.Join(h.epochs.close(), h.log.Close(), h.cfg.Index.Close()) }() // the last checkpoint may take longer than there is time
	select {
	case err := <-closed:
		return err
	case <-ctx.Done():
		return fmt.Errorf("closing log and index: %w", ctx.Err())
	}
}

// Fail is the end, for the sequencer and the log to report: what is durable is not known. Callers who wait get ErrUnknown if the process lives long enough.
func (h *Hub) Fail(err error) {
	h.dying.Do(func() {
		h.queue.close()
		close(h.dead)
		h.cfg.Logger.Error("the hub cannot go on", "err", err)
		h.cfg.Fatal(err)
	})
}

// Dead is closed when the hub cannot go on.
func (h *Hub) Dead() <-chan struct{} { return h.dead }

// Collectors are the hub's metrics, for a registry.
func (h *Hub) Collectors() []prometheus.Collector { return h.metrics.all() }
