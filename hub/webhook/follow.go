package webhook

import (
	"context"
	"time"
)

// An endpoint that has nothing to send looks for new entries at most once in idlePause, and all of them together at most once in
// lookPause: so a ledger that takes thousands of blocks a second is not asked as often by each.
const (
	idlePause  = 50 * time.Millisecond
	lookPause  = time.Millisecond
	errorPause = time.Second // after what the source or the disk cannot do now
)

// follow delivers to one endpoint, until it is removed or the dispatcher closes.
func (d *Dispatcher) follow(ctx context.Context, e *endpoint) {
	for ctx.Err() == nil {
		appended := d.cfg.Source.Appended() // asked for before looking: what comes later closes it
		w := d.look(e)
		switch {
		case w.disabled:
			d.wait(ctx, e, nil, 0)
			continue
		case w.pause > 0:
			d.wait(ctx, e, nil, w.pause)
			continue
		}
		b, err := d.collect(e.Account, w.span)
		switch {
		case err != nil:
			d.cfg.Logger.Error("reading entries for a webhook", "webhook", e.ID, "err", err)
			d.wait(ctx, e, nil, errorPause)
		case w.Last != 0 && b.span != w.span:
			d.back(e, w)
		case b.entries == 0:
			d.idle(ctx, e, w, appended)
		case !d.promise(e, w, b.span):
			d.wait(ctx, e, nil, errorPause)
		default:
			failed := d.send(ctx, e.URL, e.delivery(b.span), w.secrets, b.body)
			if ctx.Err() == nil { // one that was broken off says nothing about the receiver
				d.settle(e, w, failed)
			}
		}
	}
}

// work is what there is to do for an endpoint, as of one moment.
type work struct {
	span                // entries to send; Last zero: all there are
	newest, turn uint64 // seq, and the endpoint's turn
	promised     bool   // the span is on the disk as pending
	disabled     bool
	pause        time.Duration // until the next attempt
	secrets      []secret
}

func (d *Dispatcher) look(e *endpoint) work {
	newest := d.cfg.Source.Seq()
	d.mu.Lock()
	defer d.mu.Unlock()
	w := work{newest: newest, turn: e.turn, disabled: e.Disabled != "", secrets: e.Secrets}
	switch {
	case e.Pending != nil:
		w.span, w.promised = e.Pending.span, e.Pending.promised
		if now := d.cfg.Clock(); e.Pending.Next > now {
			w.pause = time.Duration(e.Pending.Next-now) * time.Millisecond
		}
	case len(e.Again) > 0:
		w.span = e.Again[0]
	default:
		w.First = e.Cursor + 1
	}
	return w
}

// promise writes down what is going to be sent, so that after a crash the same is sent under the same id.
func (d *Dispatcher) promise(e *endpoint, w work, s span) bool {
	if w.promised {
		return true
	}
	d.mu.Lock()
	if e.turn != w.turn {
		d.mu.Unlock()
		return true // what is sent does not count, and settle finds so
	}
	if e.Pending == nil {
		e.Pending = &pending{span: s}
		if w.Last != 0 {
			e.Again = e.Again[1:]
		}
	}
	p := e.Pending
	d.version++
	version := d.version
	d.mu.Unlock()
	if err := d.save(version); err != nil {
		d.cfg.Logger.Error("nothing is sent to a webhook", "webhook", e.ID, "err", err)
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p.promised = true
	return true
}

// back has an endpoint go on before a delivery whose entries are not the ledger's any more, as after a restore: what the ledger has
// from there on is sent, cut anew, and nothing is skipped.
func (d *Dispatcher) back(e *endpoint, w work) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.turn != w.turn {
		return
	}
	e.back(w.span)
	d.cfg.Logger.Warn("the ledger does not have what a webhook was to get: it goes back", "webhook", e.ID, "first", w.First,
		"last", w.Last, "cursor", e.Cursor)
}

// settle keeps the outcome of an attempt.
func (d *Dispatcher) settle(e *endpoint, w work, why *failure) {
	d.mu.Lock()
	if e.turn != w.turn || e.Pending == nil { // a replay came between
		d.mu.Unlock()
		return
	}
	if why == nil {
		e.arrived(e.Pending.span)
		d.mu.Unlock()
		d.metrics.delivered.Inc()
		return
	}
	isParked := e.failed(*why, d.cfg.Clock())
	d.version++
	version, disabled := d.version, e.Disabled
	d.mu.Unlock()
	d.metrics.failed.Inc()
	if isParked {
		d.metrics.parked.Inc()
		d.cfg.Logger.Warn("a webhook's delivery is parked", "webhook", e.ID, "disabled", disabled)
	}
	if err := d.save(version); err != nil { // then a restart tries again sooner, and no harm is done
		d.cfg.Logger.Error("a webhook's failure is not kept", "webhook", e.ID, "err", err)
	}
}

// idle waits for new entries. That there were none up to the newest is remembered, in memory alone; what has arrived is written.
func (d *Dispatcher) idle(ctx context.Context, e *endpoint, w work, appended <-chan struct{}) {
	d.mu.Lock()
	if e.turn == w.turn {
		e.Cursor = max(e.Cursor, w.newest)
	}
	dirty, pause := e.dirty, max(idlePause, time.Duration(len(d.endpoints))*lookPause)
	d.mu.Unlock()
	if dirty {
		if err := d.save(d.change()); err != nil {
			d.cfg.Logger.Error("what has arrived at a webhook is not kept", "webhook", e.ID, "err", err)
		}
	}
	if d.wait(ctx, e, appended, 0) {
		d.wait(ctx, e, nil, pause)
	}
}

// wait ends with the first of: the endpoint's next turn, the context, the Go channel closed, a time other than zero over. It says
// whether the channel was closed.
func (d *Dispatcher) wait(ctx context.Context, e *endpoint, appended <-chan struct{}, pause time.Duration) bool {
	var over <-chan time.Time
	if pause > 0 {
		over = d.cfg.After(pause)
	}
	select {
	case <-appended:
		return true
	case <-ctx.Done():
	case <-e.poke:
	case <-over:
	}
	return false
}
