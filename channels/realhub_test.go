package channels_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/chain"
	"github.com/millrace/millrace/channels/lightning"
	"github.com/millrace/millrace/deploy/regtest/network"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
	"github.com/millrace/millrace/ledger/store/records"
)

// place says where a hub lies, and which nodes it has. It goes to another process as JSON.
type place struct {
	Dir string

	Node, NodeAddress, NodeCert, Macaroon string
	Chain, ChainUser, ChainPassword       string
	ChainCert                             []byte
}

func newPlace(dir string, n *network.Network) (place, error) {
	p := place{
		Dir: dir, Node: n.Hub.Key(), NodeAddress: n.Hub.Address(), NodeCert: n.Hub.CertFile(), Macaroon: n.Hub.MacaroonFile(),
		Chain: n.Chain.Address(), ChainUser: n.Chain.User(), ChainPassword: n.Chain.Password(),
	}
	var err error
	if p.ChainCert, err = os.ReadFile(n.Chain.CertFile()); err != nil {
		return p, err
	}
	if err := store.Init(store.Options{Dir: dir}, ledger.DefaultParams()); err != nil {
		return p, err
	}
	_, err = keyring.Create(filepath.Join(dir, "keys"), keyring.KEK{1}, time.Now())
	return p, err
}

// realHub is all that a server has of a hub with rails: the real ledger and records on the disk, and clients of the real nodes.
type realHub struct {
	*channels.Rails
	hub       *hub.Hub
	records   *records.Records
	lightning *lightning.Client
	chain     *chain.Client
	stop      context.CancelFunc
	cfg       channels.Config
}

// openHub starts a hub. change may alter what its rails are made of.
func openHub(p place, change func(*channels.Config)) (h *realHub, err error) {
	h = new(realHub)
	if err := h.openLedger(p.Dir); err != nil {
		return h, err
	}
	if h.records, err = records.Open(records.Options{Dir: filepath.Join(p.Dir, "rails"), Create: true, Fatal: h.hub.Fail}); err != nil {
		return h, err
	}
	h.lightning, err = lightning.New(lightning.Config{Address: p.NodeAddress, Certificate: p.NodeCert, Macaroon: p.Macaroon, Network: "simnet", Node: p.Node})
	if err != nil {
		return h, err
	}
	net, err := chain.ParseNetwork("simnet")
	if err != nil {
		return h, err
	}
	if h.chain, err = chain.New(chain.Config{Network: net, Address: p.Chain, User: p.ChainUser, Password: p.ChainPassword, Cert: p.ChainCert}); err != nil {
		return h, err
	}
	h.cfg = channels.Config{
		Records: h.records, Ledger: h.hub.Book(), Payer: h.lightning, Receiver: h.lightning, Wallet: h.lightning, Purse: h.lightning, Watcher: h.chain,
		Carried: h.lightning.Carried, Node: p.Node, Script: net.Script, Replace: chain.Replace, Dust: func(script []byte) channels.Sat { return chain.Dust(script, chain.DustRate) },
		Secret: [32]byte{1, 2, 3},
		Policy: channels.Policy{Retry: 50 * time.Millisecond, RetryMost: time.Second, Poll: 200 * time.Millisecond, BatchEvery: time.Hour,
			Quiet: 5 * time.Second, StuckAfter: 8 * time.Second, Confirmed: 2, Depths: []channels.Depth{{Below: 1_000_000, Confirmations: 1}, {Confirmations: 3}}},
	}
	if os.Getenv("MILLRACE_TEST_LOG") != "" {
		h.cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if change != nil {
		change(&h.cfg)
	}
	if h.Rails, err = channels.New(h.cfg); err != nil {
		return h, err
	}
	if err := h.Start(); err != nil {
		return h, err
	}
	var ctx context.Context
	ctx, h.stop = context.WithCancel(context.Background())
	go func() {
		_ = h.chain.Blocks(ctx, 50*time.Millisecond, func(chain.Block) error { h.Block(); return nil })
	}()
	return h, nil
}

func (h *realHub) openLedger(dir string) error {
	ring, err := keyring.Open(filepath.Join(dir, "keys"), keyring.KEK{1})
	if err != nil {
		return err
	}
	s, err := store.Open(store.Options{
		Dir: dir, Fatal: func(err error) { h.hub.Fail(err) },
		Committed: func(blocks, bytes int, took time.Duration) { h.hub.Committed(blocks, bytes, took) },
	})
	if err != nil {
		return err
	}
	x, err := index.Open(index.Options{
		Dir: filepath.Join(dir, "index"), FS: s.FS(), IDKeep: s.Params().IDWindow, Notary: hub.NewNotary(ring),
		Fatal: func(err error) { h.hub.Fail(err) }, Flushed: func(index, seq uint64) { h.hub.Indexed(index, seq) },
	})
	if err != nil {
		return err
	}
	if h.hub, err = hub.New(hub.Config{Params: s.Params(), Index: x, Ring: ring, Origin: "http://127.0.0.1:8402"}); err != nil {
		return err
	}
	if err := s.Start(context.Background(), h.hub.Machine(), x); err != nil {
		return err
	}
	h.hub.Start(s)
	return nil
}

func (h *realHub) Close() error {
	if h.stop != nil {
		h.stop()
	}
	if h.Rails != nil {
		h.Rails.Close()
	}
	h.chain.Close()
	return errors.Join(h.lightning.Close(), h.records.Close(), h.hub.Close(context.Background()))
}

// account makes an account.
func (h *realHub) account() (ledger.AccountNo, error) {
	a, _, err := h.hub.OpenAccount()
	if err == nil && !a.Result().OK() {
		err = fmt.Errorf("opening an account: %v", a.Result())
	}
	return ledger.AccountNo(a.Object()), err
}

// outside is what the ledger says that the hub has outside: over both rails.
func (h *realHub) outside(no ledger.AccountNo) int64 {
	a, _ := h.hub.Account(no)
	return -a.Available
}

// real is a test with a hub and a network.
type real struct {
	*realHub
	t     *testing.T
	ctx   context.Context
	place place
	net   *network.Network
}

const patience = 5 * time.Minute // for one thing; a whole test may take longer on a busy machine

func newReal(t *testing.T, n *network.Network, change func(*channels.Config)) *real {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	t.Cleanup(cancel)
	r := &real{t: t, ctx: ctx, net: n}
	var err error
	r.place, err = newPlace(t.TempDir(), n)
	r.must(err)
	r.open(change)
	t.Cleanup(func() { r.must(r.realHub.Close()) })
	return r
}

func (r *real) open(change func(*channels.Config)) {
	r.t.Helper()
	h, err := openHub(r.place, change)
	r.must(err)
	r.realHub = h
}

func (r *real) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *real) eventually(what string, so func() bool) {
	r.t.Helper()
	for until := time.Now().Add(patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			list, _ := r.Incidents(0)
			r.t.Fatalf("not within %v: %s; incidents %+v", patience, what, list)
		}
	}
}

func (r *real) mine(blocks int) {
	r.t.Helper()
	_, err := r.net.Chain.Mine(r.ctx, blocks)
	r.must(err)
}

func (r *real) newAccount() ledger.AccountNo {
	r.t.Helper()
	no, err := r.account()
	r.must(err)
	return no
}

func (r *real) has(no ledger.AccountNo) ledger.Msat {
	a, _ := r.hub.Account(no)
	return ledger.Msat(a.Available)
}

// deposit has the payer's node pay an invoice of an account's.
func (r *real) deposit(no ledger.AccountNo, amount ledger.Msat) channels.Deposit {
	r.t.Helper()
	d, err := r.NewInvoice(r.ctx, no, channels.NewInvoice{Amount: amount, Memo: "a deposit"})
	r.must(err)
	_, err = r.net.Payer.Pay(r.ctx, d.Invoice, 0)
	r.must(err)
	return r.credited(no, d.Ref)
}

func (r *real) credited(no ledger.AccountNo, ref channels.Ref) channels.Deposit {
	r.t.Helper()
	var d channels.Deposit
	r.eventually("the deposit is credited", func() bool {
		var err error
		d, err = r.Deposit(no, ref)
		return err == nil && d.Status == channels.DepositCredited
	})
	return d
}

func (r *real) request(no ledger.AccountNo, to string, amount, limit ledger.Msat) channels.Request {
	return channels.Request{Key: channels.Key{Account: no, ID: channels.ID(r.hub.Book().NewID())}, To: to, Amount: amount, FeeLimit: limit}
}

// pay makes a payout and waits for its end.
func (r *real) pay(q channels.Request) channels.Payout {
	r.t.Helper()
	_, err := r.Withdraw(r.ctx, q)
	r.must(err)
	p, err := r.Wait(r.ctx, q.Key)
	r.must(err)
	if !p.Status.Over() {
		r.t.Fatalf("it has no end: %s, %s", p.Status, p.Reason)
	}
	return p
}

// bill is an invoice of the publisher's.
func (r *real) bill(amount ledger.Msat) string {
	r.t.Helper()
	text, err := r.net.Publisher.Invoice(r.ctx, int64(amount), "a payout")
	r.must(err)
	return text
}
