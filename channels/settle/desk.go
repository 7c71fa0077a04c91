package settle

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

// Rails carry out single payments. channels.Rails implements it.
type Rails interface {
	// Withdraw makes a payout, or finds the one that the same request has made before. An error means that there is none, but with
	// channels.ErrReused.
	Withdraw(ctx context.Context, q channels.Request) (channels.Payout, error)
	// Payout is a payout as it is now. channels.ErrUnknown: there is none.
	Payout(key channels.Key) (channels.Payout, error)
	// Flush has the on-chain payouts that wait cut into batches now.
	Flush()
	// Wake has payouts that the gate holds up asked about again soon.
	Wake()
}

// The bounds, and what they cost.
const (
	MaxOpenRuns = 64      // a goroutine each, and workers
	maxImports  = 48      // of them: places are kept for the schedules and the operator
	maxOpenEach = 4       // of an account: nobody holds up the others
	maxReading  = 4       // files that are read at once: each is some times its 32 MiB
	MaxItems    = 1 << 20 // of a run, some 300 bytes of records each
	// What a run has on its way at once, some 1 KiB of memory each. Few over Lightning: invoices that wait for their turn expire.
	maxQuick = 500
	maxChain = 20_000
	workers  = 32 // of a run: calls that wait for a server of somebody's, or for the ledger
	// Of the workers, those that wait for the ledger alone. Payments go on beside a run, and share the cores with it: so many settle thousands
	// of payees a second where nobody else pays, and some hundreds beside a ledger that is as busy as it can be, a twentieth of whose throughput
	// that costs.
	atLedger = 16
	chunk    = 200
)

var (
	ErrTooManyRuns = errors.New("too many runs are open")
	ErrNothingDue  = errors.New("nothing is due")
	ErrClosed      = errors.New("settlement is stopping")
)

// Config is what a desk is made of.
type Config struct {
	Records channels.Records
	Ledger  channels.Ledger
	Network Network
	// Market says what can leave now, and what that costs. An error: the nodes do not answer, try later.
	Market func(context.Context) (Market, error)

	// Ready says whether a run may begin to pay: nil, or why not, which the run then shows. It is asked when a run begins, and until it says
	// so. It may take its time. nil: every run may.
	Ready func(context.Context) error

	Poll   time.Duration                        // between looks at payouts under way; zero: 200 ms. On-chain ten times as long
	Keep   time.Duration                        // how long closed runs are remembered; zero: 400 days
	Clock  func() time.Time                     // nil: the machine's
	After  func(time.Duration) <-chan time.Time // nil: time.After
	Logger *slog.Logger                         // nil: nowhere
	// Fatal is told why nothing goes on: the records cannot be written. nil: the desk only stops.
	Fatal func(error)
}

// Desk settles. Its methods may be called by any goroutine.
type Desk struct {
	cfg     Config
	rec     channels.Records
	book    *book
	gate    *Gate
	ctx     context.Context // ends with Close, or when nothing can be written any more
	cancel  context.CancelFunc
	running sync.WaitGroup
	dying   sync.Once

	making  sync.Mutex    // held by who makes a run: nobody is in two at once
	reading chan struct{} // a place for each file that is read

	mu    sync.Mutex
	rules Rules
	rails Rails // nil before Start
	open  map[channels.ID]*runner
	tick  uint32 // the last minute that the schedules were looked at for; zero: never
}

// Open reads what an earlier process left. Nothing is paid before Start; the gate is there at once, so that rails can be made with it.
func Open(cfg Config) (*Desk, error) {
	if cfg.Records == nil || cfg.Ledger == nil || cfg.Network == nil || cfg.Market == nil {
		return nil, errors.New("settle: no records, ledger, network or market")
	}
	if cfg.Poll == 0 {
		cfg.Poll = 200 * time.Millisecond
	}
	if cfg.Keep == 0 {
		cfg.Keep = 400 * 24 * time.Hour
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.After == nil {
		cfg.After = time.After
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Desk{cfg: cfg, rec: cfg.Records, open: make(map[channels.ID]*runner), reading: make(chan struct{}, maxReading)}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	if err := d.load(); err != nil {
		return nil, fmt.Errorf("settle: %w", err)
	}
	return d, nil
}

func (d *Desk) load() (err error) {
	if _, err = get(d.rec, []byte(rulesKey), &d.rules); err != nil {
		return err
	}
	if d.tick, err = d.readTick(); err != nil {
		return err
	}
	if d.book, err = openBook(d.rec); err != nil {
		return err
	}
	if d.gate, err = openGate(&Gate{rec: d.rec, clock: d.now, rules: d.Rules, took: d.took, underWay: d.underWay, planned: d.planned}); err != nil {
		return err
	}
	if err = d.clear(); err != nil {
		return err
	}
	return d.loadRuns()
}

// Start begins to pay, and to keep the schedules.
func (d *Desk) Start(rails Rails) {
	d.takeUp(rails)
	d.running.Go(d.keepTime)
}

// takeUp goes on with the runs that are open.
func (d *Desk) takeUp(rails Rails) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rails = rails
	for _, r := range d.open {
		d.running.Go(r.loop)
	}
}

// Close stops. What is on its way goes on in the rails, and is taken up after the next start.
func (d *Desk) Close() {
	d.cancel()
	d.running.Wait()
}

func (d *Desk) now() uint64 { return uint64(d.cfg.Clock().UnixMilli()) }

// maxWrite bounds, in bytes, what is written at once: half of what records take (ledger/store/records.MaxWrite).
const maxWrite = 16 << 20

// errSize means that a write would be too large: nothing was done.
var errSize = errors.New("more than is written at once")

// write makes rows durable. After an error, but errSize, nobody knows what is, and everything stops where it is: the next start finds out.
func (d *Desk) write(rows ...channels.Row) error {
	size := 0
	for _, row := range rows {
		size += len(row.Key) + len(row.Value)
	}
	if size > maxWrite {
		return fmt.Errorf("%w: %d rows of %d bytes, and at most %d bytes", errSize, len(rows), size, maxWrite)
	}
	if err := d.ctx.Err(); err != nil {
		return ErrClosed
	}
	if err := d.rec.Write(rows...); err != nil {
		err = fmt.Errorf("writing the records of settlement: %w", err)
		d.dying.Do(func() {
			d.cfg.Logger.Error("settlement cannot go on", "err", err)
			d.cancel()
			if d.cfg.Fatal != nil {
				d.cfg.Fatal(err)
			}
		})
		return err
	}
	return nil
}

// Gate is what the rails ask: see Gate.Check.
func (d *Desk) Gate() *Gate { return d.gate }

// Rules are the house's as they are now.
func (d *Desk) Rules() Rules {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rules
}

// SetRules changes the house's rules. Runs that are open keep the approvals that they need; their payouts meet the new caps.
func (d *Desk) SetRules(r Rules) error {
	if err := r.check(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.write(put([]byte(rulesKey), &r)); err != nil {
		return err
	}
	d.rules = r
	return nil
}

// payouts are the rails, or nil before Start.
func (d *Desk) payouts() Rails {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rails
}

// took is what a payout that is over took of its account; false: it is not known to be over.
func (d *Desk) took(no ledger.AccountNo, id ledger.OpID) (ledger.Msat, bool) {
	rails := d.payouts()
	if rails == nil {
		return 0, false
	}
	p, err := rails.Payout(channels.Key{Account: no, ID: channels.ID(id)})
	switch {
	case err != nil || !p.Status.Over():
		return 0, false
	case p.Status == channels.Voided:
		return 0, true
	}
	return p.Pays + p.Fee, true
}

// underWay says whether a payout is not over, as far as is known.
func (d *Desk) underWay(no ledger.AccountNo, id ledger.OpID) bool {
	rails := d.payouts()
	if rails == nil {
		return true
	}
	p, err := rails.Payout(channels.Key{Account: no, ID: channels.ID(id)})
	if err != nil {
		return !errors.Is(err, channels.ErrUnknown)
	}
	return !p.Status.Over()
}

// Counts are of what is in memory, for metrics.
type Counts struct {
	Payees   int
	Runs     map[RunState]int // that are open
	UnderWay int              // items of them that are not over
	Tick     time.Time        // the minute that the schedules were last looked at for
}

// Counts counts.
func (d *Desk) Counts() Counts {
	d.book.mu.RLock()
	c := Counts{Payees: len(d.book.rows), Runs: make(map[RunState]int)}
	d.book.mu.RUnlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	c.Tick = time.Unix(int64(d.tick)*60, 0).UTC()
	for _, r := range d.open {
		r.mu.Lock()
		c.Runs[r.run.State]++
		c.UnderWay += int(r.run.Items)
		for _, t := range r.over {
			c.UnderWay -= t.Count
		}
		r.mu.Unlock()
	}
	return c
}

// ErrAccount means that there is no such account, or none that can be settled.
var ErrAccount = errors.New("there is no such account")

// SetPayee changes how an account is settled. The hub's part of the fee stays as it is: see SetFeeShare.
func (d *Desk) SetPayee(no ledger.AccountNo, p Payee) (Payee, error) {
	if _, ok := d.cfg.Ledger.Account(no); !ok || no < ledger.FirstAccount {
		return Payee{}, ErrAccount
	}
	if to, err := ledger.ParseAccountNo(p.Internal); err == nil {
		if _, ok := d.cfg.Ledger.Account(to); !ok || to < ledger.FirstAccount && to != ledger.Fees {
			return Payee{}, fmt.Errorf("%w: internal: %w", ErrPayee, ErrAccount)
		}
	}
	return d.book.set(no, d.now(), func(old *Payee) error {
		share := old.HubFeePercent
		*old = p
		old.HubFeePercent = share
		return old.check(no, d.cfg.Network)
	})
}

// SetFeeShare sets the hub's part of the fee, in percent. It is the operator's to set.
func (d *Desk) SetFeeShare(no ledger.AccountNo, percent uint8) (Payee, error) {
	if _, ok := d.cfg.Ledger.Account(no); !ok || no < ledger.FirstAccount {
		return Payee{}, ErrAccount
	}
	return d.book.set(no, d.now(), func(p *Payee) error {
		p.HubFeePercent = percent
		return p.check(no, d.cfg.Network)
	})
}

// Payee is how an account is settled, and how the last payment to it went, if there was one.
func (d *Desk) Payee(no ledger.AccountNo) (Payee, *Status, error) {
	p, err := d.book.payee(no)
	if err != nil {
		return Payee{}, nil, err
	}
	var s Status
	found, err := get(d.rec, accountKey(statusKey, no), &s)
	if err != nil || !found {
		return p, nil, err
	}
	return p, &s, nil
}
