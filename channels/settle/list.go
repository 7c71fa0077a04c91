package settle

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// MaxPage bounds what a list returns at once.
const MaxPage = 1000

// Approve adds an operator's word for a run that waits for it. Two words of one operator count once.
func (d *Desk) Approve(id channels.ID, by string) (Run, error) {
	return d.change(id, func(r Run) (Run, error) { return r.approve(by, d.now()) })
}

// Pause has a run begin nothing any more. What is on its way goes on.
func (d *Desk) Pause(id channels.ID, by string) (Run, error) {
	return d.change(id, func(r Run) (Run, error) { return r.pause(by) })
}

// Resume has a run go on that was paused.
func (d *Desk) Resume(id channels.ID) (Run, error) { return d.change(id, Run.resume) }

// Cancel drops what has not begun of a run, approved or not. It closes when the rest is over.
func (d *Desk) Cancel(id channels.ID, by string) (Run, error) {
	return d.change(id, func(r Run) (Run, error) { return r.cancel(by) })
}

func (d *Desk) change(id channels.ID, by func(Run) (Run, error)) (Run, error) {
	d.mu.Lock()
	r := d.open[id]
	d.mu.Unlock()
	if r != nil {
		return r.change(by)
	}
	run, err := d.Run(id)
	if err != nil {
		return run, err
	}
	return run, fmt.Errorf("%w: it is %s", ErrState, run.State)
}

// Run is a run as it is now. Its report is there once it is closed.
func (d *Desk) Run(id channels.ID) (Run, error) {
	var run Run
	found, err := get(d.rec, idKey(runKey, downwards(id)), &run)
	if err == nil && !found {
		err = ErrUnknownRun
	}
	return run, err
}

// Runs are the runs before one, the newest first; of a zero id, from the newest on. At most MaxPage.
func (d *Desk) Runs(before channels.ID, most int) (runs []Run, err error) {
	var from []byte
	if before != (channels.ID{}) {
		from = append(idKey(runKey, downwards(before)), 0)
	}
	most = page(most)
	var failed error
	err = d.rec.Scan([]byte(runKey), from, func(_, value []byte) bool {
		var r Run
		if failed = decode(value, &r); failed == nil {
			runs = append(runs, r)
		}
		return failed == nil && len(runs) < most
	})
	return runs, errors.Join(err, failed)
}

// Numbered is an item with its place in its run.
type Numbered struct {
	Run    channels.ID `json:"run"`
	Number uint32      `json:"number"`
	Item
}

// Items are the items of a run from a number on: a report for each payee. At most MaxPage.
func (d *Desk) Items(id channels.ID, from uint32, most int) (items []Numbered, err error) {
	if _, err := d.Run(id); err != nil {
		return nil, err
	}
	most = page(most)
	var failed error
	err = d.rec.Scan(itemsOf(id), numberKey(id, from), func(key, value []byte) bool {
		n := Numbered{Run: id, Number: last4(key)}
		if failed = decode(value, &n.Item); failed == nil {
			items = append(items, n)
		}
		return failed == nil && len(items) < most
	})
	return items, errors.Join(err, failed)
}

// ItemsOf are what runs paid, or will or could not pay, to an account, the newest first, behind one of them; of a zero run, from the
// newest on. At most MaxPage.
func (d *Desk) ItemsOf(no ledger.AccountNo, behind Numbered, most int) (items []Numbered, err error) {
	prefix := accountKey(ofKey, no)
	var from []byte
	if behind.Run != (channels.ID{}) {
		from = append(ofAccountKey(no, behind.Run, behind.Number), 0)
	}
	most = page(most)
	err = d.rec.Scan(prefix, from, func(key, _ []byte) bool {
		id := channels.ID(key[len(prefix) : len(prefix)+16])
		items = append(items, Numbered{Run: downwards(id), Number: last4(key)})
		return len(items) < most
	})
	kept := items[:0]
	for _, n := range items {
		if err != nil {
			break
		}
		var found bool
		if found, err = get(d.rec, numberKey(n.Run, n.Number), &n.Item); found {
			kept = append(kept, n)
		}
	}
	return kept, err
}

func page(most int) int {
	if most <= 0 || most > MaxPage {
		return MaxPage
	}
	return most
}
