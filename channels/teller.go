package channels

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/millrace/millrace/ledger"
)

// Teller is the rails as an account's wallets see them: by payment hash, and as one list of all that comes and goes.
type Teller struct{ rails *Rails }

// Teller serves wallets.
func (r *Rails) Teller() Teller { return Teller{r} }

// Balance is what an account has at hand.
func (t Teller) Balance(no ledger.AccountNo) (ledger.Msat, error) {
	a, ok := t.rails.ledger.Account(no)
	if !ok || a.Available < 0 {
		return 0, fmt.Errorf("%w: account %s", ErrNoItem, no)
	}
	return ledger.Msat(a.Available), nil
}

// Address is where an account can be paid on-chain: the same one, until something comes by it.
func (t Teller) Address(ctx context.Context, no ledger.AccountNo) (string, error) {
	return t.rails.NewAddress(ctx, no)
}

// Invoice makes an invoice that pays an account.
func (t Teller) Invoice(ctx context.Context, no ledger.AccountNo, n NewInvoice) (Item, error) {
	d, err := t.rails.NewInvoice(ctx, no, n)
	if err != nil {
		return Item{}, told(err)
	}
	return d.Item(), nil
}

// Incoming is the invoice of a payment hash, whoever's it is; ErrNoItem.
func (t Teller) Incoming(_ context.Context, hash Hash) (Item, error) {
	d, found, err := t.rails.deposit(Ref{hash, noOutput})
	if err == nil && !found {
		err = ErrNoItem
	}
	return d.Item(), err
}

// Decode reads an invoice of the node's network.
func (t Teller) Decode(text string) (Invoice, error) {
	if t.rails.cfg.Payer == nil {
		return Invoice{}, ErrNoRail
	}
	i, err := t.rails.cfg.Payer.Decode(text)
	if err != nil && !errors.Is(err, ErrNetwork) {
		err = fmt.Errorf("%w: %w", ErrInvoice, err)
	}
	return i, err
}

// Pay makes the payment that an order is, or finds the one that there is under its key, and waits until it is over or the context ends: then
// it is pending, and no error. An error may say that there is no payment: see NotOrdered.
func (t Teller) Pay(ctx context.Context, no ledger.AccountNo, o Order) (Item, error) {
	key := Key{Account: no, ID: orderID(o.Key)}
	p, err := t.rails.Payout(key)
	if errors.Is(err, ErrUnknown) {
		if !o.Until.IsZero() && !t.rails.now().Before(o.Until) {
			return Item{}, fmt.Errorf("%w: it was ordered for %v", ErrExpired, o.Until)
		}
		q := Request{
			Key: key, To: o.Invoice, Amount: o.Amount, FeeLimit: o.FeeLimit, Preimage: o.Preimage, Records: o.Records, Until: o.Until,
			Memo: o.Memo, Origin: o.Key,
		}
		if q.To == "" {
			q.To = o.Payee
		}
		p, err = t.rails.Withdraw(ctx, q)
	}
	if err != nil && !errors.Is(err, ErrReused) { // another call of this order was quicker, in other words
		return Item{}, told(err)
	}
	if p, err = t.rails.Wait(ctx, key); err != nil {
		return Item{}, told(err)
	}
	if p.Status == Voided && p.Hold == 0 {
		if p.Reason == ledger.InsufficientFunds.String() {
			return Item{}, ErrBalance
		}
		return Item{}, fmt.Errorf("%w: %s", ErrNotAllowed, p.Told())
	}
	return p.Item(), nil
}

// orderID is the id of the payout that an order is.
func orderID(key string) ID {
	sum := sha256.Sum256([]byte("millrace order\x00" + key))
	return ID(sum[:])
}

// told makes an error one of those that wallets are told, if it says for sure that there is no payment.
func told(err error) error {
	for _, e := range [...]error{ErrTarget, ErrAmount, ErrDust} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", ErrInvoice, err)
		}
	}
	for _, e := range [...]error{ErrNoRail, ErrTooMany, ErrRefused} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", ErrNotAllowed, err)
		}
	}
	return err
}

// Item is what an account has of a payment hash: an invoice of its own, or a payment that it makes. ErrNoItem.
func (t Teller) Item(_ context.Context, no ledger.AccountNo, hash Hash) (Item, error) {
	if d, err := t.rails.Deposit(no, Ref{hash, noOutput}); err == nil || !errors.Is(err, ErrNoItem) {
		return d.Item(), err
	}
	return t.Outgoing(no, hash)
}

// Outgoing is the newest payment of an account to a payment hash. ErrNoItem.
func (t Teller) Outgoing(no ledger.AccountNo, hash Hash) (Item, error) {
	var key Key
	found, err := t.rails.read(rowKey(keyPaying, hash[:]), &key)
	if err == nil && (!found || key.Account != no) {
		err = ErrNoItem
	}
	if err != nil {
		return Item{}, err
	}
	p, err := t.rails.Payout(key)
	return p.Item(), err
}

// Items calls f with what an account's money does, the newest first, until it returns false.
func (t Teller) Items(no ledger.AccountNo, filter Filter, f func(Item) bool) error {
	in := pager{next: func(g Page) (items []Item, next []byte, err error) {
		list, next, err := t.rails.Deposits(no, filter.Unsettled, g)
		for i := range list {
			items = append(items, list[i].Item())
		}
		return items, next, err
	}}
	out := pager{next: func(g Page) (items []Item, next []byte, err error) {
		list, next, err := t.rails.Payouts(no, g)
		for i := range list {
			items = append(items, list[i].Item())
		}
		return items, next, err
	}}
	in.over = filter.Incoming != nil && !*filter.Incoming
	out.over = filter.Incoming != nil && *filter.Incoming
	for {
		a, err := in.peek()
		if err != nil {
			return err
		}
		b, err := out.peek()
		if err != nil {
			return err
		}
		newest := &in
		if a == nil || b != nil && b.Made.After(a.Made) {
			a, newest = b, &out
		}
		if a == nil || a.Made.Before(filter.From) {
			return nil
		}
		newest.items = newest.items[1:]
		unwanted := a.State != Settled && !filter.Unsettled || !filter.Until.IsZero() && a.Made.After(filter.Until)
		if !unwanted && !f(*a) {
			return nil
		}
	}
}

// pager goes through a list page by page.
type pager struct {
	next  func(Page) ([]Item, []byte, error)
	items []Item
	from  []byte
	over  bool
}

// peek is the next item; nil: there is none.
func (p *pager) peek() (*Item, error) {
	for len(p.items) == 0 {
		if p.over {
			return nil, nil
		}
		var err error
		if p.items, p.from, err = p.next(Page{Before: p.from, Most: 100}); err != nil {
			return nil, err
		}
		p.over = p.from == nil
	}
	return &p.items[0], nil
}

// Item is a deposit as wallets list it.
func (d *Deposit) Item() Item {
	i := Item{
		Rail: d.Rail, Incoming: true, State: Open, Hash: d.Hash, Preimage: d.Proof, Invoice: d.Invoice, Payee: d.Address, Amount: d.Amount,
		Memo: d.Memo, DescHash: d.About, Made: d.Made, Expires: d.Expires, Depth: d.Has,
	}
	if i.Amount == 0 {
		i.Amount = d.Asked
	}
	switch d.Status {
	case DepositExpired:
		i.State = Expired
	case DepositArrived, DepositCredited:
		i.State, i.Settled = Settled, d.Came
	}
	return i
}

// Item is a payout as wallets list it.
func (p *Payout) Item() Item {
	i := Item{
		Rail: p.Rail, State: Open, Key: p.Origin, Hash: p.Hash, Invoice: p.Invoice, Payee: p.Payee, Amount: p.Pays, Fee: p.FeeLimit,
		Memo: p.Memo, Made: p.Made, Reason: p.Told(),
	}
	if i.Memo == "" {
		i.Memo = p.About
	}
	if p.Rail == Chain {
		i.Hash = p.Tx
	}
	switch p.Status {
	case Paid, Done:
		i.State, i.Fee, i.Preimage, i.Settled = Settled, p.Fee, p.Proof, p.Changed
	case Voided:
		i.State, i.Fee = GaveBack, 0
	}
	return i
}

// moved tells of a payout that is over, and of the invoice of ours that it has paid.
func (r *Rails) moved(p *Payout) {
	if r.cfg.Moved == nil || p.Status != Done {
		return
	}
	r.cfg.Moved(p.Account, p.Item())
	if p.Rail != Internal || p.Hash == (Hash{}) {
		return
	}
	if d, found, err := r.deposit(Ref{p.Hash, noOutput}); err == nil && found {
		r.cfg.Moved(d.Account, d.Item())
	}
}
