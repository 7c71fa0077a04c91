package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/chain"
	"github.com/millrace/millrace/channels/settle"
	"github.com/millrace/millrace/ledger"
)

// atOnce is how many Lightning payments are begun at once, by the rails and by those that drive the node directly: the rails' own default.
const atOnce = 50

// What a payee has before a run, in msat.
const (
	chainAmount     = 25_000_000
	lightningAmount = 1_000_000
)

// mempoolWait bounds the wait for transactions of a run on-chain, and for its end.
const mempoolWait = 5 * time.Minute

// runPayoutsLightning measures payouts by keysend to another node, by settlement runs of the hub, in turns with a client that has the same
// node make as many such payments, as many at a time, and writes nothing down.
func runPayoutsLightning(ctx context.Context, c *Config, dir string) (res Result, err error) {
	n, err := startNodes(ctx, c, dir)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	h, err := newHouse(ctx, c, dir)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	ask, err := addresses()
	if err != nil {
		return Result{}, err
	}
	payee := n.net.Publisher.Key()
	if err := h.settleAs(ctx, c.Payouts, ask, func(int) (settle.Payee, error) { return settle.Payee{Lightning: payee}, nil }); err != nil {
		return Result{}, err
	}
	if err := n.open(h); err != nil {
		return Result{}, err
	}
	before, err := n.lnd.Assets(ctx)
	if err != nil {
		return Result{}, err
	}
	var paid, direct ledger.Msat
	own := &trial{name: "runs", run: func(ctx context.Context, _ time.Duration) (sample, error) {
		s, out, err := h.payAll(ctx, lightningAmount)
		paid += out
		return s, err
	}}
	bare := &trial{name: "the node alone", run: func(ctx context.Context, _ time.Duration) (sample, error) {
		const each = lightningAmount * 99 / 100 / 1000 * 1000
		direct += each * ledger.Msat(c.Payouts)
		return n.keysends(ctx, payee, c.Payouts, each)
	}}
	if err := takeTurns(ctx, c, "payouts-lightning", own, bare); err != nil {
		return Result{}, err
	}
	res = newResult("payment", own, bare)
	res.Unit = "payouts/s"
	res.add(float64(c.Payouts), "", "payouts in a round")
	res.add(atOnce, "", "at once")
	err = h.until(ctx, func() (bool, error) {
		after, err := n.lnd.Assets(ctx)
		return after.Pending == 0 && before.Local-after.Local == paid+direct, err
	})
	if err != nil {
		return Result{}, fmt.Errorf("waiting for the node's channels to have %d msat less: %w", paid+direct, err)
	}
	return res, h.finish(ctx, paid, ledger.Lightning)
}

// payAll gives each payee an amount, and measures a run that pays them all. It returns what they were paid, fees included.
func (h *house) payAll(ctx context.Context, amount ledger.Msat) (s sample, paid ledger.Msat, err error) {
	if err := h.credit(ctx, amount); err != nil {
		return s, 0, err
	}
	began := time.Now()
	run, err := h.desk.StartRun(ctx, "bench", false)
	if err == nil {
		run, err = h.closed(ctx, run.ID)
	}
	if err != nil {
		return s, 0, err
	}
	s = sample{ops: uint64(run.Report.Paid.Count), took: time.Since(began)}
	if run.Report.Paid.Count != len(h.payees) {
		err = fmt.Errorf("a run has paid %d of %d payees: %v", run.Report.Paid.Count, len(h.payees), run.Report.Reasons)
	}
	return s, run.Report.Paid.Amount + run.Report.Fees, err
}

// keysends has the node itself make payments, atOnce at a time.
func (n *nodes) keysends(ctx context.Context, to string, many int, amount ledger.Msat) (sample, error) {
	todo := make(chan [32]byte, many)
	for range many {
		var preimage [32]byte
		_, _ = rand.Read(preimage[:]) // it never fails
		todo <- preimage
	}
	close(todo)
	errs := make([]error, atOnce)
	waits := make([]sample, atOnce)
	began := time.Now()
	var all sync.WaitGroup
	for i := range atOnce {
		waits[i].waits = newWaits()
		all.Go(func() {
			for preimage := range todo {
				at := time.Now()
				p, err := n.net.Hub.Keysend(ctx, to, preimage, int64(amount), nil)
				if err == nil && p.Preimage != channels.Hash(preimage).String() {
					err = fmt.Errorf("a payment of %x has another preimage", sha256.Sum256(preimage[:]))
				}
				if errs[i] = err; err != nil {
					return
				}
				record(waits[i].waits, time.Since(at))
			}
		})
	}
	all.Wait()
	s := sample{ops: uint64(many), took: time.Since(began), waits: newWaits()}
	for _, w := range waits {
		s.waits.Merge(w.waits)
	}
	return s, errors.Join(errs...)
}

// runPayoutsChain measures a run that pays payees on-chain: from when an operator starts it until all its transactions are in the
// mempool, and what becomes of them.
func runPayoutsChain(ctx context.Context, c *Config, dir string) (res Result, err error) {
	n, err := startNodes(ctx, c, dir)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	h, err := newHouse(ctx, c, dir)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	ask, err := addresses()
	if err != nil {
		return Result{}, err
	}
	of, err := chain.ParseNetwork(simnet)
	if err != nil {
		return Result{}, err
	}
	err = h.settleAs(ctx, c.Payees, ask, func(i int) (p settle.Payee, err error) {
		p.Address, err = address(of, i)
		return p, err
	})
	if err == nil {
		err = h.credit(ctx, chainAmount)
	}
	if err == nil {
		err = n.open(h)
	}
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, mempoolWait)
	defer cancel()
	return h.payOnChain(ctx, c, n)
}

// payOnChain measures the run.
func (h *house) payOnChain(ctx context.Context, c *Config, n *nodes) (res Result, err error) {
	after := c.Around()
	began := time.Now()
	run, err := h.desk.StartRun(ctx, "bench", false)
	if err != nil {
		after()
		return Result{}, err
	}
	made := time.Since(began)
	err = h.until(ctx, func() (bool, error) { return h.published(ctx, n) })
	took := time.Since(began)
	after()
	if err != nil {
		return Result{}, fmt.Errorf("waiting for the transactions: %w", err)
	}
	batches := h.rails.Batches()
	fmt.Fprintf(c.Progress, "payouts-chain: %d payees in %d transactions, %.1f s\n", c.Payees, len(batches), took.Seconds())
	largest, most := int64(0), 0
	for i := range batches {
		largest, most = max(largest, batches[i].Tries[0].VSize), max(most, len(batches[i].Parts))
	}
	began = time.Now()
	if _, err := n.net.Chain.Mine(ctx, 3); err != nil {
		return Result{}, err
	}
	h.rails.Block()
	if run, err = h.closed(ctx, run.ID); err != nil {
		return Result{}, fmt.Errorf("waiting for the end of the run: %w", err)
	}
	confirmed := time.Since(began)
	res = Result{Unit: "s", Value: took.Seconds(), Call: "run", Calls: 1}
	res.add(res.Value, "s", "%d payees, until the last transaction is in the mempool", c.Payees)
	res.add(made.Seconds(), "s", "of these until the run is written")
	res.add(float64(len(batches)), "", "transactions")
	res.add(float64(most), "", "payees in the largest")
	res.add(float64(largest)/1000, "kvB", "the largest")
	res.add(confirmed.Seconds(), "s", "from the third block on until the run is closed")
	if run.Report.Paid.Count != c.Payees || largest >= 100_000 {
		return res, fmt.Errorf("%d of %d payees were paid, by transactions of up to %d vB: %v", run.Report.Paid.Count, c.Payees, largest, run.Report.Reasons)
	}
	return res, h.finish(ctx, run.Report.Paid.Amount+run.Report.Fees, ledger.Chain)
}

// published says whether all payees are in transactions that btcd has.
func (h *house) published(ctx context.Context, n *nodes) (bool, error) {
	batches, in := h.rails.Batches(), 0
	for i := range batches {
		if in += len(batches[i].Parts); batches[i].Status != channels.BatchSigned {
			return false, nil
		}
	}
	if in < len(h.payees) {
		return false, nil
	}
	for i := range batches {
		_, err := n.btcd.Place(ctx, batches[i].Tries[0].ID)
		if errors.Is(err, channels.ErrNoTransaction) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("asking for a transaction: %w", err)
		}
	}
	return true, nil
}
