package channels_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/deploy/regtest/networktest"
	"github.com/millrace/millrace/ledger"
)

// childKey is the environment variable by which this program knows that it is a hub that is going to be killed.
const childKey = "MILLRACE_TEST_RAILS"

func TestMain(m *testing.M) {
	if task := os.Getenv(childKey); task != "" {
		os.Exit(child(task))
	}
	os.Exit(m.Run())
}

// quickExit has a program with the race detector not sleep a second when it ends.
const quickExit = "GORACE=atexit_sleep_ms=0"

// task is what a hub in a process of its own is to do.
type task struct {
	Place    place
	At       int // it kills itself at this point: before or after a write to its records, or a call to the ledger or a node; zero: never
	Requests []channels.Request
	Deposit  ledger.AccountNo // that gets an invoice, which is printed; zero: none
	Invoice  string           // that was printed before, and must have been paid
}

// child does what a task says until all of it is done. It tells its parent "point N" for the points that it has passed, at its end.
func child(text string) int {
	var t task
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		fmt.Println(err)
		return 2
	}
	k := &killer{at: int64(t.At)}
	h, err := openHub(t.Place, k.wrap)
	if err != nil {
		fmt.Println(err)
		return 2
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := h.do(ctx, &t); err != nil {
		fmt.Println(err)
		return 2
	}
	fmt.Println("point", k.n.Load())
	return 0 // without a Close: that is for the operating system
}

func (h *realHub) do(ctx context.Context, t *task) error {
	for _, q := range t.Requests {
		if _, err := h.Withdraw(ctx, q); err != nil {
			return err
		}
	}
	h.Flush()
	if t.Deposit != 0 && t.Invoice == "" {
		d, err := h.NewInvoice(ctx, t.Deposit, channels.NewInvoice{Amount: 1_000_000})
		if err != nil {
			return err
		}
		t.Invoice = d.Invoice
		fmt.Println("invoice", d.Invoice)
	}
	for _, q := range t.Requests {
		for p, err := h.Wait(ctx, q.Key); ; p, err = h.Wait(ctx, q.Key) {
			if err != nil {
				return err
			}
			if p.Status == channels.Done {
				break
			}
			if p.Status.Over() || ctx.Err() != nil {
				return fmt.Errorf("payout to %.20s: %s, %s", p.To, p.Status, p.Reason)
			}
		}
	}
	if t.Invoice == "" {
		return nil
	}
	inv, err := h.lightning.Decode(t.Invoice)
	if err != nil {
		return err
	}
	for {
		d, err := h.Deposit(t.Deposit, channels.Ref{Hash: inv.Hash, Output: 1<<32 - 1})
		if err == nil && d.Status == channels.DepositCredited || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// killer counts what can be told apart from outside: before and after each write and each call. At one of them the process ends, by SIGKILL.
type killer struct {
	at int64
	n  atomic.Int64
}

func (k *killer) point() {
	if k.n.Add(1) == k.at {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// around makes a call between two points; a long one has a point in the middle, somewhere.
func (k *killer) around(do func()) {
	k.point()
	do()
	k.point()
}

func (k *killer) wrap(c *channels.Config) {
	c.Records = killedRecords{c.Records, k}
	c.Ledger = killedLedger{c.Ledger, k}
	c.Payer = killedPayer{c.Payer, k}
	c.Receiver = killedReceiver{c.Receiver, k}
	c.Wallet = killedWallet{c.Wallet, k}
	c.BatchEvery = 100 * time.Millisecond
}

type killedRecords struct {
	channels.Records
	k *killer
}

func (r killedRecords) Write(rows ...channels.Row) (err error) {
	r.k.around(func() { err = r.Records.Write(rows...) })
	return err
}

type killedLedger struct {
	channels.Ledger
	k *killer
}

func (l killedLedger) Submit(op ledger.Op) (a ledger.Applied, err error) {
	l.k.around(func() { a, err = l.Ledger.Submit(op) })
	return a, err
}

type killedPayer struct {
	channels.Payer
	k *killer
}

func (p killedPayer) Pay(ctx context.Context, x channels.Payment) (a channels.Attempt, err error) {
	p.k.around(func() {
		middle := time.AfterFunc(rand.N(100*time.Millisecond), p.k.point)
		a, err = p.Payer.Pay(ctx, x)
		middle.Stop()
	})
	return a, err
}

func (p killedPayer) Track(ctx context.Context, hash channels.Hash) (a channels.Attempt, err error) {
	p.k.around(func() { a, err = p.Payer.Track(ctx, hash) })
	return a, err
}

type killedReceiver struct {
	channels.Receiver
	k *killer
}

func (r killedReceiver) Invoice(ctx context.Context, n channels.NewInvoice) (i channels.Invoice, err error) {
	r.k.around(func() { i, err = r.Receiver.Invoice(ctx, n) })
	return i, err
}

func (r killedReceiver) Cancel(ctx context.Context, hash channels.Hash) (err error) {
	r.k.around(func() { err = r.Receiver.Cancel(ctx, hash) })
	return err
}

type killedWallet struct {
	channels.Wallet
	k *killer
}

func (w killedWallet) Fund(ctx context.Context, lock channels.Hash, outs []channels.Output, rate channels.FeeRate) (s channels.Signed, err error) {
	w.k.around(func() {
		middle := time.AfterFunc(rand.N(30*time.Millisecond), w.k.point)
		s, err = w.Wallet.Fund(ctx, lock, outs, rate)
		middle.Stop()
	})
	return s, err
}

func (w killedWallet) Publish(ctx context.Context, raw []byte, label string) (err error) {
	w.k.around(func() { err = w.Wallet.Publish(ctx, raw, label) })
	return err
}

func (w killedWallet) Release(ctx context.Context, lock channels.Hash, coins []channels.Outpoint) (err error) {
	w.k.around(func() { err = w.Wallet.Release(ctx, lock, coins) })
	return err
}

// life runs a hub in a process of its own. It says whether the hub killed itself, and what it printed.
func (r *real) life(t task) (killed bool, said string) {
	r.t.Helper()
	text, err := json.Marshal(t)
	r.must(err)
	self, err := os.Executable()
	r.must(err)
	cmd := exec.CommandContext(r.ctx, self)
	cmd.Env = append(os.Environ(), childKey+"="+string(text), quickExit)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out := &watched{fresh: func(line string) {
		if invoice, ok := strings.CutPrefix(line, "invoice "); ok {
			go func() { _, _ = r.net.Payer.Pay(r.ctx, invoice, 0) }()
		}
	}}
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL && t.At > 0 {
		return true, out.text.String()
	}
	if err != nil {
		r.t.Fatalf("a hub that was to end at point %d: %v\n%s", t.At, err, out.text.String())
	}
	return false, out.text.String()
}

// watched tells of each line that a process prints.
type watched struct {
	mu    sync.Mutex
	text  bytes.Buffer
	seen  int
	fresh func(line string)
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(b)
	for {
		line, _, whole := strings.Cut(w.text.String()[w.seen:], "\n")
		if !whole {
			return len(b), nil
		}
		w.seen += len(line) + 1
		w.fresh(line)
	}
}

// TestRegtestKill kills a hub at each point of a payment over Lightning, a payment on-chain and a deposit, one life after the other on the
// same disk; each time another finishes what was begun. In the end everybody was paid once, and the books are the node's.
// MILLRACE_TEST_KILL_STEP kills at every so many points only.
func TestRegtestKill(t *testing.T) {
	r := newReal(t, networktest.Start(t), nil)
	node, err := r.lightning.Assets(r.ctx)
	r.must(err)
	wallet := r.confirmed()
	from := r.newAccount()
	r.depositCoin(from, 200_000_000)
	r.depositCoin(ledger.AccountNo(r.newAccount()), 1_000_000) // somebody else's
	r.must(r.realHub.Close())

	mining, stop := context.WithCancel(r.ctx)
	var mined sync.WaitGroup
	mined.Go(func() {
		for mining.Err() == nil {
			if ids, err := r.net.Chain.Mempool(mining); err == nil && len(ids) > 0 {
				_, _ = r.net.Chain.Mine(mining, 2)
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	step := 1
	if text := os.Getenv("MILLRACE_TEST_KILL_STEP"); text != "" {
		step, err = strconv.Atoi(text)
		r.must(err)
	}
	var all []channels.Request
	kills := 0
	for kind := range 3 {
		for at := 1; ; at += step {
			x := task{Place: r.place, At: at}
			switch kind {
			case 0:
				x.Requests = []channels.Request{r.ask(from, r.bill(100_000), 0, 1000)}
			case 1:
				x.Requests = []channels.Request{r.ask(from, r.creator(at), 2_000_000, 20_000_000)}
			case 2:
				x.Deposit = from
			}
			killed, said := r.life(x)
			if killed {
				kills++
				x.At = 0
				if _, after, ok := strings.Cut(said, "invoice "); ok {
					x.Invoice, _, _ = strings.Cut(after, "\n")
				}
				r.life(x)
			}
			all = append(all, x.Requests...)
			if !killed {
				t.Logf("%d points of %s", at-1, [...]string{"a payment over Lightning", "a payment on-chain", "a deposit"}[kind])
				break
			}
		}
	}
	stop()
	mined.Wait()
	r.open(nil)
	t.Logf("%d kills", kills)
	for _, q := range all {
		p, err := r.Payout(q.Key)
		r.must(err)
		if p.Status != channels.Done {
			t.Errorf("payout to %.20s: %s, %s", p.To, p.Status, p.Reason)
		}
	}
	if list, err := r.Incidents(0); err != nil || len(list) > 0 {
		t.Errorf("%+v, %v", list, err)
	}
	r.mine(2)
	r.eventually("the node has what the ledger says", func() bool {
		a, err := r.lightning.Assets(r.ctx)
		r.must(err)
		return int64(a.Local+a.Pending)-int64(node.Local+node.Pending) == r.outside(ledger.Lightning)
	})
	r.eventually("the wallet has what the ledger says", func() bool {
		return int64(r.confirmed()-wallet)*1000 == r.outside(ledger.Chain)
	})
	a, _ := r.hub.Account(from)
	if a.Held != 0 {
		t.Errorf("%d held", a.Held)
	}
}

// ask is a request of a hub that runs in another process.
func (r *real) ask(no ledger.AccountNo, to string, amount, limit ledger.Msat) channels.Request {
	var random [10]byte
	for i := range random {
		random[i] = byte(rand.IntN(256))
	}
	return channels.Request{Key: channels.Key{Account: no, ID: channels.ID(ledger.NewOpID(uint64(time.Now().UnixMilli()), random))}, To: to, Amount: amount, FeeLimit: limit}
}
