package lightning

import (
	"context"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/millrace/millrace/channels"
)

const (
	invoicesAtOnce = 1000
	firstLook      = time.Second // between looks for the very first settled invoice
)

// Settled calls f with every invoice of ours that was paid, keysends among them, after a settle index, in order and as they
// come, until f fails or the context ends; it returns that error. It subscribes again by itself: f gets none twice. After zero
// is from the very first one that the node ever had.
//
// Invoices of AMP are not among them: they have a hash for each payment, and the node is not to accept them (--accept-amp).
func (c *Client) Settled(ctx context.Context, after uint64, f func(channels.Receipt) error) error {
	hand := func(i *lnrpc.Invoice) error {
		if err := f(receipt(i)); err != nil {
			return stop{err}
		}
		after = i.SettleIndex
		return nil
	}
	const doing = "following what was paid to us"
	return c.follow(ctx, doing, func(ctx context.Context, alive func()) error {
		for after == 0 {
			// lnd replays what was settled after an index, but after zero nothing. So the first is looked for. If nobody ever
			// paid this node there is none: then there are few invoices, and they can be looked at each time.
			first, err := c.firstSettled(ctx)
			if err == nil && first != nil {
				err = hand(first)
			}
			if err != nil {
				return err
			}
			alive()
			if first == nil {
				if err := wait(ctx, firstLook); err != nil {
					return err
				}
			}
		}
		live := false
		s, err := c.lightning.SubscribeInvoices(ctx, &lnrpc.InvoiceSubscription{SettleIndex: after})
		return drain(ctx, c, doing, alive, s, err, func(i *lnrpc.Invoice) error {
			switch {
			case i.State != lnrpc.Invoice_SETTLED || i.SettleIndex <= after:
				return nil
			case live && i.SettleIndex > after+1:
				// lnd tells each client only ascending indexes: if two were settled at once and told the wrong way round, one was
				// left out. What is subscribed to anew is read from its database, in order; where there is a gap then, it is real.
				return errAgain
			}
			live = true
			return hand(i)
		})
	})
}

// firstSettled is the invoice with the lowest settle index, or nil.
func (c *Client) firstSettled(ctx context.Context) (first *lnrpc.Invoice, err error) {
	err = c.eachInvoice(ctx, func(i *lnrpc.Invoice) error {
		if i.State == lnrpc.Invoice_SETTLED && i.SettleIndex > 0 && (first == nil || i.SettleIndex < first.SettleIndex) {
			first = i
		}
		return nil
	})
	return first, err
}

// eachInvoice calls f with all invoices that were ever made, in the order in which they were.
func (c *Client) eachInvoice(ctx context.Context, f func(*lnrpc.Invoice) error) error {
	for offset := uint64(0); ; {
		list, err := ask(ctx, c, "listing invoices", c.lightning.ListInvoices,
			&lnrpc.ListInvoiceRequest{IndexOffset: offset, NumMaxInvoices: invoicesAtOnce})
		if err != nil {
			return err
		}
		for _, i := range list.Invoices {
			if err := f(i); err != nil {
				return err
			}
		}
		if len(list.Invoices) < invoicesAtOnce || list.LastIndexOffset <= offset {
			return nil
		}
		offset = list.LastIndexOffset
	}
}
