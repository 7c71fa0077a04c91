package settle_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/chain"
	"github.com/millrace/millrace/channels/lightning"
	"github.com/millrace/millrace/channels/settle"
	"github.com/millrace/millrace/deploy/regtest/network"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
	"github.com/millrace/millrace/ledger/store/records"
)

const patience = 4 * time.Minute

// place says where a hub lies, and which nodes it has. It goes to another process as JSON.
type place struct {
	Dir string

	Node, NodeAddress, NodeCert, Macaroon string
	Chain, User, Password                 string
	ChainCert                             []byte
}

// real is a hub that settles, on the disk and with real nodes.
type real struct {
	*settle.Desk
	t     *testing.T
	ctx   context.Context
	net   *network.Network // nil in another process than the test's
	place place

	ahead     atomic.Int64 // of the desk's clock
	hub       *hub.Hub
	rails     *channels.Rails
	records   *records.Records
	lightning *lightning.Client
	chain     *chain.Client
	stop      context.CancelFunc
}

func newReal(t *testing.T, n *network.Network) *real {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r := &real{t: t, ctx: ctx, net: n}
	cert, err := os.ReadFile(n.Chain.CertFile())
	r.must(err)
	r.place = place{t.TempDir(), n.Hub.Key(), n.Hub.Address(), n.Hub.CertFile(), n.Hub.MacaroonFile(), n.Chain.Address(), n.Chain.User(), n.Chain.Password(), cert}
	r.must(store.Init(store.Options{Dir: r.place.Dir}, ledger.DefaultParams()))
	_, err = keyring.Create(filepath.Join(r.place.Dir, "keys"), keyring.KEK{1}, time.Now())
	r.must(err)
	r.open()
	t.Cleanup(r.close)
	return r
}

func (r *real) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *real) open() {
	r.t.Helper()
	r.openLedger()
	var err error
	r.records, err = records.Open(records.Options{Dir: filepath.Join(r.place.Dir, "rails"), Create: true, Fatal: r.hub.Fail})
	r.must(err)
	p := &r.place
	r.lightning, err = lightning.New(lightning.Config{Address: p.NodeAddress, Certificate: p.NodeCert, Macaroon: p.Macaroon, Network: "simnet", Node: p.Node})
	r.must(err)
	net, err := chain.ParseNetwork("simnet")
	r.must(err)
	r.chain, err = chain.New(chain.Config{Network: net, Address: p.Chain, User: p.User, Password: p.Password, Cert: p.ChainCert})
	r.must(err)
	dust := func(script []byte) channels.Sat { return chain.Dust(script, chain.DustRate) }
	nodes := &settle.Nodes{Script: net.Script, Dust: dust, Decode: r.lightning.Decode, Assets: r.lightning.Assets, FeeRate: r.chain.FeeRate}
	r.Desk, err = settle.Open(settle.Config{Records: r.records, Ledger: r.hub.Book(), Network: nodes, Market: nodes.Market, Fatal: r.hub.Fail,
		Clock: func() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) }, Poll: 50 * time.Millisecond})
	r.must(err)
	r.rails, err = channels.New(channels.Config{
		Records: r.records, Ledger: r.hub.Book(), Payer: r.lightning, Receiver: r.lightning, Wallet: r.lightning, Purse: r.lightning, Watcher: r.chain,
		Node: p.Node, Script: net.Script, Replace: chain.Replace, Dust: dust, Secret: [32]byte{4, 5, 6}, Gate: r.Gate().Check,
		Policy: channels.Policy{Retry: 50 * time.Millisecond, RetryMost: time.Second, Poll: 200 * time.Millisecond, BatchEvery: time.Hour,
			Quiet: 5 * time.Second, Confirmed: 2, Depths: []channels.Depth{{Confirmations: 1}}},
	})
	r.must(err)
	r.must(r.rails.Start())
	r.Start(r.rails)
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	go func() {
		_ = r.chain.Blocks(ctx, 50*time.Millisecond, func(chain.Block) error { r.rails.Block(); return nil })
	}()
}

func (r *real) openLedger() {
	r.t.Helper()
	ring, err := keyring.Open(filepath.Join(r.place.Dir, "keys"), keyring.KEK{1})
	r.must(err)
	s, err := store.Open(store.Options{Dir: r.place.Dir, Fatal: func(err error) { r.hub.Fail(err) },
		Committed: func(blocks, bytes int, took time.Duration) { r.hub.Committed(blocks, bytes, took) }})
	r.must(err)
	x, err := index.Open(index.Options{Dir: filepath.Join(r.place.Dir, "index"), FS: s.FS(), IDKeep: s.Params().IDWindow, Notary: hub.NewNotary(ring),
		Fatal: func(err error) { r.hub.Fail(err) }, Flushed: func(index, seq uint64) { r.hub.Indexed(index, seq) }})
	r.must(err)
	r.hub, err = hub.New(hub.Config{Params: s.Params(), Index: x, Ring: ring, Origin: "http://127.0.0.1:8402"})
	r.must(err)
	r.must(s.Start(context.Background(), r.hub.Machine(), x))
	r.hub.Start(s)
}

// close ends what open began. What is under way stays so.
func (r *real) close() {
	r.stop()
	r.Desk.Close()
	r.rails.Close()
	r.chain.Close()
	if err := errors.Join(r.lightning.Close(), r.records.Close(), r.hub.Close(context.Background())); err != nil {
		r.t.Error(err)
	}
}

func (r *real) eventually(what string, so func() bool) {
	r.t.Helper()
	for until := time.Now().Add(patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			list, _ := r.rails.Incidents(0)
			r.t.Fatalf("not within %v: %s; incidents %+v", patience, what, list)
		}
	}
}

func (r *real) mine(blocks int) {
	r.t.Helper()
	_, err := r.net.Chain.Mine(r.ctx, blocks)
	r.must(err)
}

// accounts makes some, and returns them in the order of their numbers.
func (r *real) accounts(n int) []ledger.AccountNo {
	r.t.Helper()
	all := make([]ledger.AccountNo, n)
	r.each(n, func(i int) error {
		a, _, err := r.hub.OpenAccount()
		all[i] = ledger.AccountNo(a.Object())
		return err
	})
	slices.Sort(all)
	return all
}

// each does something many times, some of them at once.
func (r *real) each(n int, do func(i int) error) {
	r.t.Helper()
	var wg sync.WaitGroup
	limit, errs := make(chan struct{}, 64), make([]error, n)
	for i := range n {
		limit <- struct{}{}
		wg.Go(func() {
			errs[i] = do(i)
			<-limit
		})
	}
	wg.Wait()
	r.must(errors.Join(errs...))
}

func (r *real) has(no ledger.AccountNo) ledger.Msat {
	a, _ := r.hub.Account(no)
	return ledger.Msat(a.Available)
}

// outside is what the ledger says that the hub has outside, over a rail.
func (r *real) outside(no ledger.AccountNo) int64 {
	a, _ := r.hub.Account(no)
	return -a.Available
}

func (r *real) transfer(from, to ledger.AccountNo, amount ledger.Msat) error {
	b := r.hub.Book()
	a, err := b.Submit(ledger.Op{Kind: ledger.OpTransfer, Actor: from, Target: uint32(to), Amount: amount, ID: b.NewID()})
	if err == nil && !a.Result().OK() {
		err = errors.New(a.Result().String())
	}
	return err
}

// depositCoin pays an account's address out of what was mined.
func (r *real) depositCoin(no ledger.AccountNo, sat int64) {
	r.t.Helper()
	address, err := r.rails.NewAddress(r.ctx, no)
	r.must(err)
	_, err = r.net.Chain.Send(r.ctx, network.Payment{Address: address, Amount: sat})
	r.must(err)
	r.mine(1)
	r.eventually("the deposit is credited", func() bool { return r.has(no) == ledger.Msat(sat)*1000 })
}

// depositInvoice has the payer's node pay an invoice of an account's.
func (r *real) depositInvoice(no ledger.AccountNo, amount ledger.Msat) {
	r.t.Helper()
	before := r.has(no)
	d, err := r.rails.NewInvoice(r.ctx, no, channels.NewInvoice{Amount: amount, Memo: "a deposit"})
	r.must(err)
	_, err = r.net.Payer.Pay(r.ctx, d.Invoice, 0)
	r.must(err)
	r.eventually("the deposit is credited", func() bool { return r.has(no) == before+amount })
}

// creator is an address that nobody else has.
func creator(t *testing.T, n int) string {
	t.Helper()
	now := time.Now().UnixNano()
	hash := [20]byte{byte(n), byte(n >> 8), byte(now), byte(now >> 8), byte(now >> 16), 7}
	a, err := btcutil.NewAddressWitnessPubKeyHash(hash[:], &chaincfg.SimNetParams)
	if err != nil {
		t.Fatal(err)
	}
	return a.EncodeAddress()
}

// wallet is what the hub's has on-chain, in satoshis.
func (r *real) wallet() channels.Sat {
	r.t.Helper()
	a, err := r.lightning.Assets(r.ctx)
	r.must(err)
	return a.Confirmed + a.Unconfirmed + a.Leased
}

func (r *real) closed(id channels.ID) settle.Run {
	r.t.Helper()
	var run settle.Run
	r.eventually("the run is closed", func() bool {
		var err error
		run, err = r.Run(id)
		r.must(err)
		return run.State == settle.Closed
	})
	return run
}
