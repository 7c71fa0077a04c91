package channels

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/millrace/millrace/ledger"
)

// node is a Lightning node that does what tests tell it to. Whatever happens to the rails, it knows what it was asked to pay.
type node struct {
	mu       sync.Mutex
	now      func() time.Time
	behave   map[Hash]behaviour
	payments map[Hash]*sending
	invoices map[Hash]*bill
	settled  []Receipt
	arrived  chan struct{} // closed when there is another receipt
	down     bool          // no call is answered, and none does anything
	paid     map[Hash]int  // how often the payee was paid
	mute     map[Hash]bool // a question about these is an error
}

// behaviour is what comes of a payment.
type behaviour struct {
	fail   string // the reason; empty: it succeeds
	fee    ledger.Msat
	take   time.Duration // until the payment ends
	late   time.Duration // until the node begins with a call, though the caller has gone
	lost   int           // so many calls do what they are asked, and no answer comes
	refuse error         // the node writes nothing down
}

// sending is a payment that the node knows.
type sending struct {
	stage Stage
	fee   ledger.Msat
	why   string
	proof Hash
	ended chan struct{}
}

type bill struct {
	Invoice
	preimage  Hash
	settled   bool
	cancelled bool
}

func newNode(now func() time.Time) *node {
	return &node{now: now, behave: make(map[Hash]behaviour), payments: make(map[Hash]*sending), invoices: make(map[Hash]*bill),
		arrived: make(chan struct{}), paid: make(map[Hash]int)}
}

// foreign makes an invoice of somebody else's.
func (n *node) foreign(amount ledger.Msat, b behaviour) (text string, hash Hash) {
	inv := n.invoice(amount, "02"+"00000000000000000000000000000000000000000000000000000000000000bb", time.Hour)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.behave[inv.Hash] = b
	return inv.Text, inv.Hash
}

func (n *node) invoice(amount ledger.Msat, payee string, expiry time.Duration) Invoice {
	var preimage Hash
	_, _ = rand.Read(preimage[:])
	inv := Invoice{Hash: sha256.Sum256(preimage[:]), Payee: payee, Amount: amount, Made: n.now(), Expires: n.now().Add(expiry)}
	text, _ := json.Marshal(inv)
	inv.Text = fmt.Sprintf("lnfake%x", text)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.invoices[inv.Hash] = &bill{Invoice: inv, preimage: preimage}
	return inv
}

// forge makes an invoice of another node's with somebody's hash.
func (n *node) forge(hash Hash, amount ledger.Msat) string {
	text, _ := json.Marshal(Invoice{Hash: hash, Payee: "03", Amount: amount, Made: n.now(), Expires: n.now().Add(time.Hour)})
	return fmt.Sprintf("lnfake%x", text)
}

func (n *node) Decode(text string) (inv Invoice, err error) {
	var b []byte
	if _, err := fmt.Sscanf(text, "lnfake%x", &b); err != nil {
		return inv, errors.New("not an invoice")
	}
	if err := json.Unmarshal(b, &inv); err != nil {
		return inv, err
	}
	inv.Text = text
	return inv, nil
}

func (n *node) isDown(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return ErrDown
	}
	return ctx.Err()
}

func (n *node) Quote(_ context.Context, p Payment) (ledger.Msat, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.behave[p.Hash]
	if b.fail != "" {
		return 0, ErrNoRoute
	}
	return b.fee, nil
}

func (n *node) Pay(ctx context.Context, p Payment) (Attempt, error) {
	if err := n.isDown(ctx); err != nil {
		return Attempt{}, err
	}
	n.mu.Lock()
	b := n.behave[p.Hash]
	lost := b.lost > 0
	if lost {
		b.lost--
		n.behave[p.Hash] = b
	}
	n.mu.Unlock()
	if b.refuse != nil {
		return Attempt{}, b.refuse
	}
	if b.late > 0 {
		time.AfterFunc(b.late, func() { n.begin(p, b) })
		<-ctx.Done()
		return Attempt{}, ctx.Err()
	}
	s := n.begin(p, b)
	if lost {
		return Attempt{}, fmt.Errorf("%w: the connection broke", ErrDown)
	}
	select {
	case <-s.ended:
		return n.attempt(s), nil
	case <-ctx.Done():
		return Attempt{}, ctx.Err()
	}
}

// begin is a node that has a payment: one of a hash at a time, and none again that succeeded.
func (n *node) begin(p Payment, b behaviour) *sending {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s := n.payments[p.Hash]; s != nil && s.stage != Failed {
		return s
	}
	s := &sending{stage: Pending, ended: make(chan struct{})}
	n.payments[p.Hash] = s
	end := func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		switch {
		case b.fail != "":
			s.stage, s.why = Failed, b.fail
		case b.fee > p.FeeLimit:
			s.stage, s.why = Failed, "no_route"
		default:
			s.stage, s.fee = Succeeded, b.fee
			if bill := n.invoices[p.Hash]; bill != nil {
				s.proof = bill.preimage
			} else {
				s.proof = p.Preimage
			}
			n.paid[p.Hash]++
		}
		close(s.ended)
	}
	if b.take == 0 {
		n.mu.Unlock()
		end()
		n.mu.Lock()
	} else {
		time.AfterFunc(b.take, end)
	}
	return s
}

func (n *node) attempt(s *sending) Attempt {
	n.mu.Lock()
	defer n.mu.Unlock()
	return Attempt{Stage: s.stage, Fee: s.fee, Reason: s.why, Preimage: s.proof}
}

func (n *node) Track(ctx context.Context, hash Hash) (Attempt, error) {
	if err := n.isDown(ctx); err != nil {
		return Attempt{}, err
	}
	n.mu.Lock()
	s := n.payments[hash]
	n.mu.Unlock()
	if s == nil {
		return Attempt{}, ErrUnknownPayment
	}
	select {
	case <-s.ended:
	case <-ctx.Done():
	}
	return n.attempt(s), nil
}

func (n *node) Invoice(ctx context.Context, in NewInvoice) (Invoice, error) {
	if err := n.isDown(ctx); err != nil {
		return Invoice{}, err
	}
	if in.DescHash != nil && in.Memo != "" {
		return Invoice{}, ErrRefused
	}
	return n.invoice(in.Amount, ourNode, in.Expiry), nil
}

func (n *node) Lookup(ctx context.Context, hash Hash) (Receipt, bool, error) {
	if err := n.isDown(ctx); err != nil {
		return Receipt{}, false, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.invoices[hash]
	if n.mute[hash] {
		return Receipt{}, false, errors.New("something about this invoice is odd")
	}
	if b == nil {
		return Receipt{}, false, ErrUnknownPayment
	}
	for _, r := range n.settled {
		if r.Hash == hash {
			return r, true, nil
		}
	}
	return Receipt{Hash: hash, Preimage: b.preimage}, false, nil
}

func (n *node) Cancel(ctx context.Context, hash Hash) error {
	if err := n.isDown(ctx); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.invoices[hash]
	if b == nil || b.settled {
		return errors.New("invoice already settled")
	}
	b.cancelled = true
	return nil
}

// settle is somebody who pays an invoice of ours, or sends a keysend. False: it was cancelled, or paid before.
func (n *node) settle(hash Hash, amount ledger.Msat, records map[uint64][]byte) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.invoices[hash]
	if b != nil {
		if b.settled || b.cancelled {
			return false
		}
		b.settled = true
	}
	r := Receipt{Index: uint64(len(n.settled) + 1), Hash: hash, Amount: amount, Time: n.now(), Keysend: b == nil, Records: records}
	if b != nil {
		r.Preimage = b.preimage
	}
	n.settled = append(n.settled, r)
	close(n.arrived)
	n.arrived = make(chan struct{})
	return true
}

func (n *node) Settled(ctx context.Context, after uint64, f func(Receipt) error) error {
	for {
		n.mu.Lock()
		fresh, more := n.settled[min(int(after), len(n.settled)):], n.arrived
		n.mu.Unlock()
		for _, r := range fresh {
			if err := f(r); err != nil {
				return err
			}
			after = r.Index
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
