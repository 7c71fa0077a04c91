package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/settle"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/records"
)

// house is a hub with rails and a settlement desk, put together as serve does.
type house struct {
	rig     *rig
	records *records.Records
	rails   *channels.Rails
	desk    *settle.Desk
	failed  chan error    // why rails or desk cannot go on: at most one
	look    time.Duration // between looks at something that is waited for

	payees  []ledger.AccountNo
	wallets []ledger.AccountNo // that payees are settled to, in settling
	given   ledger.Msat        // to payees
}

// newHouse starts a hub and opens its records. There are no rails before open.
func newHouse(ctx context.Context, c *Config, dir string) (*house, error) {
	r, err := newRig(ctx, c, dir)
	if err != nil {
		return nil, err
	}
	h := &house{rig: r, failed: make(chan error, 1), look: look}
	h.records, err = records.Open(records.Options{Dir: filepath.Join(r.dir, "rails"), Create: true, Fatal: h.fail})
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return h, nil
}

func (h *house) fail(err error) {
	select {
	case h.failed <- err:
	default:
	}
}

// settleAs makes accounts that are payees: settings says what each one's are.
func (h *house) settleAs(ctx context.Context, n int, network settle.Network, settings func(i int) (settle.Payee, error)) (err error) {
	if h.payees, err = newBuilder(ctx, h.rig.submit).accounts(n, 0); err != nil {
		return err
	}
	g := &gathered{Records: h.records}
	d, err := settle.Open(settle.Config{Records: g, Ledger: h.rig.hub.Book(), Network: network,
		Market: func(context.Context) (settle.Market, error) { return settle.Market{}, nil }})
	if err != nil {
		return err
	}
	defer d.Close()
	for i, no := range h.payees {
		p, err := settings(i)
		if err == nil {
			_, err = d.SetPayee(no, p)
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return fmt.Errorf("setting up payee %d: %w", i, err)
		}
	}
	return g.flush()
}

// credit gives every payee an amount.
func (h *house) credit(ctx context.Context, amount ledger.Msat) error {
	h.given += amount * ledger.Msat(len(h.payees))
	return newBuilder(ctx, h.rig.submit).credit(h.payees, amount)
}

// open starts rails and desk on nodes, if there are any.
func (h *house) open(nodes channels.Config, ask *settle.Nodes, market func(context.Context) (settle.Market, error)) (err error) {
	book := h.rig.hub.Book()
	if h.desk, err = settle.Open(settle.Config{Records: h.records, Ledger: book, Network: ask, Market: market, Fatal: h.fail}); err != nil {
		return err
	}
	nodes.Records, nodes.Ledger, nodes.Fatal, nodes.Gate = h.records, book, h.fail, h.desk.Gate().Check
	nodes.Secret = [32]byte{1} // of keysends, on a network of the bench's own
	if h.rails, err = channels.New(nodes); err != nil {
		return err
	}
	if err := h.rails.Start(); err != nil {
		return err
	}
	h.desk.Start(h.rails)
	return nil
}

// close stops all of it. It may be called again.
func (h *house) close() error {
	if h.desk != nil {
		h.desk.Close()
	}
	if h.rails != nil {
		h.rails.Close()
	}
	h.desk, h.rails = nil, nil
	err := h.rig.close()
	if h.records != nil {
		err = errors.Join(err, h.records.Close())
	}
	h.records = nil
	select {
	case failed := <-h.failed:
		return errors.Join(failed, err)
	default:
		return err
	}
}

// look is how often something is looked at that is waited for, and whose end is measured.
const look = 5 * time.Millisecond

// until waits for something to become so.
func (h *house) until(ctx context.Context, so func() (bool, error)) error {
	for {
		if ok, err := so(); ok || err != nil {
			return err
		}
		select {
		case err := <-h.failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(h.look):
		}
	}
}

// closed waits for the end of a run.
func (h *house) closed(ctx context.Context, id channels.ID) (run settle.Run, err error) {
	err = h.until(ctx, func() (bool, error) {
		run, err = h.desk.Run(id)
		return run.State == settle.Closed, err
	})
	return run, err
}

// finish stops the hub, and holds what is left of its ledger against what was paid out, fees included, and where to.
func (h *house) finish(ctx context.Context, paid ledger.Msat, external ledger.AccountNo) error {
	if err := h.close(); err != nil {
		return err
	}
	return h.rig.verify(ctx, func(s *ledger.State) error {
		left := int64(0)
		for _, no := range h.payees {
			a, ok := s.Account(no)
			if !ok || a.Held != 0 {
				return fmt.Errorf("payee %v has %d msat set aside after the end", no, a.Held)
			}
			left += a.Available
		}
		if left != int64(h.given)-int64(paid) {
			return fmt.Errorf("payees have %d msat of %d, after %d were paid out", left, h.given, paid)
		}
		return checkAccount(s, external, int64(paid))
	})
}

// gathered writes rows some thousands at a time: for setting up, where nothing has to survive a crash. What it has not written
// yet it does not find.
type gathered struct {
	*records.Records
	mu   sync.Mutex
	rows []records.Row
}

const gatherMost = 5000

// Write keeps rows until there are enough.
func (g *gathered) Write(rows ...records.Row) error {
	g.mu.Lock()
	g.rows = append(g.rows, rows...)
	enough := len(g.rows) >= gatherMost
	g.mu.Unlock()
	if enough {
		return g.flush()
	}
	return nil
}

func (g *gathered) flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	rows := g.rows
	g.rows = nil
	if len(rows) == 0 {
		return nil
	}
	return g.Records.Write(rows...)
}
