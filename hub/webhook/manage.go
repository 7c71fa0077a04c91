package webhook

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/ledger"
)

// Add makes a webhook of an account, or with zero of the operator, and returns it with the secret that its deliveries are
// signed with, which is shown this once. It gets what comes after the entry of seq after; nil: what comes from now on.
func (d *Dispatcher) Add(account ledger.AccountNo, url string, after *uint64) (Endpoint, string, error) {
	if err := checkURL(url, d.cfg.Development); err != nil {
		return Endpoint{}, "", err
	}
	now, newest := d.cfg.Clock(), d.cfg.Source.Seq()
	if after == nil {
		after = &newest
	}
	if *after > newest {
		return Endpoint{}, "", fmt.Errorf("%w: the newest entry is %d", ErrAhead, newest)
	}
	s := newSecret()
	e := &endpoint{ID: newID(), Account: account, URL: url, Created: now, Secrets: []secret{s}, Cursor: *after, poke: make(chan struct{}, 1)}
	if err := d.insert(e); err != nil {
		return Endpoint{}, "", err
	}
	if err := d.save(d.change()); err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.endpoints, e.ID)
		return Endpoint{}, "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.run(e)
	return e.view(now), s.String(), nil
}

func (d *Dispatcher) insert(e *endpoint) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return ErrClosed
	case len(d.owned(e.Account)) >= MaxPerAccount:
		return fmt.Errorf("%w: an account has at most %d", ErrFull, MaxPerAccount)
	case len(d.endpoints) >= maxEndpoints, e.Account != 0 && len(d.endpoints)-len(d.owned(0)) >= maxAccounts:
		return fmt.Errorf("%w: this hub takes no more", ErrFull)
	}
	d.endpoints[e.ID] = e
	return nil
}

// owned are an account's endpoints, oldest first. d.mu must be held.
func (d *Dispatcher) owned(account ledger.AccountNo) (own []*endpoint) {
	for _, e := range d.endpoints {
		if e.Account == account {
			own = append(own, e)
		}
	}
	slices.SortFunc(own, func(a, b *endpoint) int {
		return cmp.Or(cmp.Compare(a.Created, b.Created), cmp.Compare(a.ID, b.ID))
	})
	return own
}

// List shows the webhooks of an account, or with zero of the operator, oldest first.
func (d *Dispatcher) List(account ledger.AccountNo) []Endpoint {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := []Endpoint{}
	for _, e := range d.owned(account) {
		all = append(all, e.view(d.cfg.Clock()))
	}
	return all
}

// with calls f with an account's webhook, while d.mu is held.
func (d *Dispatcher) with(account ledger.AccountNo, id string, f func(*endpoint) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.endpoints[id]
	switch {
	case d.closed:
		return ErrClosed
	case e == nil || e.Account != account:
		return ErrUnknown
	}
	return f(e)
}

// Remove ends a webhook. A delivery under way may still arrive.
func (d *Dispatcher) Remove(account ledger.AccountNo, id string) error {
	var removed *endpoint
	err := d.with(account, id, func(e *endpoint) error {
		removed = e
		delete(d.endpoints, id)
		return nil
	})
	if err != nil {
		return err
	}
	err = d.save(d.change())
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.endpoints[id] = removed
		return err
	}
	if removed.cancel != nil {
		removed.cancel()
	}
	return nil
}

// Rotate gives a webhook a new secret, which is shown this once. The one before signs as well for rotation longer.
func (d *Dispatcher) Rotate(account ledger.AccountNo, id string) (Endpoint, string, error) {
	var view Endpoint
	var before []secret
	s := newSecret()
	err := d.with(account, id, func(e *endpoint) error {
		now := d.cfg.Clock()
		before = e.Secrets
		e.Secrets = rotate(before, s, now)
		view = e.view(now)
		return nil
	})
	if err != nil {
		return Endpoint{}, "", err
	}
	if err := d.save(d.change()); err != nil {
		undo := d.with(account, id, func(e *endpoint) error {
			e.Secrets = before
			return nil
		})
		_ = undo // it fails for a webhook that is gone: then there is nothing to undo
		return Endpoint{}, "", err
	}
	return view, s.String(), nil
}

// Parked lists the deliveries of a webhook that did not arrive in time, oldest first.
func (d *Dispatcher) Parked(account ledger.AccountNo, id string) (all []Parked, err error) {
	err = d.with(account, id, func(e *endpoint) error {
		for _, p := range e.Parked {
			all = append(all, Parked{Delivery: e.delivery(p.span), First: p.First, Last: p.Last, At: at(p.At), Error: p.Error})
		}
		return nil
	})
	return all, err
}

// Replay has a webhook go on behind the entry of seq after, whatever has arrived already, and enables it. An error that is
// none of this package's means that it does, but may not after a restart.
func (d *Dispatcher) Replay(account ledger.AccountNo, id string, after uint64) (view Endpoint, err error) {
	newest := d.cfg.Source.Seq()
	if after > newest {
		return view, fmt.Errorf("%w: the newest entry is %d", ErrAhead, newest)
	}
	return d.restart(account, id, func(e *endpoint) error {
		e.Cursor, e.Pending = after, nil
		e.turn++
		e.Again = slices.DeleteFunc(e.Again, func(s span) bool { return s.First > after })
		e.Parked = slices.DeleteFunc(e.Parked, func(p parked) bool { return p.First > after })
		return nil
	})
}

// ReplayParked has a webhook's parked delivery sent again before what follows, or with an empty name all of them, and enables it.
// What it says of errors is what Replay says.
func (d *Dispatcher) ReplayParked(account ledger.AccountNo, id, delivery string) (Endpoint, error) {
	return d.restart(account, id, func(e *endpoint) error {
		before := len(e.Again)
		rest := slices.DeleteFunc(slices.Clone(e.Parked), func(p parked) bool {
			chosen := delivery == "" || strings.EqualFold(delivery, e.delivery(p.span))
			if chosen {
				e.Again = append(e.Again, p.span)
			}
			return chosen
		})
		if delivery != "" && len(e.Again) == before {
			return ErrDelivery
		}
		e.Parked = rest
		if e.Pending != nil { // it is due at once, too: the receiver is said to be well again
			e.Pending.Next = 0
		}
		return nil
	})
}

func (d *Dispatcher) restart(account ledger.AccountNo, id string, f func(*endpoint) error) (view Endpoint, err error) {
	err = d.with(account, id, func(e *endpoint) error {
		if err := checkURL(e.URL, d.cfg.Development); err != nil { // see refuse
			return err
		}
		if err := f(e); err != nil {
			return err
		}
		e.Disabled = ""
		e.stir()
		view = e.view(d.cfg.Clock())
		return nil
	})
	if err != nil {
		return view, err
	}
	return view, d.save(d.change())
}
