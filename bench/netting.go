package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/chain"
	"github.com/millrace/millrace/channels/settle"
	"github.com/millrace/millrace/ledger"
)

// What every payee has at least, and the threshold of one in five: half of these are above it.
const (
	nettingLeast     = 20_000_000
	nettingSpread    = 10_000_000
	nettingThreshold = nettingLeast + nettingSpread/2
)

// runNetting measures how long it takes to find out who is due how much, over which rail, where every account is a payee; and, once, to
// write a run of that.
func runNetting(ctx context.Context, c *Config, dir string) (res Result, err error) {
	h, err := newHouse(ctx, c, dir)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.furnishNetting(ctx, c); err != nil {
		return Result{}, err
	}
	began := time.Now()
	if err := h.openUnpaid(); err != nil {
		return Result{}, err
	}
	opened := time.Since(began)
	var took []float64
	var plan settle.Plan
	for i := range c.Rounds {
		after := c.Around()
		began := time.Now()
		plan, _, err = h.desk.Preview(ctx)
		took = append(took, time.Since(began).Seconds())
		after()
		if err == nil {
			err = h.checkPlan(&plan)
		}
		if err != nil {
			return Result{}, err
		}
		fmt.Fprintf(c.Progress, "netting: round %d of %d: %s of %s accounts are due, in %.2f s\n", i+1, c.Rounds,
			count(float64(len(plan.Due))), count(float64(c.Accounts)), took[i])
	}
	began = time.Now()
	run, err := h.desk.StartRun(ctx, "bench", true)
	if err != nil {
		return Result{}, err
	}
	made := time.Since(began)
	if int(run.Items) != min(len(plan.Due), settle.MaxItems) {
		return Result{}, fmt.Errorf("a run of %d payments out of a plan of %d", run.Items, len(plan.Due))
	}
	res = Result{Unit: "s", Value: median(took), Call: "plan", Calls: uint64(c.Rounds)}
	res.add(res.Value, "s", "a plan, median of %d", c.Rounds)
	res.add(slices.Max(took), "s", "the longest")
	res.add(float64(c.Accounts), "", "accounts, all with settings")
	res.add(float64(len(plan.Due)), "", "of them due")
	res.add(made.Seconds(), "s", "a run of it, planned and written")
	res.add(opened.Seconds(), "s", "the desk's start, all settings read")
	return res, h.finish(ctx, 0, ledger.Lightning)
}

// furnishNetting makes payees of all kinds. What they have differs, and so some are below their thresholds.
func (h *house) furnishNetting(ctx context.Context, c *Config) error {
	fmt.Fprintf(c.Progress, "making a hub with %s accounts and their settings\n", count(float64(c.Accounts)))
	ask, err := addresses()
	if err != nil {
		return err
	}
	of, err := chain.ParseNetwork(simnet)
	if err != nil {
		return err
	}
	err = h.settleAs(ctx, c.Accounts, ask, func(i int) (p settle.Payee, err error) {
		if i%5 == 0 {
			p.Threshold = nettingThreshold
		}
		switch i % 8 {
		case 0, 1, 2, 3:
			p.Lightning = fmt.Sprintf("02%064x", i)
		case 4, 5:
			p.Lightning = fmt.Sprintf("payee%d@wallet.example", i)
			p.Address, err = address(of, i)
		case 6:
			p.Address, err = address(of, i)
		case 7:
			p.Internal = h.payees[i-1].String()
		}
		return p, err
	})
	if err != nil {
		return err
	}
	b := newBuilder(ctx, h.rig.submit)
	return b.each(len(h.payees), func(i int) ledger.Op {
		amount := ledger.Msat(nettingLeast + b.random.Uint64N(nettingSpread))
		h.given += amount
		return ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Dev, Target: uint32(h.payees[i]), Amount: amount}
	}, nil)
}

// openUnpaid starts a desk that nothing leaves: there are no nodes, but a market that would take everything.
func (h *house) openUnpaid() error {
	ask, err := addresses()
	if err != nil {
		return err
	}
	return h.open(channels.Config{}, ask, func(context.Context) (settle.Market, error) {
		return settle.Market{Lightning: ledger.MaxMsat, LightningMost: ledger.MaxMsat, Coins: ledger.MaxMsat, Rate: 5000}, nil
	})
}

// checkPlan holds a plan against the ledger.
func (h *house) checkPlan(p *settle.Plan) error {
	for i, d := range p.Due {
		a, ok := h.rig.hub.Account(d.Account)
		if !ok || int64(d.Amount+d.FeeLimit) > a.Available || d.Amount == 0 || i > 0 && p.Due[i-1].Account >= d.Account {
			return fmt.Errorf("the plan pays %d msat, and a fee of up to %d, to %v, which has %d", d.Amount, d.FeeLimit, d.Account, a.Available)
		}
	}
	all := len(p.Due)
	for _, t := range p.NotDue {
		all += t.Count
	}
	if all < len(h.payees) || len(p.Due) < len(h.payees)*4/5 {
		return fmt.Errorf("%d of %d accounts are in the plan, and %d are due", all, len(h.payees), len(p.Due))
	}
	return nil
}
