package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/deploy/regtest/network"
	"github.com/millrace/millrace/deploy/regtest/networktest"
	"github.com/millrace/millrace/hub/client"
)

// scaffold is a hub in a process of its own that is killed at points of what it does: at a moment of a call to its nodes, which it
// reaches over switchboards, or at a write to its disk.
type scaffold struct {
	*money
	t    *testing.T
	args []string
	died chan struct{} // has one for each kill

	mu      sync.Mutex
	cmd     *exec.Cmd
	alive   bool
	points  []string                  // where it is to be killed, one after the other; each is said as "SendPaymentV2 answered" or "write 7"
	writes  int                       // since the last kill, or since the points were set
	clients map[string]*client.Client // of the hub that runs, by token
}

func newScaffold(t *testing.T) *scaffold {
	n := networktest.Start(t)
	dir := filepath.Join(t.TempDir(), "data")
	ok(t, "init", "--data", dir)
	s := &scaffold{t: t, died: make(chan struct{}, 10),
		money: &money{served: served{dir: dir, operator: filepath.Join(dir, "operator.token")}, n: n}}
	lnd, err := n.Hub.Switchboard(s.seen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lnd.Close() })
	btcd, err := n.Chain.Switchboard(s.seen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = btcd.Close() })
	s.args = append(connected(n), "--batch-every", "200ms", "--log-level", "error", "--lnd-address", lnd.Address(), "--btcd-address", btcd.Address())
	s.start()
	return s
}

// start starts the hub, at another address than before. It may be killed before it serves.
func (s *scaffold) start() {
	s.t.Helper()
	s.mu.Lock()
	cmd, out := spawn(s.t, s.dir, s.args...)
	s.cmd, s.alive = cmd, true
	s.mu.Unlock()
	line, err := out.ReadString('\n')
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.alive:
	case err != nil:
		s.t.Fatalf("a hub that was killed does not start again: %v", err)
	default:
		s.url, s.clients = object(s.t, line)["hub"].(string), make(map[string]*client.Client)
	}
}

// seen is told of the calls to the nodes.
func (s *scaffold) seen(_ context.Context, method string, m network.Moment) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reached(method + " " + string(m))
}

// wrote is told of each write to the disk.
func (s *scaffold) wrote() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	_ = s.reached(fmt.Sprintf("write %d", s.writes))
}

// reached kills the hub by SIGKILL if this is where, and returns an error when it is dead. s.mu must be held.
func (s *scaffold) reached(point string) error {
	if !s.alive || len(s.points) == 0 || s.points[0] != point {
		return nil
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.alive, s.points, s.writes = false, s.points[1:], 0
	s.died <- struct{}{}
	return errors.New("who asked is dead")
}

// ride makes a trip, and kills the hub at points of it. It returns those that never came.
func (s *scaffold) ride(a earner, points ...string) (x trip, left []string) {
	s.t.Helper()
	s.mu.Lock()
	s.points, s.writes = slices.Clone(points), 0
	s.mu.Unlock()
	over := make(chan error, 1)
	go func() {
		var err error
		x, err = s.travel(a)
		over <- err
	}()
	for {
		select {
		case <-s.died:
			s.start()
		case err := <-over:
			s.mu.Lock()
			left, s.points = s.points, nil
			s.mu.Unlock()
			if len(s.died) > 0 { // after the last answer
				<-s.died
				s.start()
			}
			if err != nil {
				s.t.Fatalf("killed at %q: %v", points, err)
			}
			return x, left
		}
	}
}

// hub is a client of the hub that runs now.
func (s *scaffold) hub(token string) (*client.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[token]; c != nil {
		return c, nil
	}
	c, err := client.New(client.Config{Hub: s.url, Token: token, Attempts: 1})
	if err == nil {
		s.clients[token] = c
	}
	return c, err
}

// insist asks until the hub says that it is done, whichever process that is.
func (s *scaffold) insist(what string, a earner, ask func(context.Context, *client.Client) (bool, error)) error {
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		c, err := s.hub(a.token)
		if err != nil {
			return err
		}
		done, err := ask(s.t.Context(), c)
		if done || err != nil && !gone(err) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not done: %w", what, err)
		}
	}
}

// trip is money that comes in and goes out by both rails.
type trip struct {
	bill, home string // an invoice and an address of the publisher's
	paid, sent string // the ids of the withdrawals to them
}

const (
	tripIn      = 1_000_000  // msat, over Lightning
	tripOut     = 500_000    //
	tripCoin    = 50_000_000 // on-chain
	tripCoinOut = 20_000_000
)

// travel makes a trip, over as many lives of the hub as there are. It is over when all of it has happened.
func (s *scaffold) travel(a earner) (x trip, err error) {
	ctx := s.t.Context()
	if x.bill, err = s.n.Publisher.Invoice(ctx, tripOut, "a payout"); err != nil {
		return x, err
	}
	if x.home, err = s.n.Publisher.NewAddress(ctx); err != nil {
		return x, err
	}
	x.paid, x.sent = client.NewID().String(), client.NewID().String()
	var all [4]error
	var ways sync.WaitGroup
	ways.Go(func() { all[0] = s.send(a, client.NewWithdrawal{ID: x.paid, To: x.bill, MaxFeeMsat: 1000}) })
	ways.Go(func() {
		all[1] = s.send(a, client.NewWithdrawal{ID: x.sent, To: x.home, AmountMsat: tripCoinOut, MaxFeeMsat: 20_000_000})
	})
	ways.Go(func() { all[2] = s.receive(a) })
	ways.Go(func() { all[3] = s.receiveCoin(a) })
	ways.Wait()
	return x, errors.Join(all[:]...)
}

// send asks for a withdrawal, again and again, until it is done.
func (s *scaffold) send(a earner, w client.NewWithdrawal) error {
	return s.insist("paying "+w.To, a, func(ctx context.Context, c *client.Client) (bool, error) {
		got, err := c.Withdraw(ctx, a.no, w)
		if got.Status == "failed" {
			err = fmt.Errorf("paying %s failed: %s", w.To, got.Reason)
		}
		return got.Status == "done", err
	})
}

// receive has the payer pay an invoice of the account's.
func (s *scaffold) receive(a earner) error {
	var d client.Deposit
	err := s.insist("making an invoice", a, func(ctx context.Context, c *client.Client) (_ bool, err error) {
		d, err = c.Invoice(ctx, a.no, client.NewInvoice{AmountMsat: tripIn})
		return err == nil, err
	})
	if err != nil {
		return err
	}
	if _, err := s.n.Payer.Pay(s.t.Context(), d.Invoice, 0); err != nil {
		return err
	}
	return s.insist("a deposit over Lightning", a, func(ctx context.Context, c *client.Client) (bool, error) {
		got, err := c.Deposit(ctx, a.no, d.Deposit)
		return got.Status == "credited", err
	})
}

// receiveCoin pays an address of the account's, by which nothing has come yet.
func (s *scaffold) receiveCoin(a earner) error {
	var to client.Address
	err := s.insist("making an address", a, func(ctx context.Context, c *client.Client) (_ bool, err error) {
		to, err = c.Address(ctx, a.no)
		return err == nil, err
	})
	if err != nil {
		return err
	}
	tx, err := s.n.Chain.Send(s.t.Context(), network.Payment{Address: to.Address, Amount: tripCoin / 1000})
	if err != nil {
		return err
	}
	return s.insist("a deposit on-chain", a, func(ctx context.Context, c *client.Client) (bool, error) {
		list, _, err := c.Deposits(ctx, a.no, false, "", 10)
		return slices.ContainsFunc(list, func(d client.Deposit) bool {
			return strings.HasPrefix(d.Deposit, tx.TxHash().String()) && d.Status == "credited"
		}), err
	})
}

// mineAlong makes blocks of what is in the mempool until the test ends.
func (m *money) mineAlong(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var mining sync.WaitGroup
	mining.Go(func() {
		for ctx.Err() == nil {
			if ids, err := m.n.Chain.Mempool(ctx); err == nil && len(ids) > 0 {
				_, _ = m.n.Chain.Mine(ctx, 3)
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() { stop(); mining.Wait() })
}

// agree: the hub's books are the node's, and nobody has anything to look at.
func (m *money) agree(t *testing.T, before int64) {
	t.Helper()
	until(t, "the books equal what the node has", func() bool { return int64(holdings(t, m.n.Hub)) == before+int64(m.outside(t)) })
	r := ok(t, "reconcile", "run", "--full", "--hub", m.url, "--token-file", m.operator)
	if len(r["mismatches"].([]any)) > 0 || r["stopped"] != nil || r["steady"] == true && r["difference_msat"] != json.Number("0") {
		t.Errorf("%v", r)
	}
	if list := ok(t, "payouts", "incidents", "--hub", m.url, "--token-file", m.operator)["incidents"].([]any); len(list) > 0 {
		t.Errorf("%v", list)
	}
}
