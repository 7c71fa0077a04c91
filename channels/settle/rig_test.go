package settle

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
)

// world is what is not the desk's: it survives when the desk crashes. It is a real ledger in memory, and rails that pay as they are told.
type world struct {
	mu      sync.Mutex
	clock   atomic.Uint64 // milliseconds
	ids     uint64
	state   *ledger.State
	archive ledgertest.Archive
	blocks  uint64
	lines   map[ledger.AccountNo][]ledger.Line
	deaf    bool // Submit does what it is asked, and says that it does not know

	payouts map[channels.Key]*channels.Payout
	holds   map[channels.Key]uint32
	script  map[string][]string // by destination: what becomes of one payout after the other; none: paid
	looks   map[channels.Key]int
	arrived map[string]ledger.Msat
	flushes int
	down    bool // the nodes do not answer
}

func newWorld(t testing.TB) *world {
	w := &world{state: ledger.New(ledger.DefaultParams(), ledger.Seed{1, 2}), archive: ledgertest.NewArchive(), lines: make(map[ledger.AccountNo][]ledger.Line),
		payouts: make(map[channels.Key]*channels.Payout), holds: make(map[channels.Key]uint32), script: make(map[string][]string),
		looks: make(map[channels.Key]int), arrived: make(map[string]ledger.Msat)}
	w.state.Attach(w.archive)
	w.clock.Store(1_800_000_000_000)
	for range 100 {
		w.apply(t, ledger.Op{Kind: ledger.OpOpenAccount})
	}
	return w
}

func (w *world) now() time.Time { return time.UnixMilli(int64(w.clock.Load())) }

// apply applies an op that cannot be refused, under a new id.
func (w *world) apply(t testing.TB, op ledger.Op) uint32 {
	t.Helper()
	op.ID = w.NewID()
	a, err := w.Submit(op)
	if err != nil || !a.Result().OK() {
		t.Fatalf("%v: %v, %v", op.Kind, a.Result(), err)
	}
	return a.Object()
}

func (w *world) Account(no ledger.AccountNo) (ledger.Account, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.Account(no)
}

func (w *world) NewID() ledger.OpID {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.newID()
}

func (w *world) newID() ledger.OpID {
	w.ids++
	return ledger.NewOpID(max(w.clock.Load(), w.state.Now()), [10]byte{7: byte(w.ids >> 16), 8: byte(w.ids >> 8), 9: byte(w.ids)})
}

func (w *world) Submit(op ledger.Op) (ledger.Applied, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.submit(op)
	if w.deaf {
		return ledger.Applied{}, errors.New("the ledger does not answer")
	}
	return a, nil
}

func (w *world) submit(op ledger.Op) ledger.Applied {
	now := max(w.clock.Load(), w.state.Now())
	if a := w.state.Check(&op, nil, now); a.Result() != ledger.Undecided {
		return a
	}
	var builder ledger.Builder
	builder.Add(&op, nil)
	w.blocks++
	block := builder.Seal(ledger.Header{Time: now, Proposer: 1, Number: w.blocks, Parent: w.state.Index(), Head: w.state.Head()})
	out, err := w.state.Apply(w.state.Index()+1, block, nil)
	if err != nil {
		panic(err)
	}
	r := w.state.Last()
	w.archive.Follow(r)
	for _, l := range r.Legs {
		w.lines[l.To] = append(w.lines[l.To], ledger.Line{Time: r.Time, Kind: l.Kind, ID: op.ID})
	}
	return out[0]
}

func (w *world) AccountLines(no ledger.AccountNo, _ ledger.Range, f func(*ledger.Line) bool) error {
	w.mu.Lock()
	lines := slices.Clone(w.lines[no])
	w.mu.Unlock()
	for _, l := range slices.Backward(lines) {
		if !f(&l) {
			break
		}
	}
	return nil
}

// Withdraw begins a payout. What becomes of it is told when it is looked at for the second time.
func (w *world) Withdraw(_ context.Context, q channels.Request) (channels.Payout, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.payouts[q.Key]; p != nil {
		return *p, nil
	}
	if list := w.script[q.To]; len(list) > 0 && strings.HasPrefix(list[0], "error") {
		w.script[q.To] = list[1:]
		switch list[0] {
		case "error dust":
			return channels.Payout{}, channels.ErrDust
		case "error full":
			return channels.Payout{}, channels.ErrTooMany
		}
		return channels.Payout{}, errors.New(list[0])
	}
	p := &channels.Payout{Request: q, Pays: q.Amount, Status: channels.Held, Rail: channels.Lightning}
	if strings.HasPrefix(q.To, "test1") {
		p.Rail = channels.Chain
	}
	a := w.submit(ledger.Op{Kind: ledger.OpHold, Actor: q.Account, Amount: p.Aside(), ID: w.newID()})
	if w.holds[q.Key] = a.Object(); !a.Result().OK() {
		p.Status, p.Reason = channels.Voided, a.Result().String()
	}
	w.payouts[q.Key] = p
	return *p, nil
}

const testFee = 777

func (w *world) Payout(key channels.Key) (channels.Payout, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.payouts[key]
	if p == nil {
		return channels.Payout{}, channels.ErrUnknown
	}
	if w.looks[key]++; p.Status.Over() || w.looks[key] < 2 || p.Rail == channels.Chain && w.flushes == 0 {
		return *p, nil
	}
	what := "pay"
	if list := w.script[p.To]; len(list) > 0 {
		if what = list[0]; what == "hang" {
			return *p, nil
		}
		w.script[p.To] = list[1:]
	}
	if what != "pay" {
		p.Status, p.Reason, p.Decided = channels.Voided, what, strings.HasPrefix(what, "op-")
		w.submit(ledger.Op{Kind: ledger.OpVoid, Actor: p.Account, Target: w.holds[key]})
		return *p, nil
	}
	p.Status, p.Fee = channels.Done, min(testFee, p.FeeLimit)
	p.Hash[0], p.Proof[0] = 1, 2
	w.arrived[p.To] += p.Pays
	w.submit(ledger.Op{Kind: ledger.OpCapture, Actor: p.Account, Target: w.holds[key], Amount: p.Pays + p.Fee, Version: uint32(ledger.Lightning)})
	return *p, nil
}

func (w *world) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushes++
}

func (w *world) Wake() {}

func (w *world) credit(t testing.TB, no ledger.AccountNo, amount ledger.Msat) {
	t.Helper()
	w.apply(t, ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Dev, Target: uint32(no), Amount: amount})
}

// at is what an account has at hand.
func (w *world) at(no ledger.AccountNo) int64 {
	a, _ := w.Account(no)
	return a.Available
}

// say has payouts to a destination go as it is said, one after the other.
func (w *world) say(to string, what ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.script[to] = what
}

func (w *world) isDown() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.down
}

func (w *world) got(to string) ledger.Msat {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.arrived[to]
}

// rig is a desk in a world, on a disk.
type rig struct {
	*Desk
	t     testing.TB
	world *world
	disk  *disk
	ready func(context.Context) error // see Config
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, world: newWorld(t), disk: newDisk()}
	// The hub's income is what a channel or a sale leaves it; here it is given.
	r.world.apply(t, ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Dev, Target: uint32(ledger.Fees), Amount: 1_000_000})
	return r
}

// open begins a process, which ends with the test if not before.
func (r *rig) open() error {
	d, err := Open(Config{Records: r.disk, Ledger: r.world, Network: testNet{}, Poll: time.Millisecond, Clock: r.world.now, Ready: r.ready,
		Market: func(context.Context) (Market, error) {
			if r.world.isDown() {
				return Market{}, channels.ErrDown
			}
			return Market{Lightning: 1e12, LightningMost: 1e12, Coins: 1e12, Rate: 3290}, nil
		},
	})
	if err != nil {
		return err
	}
	r.Desk = d
	d.takeUp(r.world) // the tests look at the schedules themselves
	r.t.Cleanup(d.Close)
	return nil
}

func startRig(t testing.TB) *rig {
	r := newRig(t)
	must(t, r.open())
	return r
}

// payee makes an account with money and settings.
func (r *rig) payee(no ledger.AccountNo, balance ledger.Msat, p Payee) {
	r.t.Helper()
	r.world.credit(r.t, no, balance)
	_, err := r.SetPayee(no, p)
	must(r.t, err)
}

// until waits for something to become so.
func (r *rig) until(what string, f func() bool) {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("it took too long until %s", what)
		}
	}
}

// closed waits for the end of a run. Waits for other tries are over at once.
func (r *rig) closed(id channels.ID) Run {
	r.t.Helper()
	var run Run
	r.until("the run is closed", func() bool {
		r.world.clock.Add(10_000)
		var err error
		run, err = r.Run(id)
		must(r.t, err)
		return run.State == Closed
	})
	return run
}

func (r *rig) items(id channels.ID) []Numbered {
	r.t.Helper()
	items, err := r.Items(id, 0, 0)
	must(r.t, err)
	slices.SortFunc(items, func(a, b Numbered) int { return cmp.Compare(a.Number, b.Number) })
	return items
}

func (r *rig) start() Run {
	r.t.Helper()
	run, err := r.StartRun(r.t.Context(), "alice", false)
	must(r.t, err)
	return run
}
