package settle

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// A run is made in this order, so that after a crash there is all of it or nothing:
//
//	1. its place in makingKey is written, then its items, some at a time
//	2. the run itself, that it is open, and what it was made for (the schedules' minute, the file) are one write, which deletes 1's place
//
// The next start deletes the items of what it finds in makingKey. Nothing is paid before 2.

// Preview is the plan that a run would be made of now. Nothing is written.
func (d *Desk) Preview(ctx context.Context) (Plan, Market, error) {
	return d.plan(ctx, Scope{})
}

func (d *Desk) plan(ctx context.Context, s Scope) (Plan, Market, error) {
	m, err := d.cfg.Market(ctx)
	if err != nil {
		return Plan{}, m, fmt.Errorf("asking what can leave: %w", err)
	}
	d.promised(&m)
	p := planner{scope: s, rules: d.Rules(), market: m}
	var failed error
	if p.rules.MaxAccountDay != 0 {
		p.roomy = func(no ledger.AccountNo, amount ledger.Msat) bool {
			ok, err := d.gate.Room(no, amount)
			failed = errors.Join(failed, err)
			return ok
		}
	}
	plan := d.book.plan(&p, d.cfg.Ledger.Account)
	return plan, m, failed
}

// Explain is what a run would pay an account now, or, if that is nothing, why.
func (d *Desk) Explain(ctx context.Context, no ledger.AccountNo) (*Due, Left, error) {
	a, ok := d.cfg.Ledger.Account(no)
	if !ok || no < ledger.FirstAccount {
		return nil, Left{}, ErrAccount
	}
	m, err := d.cfg.Market(ctx)
	if err != nil {
		return nil, Left{}, fmt.Errorf("asking what can leave: %w", err)
	}
	d.promised(&m)
	p := planner{rules: d.Rules(), market: m}
	var failed error
	p.roomy = func(no ledger.AccountNo, amount ledger.Msat) bool {
		ok, err := d.gate.Room(no, amount)
		failed = errors.Join(failed, err)
		return ok
	}
	d.book.mu.RLock()
	defer d.book.mu.RUnlock()
	r := d.book.find(no)
	if r == nil {
		return nil, Left{no, NoDestination, ledger.Msat(max(0, a.Available))}, nil
	}
	p.add(r, &a)
	if p.finish(); len(p.plan.Due) == 1 {
		return &p.plan.Due[0], Left{}, failed
	}
	return nil, p.plan.Left[0], failed
}

// promised takes out of a market what open runs will still take. What they have sent already may be missing from it twice: better so than
// to plan with the same coins again.
func (d *Desk) promised(m *Market) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.open {
		lightning, chain := r.promised()
		m.Lightning -= min(m.Lightning, lightning)
		m.Coins -= min(m.Coins, chain)
	}
}

// StartRun pays what is due, whatever the schedules say. Where hold is set, or the rules ask for it, operators must approve it first.
// ErrNothingDue: there is no run.
func (d *Desk) StartRun(ctx context.Context, by string, hold bool) (Run, error) {
	if by == "" || len(by) > maxOperator {
		return Run{}, ErrOperator
	}
	return d.makeRun(ctx, Run{Cause: ByOperator, By: by}, Scope{}, hold)
}

// makeRun plans, and makes a run of the plan. Rows are written with it.
func (d *Desk) makeRun(ctx context.Context, r Run, s Scope, hold bool, with ...func(channels.ID) channels.Row) (Run, error) {
	d.making.Lock()
	defer d.making.Unlock()
	if err := d.room(0); err != nil {
		return Run{}, err
	}
	plan, _, err := d.plan(ctx, s)
	if err != nil {
		return Run{}, err
	}
	if len(plan.Due) == 0 {
		return Run{}, ErrNothingDue
	}
	due := plan.Due[:min(len(plan.Due), MaxItems)]
	if !d.book.claim(due) { // only who holds d.making claims
		return Run{}, errors.New("settle: a payee is in two runs")
	}
	next := 0
	made, err := d.create(r, func() (Item, bool, error) {
		for next < len(due) {
			next++
			item, ok, err := d.itemOf(&due[next-1])
			if ok || err != nil {
				return item, ok, err
			}
			d.book.free(due[next-1].Account, nil)
		}
		return Item{}, false, nil
	}, hold, with...)
	if err != nil {
		for i := range due {
			d.book.free(due[i].Account, nil)
		}
	}
	return made, err
}

// itemOf is what a plan's payment becomes. False: the payee's settings have changed since.
func (d *Desk) itemOf(due *Due) (Item, bool, error) {
	p, err := d.book.payee(due.Account)
	if err != nil || p.Version != due.Version {
		return Item{}, false, err
	}
	return Item{Account: due.Account, To: p.target(due.Rail), Rail: due.Rail, Amount: due.Amount, FeeLimit: due.FeeLimit,
		Settings: p.Version, HubFee: p.HubFeePercent, Stage: Waiting}, true, nil
}

// room says whether one more run may be open: an account's import, or, of account zero, one of the schedules' or the operator's.
func (d *Desk) room(no ledger.AccountNo) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.open) >= MaxOpenRuns {
		return ErrTooManyRuns
	}
	if no == 0 {
		return nil
	}
	imports, own := 0, 0
	for _, r := range d.open {
		if run := r.state(); run.File != nil {
			imports++
			if run.Account == no {
				own++
			}
		}
	}
	if own >= maxOpenEach {
		return fmt.Errorf("%w: %d imports of the account", ErrTooManyRuns, own)
	}
	if imports >= maxImports {
		return ErrTooManyRuns
	}
	return nil
}

// create writes a run of the items that next returns, and begins it if it needs no approval. d.making must be held.
func (d *Desk) create(r Run, next func() (Item, bool, error), hold bool, with ...func(channels.ID) channels.Row) (Run, error) {
	r.ID, r.Made, r.ByRail = channels.ID(d.cfg.Ledger.NewID()), d.now(), make(byRail)
	if err := d.write(channels.Row{Key: idKey(makingKey, r.ID), Value: []byte{}}); err != nil {
		return Run{}, err
	}
	err := d.writeItems(&r, next)
	if err == nil && r.Planned == 0 {
		err = ErrNothingDue
	}
	if err != nil {
		return Run{}, errors.Join(err, d.unmake(r.ID))
	}
	r.State = Running
	if r.Needs = d.Rules().approvals(r.Planned); r.Needs == 0 && hold {
		r.Needs = 1
	}
	if r.Needs > 0 {
		r.State = Created
	}
	rows := []channels.Row{put(idKey(runKey, downwards(r.ID)), &r), {Key: idKey(openKey, r.ID), Value: []byte{}}, {Key: idKey(makingKey, r.ID)}}
	for _, row := range with {
		rows = append(rows, row(r.ID))
	}
	if err := d.write(rows...); err != nil {
		return Run{}, err
	}
	rn := newRunner(d, r)
	if r.File != nil { // some of it may be over already
		if err := rn.load(); err != nil {
			return Run{}, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[r.ID] = rn
	if d.rails != nil {
		d.running.Go(rn.loop)
	}
	d.cfg.Logger.Info("a settlement run is made", "run", r.ID.String(), "cause", string(r.Cause), "items", r.Items, "msat", uint64(r.Planned), "needs", r.Needs)
	return r, nil
}

// approvals is how many operators must approve a run of an amount.
func (r Rules) approvals(amount ledger.Msat) uint8 {
	if r.TwoOperators != 0 && amount > r.TwoOperators {
		return 2
	}
	return 0
}

// writeItems writes the items of a run, and counts them in it.
func (d *Desk) writeItems(r *Run, next func() (Item, bool, error)) error {
	const most, bytes = 1000, 1 << 20
	var rows []channels.Row
	size := 0
	for {
		item, ok, err := next()
		if err != nil {
			return err
		}
		if ok {
			rows = append(rows, put(numberKey(r.ID, r.Items), &item))
			size += len(rows[len(rows)-1].Value)
			if r.File == nil {
				rows = append(rows, channels.Row{Key: ofAccountKey(item.Account, r.ID, r.Items), Value: []byte{}})
			}
			r.Items++
			if item.Stage == Waiting {
				r.Planned += item.Amount
				r.ByRail.add(item.Rail, item.Amount+item.FeeLimit)
				r.FeeLimit += item.FeeLimit
			}
		}
		if len(rows) >= most || size >= bytes || !ok && len(rows) > 0 {
			if err := d.write(rows...); err != nil {
				return err
			}
			rows, size = rows[:0], 0
		}
		if !ok {
			return nil
		}
	}
}

// clear deletes what is left of runs that were never made.
func (d *Desk) clear() error {
	var ids []channels.ID
	err := d.rec.Scan([]byte(makingKey), nil, func(key, _ []byte) bool {
		ids = append(ids, channels.ID(key[len(makingKey):]))
		return true
	})
	for _, id := range ids {
		if err == nil {
			err = d.unmake(id)
		}
	}
	return err
}

// unmake deletes the items of a run that was never made, and then its place.
func (d *Desk) unmake(id channels.ID) error {
	if err := d.deleteItems(id); err != nil {
		return err
	}
	return d.write(channels.Row{Key: idKey(makingKey, id)})
}

// deleteItems deletes the items of a run, some at a time.
func (d *Desk) deleteItems(id channels.ID) error {
	for {
		var rows []channels.Row
		err := d.rec.Scan(itemsOf(id), nil, func(key, value []byte) bool {
			rows = append(rows, channels.Row{Key: append([]byte(nil), key...)})
			var i Item
			if decode(value, &i) == nil {
				rows = append(rows, channels.Row{Key: ofAccountKey(i.Account, id, last4(key))})
			}
			return len(rows) < 2000
		})
		if err != nil {
			return fmt.Errorf("reading the items of run %s: %w", id, err)
		}
		if len(rows) == 0 {
			return nil
		}
		if err := d.write(rows...); err != nil {
			return err
		}
	}
}
