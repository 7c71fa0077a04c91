package channels

import (
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/ledger"
)

const (
	bookWorkers = 64 // ops of the ledger at once: it gathers them into blocks
	askWorkers  = 16 // questions to the node at once
	bornMark    = "born"
)

// ErrLost means that the ledger knows of money outside, and the records do not: they are not those of this ledger, or were lost. To go
// on without them would credit deposits again, and forget payouts that are under way.
var ErrLost = errors.New("the rails' records, in the folder rails, are missing: put that folder back, or restore a backup that has it")

// Start takes up everything that is under way. The ledger must be open, and the records those that the rails had when they stopped.
func (r *Rails) Start() error {
	if err := r.born(); err != nil {
		return fmt.Errorf("rails: %w", err)
	}
	if err := errors.Join(r.loadIncidents(), r.loadPause(), r.loadInvoices(), r.loadBatches()); err != nil {
		return fmt.Errorf("rails: %w", err)
	}
	flights, err := r.loadFlights()
	if err != nil {
		return fmt.Errorf("rails: %w", err)
	}
	r.chain.cutAt = r.now().Add(r.cfg.BatchEvery)
	r.log.Info("rails open", "payouts", len(flights), "batches", len(r.chain.batches), "incidents", len(r.incidents))
	for _, w := range []struct {
		lane *lane
		many int
	}{{r.books, bookWorkers}, {r.pays, r.cfg.Concurrency + r.cfg.Concurrency/2}, {r.asks, askWorkers}} {
		for range w.many {
			r.running.Go(func() { r.work(w.lane) })
		}
	}
	for _, f := range flights {
		r.dispatch(f, r.advance(f, event{kind: evTakenUp, until: r.now().Add(r.cfg.Quiet)}))
	}
	if r.cfg.Receiver != nil {
		r.running.Go(r.followSettled)
	}
	if r.cfg.Purse != nil {
		r.running.Go(r.followCoins)
	}
	r.running.Go(r.lookAround)
	r.running.Go(r.sweep)
	r.mu.Lock()
	r.started = true
	r.mu.Unlock()
	return nil
}

// born marks new records, and refuses new ones beside a ledger from which money has gone out, or into which it came.
func (r *Rails) born() error {
	at, err := r.mark(bornMark)
	if err != nil || at != 0 {
		r.bornAt = time.UnixMilli(int64(at))
		return err
	}
	for _, no := range []ledger.AccountNo{ledger.Lightning, ledger.Chain} {
		if a, _ := r.ledger.Account(no); a.Available != 0 {
			return fmt.Errorf("the ledger's account %s has %d msat: %w", no, a.Available, ErrLost)
		}
	}
	r.bornAt = r.stamp()
	return r.write(markRow(bornMark, uint64(r.bornAt.UnixMilli())))
}

// loadFlights reads the payouts that are not over.
func (r *Rails) loadFlights() ([]*flight, error) {
	keys, err := r.keysUnder(keyOpen, nil, 1<<30)
	if err != nil {
		return nil, err
	}
	flights := make([]*flight, 0, len(keys))
	for _, b := range keys {
		key, err := parseKey(b)
		if err != nil {
			return nil, err
		}
		var p Payout
		found, err := r.read(rowKey(keyPayout, b), &p)
		if err != nil || !found || p.Key != key || p.Status.Over() {
			return nil, errors.Join(fmt.Errorf("payout %s, which is under way, has no record that fits", key), err)
		}
		f := newFlight(p)
		f.asked = true
		r.flights[key] = f
		r.perAccount[key.Account]++
		flights = append(flights, f)
	}
	return flights, nil
}

// Close stops what is under way where it stands. The next Start goes on from there. Records and ledger stay open.
func (r *Rails) Close() {
	r.stop()
	for _, l := range []*lane{r.books, r.pays, r.asks} {
		l.close()
	}
	r.running.Wait()
}

// ready says whether something new may be begun.
func (r *Rails) ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.started || r.ctx.Err() != nil {
		return ErrStopped
	}
	return nil
}

// pause waits, or ends with the rails.
func (r *Rails) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.ctx.Done():
	}
}

// lookAround looks at the chain whenever somebody pokes, and now and then.
func (r *Rails) lookAround() {
	for r.ctx.Err() == nil {
		if !r.behind() {
			r.tendChain()
			r.lookAtCoins()
		}
		t := time.NewTimer(min(r.cfg.Poll, r.cfg.BatchEvery))
		select {
		case <-t.C:
		case <-r.poked:
		case <-r.ctx.Done():
		}
		t.Stop()
	}
}
