package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/settle"
	"github.com/millrace/millrace/ledger"
)

// settlingAmount is what a payee has before each run, in msat.
const settlingAmount = 1_000_000

// runSettling measures batches in-process while settlement runs pay one account after the other, in turns with the same batches while
// there is none. The payees are settled inside the hub, so that no node's pace holds the runs back, and none takes the cores. Both take
// as long, twice a round's length, and who is first changes: what follows the log comes in bursts of seconds, and is to fall on both.
func runSettling(ctx context.Context, c *Config, dir string) (res Result, err error) {
	h, err := newHouse(ctx, c, dir)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	turns := *c
	turns.Round *= 2
	h.look = 50 * time.Millisecond // looking is work, and it is the other work that is measured
	load, err := h.furnishSettling(ctx, c)
	if err != nil {
		return Result{}, err
	}
	if err := h.openUnpaid(); err != nil {
		return Result{}, err
	}
	var paid settle.Tally
	var lasted time.Duration
	beside, without := newWaits(), newWaits() // of commits
	timed := func(ctx context.Context, d time.Duration, commits *hdrhistogram.Histogram) (sample, error) {
		h.rig.waits.note(func() *hdrhistogram.Histogram { return commits })
		defer h.rig.waits.note(nil)
		return load.run(ctx, h.rig.hub, d)
	}
	own := &trial{name: "beside runs", run: func(ctx context.Context, d time.Duration) (sample, error) {
		began := time.Now()
		stop, err := h.settleOn(ctx)
		if err != nil {
			return sample{}, err
		}
		s, err := timed(ctx, d, beside)
		lasted += time.Since(began)
		t, stopped := stop()
		paid.Count += t.Count
		paid.Amount += t.Amount
		return s, errors.Join(err, stopped)
	}}
	alone := &trial{name: "no run", even: true, run: func(ctx context.Context, d time.Duration) (sample, error) { return timed(ctx, d, without) }}
	if err := h.rig.catchUp(ctx); err != nil { // what setting up has left to be done would fall into the first round
		return Result{}, err
	}
	if err := takeTurns(ctx, &turns, "settling", own, alone); err != nil {
		return Result{}, err
	}
	res = newResult(fmt.Sprintf("batch of %d", c.BatchOps), own, alone)
	res.add(float64(paid.Count)/lasted.Seconds(), "", "payees settled a second meanwhile")
	res.add(float64(paid.Count), "", "payees settled in all")
	res.addWaits("commit beside runs", beside)
	res.addWaits("commit without", without)
	if paid.Count == 0 {
		return Result{}, errors.New("nobody was settled beside the batches")
	}
	if err := h.close(); err != nil {
		return Result{}, err
	}
	return res, h.rig.verify(ctx, func(s *ledger.State) error { return errors.Join(load.check(s), h.checkSettled(s, paid.Amount)) })
}

// checkSettled holds what payees and their wallets have against what runs have paid.
func (h *house) checkSettled(s *ledger.State, paid ledger.Msat) error {
	for i, all := range [][]ledger.AccountNo{h.payees, h.wallets} {
		want := int64(paid)
		if i == 0 {
			want = int64(h.given) - int64(paid)
		}
		has := int64(0)
		for _, no := range all {
			a, ok := s.Account(no)
			if has += a.Available; !ok || a.Held != 0 {
				return fmt.Errorf("account %v has %d msat set aside after the end", no, a.Held)
			}
		}
		if has != want {
			return fmt.Errorf("of the %d msat that payees were given they, or their wallets, have %d: want %d", h.given, has, want)
		}
	}
	return nil
}

// furnishSettling makes a crowd that pays, and payees beside it: each is settled to an account of its own.
func (h *house) furnishSettling(ctx context.Context, c *Config) (load clients, err error) {
	b := newBuilder(ctx, h.rig.submit)
	crowd, err := b.crowd(c.Accounts)
	if err != nil {
		return nil, err
	}
	parts, err := divide(crowd, c.Clients, c.BatchOps)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		load = append(load, &client{advances: p})
	}
	if h.wallets, err = b.accounts(c.Payees, 0); err != nil {
		return nil, err
	}
	ask, err := addresses()
	if err != nil {
		return nil, err
	}
	return load, h.settleAs(ctx, c.Payees, ask, func(i int) (settle.Payee, error) { return settle.Payee{Internal: h.wallets[i].String()}, nil })
}

// settleOn begins runs one after the other until stop, which says what they have paid.
func (h *house) settleOn(ctx context.Context) (stop func() (settle.Tally, error), err error) {
	start := func() (settle.Run, error) {
		if err := h.credit(ctx, settlingAmount); err != nil {
			return settle.Run{}, err
		}
		return h.desk.StartRun(ctx, "bench", false)
	}
	first, err := start()
	if err != nil {
		return nil, err
	}
	enough, cancel := context.WithCancel(ctx)
	var paid settle.Tally
	ended := make(chan error, 1)
	go func() {
		run, err := first, error(nil)
		for err == nil {
			if run, err = h.closed(enough, run.ID); enough.Err() != nil {
				run, err = h.endRun(ctx, run.ID)
			}
			if err == nil {
				paid.Count += run.Report.Paid.Count
				paid.Amount += run.Report.Paid.Amount
				if run.Report.Failed.Count > 0 {
					err = fmt.Errorf("payments of a run have failed: %v", run.Report.Reasons)
				}
			}
			if enough.Err() != nil {
				break
			}
			if err == nil {
				run, err = start()
			}
		}
		ended <- err
	}()
	return func() (settle.Tally, error) {
		cancel()
		err := <-ended
		return paid, err
	}, nil
}

// endRun cancels a run, and waits until what has begun is over.
func (h *house) endRun(ctx context.Context, id channels.ID) (settle.Run, error) {
	if _, err := h.desk.Cancel(id, "bench"); err != nil && !errors.Is(err, settle.ErrState) {
		return settle.Run{}, err
	}
	return h.closed(ctx, id)
}
