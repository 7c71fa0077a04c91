package audit

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// world is a node, records and a ledger that are only lists. What a test does to it is done to all that belongs to it, or to one of them.
type world struct {
	t *testing.T

	down     bool
	assets   channels.Assets
	lines    []channels.Line
	height   int64
	receipts []channels.Receipt
	sent     []channels.Sent
	moves    []channels.Movement
	earned   []time.Time // forwards of 7 msat each
	read     int         // receipts, payments and movements that were read

	deposits map[channels.Ref]channels.Deposit
	payouts  map[channels.Hash]channels.Payout
	batches  map[channels.ID]channels.Batch
	ledger   map[ledger.AccountNo][]ledger.Line
	seq      uint64

	rows     map[string][]byte
	failing  bool // writes of the audit
	raised   map[string]bool
	restless bool // something is credited whenever somebody looks
	changed  int  // calls of Config.Changed
}

var errDisk = errors.New("the disk is broken")

const someone = ledger.FirstAccount

func newWorld(t *testing.T) *world {
	return &world{t: t, height: 300, assets: channels.Assets{Local: 10_000_000, Remote: 5_000_000, Confirmed: 1_000_000},
		lines:    []channels.Line{{Capacity: 15_000, Local: 10_000, Remote: 5000, Active: true, Stage: channels.LineOpen}},
		deposits: make(map[channels.Ref]channels.Deposit), payouts: make(map[channels.Hash]channels.Payout), batches: make(map[channels.ID]channels.Batch),
		ledger: make(map[ledger.AccountNo][]ledger.Line), rows: make(map[string][]byte), raised: make(map[string]bool)}
}

func (w *world) auditor(change ...func(*Config)) *Auditor {
	w.t.Helper()
	cfg := Config{Store: w, Ledger: w, Node: w, History: w, Records: w, Archive: w, Alarms: w, Late: 60 * time.Millisecond, Quiet: 2 * time.Millisecond,
		Changed: func() { w.changed++ }}
	for _, f := range change {
		f(&cfg)
	}
	a, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// check is a run that must come to its end, and find so many mismatches.
func (w *world) check(a *Auditor, full bool, mismatches int) Report {
	w.t.Helper()
	r, err := a.Check(w.t.Context(), full)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(r.Mismatches) != mismatches {
		w.t.Fatalf("%d mismatches instead of %d: %+v, %+v", len(r.Mismatches), mismatches, r.Mismatches, r.Sheet)
	}
	if stopped := a.Stopped(); (stopped != nil) != (mismatches > 0) || mismatches > 0 && !errors.Is(stopped, ErrStopped) {
		w.t.Fatalf("stopped: %v", stopped)
	}
	return r
}

func hashOf(n int) (h channels.Hash) {
	binary.BigEndian.PutUint32(h[:], uint32(n)*2654435761) // spread over all first bytes
	binary.BigEndian.PutUint32(h[4:], uint32(n))
	return h
}

// received: the node was paid.
func (w *world) received(n int, amount ledger.Msat) {
	w.receipts = append(w.receipts, channels.Receipt{Index: uint64(len(w.receipts) + 1), Hash: hashOf(n), Amount: amount, Time: time.Now()})
	w.assets.Local += amount
}

// recorded: the rails have taken it in. credited: and the ledger, too.
func (w *world) recorded(n int, amount ledger.Msat, status channels.DepositStatus) {
	ref := channels.Ref{Hash: hashOf(n), Output: 1<<32 - 1}
	w.deposits[ref] = channels.Deposit{Ref: ref, Rail: channels.Lightning, Account: someone, Status: status, Amount: amount, Credit: opID(n)}
	if status == channels.DepositCredited {
		w.enter(ledger.Lightning, ledger.OpCredit, ledger.OpID(opID(n)), 0, -int64(amount))
	}
}

func (w *world) deposit(n int, amount ledger.Msat) {
	w.received(n, amount)
	w.recorded(n, amount, channels.DepositCredited)
}

// paid: the node has paid.
func (w *world) paid(n int, amount, fee ledger.Msat, stage channels.Stage) {
	w.sent = append(w.sent, channels.Sent{Index: uint64(len(w.sent)*3 + 1), Hash: hashOf(n), Amount: amount, Attempt: channels.Attempt{Stage: stage, Fee: fee}})
	if stage == channels.Succeeded {
		w.assets.Local -= amount + fee
	}
}

// paidOut: the records say that it was paid out. done: and the ledger, too.
func (w *world) paidOut(n int, amount, fee ledger.Msat, status channels.Status) {
	p := channels.Payout{Request: channels.Request{Key: channels.Key{Account: someone, ID: opID(n)}}, Rail: channels.Lightning, Pays: amount, Hash: hashOf(n), Status: status, Hold: uint32(n)}
	if status == channels.Done || status == channels.Paid {
		p.Fee = fee
	}
	w.payouts[p.Hash] = p
	if status == channels.Done {
		w.enter(ledger.Lightning, ledger.OpCapture, ledger.OpID{}, p.Hold, int64(amount+fee))
	}
}

func (w *world) payout(n int, amount, fee ledger.Msat) {
	w.paid(n, amount, fee, channels.Succeeded)
	w.paidOut(n, amount, fee, channels.Done)
}

// arrived: the wallet has a coin, in a block or, at height zero, not.
func (w *world) arrived(n int, amount channels.Sat, height int64, label string) {
	w.moves = append(w.moves, channels.Movement{ID: hashOf(n), Amount: amount, Place: channels.Place{Height: height}, Label: label})
	if height == 0 {
		w.assets.Unconfirmed += amount
	} else {
		w.assets.Confirmed += amount
	}
}

// coin: an account's address was paid.
func (w *world) coin(n int, output uint32, amount channels.Sat, status channels.DepositStatus) {
	ref := channels.Ref{Hash: hashOf(n), Output: output}
	d := channels.Deposit{Ref: ref, Rail: channels.Chain, Account: someone, Status: status, Amount: ledger.Msat(amount) * 1000, Credit: opID(n*100 + int(output))}
	w.deposits[ref] = d
	if status == channels.DepositCredited {
		w.enter(ledger.Chain, ledger.OpCredit, ledger.OpID(d.Credit), 0, -int64(d.Amount))
	}
}

func opID(n int) channels.ID {
	var b [10]byte
	binary.BigEndian.PutUint32(b[6:], uint32(n))
	return channels.ID(ledger.NewOpID(1_700_000_000_000, b))
}

func (w *world) enter(no ledger.AccountNo, kind ledger.Kind, id ledger.OpID, object uint32, change int64) {
	w.seq++
	w.ledger[no] = append(w.ledger[no], ledger.Line{Seq: w.seq, Kind: kind, ID: id, Object: object, Change: [2]int64{change}})
}

// What the audit asks.

func (w *world) alive() error {
	if w.down {
		return channels.ErrDown
	}
	return nil
}

func (w *world) Info(context.Context) (channels.Node, error) {
	return channels.Node{Height: w.height, Synced: true}, w.alive()
}

func (w *world) Assets(context.Context) (channels.Assets, error) { return w.assets, w.alive() }

func (w *world) Lines(context.Context) ([]channels.Line, error) { return w.lines, w.alive() }

func (w *world) Forwards(_ context.Context, from, until time.Time) (f channels.Forwards, err error) {
	for _, at := range w.earned {
		if !at.Before(from) && at.Before(until) {
			f.Count++
			f.Fees += 7
		}
	}
	return f, w.alive()
}

func (w *world) Receipts(_ context.Context, after uint64, f func(channels.Receipt) error) error {
	for _, r := range slices.Backward(w.receipts) {
		if r.Index > after {
			w.read++
			if err := f(r); err != nil {
				return err
			}
		}
	}
	return w.alive()
}

func (w *world) Settled(ctx context.Context, after uint64, f func(channels.Receipt) error) error {
	for _, r := range w.receipts {
		if r.Index > after {
			w.read++
			if err := f(r); err != nil {
				return err
			}
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func (w *world) Payments(_ context.Context, after uint64, f func(channels.Sent) error) error {
	for _, s := range w.sent {
		if s.Index > after {
			w.read++
			if err := f(s); err != nil {
				return err
			}
		}
	}
	return w.alive()
}

func (w *world) Movements(_ context.Context, since int64, f func(channels.Movement) error) error {
	for _, m := range w.moves {
		if m.Place.Height == 0 || m.Place.Height >= since {
			w.read++
			if err := f(m); err != nil {
				return err
			}
		}
	}
	return w.alive()
}

func (w *world) DepositsOf(hash channels.Hash) (list []channels.Deposit, err error) {
	for ref, d := range w.deposits {
		if ref.Hash == hash {
			list = append(list, d)
		}
	}
	return list, nil
}

func (w *world) PayerOf(hash channels.Hash) (channels.Payout, bool, error) {
	p, found := w.payouts[hash]
	return p, found, nil
}

func (w *world) Batch(id channels.ID) (channels.Batch, error) {
	b, found := w.batches[id]
	if !found {
		return b, channels.ErrUnknown
	}
	return b, nil
}

func (w *world) Underway() (all []channels.Payout) {
	for _, p := range w.payouts {
		if !p.Status.Over() {
			all = append(all, p)
		}
	}
	return all
}

func (w *world) EachDeposit(f func(*channels.Deposit) error) error {
	for _, d := range w.deposits {
		if err := f(&d); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) EachPayer(f func(*channels.Payout) error) error {
	for _, p := range w.payouts {
		if err := f(&p); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) EachBatch(f func(*channels.Batch) error) error {
	for _, b := range w.batches {
		if err := f(&b); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) Payout(key channels.Key) (channels.Payout, error) {
	for _, p := range w.payouts {
		if p.Key == key {
			return p, nil
		}
	}
	return channels.Payout{}, channels.ErrUnknown
}

func (w *world) Raise(i channels.Incident) { w.raised[i.Subject] = true }

func (w *world) CloseIncident(_, subject, _ string) (bool, error) {
	was := w.raised[subject]
	delete(w.raised, subject)
	return was, nil
}

func (w *world) Account(no ledger.AccountNo) (a ledger.Account, ok bool) {
	for _, l := range w.ledger[no] {
		a.Available += l.Change[0]
	}
	return a, true
}

func (w *world) AccountLines(no ledger.AccountNo, g ledger.Range, f func(*ledger.Line) bool) error {
	if w.restless && g.Newest && no == ledger.Chain {
		n := 100_000 + int(w.seq)
		w.received(n, 1000)
		w.recorded(n, 1000, channels.DepositCredited)
	}
	lines := slices.Clone(w.ledger[no])
	if g.Newest {
		slices.Reverse(lines)
	}
	for _, l := range lines {
		if !f(&l) {
			return nil
		}
	}
	return nil
}

func (w *world) Get(key []byte) ([]byte, error) { return w.rows[string(key)], nil }

func (w *world) Scan(prefix, _ []byte, f func(key, value []byte) bool) error {
	for _, key := range slices.Sorted(maps.Keys(w.rows)) {
		if bytes.HasPrefix([]byte(key), prefix) && !f([]byte(key), w.rows[key]) {
			return nil
		}
	}
	return nil
}

func (w *world) Write(rows ...channels.Row) error {
	if w.failing {
		return errDisk
	}
	for _, r := range rows {
		if r.Value == nil {
			delete(w.rows, string(r.Key))
		} else {
			w.rows[string(r.Key)] = r.Value
		}
	}
	return nil
}
