package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/millrace/millrace/ledger"
)

// askEvery is the time from one request of a reader to the next, unless the answer takes longer.
const askEvery = 5 * time.Millisecond

// reader asks on a connection of its own, while others write. One goroutine uses it.
type reader struct {
	of    string
	ask   func() (request []byte, err error)
	check func(body []byte) error
	waits *hdrhistogram.Histogram
	conn  *conn
}

// run asks until some time.
func (r *reader) run(ctx context.Context, until time.Time) error {
	for ctx.Err() == nil {
		request, err := r.ask()
		if err != nil {
			return err
		}
		began := time.Now()
		if !began.Before(until) {
			return nil
		}
		status, body, err := r.conn.do(request)
		if err != nil {
			return err
		}
		took := time.Since(began)
		if err = wantOK(status, body); err == nil {
			err = r.check(body)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.of, err)
		}
		record(r.waits, took)
		time.Sleep(askEvery - took)
	}
	return nil
}

// get is a whole request.
func get(path, token string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:8402\r\nAuthorization: Bearer %s\r\n\r\n", path, token)
}

// readCase is what history and receipt share: a hub with a long log that is paid through all the time, beside readers.
type readCase struct {
	c       *Config
	name    string
	hub     *batchHub
	cold    ledger.AccountNo   // has been given something before all else, and nothing since
	payers  []ledger.AccountNo // from whom all payments come
	tokens  map[ledger.AccountNo]string
	readers []*reader
	since   uint64 // seq before the first payment
	until   uint64 // seq of the last payment before the first read
	began   time.Time
	ended   time.Time // of the payments before the first read
}

// openReadCase takes up a folder, or makes one, and pays until its log is long enough.
func openReadCase(ctx context.Context, c *Config, name, dir string) (k *readCase, err error) {
	k = &readCase{c: c, name: name, tokens: make(map[ledger.AccountNo]string)}
	open := newRig
	if _, err := os.Stat(filepath.Join(c.place(dir), "data", "FORMAT")); err == nil {
		open = openRig
	}
	r, err := open(ctx, c, c.place(dir))
	if err != nil {
		return nil, err
	}
	cold, err := newBuilder(ctx, r.submit).accounts(1, channelFunds)
	if err == nil {
		k.cold = cold[0]
		k.hub, err = newBatchHub(ctx, c, r)
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	if err := k.prepare(ctx); err != nil {
		return nil, errors.Join(err, k.close())
	}
	return k, nil
}

func (k *readCase) prepare(ctx context.Context) error {
	if err := k.load(ctx); err != nil {
		return err
	}
	if err := k.known(); err != nil {
		return err
	}
	return k.compare()
}

// compare adds a reader of what costs nothing to find: what it waits for are cores.
func (k *readCase) compare() error {
	no := k.payers[0]
	request := get(fmt.Sprintf("/v1/accounts/%v", no), k.tokens[no])
	return k.add("balance of an account, to compare", func() ([]byte, error) { return request, nil }, func(body []byte) error {
		if !bytes.Contains(body, []byte(`"balance_msat":`)) {
			return fmt.Errorf("no balance: %.300q", body)
		}
		return nil
	})
}

// load pays until the log is long enough, and for a round at least.
func (k *readCase) load(ctx context.Context) error {
	k.began = time.Now()
	k.since = k.hub.rig.seq
	for k.since+k.hub.paid() < k.c.Entries || time.Since(k.began) < k.c.Round {
		s, err := k.hub.run(ctx, min(k.c.Round, 5*time.Second))
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		fmt.Fprintf(k.c.Progress, "%s: a log of %s entries; %s a second\n", k.name, count(float64(k.since+k.hub.paid())), count(s.rate()))
	}
	k.ended = time.Now()
	k.until = k.since + k.hub.paid()
	return k.hub.rig.catchUp(ctx)
}

// known finds the accounts that pay, and makes tokens to read with.
func (k *readCase) known() error {
	for _, s := range k.hub.tally {
		c, ok := k.hub.rig.hub.Channel(ledger.ChannelNo(s.requests[0].channels[0]))
		if !ok {
			return errors.New("a channel that was paid through does not exist")
		}
		k.payers = append(k.payers, c.Payer)
	}
	for _, no := range append(k.payers, k.cold) {
		tokens, err := k.hub.rig.tokens([]ledger.AccountNo{no})
		if err != nil {
			return err
		}
		k.tokens[no] = tokens[0]
	}
	return nil
}

// add makes a reader.
func (k *readCase) add(of string, ask func() ([]byte, error), check func([]byte) error) error {
	n, err := dial(k.hub.addr)
	if err == nil {
		k.readers = append(k.readers, &reader{of: of, ask: ask, check: check, waits: newWaits(), conn: n})
	}
	return err
}

// run pays, and reads beside it.
func (k *readCase) run(ctx context.Context, d time.Duration) (s sample, err error) {
	for _, r := range k.readers {
		if err := r.conn.turn(d); err != nil {
			return s, err
		}
	}
	until := time.Now().Add(d)
	errs := make([]error, len(k.readers))
	var wait sync.WaitGroup
	for i, r := range k.readers {
		wait.Go(func() { errs[i] = r.run(ctx, until) })
	}
	s, err = k.hub.run(ctx, d)
	wait.Wait()
	return s, errors.Join(append(errs, err)...)
}

// measure takes turns with and without readers, and verifies the hub. With a pace, latencies of batches have the wait for their
// turn in them; those of the readers do not.
func (k *readCase) measure(ctx context.Context) (Result, error) {
	if k.c.Pace > 0 {
		for i, s := range k.hub.load {
			k.hub.load[i] = &paced{source: s, rate: float64(k.c.Pace) / float64(len(k.hub.load))}
		}
	}
	own := &trial{name: "payments beside readers", run: k.run}
	alone := &trial{name: "nobody reads", run: k.hub.run}
	if err := takeTurns(ctx, k.c, k.name, own, alone); err != nil {
		return Result{}, err
	}
	res := newResult(fmt.Sprintf("batch of %d", k.c.BatchOps), own, alone)
	for _, r := range k.readers {
		if r.waits.TotalCount() == 0 {
			return Result{}, fmt.Errorf("%s: nothing was read", r.of)
		}
		res.addWaits(r.of, r.waits)
	}
	res.add(float64(k.since+k.hub.paid()), "", "entries")
	return res, k.hub.finish(ctx, &res)
}

func (k *readCase) close() error {
	var errs []error
	for _, r := range k.readers {
		errs = append(errs, r.conn.close())
	}
	return errors.Join(append(errs, k.hub.close())...)
}
