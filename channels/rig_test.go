package channels

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
)

// memory is records in a map. What was written outlives the rails, as on a disk.
type memory struct {
	mu   sync.Mutex
	rows map[string][]byte
	n    int                     // writes
	fail func(n int) (lost bool) // of the n-th write; true: it is not done. nil: all are
	dead bool                    // after a write that failed
	deaf bool                    // the next write is done, and nobody is told
}

var (
	errDisk     = errors.New("the disk is broken")
	errTooLarge = errors.New("more than the disk takes at once")
)

func newMemory() *memory { return &memory{rows: make(map[string][]byte)} }

func (m *memory) Get(key []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.rows[string(key)]
	if !ok {
		return nil, nil
	}
	return append([]byte{}, v...), nil
}

func (m *memory) Scan(prefix, from []byte, f func(key, value []byte) bool) error {
	m.mu.Lock()
	rows := maps.Clone(m.rows)
	m.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		if bytes.HasPrefix([]byte(key), prefix) && key >= string(from) && !f([]byte(key), rows[key]) {
			return nil
		}
	}
	return nil
}

func (m *memory) Write(rows ...Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errDisk
	}
	size := 0
	for _, r := range rows {
		size += len(r.Key) + len(r.Value)
	}
	if size > MaxWrite {
		return errTooLarge
	}
	m.n++
	if m.fail != nil {
		if lost := m.fail(m.n); lost {
			m.dead = true
			return errDisk
		}
	}
	for _, r := range rows {
		if r.Value == nil {
			delete(m.rows, string(r.Key))
		} else {
			m.rows[string(r.Key)] = append([]byte{}, r.Value...)
		}
	}
	if m.deaf {
		m.dead = true
		return errDisk
	}
	return nil
}

// clone is what a restart finds.
func (m *memory) clone() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memory{rows: maps.Clone(m.rows)}
}

// book is a real ledger in memory, that applies each op in a block of its own.
type book struct {
	mu      sync.Mutex
	state   *ledger.State
	archive ledgertest.Archive
	lines   map[ledger.AccountNo][]ledger.Line
	now     func() time.Time
	blocks  uint64
	down    bool // Submit fails
	deaf    bool // Submit does what it is asked, and then fails
}

var errLedger = errors.New("the ledger does not answer")

func newBook(now func() time.Time) *book {
	b := &book{state: ledger.New(ledger.DefaultParams(), ledger.Seed{1, 2}), archive: ledgertest.NewArchive(), lines: make(map[ledger.AccountNo][]ledger.Line), now: now}
	b.state.Attach(b.archive)
	return b
}

func (b *book) Submit(op ledger.Op) (ledger.Applied, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return ledger.Applied{}, errLedger
	}
	a := b.apply(op)
	if b.deaf {
		return ledger.Applied{}, errLedger
	}
	return a, nil
}

func (b *book) apply(op ledger.Op) ledger.Applied {
	now := max(uint64(b.now().UnixMilli()), b.state.Now())
	if a := b.state.Check(&op, nil, now); a.Result() != ledger.Undecided {
		return a
	}
	var builder ledger.Builder
	builder.Add(&op, nil)
	b.blocks++
	block := builder.Seal(ledger.Header{Time: now, Proposer: 1, Number: b.blocks, Parent: b.state.Index(), Head: b.state.Head()})
	out, err := b.state.Apply(b.state.Index()+1, block, nil)
	if err != nil {
		panic(err)
	}
	r := b.state.Last()
	b.archive.Follow(r)
	for _, l := range r.Legs {
		for _, no := range []ledger.AccountNo{l.From, l.To} {
			if l.Touches(no) {
				b.lines[no] = append(b.lines[no], ledger.Line{Seq: r.First + uint64(l.Entry), Time: r.Time, Kind: l.Kind, Object: l.Object, ID: op.ID})
			}
		}
	}
	return out[0]
}

func (b *book) Account(no ledger.AccountNo) (ledger.Account, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state.Account(no)
}

func (b *book) AccountLines(no ledger.AccountNo, g ledger.Range, f func(*ledger.Line) bool) error {
	b.mu.Lock()
	lines := slices.Clone(b.lines[no])
	b.mu.Unlock()
	for _, l := range slices.Backward(lines) {
		if !f(&l) {
			break
		}
	}
	return nil
}

func (b *book) NewID() ledger.OpID {
	var random [10]byte
	_, _ = rand.Read(random[:])
	b.mu.Lock()
	defer b.mu.Unlock()
	return ledger.NewOpID(max(uint64(b.now().UnixMilli()), b.state.Now()), random)
}

// clock is a clock that runs, and can be put forward.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// rig is rails on fakes of all that is outside: these outlive them.
type rig struct {
	*Rails
	t       *testing.T
	cfg     Config
	memory  *memory
	book    *book
	node    *node
	chain   *blockchain
	clock   *clock
	stopped bool
}

const ourNode = "02" + "00000000000000000000000000000000000000000000000000000000000000aa"

// newRig starts rails. change may alter what they are made of.
func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, memory: newMemory(), clock: new(clock)}
	r.book, r.node, r.chain = newBook(r.clock.now), newNode(r.clock.now), newBlockchain()
	r.cfg = Config{
		Ledger: r.book, Payer: r.node, Receiver: r.node, Wallet: r.chain, Purse: r.chain, Watcher: r.chain, Node: ourNode,
		Script: fakeScript, Dust: func([]byte) Sat { return 330 }, Replace: r.chain.Replace, Secret: [32]byte{7}, Clock: r.clock.now,
		Policy: Policy{Retry: time.Millisecond, RetryMost: 5 * time.Millisecond, Poll: 5 * time.Millisecond, BatchEvery: 5 * time.Millisecond,
			SlotFor: 50 * time.Millisecond, CallFor: 50 * time.Millisecond, Quiet: 150 * time.Millisecond, Confirmed: 2,
			Depths: []Depth{{100_000, 1}, {0, 3}}},
	}
	if testing.Verbose() {
		r.cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	if change != nil {
		change(&r.cfg)
	}
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

// start starts rails on what an earlier process left.
func (r *rig) start() {
	r.t.Helper()
	r.cfg.Records = r.memory
	rails, err := New(r.cfg)
	if err == nil {
		err = rails.Start()
	}
	if err != nil && !r.memory.dead {
		r.t.Fatal(err)
	}
	r.Rails, r.stopped = rails, false
}

func (r *rig) stop() {
	if !r.stopped {
		r.Rails.Close()
		r.stopped = true
	}
}

// crash ends the process: what is durable stays.
func (r *rig) crash() {
	r.t.Helper()
	left := r.memory.clone()
	r.memory.mu.Lock()
	r.memory.dead = true
	r.memory.mu.Unlock()
	r.stop()
	r.memory = left
	r.start()
}

func (r *rig) account(amount ledger.Msat) ledger.AccountNo {
	r.t.Helper()
	a, err := r.book.Submit(ledger.Op{Kind: ledger.OpOpenAccount, ID: r.book.NewID()})
	if err != nil || !a.Result().OK() {
		r.t.Fatal(a.Result(), err)
	}
	no := ledger.AccountNo(a.Object())
	r.fund(no, amount)
	return no
}

func (r *rig) fund(no ledger.AccountNo, amount ledger.Msat) {
	r.t.Helper()
	if amount == 0 {
		return
	}
	a, err := r.book.Submit(ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Dev, Target: uint32(no), Amount: amount, ID: r.book.NewID()})
	if err != nil || !a.Result().OK() {
		r.t.Fatal(a.Result(), err)
	}
}

// has checks what an account has at hand and held.
func (r *rig) has(no ledger.AccountNo, available int64, held ledger.Msat) {
	r.t.Helper()
	a, ok := r.book.Account(no)
	if !ok || a.Available != available || a.Held != held {
		r.t.Errorf("account %s has %d and %d held: want %d and %d", no, a.Available, a.Held, available, held)
	}
}

func (r *rig) request(no ledger.AccountNo, to string, amount, limit ledger.Msat) Request {
	return Request{Key: Key{no, ID(r.book.NewID())}, To: to, Amount: amount, FeeLimit: limit}
}

func (r *rig) withdraw(q Request) Payout {
	r.t.Helper()
	p, err := r.Withdraw(r.t.Context(), q)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// ends waits for a payout's end.
func (r *rig) ends(key Key, want Status) Payout {
	r.t.Helper()
	var p Payout
	r.eventually("payout "+key.String()+" is "+string(want), func() bool {
		var err error
		if p, err = r.Payout(key); err != nil {
			r.t.Fatal(err)
		}
		return p.Status == want
	}, func() any { return shown(p) })
	return p
}

func (r *rig) eventually(what string, so func() bool, shown ...func() any) {
	r.t.Helper()
	for until := time.Now().Add(10 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			for _, f := range shown {
				r.t.Logf("%+v", f())
			}
			r.t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

// incident waits for one.
func (r *rig) incident(kind string) Incident {
	r.t.Helper()
	var found Incident
	r.eventually("an incident "+kind, func() bool {
		list, err := r.Incidents(0)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, i := range list {
			if i.Kind == kind {
				found = i
				return true
			}
		}
		return false
	})
	return found
}

// fakeScript reads the addresses of the fakes: addr- and hex, or all of that in capitals.
func fakeScript(address string) ([]byte, error) {
	if address == strings.ToUpper(address) {
		address = strings.ToLower(address)
	}
	rest, ok := bytes.CutPrefix([]byte(address), []byte("addr"))
	if !ok {
		if bytes.HasPrefix([]byte(address), []byte("main")) {
			return nil, ErrNetwork
		}
		return nil, errors.New("not an address")
	}
	sum := make([]byte, 22)
	copy(sum, rest)
	return sum, nil
}

func shown(p Payout) string {
	text, err := json.Marshal(&p)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
