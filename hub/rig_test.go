package hub_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
	"github.com/prometheus/client_golang/prometheus"
)

const testOrigin = "http://127.0.0.1:8402"

// valve is the log beside the real one: it counts the blocks, and can hold them back or fail.
type valve struct {
	hub.Log

	mu      sync.Mutex
	shut    bool
	waiting [][]byte
	blocks  int // proposed
	largest int // bytes
	err     error
	left    int // blocks until err counts, if it is set
}

func (v *valve) Propose(block []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err != nil && v.left == 0 {
		return v.err
	}
	v.left = max(0, v.left-1)
	v.blocks++
	v.largest = max(v.largest, len(block))
	if v.shut {
		v.waiting = append(v.waiting, block)
		return nil
	}
	return v.Log.Propose(block)
}

func (v *valve) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.shut = true
}

func (v *valve) open() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.shut = false
	for _, b := range v.waiting {
		if err := v.Log.Propose(b); err != nil {
			panic(err) // there are never more than the log's queue holds
		}
	}
	v.waiting = nil
}

// failAfter lets some more blocks through.
func (v *valve) failAfter(blocks int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err, v.left = errors.New("the disk is gone"), blocks
}

func (v *valve) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.blocks
}

// rig is a hub on the real store on the real disk.
type rig struct {
	*hub.Hub
	t     testing.TB
	dir   string
	cfg   hub.Config
	store *store.Store
	log   *valve
	fatal chan error
	reg   *prometheus.Registry
}

// setup is what tests want differently.
type setup struct {
	cfg hub.Config
	fee uint32
	dir string // empty: a temporary one
}

func newRig(t testing.TB, s setup) *rig {
	t.Helper()
	r := &rig{t: t, dir: s.dir, cfg: s.cfg, fatal: make(chan error, 8)}
	if r.dir == "" {
		r.dir = t.TempDir()
	}
	params := ledger.DefaultParams()
	params.FeePPM = s.fee
	if err := store.Init(store.Options{Dir: r.dir}, params); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Create(filepath.Join(r.dir, "keys"), keyring.KEK{1}, time.Now()); err != nil {
		t.Fatal(err)
	}
	r.start()
	return r
}

// start begins to run the hub in the folder; stop ends it cleanly.
func (r *rig) start() {
	r.t.Helper()
	var err error
	if r.Hub, r.store, err = openHub(r.dir, r.cfg, r.took); err != nil {
		r.t.Fatal(err)
	}
	r.log = &valve{Log: r.store}
	r.WatchLag(r.store.Lag)
	r.WatchSpace(r.store.Space)
	r.reg = prometheus.NewRegistry()
	r.reg.MustRegister(r.Collectors()...)
	h := r.Hub
	h.Start(r.log)
	r.t.Cleanup(func() { // for tests that fail; the others have stopped it
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = h.Close(ctx)
	})
}

func (r *rig) took(err error) {
	select {
	case r.fatal <- err:
	default:
	}
}

func (r *rig) stop() {
	r.t.Helper()
	if err := r.Close(context.Background()); err != nil {
		r.t.Fatal(err)
	}
}

// openHub is what a server does: a hub and its log, replayed and not yet started.
func openHub(dir string, cfg hub.Config, fatal func(error)) (*hub.Hub, *store.Store, error) {
	ring, err := keyring.Open(filepath.Join(dir, "keys"), keyring.KEK{1})
	if err != nil {
		return nil, nil, err
	}
	var h *hub.Hub
	s, err := store.Open(store.Options{
		Dir: dir, Fatal: func(err error) { h.Fail(err) },
		Committed: func(blocks, bytes int, took time.Duration) { h.Committed(blocks, bytes, took) },
	})
	if err != nil {
		return nil, nil, err
	}
	cfg.Params, cfg.Ring, cfg.Origin = s.Params(), ring, testOrigin
	cfg.Index, err = index.Open(index.Options{
		Dir: filepath.Join(dir, "index"), FS: s.FS(), IDKeep: cfg.Params.IDWindow, Notary: hub.NewNotary(ring),
		Fatal: func(err error) { h.Fail(err) }, Flushed: func(index, seq uint64) { h.Indexed(index, seq) },
	})
	if err != nil {
		return nil, nil, err
	}
	if cfg.Fatal == nil {
		cfg.Fatal = fatal
	}
	if h, err = hub.New(cfg); err != nil {
		return nil, nil, err
	}
	return h, s, s.Start(context.Background(), h.Machine(), cfg.Index)
}

func newID() ledger.OpID {
	var random [10]byte
	_, _ = rand.Read(random[:])
	return ledger.NewOpID(uint64(time.Now().UnixMilli()), random)
}

func (r *rig) submit(ops ...ledger.Op) []ledger.Applied {
	r.t.Helper()
	b := &hub.Batch{Ops: ops}
	if err := r.Submit(b); err != nil {
		r.t.Fatal(err)
	}
	return b.Out
}

// must submits ops that have to be applied.
func (r *rig) must(ops ...ledger.Op) []ledger.Applied {
	r.t.Helper()
	out := r.submit(ops...)
	for i, a := range out {
		if a.Result() != ledger.Done {
			r.t.Fatalf("op %d, %v: %v", i, ops[i].Kind, a.Result())
		}
	}
	return out
}

func (r *rig) account(amount ledger.Msat) ledger.AccountNo {
	r.t.Helper()
	no := r.must(ledger.Op{Kind: ledger.OpOpenAccount, ID: newID()})[0].Object()
	if amount > 0 {
		r.must(ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Dev, Target: no, Amount: amount, ID: newID()})
	}
	return ledger.AccountNo(no)
}

// channels opens n of them with the same funds, for an hour.
func (r *rig) channels(payer, payee ledger.AccountNo, n int, funds ledger.Msat) []ledger.ChannelNo {
	r.t.Helper()
	var all []ledger.ChannelNo
	for n > 0 {
		ops := make([]ledger.Op, min(n, hub.MaxBatchOps))
		for i := range ops {
			ops[i] = ledger.Op{Kind: ledger.OpOpenChannel, Actor: payer, Target: uint32(payee), Amount: funds,
				Version: uint32(time.Now().Unix() + 3600), ID: newID()}
		}
		for _, a := range r.must(ops...) {
			all = append(all, ledger.ChannelNo(a.Object()))
		}
		n -= len(ops)
	}
	return all
}

func transfer(from, to ledger.AccountNo, amount ledger.Msat) ledger.Op {
	return ledger.Op{Kind: ledger.OpTransfer, Actor: from, Target: uint32(to), Amount: amount, ID: newID()}
}

func (r *rig) balance(no ledger.AccountNo) int64 {
	r.t.Helper()
	a, ok := r.Account(no)
	if !ok {
		r.t.Fatalf("no account %v", no)
	}
	return a.Available
}

// work is a sealed file.
type work struct {
	plain, file []byte
	offer       hub.Offer
}

func (r *rig) seal(seller ledger.AccountNo, plain string, price ledger.Msat) work {
	r.t.Helper()
	var id ledger.ContentID
	_, _ = rand.Read(id[:])
	return sealFor(r.t, r.SealingKeys()[0], testOrigin, id, seller, plain, price)
}

func sealFor(t testing.TB, key seal.PublicKey, origin string, id ledger.ContentID, seller ledger.AccountNo, plain string, price ledger.Msat) work {
	t.Helper()
	var file bytes.Buffer
	s, err := seal.Seal(&file, bytes.NewReader([]byte(plain)), key, origin, id)
	if err != nil {
		t.Fatal(err)
	}
	return work{plain: []byte(plain), file: file.Bytes(), offer: hub.Offer{
		Seller: seller, Header: s.Header, Commitment: s.Commitment, Title: "a work", Price: price, Size: uint64(s.Size), FileSHA256: s.SHA256,
	}}
}

func (r *rig) register(w work) ledger.ContentID {
	r.t.Helper()
	id, a, err := r.Register(w.offer)
	if err != nil || a.Result() != ledger.Done {
		r.t.Fatalf("register: %v, %v", a.Result(), err)
	}
	return id
}

func (w work) opens(key seal.FileKey) bool {
	var got bytes.Buffer
	return seal.Open(&got, bytes.NewReader(w.file), key) == nil && bytes.Equal(got.Bytes(), w.plain)
}

// metric reads a counter or gauge, or the number of a histogram's observations; label is the value of its one label.
func (r *rig) metric(name, label string) float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" && len(m.GetLabel()) == 0 || len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	r.t.Fatalf("no metric %s %s", name, label)
	return 0
}

// eventually waits for what another goroutine is about to do.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

// stall shuts the valve, and has as many blocks proposed as there may be, of one msat each: what is submitted from now on waits.
func (r *rig) stall(wg *sync.WaitGroup, from, to ledger.AccountNo) {
	r.t.Helper()
	before := r.log.count()
	r.log.close()
	for n := range hub.BlocksInFlight {
		wg.Go(func() { r.must(transfer(from, to, 1)) })
		eventually(r.t, "the block is proposed", func() bool { return r.log.count() == before+n+1 })
	}
}

// auditor reads the ledger from the disk alone, without a hub.
type auditor struct {
	state *ledger.State
	index *index.Index
}

func (a *auditor) Apply(index uint64, block []byte) error {
	_, err := a.state.Apply(index, block, nil)
	return err
}

func (a *auditor) Snapshot() *ledger.View { return a.state.View() }

func (a *auditor) Restore(_ uint64, r io.Reader) error {
	s, err := ledger.Restore(r, ledger.Seed{})
	if err == nil {
		s.Attach(a.index)
		a.state = s
	}
	return err
}

// audit opens a stopped hub's folder, and checks that the money is all there.
func audit(t testing.TB, dir string) (s *ledger.State, replayed uint64) {
	t.Helper()
	log, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Open(filepath.Join(dir, "keys"), keyring.KEK{1})
	if err != nil {
		t.Fatal(err)
	}
	x, err := index.Open(index.Options{Dir: filepath.Join(dir, "index"), Notary: hub.NewNotary(ring)})
	if err != nil {
		t.Fatal(err)
	}
	a := &auditor{ledger.New(log.Params(), ledger.Seed{}), x}
	if err := log.Start(context.Background(), a, x); err != nil {
		t.Fatal(err)
	}
	_, replayed = log.Lag()
	if err := errors.Join(log.Close(), x.Close()); err != nil {
		t.Fatal(err)
	}
	if err := a.state.Audit(); err != nil {
		t.Error(err)
	}
	return a.state, replayed
}

func openLog(dir string) (*store.Store, error) { return store.Open(store.Options{Dir: dir}) }
