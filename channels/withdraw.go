package channels

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/ledger"
)

// Quote is what a payout would cost now. Nothing is written or set aside.
func (r *Rails) Quote(ctx context.Context, q Request) (Quote, error) {
	if q.ID == (ID{}) {
		q.ID = r.newID()
	}
	p, err := r.plan(ctx, &q)
	if err != nil {
		return Quote{}, err
	}
	out := Quote{Rail: p.Rail, Amount: p.Pays, Hash: p.Hash, Memo: p.About}
	switch p.Rail {
	case Lightning:
		ctx, cancel := context.WithTimeout(ctx, r.cfg.CallFor)
		defer cancel()
		payment := r.payment(&p)
		payment.FeeLimit = p.Pays // to look for routes, not to pay
		if out.Fee, err = r.cfg.Payer.Quote(ctx, payment); err != nil {
			return Quote{}, fmt.Errorf("asking the node for routes: %w", err)
		}
		out.Limit = out.Fee + max(out.Fee/2, p.Pays/200, msatPerSat)
	case Chain:
		rate, err := r.rate(ctx)
		if err != nil {
			return Quote{}, err
		}
		out.Fee = aloneFee(p.Script, rate)
		out.Limit = out.Fee + out.Fee/2
	}
	return out, nil
}

// Withdraw makes a payout, or finds the one that the same request has made before. It returns when the money is set aside or the payout
// has failed, or when the context ends; the payout then goes on by itself (see Wait). An error means that there is no payout.
func (r *Rails) Withdraw(ctx context.Context, q Request) (Payout, error) {
	q.Until = q.Until.UTC().Truncate(time.Millisecond)
	if q.Until.Year() <= 1 {
		q.Until = time.Time{}
	}
	f, p, err := r.make(ctx, &q)
	if err != nil || f == nil {
		return p, err
	}
	return r.waitFor(ctx, f, func(s Status) bool { return s != Asked }), nil
}

// Wait returns a payout when it is over, or as it is when the context ends.
func (r *Rails) Wait(ctx context.Context, key Key) (Payout, error) {
	p, f, err := r.find(key)
	if err != nil || f == nil {
		return p, err
	}
	return r.waitFor(ctx, f, Status.Over), nil
}

// Payout is a payout as it is now.
func (r *Rails) Payout(key Key) (Payout, error) {
	p, _, err := r.find(key)
	return p, err
}

func (r *Rails) waitFor(ctx context.Context, f *flight, enough func(Status) bool) Payout {
	for {
		p, changed := f.watch()
		if enough(p.Status) {
			return p
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return p
		case <-r.ctx.Done(): // the next start goes on
			return p
		}
	}
}

// find looks for a payout: among those under way first, whose flight it then returns, too.
func (r *Rails) find(key Key) (p Payout, f *flight, err error) {
	r.mu.Lock()
	f = r.flights[key]
	r.mu.Unlock()
	if f != nil {
		return f.payout(), f, nil
	}
	found, err := r.read(rowKey(keyPayout, key.bytes()), &p)
	if err == nil && !found {
		err = ErrUnknown
	}
	return p, nil, err
}

// make writes a new payout down and sets it under way. Of one that there is it returns the flight, if it is not over.
func (r *Rails) make(ctx context.Context, q *Request) (*flight, Payout, error) {
	if err := r.ready(); err != nil {
		return nil, Payout{}, err
	}
	defer r.making.lock(q.Key)()
	switch p, f, err := r.find(q.Key); {
	case err == nil && !p.same(q):
		return nil, p, ErrReused
	case err == nil:
		return f, p, nil
	case !errors.Is(err, ErrUnknown):
		return nil, Payout{}, err
	}
	p, err := r.plan(ctx, q)
	if err == nil {
		err = r.affordable(ctx, &p)
	}
	if err != nil {
		return nil, Payout{}, err
	}
	now := r.now().UTC().Truncate(time.Millisecond)
	p.Status, p.HoldID, p.Made, p.Changed, p.Rev = Asked, r.newID(), now, now, 1
	f := newFlight(p)
	if err := r.enlist(f); err != nil {
		return nil, Payout{}, err
	}
	if err := r.begin(&p); err != nil {
		r.delist(f)
		return nil, Payout{}, err
	}
	r.dispatch(f, action{kind: actHold})
	return f, p, nil
}

// affordable refuses at once what would only wait for a fee that nobody sees coming.
func (r *Rails) affordable(ctx context.Context, p *Payout) error {
	if p.Rail != Chain {
		return nil
	}
	rate, err := r.rate(ctx)
	if err != nil { // the batch will know
		return nil
	}
	if least := outputFee(p.Script, rate); p.FeeLimit < least {
		return fmt.Errorf("%w: at least %d msat on-chain now", ErrLimit, least)
	}
	return nil
}

// begin writes the first record of a payout. What pays an invoice that another payout pays, or has paid, is refused.
func (r *Rails) begin(p *Payout) error {
	rows, err := payoutRows(p)
	if err != nil {
		return err
	}
	rows = append(rows, Row{Key: rowKey(keyList, accountBytes(p.Account), newestFirst(p.Made), []byte{'p'}, p.ID[:]), Value: []byte{}})
	if p.Hash != (Hash{}) {
		defer r.hashes.lock(p.Hash)()
		var other Key
		found, err := r.read(rowKey(keyPaying, p.Hash[:]), &other)
		if err != nil {
			return err
		}
		if found {
			if err := r.free(other); err != nil {
				return err
			}
		}
		row, err := rowOf(rowKey(keyPaying, p.Hash[:]), p.Key)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	return r.write(rows...)
}

// free says whether an invoice may be paid that another payout was to pay: only if that can never arrive.
func (r *Rails) free(other Key) error {
	p, _, err := r.find(other)
	switch {
	case err != nil:
		return err
	case p.Status == Voided:
		return nil
	case p.Status == Done || p.Status == Paid:
		return ErrPaidBefore
	}
	return ErrInTransit
}

// enlist counts a payout among those under way.
func (r *Rails) enlist(f *flight) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.flights) >= r.cfg.MaxOpen || r.perAccount[f.key.Account] >= r.cfg.MaxOpenEach {
		return ErrTooMany
	}
	r.flights[f.key] = f
	r.perAccount[f.key.Account]++
	return nil
}

func (r *Rails) delist(f *flight) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.flights, f.key)
	if r.perAccount[f.key.Account]--; r.perAccount[f.key.Account] <= 0 {
		delete(r.perAccount, f.key.Account)
	}
}

// Underway are the payouts that are not over, in no order.
func (r *Rails) Underway() []Payout {
	r.mu.Lock()
	flights := make([]*flight, 0, len(r.flights))
	for _, f := range r.flights {
		flights = append(flights, f)
	}
	r.mu.Unlock()
	all := make([]Payout, len(flights))
	for i, f := range flights {
		all[i] = f.payout()
	}
	return all
}

// Page says which part of a list is wanted, the newest first.
type Page struct {
	Before []byte // what the last page said comes next; nil: the newest
	Most   int    // at most so many; zero: MaxPage
	Size   int    // of payouts at most so many that their sizes (see Payout.Size) are this together, or one; zero: however large
}

// MaxPage bounds a page.
const MaxPage = 1000

func (g *Page) most() int {
	if g.Most <= 0 || g.Most > MaxPage {
		return MaxPage
	}
	return g.Most
}

// Payouts are an account's, the newest first, and where the next page begins; nil: nowhere.
func (r *Rails) Payouts(no ledger.AccountNo, g Page) (list []Payout, next []byte, err error) {
	size := 0
	next, err = r.list(no, g, 'p', func(rest []byte) (bool, error) {
		var p Payout
		key := Key{Account: no}
		copy(key.ID[:], rest)
		p, _, err := r.find(key)
		if size += p.Size(); err == nil && g.Size > 0 && size > g.Size && len(list) > 0 {
			return false, errFull
		}
		if err == nil {
			list = append(list, p)
		}
		return true, err
	})
	return list, next, err
}

// errFull means that a page ends before what was to be the next of it.
var errFull = errors.New("the page is full")

// list goes through an account's list, and calls f with what stands behind the time in the keys of one kind. f says whether it counts.
func (r *Rails) list(no ledger.AccountNo, g Page, kind byte, f func(rest []byte) (bool, error)) (next []byte, err error) {
	prefix := rowKey(keyList, accountBytes(no))
	const at = 8 // the time
	from := slices.Concat(prefix, g.Before)
	left := g.most()
	for batch := 0; ; {
		var keys [][]byte
		err := r.records.Scan(prefix, from, func(key, _ []byte) bool {
			keys = append(keys, append([]byte(nil), key[len(prefix):]...))
			return len(keys) < 256
		})
		if err != nil {
			return nil, fmt.Errorf("listing: %w", err)
		}
		for _, key := range keys {
			if left == 0 {
				return key, nil
			}
			if len(key) <= at || key[at] != kind {
				continue
			}
			counts, err := f(key[at+1:])
			if errors.Is(err, errFull) {
				return key, nil
			}
			if err != nil {
				return nil, err
			}
			if counts {
				left--
			}
		}
		if batch++; len(keys) < 256 || batch == maxListed {
			return nil, nil
		}
		from = append(slices.Concat(prefix, keys[len(keys)-1]), 0)
	}
}

// maxListed bounds what one page goes through, in steps of 256 keys.
const maxListed = 400
